package evidence

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tandem/fixtures/experiment"
	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/results/judge/fingerprint"
	"tandem/results/record"
	"tandem/results/trace"
)

//go:embed replay.py
var script []byte

// dataSet is the folder of the tensors, named as in ONNX's test data.
const dataSet = "test_data_set_0"

// Source is what evidence is taken from.
type Source struct {
	Reference *trace.Reference
	Candidate *trace.Candidate
	Limits    experiment.Thresholds
	Diagnosis *record.Diagnosis
	Material  fingerprint.Material
}

// Case is case.json.
type Case struct {
	Kind       string       `json:"kind"` // "operator", "loss", "gradient", "optimizer", "buffer", "weights", "tensor"
	Experiment string       `json:"experiment"`
	Reference  string       `json:"reference"` // engines
	Candidate  string       `json:"candidate"`
	Stage      record.Stage `json:"stage"`
	Step       int          `json:"step"`
	Tensor     string       `json:"tensor"`
	Summary    string       `json:"summary"`
	// Operator is the node that the tensor comes from.
	Operator *record.Operator `json:"operator,omitempty"`
	// Tolerance is the relative distance that rounding explains.
	Tolerance float64 `json:"tolerance"`
	// Sampled says that the tensors are vectors of some of the elements.
	Sampled bool `json:"sampled,omitempty"`
	// Random says that the operator draws random numbers.
	Random bool `json:"random,omitempty"`
	// Inputs and Outputs name the tensors of the files, in their order.
	Inputs  []string `json:"inputs"`
	Outputs []string `json:"outputs"`
	// Loss and Optimizer are the settings of these stages.
	Loss      *experiment.Loss      `json:"loss,omitempty"`
	Optimizer *experiment.Optimizer `json:"optimizer,omitempty"`
	// Digests are the SHA-256 of the initial parameters by name, the reference's first.
	Digests map[string][2]string `json:"digests,omitempty"`
}

// writing is evidence on its way to a folder.
type writing struct {
	Source
	dir string
	r   *trace.ReferenceStep
	c   *trace.CandidateStep
	out Case
	// double says that the failure shows in float64 alone.
	double bool
}

// Write writes the evidence into the folder dir, which it makes. It reports false, and makes nothing, where the diagnosis leaves nothing
// to compute anew.
func Write(dir string, s Source) (bool, error) {
	w := &writing{Source: s, dir: dir}
	d := s.Diagnosis
	if d == nil {
		return false, nil
	}
	w.out = Case{
		Reference: s.Reference.Engine.Name, Candidate: s.Candidate.Engine.Name, Stage: d.Stage, Step: d.Step, Tensor: d.Tensor, Summary: d.Summary,
		Operator: d.Operator, Inputs: []string{}, Outputs: []string{}, Tolerance: s.Limits.FailRho * 2 / (1 << 24),
	}
	if s.Reference.Experiment != nil {
		w.out.Experiment = s.Reference.Experiment.Name
	}
	if d.Error != nil && d.Rho != nil && *d.Rho > 0 {
		w.out.Tolerance = s.Limits.FailRho * float64(*d.Error / *d.Rho)
	}
	if w.double = d.Float64Gap != nil && d.Rho != nil && float64(*d.Rho) <= s.Limits.FailRho; w.double {
		w.out.Tolerance = s.Limits.Float64Gap
	}
	for i := range s.Reference.Steps {
		if s.Reference.Steps[i].Step == d.Step {
			w.r = &s.Reference.Steps[i]
		}
	}
	for i := range s.Candidate.Steps {
		if s.Candidate.Steps[i].Step == d.Step {
			w.c = &s.Candidate.Steps[i]
		}
	}
	ok, err := w.write()
	if err != nil {
		return false, fmt.Errorf("writing the evidence: %w", err)
	}
	return ok, nil
}

func (w *writing) write() (bool, error) {
	if w.out.Stage == record.StageWeights {
		return w.weights()
	}
	if w.r == nil || w.c == nil || w.out.Tensor == "" {
		return false, nil
	}
	switch w.out.Stage {
	case record.StageForward:
		if ok, err := w.operator(); ok || err != nil {
			return ok, err
		}
		return w.pair("tensor", w.r.Float32, w.c.Float32, w.r.Float64, w.c.Float64)
	case record.StageBackward:
		return w.pair("gradient", w.r.Float32, w.c.Float32, w.r.Float64, w.c.Float64)
	case record.StageBuffers:
		return w.pair("buffer", w.r.After, w.c.After, nil, nil)
	case record.StageLoss:
		return w.loss()
	case record.StageOptimizer:
		return w.optimizer()
	}
	return false, nil
}

// finish writes the script and case.json, the latter last.
func (w *writing) finish() (bool, error) {
	if err := w.file("replay.py", script); err != nil {
		return false, err
	}
	text, err := json.MarshalIndent(w.out, "", " ")
	if err != nil {
		return false, err
	}
	return true, w.file("case.json", append(text, '\n'))
}

func (w *writing) file(name string, data []byte) error {
	path := filepath.Join(w.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o666)
}

func (w *writing) tensor(kind string, i int, name string, t *tensor.Tensor) error {
	data, err := onnx.EncodeTensor(name, t)
	if err != nil {
		return err
	}
	return w.file(fmt.Sprintf("%s/%s_%d.pb", dataSet, kind, i), data)
}

// input and output add to the case.
func (w *writing) input(name string, t *tensor.Tensor) error {
	w.out.Inputs = append(w.out.Inputs, name)
	return w.tensor("input", len(w.out.Inputs)-1, name, t)
}

func (w *writing) output(name string, expected, candidate *tensor.Tensor) error {
	w.out.Outputs = append(w.out.Outputs, name)
	if err := w.tensor("output", len(w.out.Outputs)-1, name, expected); err != nil {
		return err
	}
	return w.tensor("candidate", len(w.out.Outputs)-1, name, candidate)
}

// kept returns a tensor of a trace, whole or, where only a part was kept, as a vector.
func (w *writing) kept(s trace.Sampled) *tensor.Tensor {
	if t, err := s.Whole(); err == nil {
		return t
	}
	w.out.Sampled = true
	return s.Values
}

// pair writes the two results alone.
func (w *writing) pair(kind string, single, candidateSingle, double, candidateDouble trace.Set) (bool, error) {
	ours, theirs := single, candidateSingle
	if w.double {
		ours, theirs = double, candidateDouble
	}
	expected, ok := ours[w.out.Tensor]
	got, there := theirs[w.out.Tensor]
	if !ok || !there || !slices.Equal(expected.Shape, got.Shape) {
		return false, nil // nothing to compare: the diagnosis says so
	}
	w.out.Kind = kind
	// A reference's gradients are whole where a candidate's are sampled.
	if expected.Values.Len() > got.Values.Len() {
		expected = trace.Sample(expected.Values, w.Reference.Sample)
		expected.Shape = got.Shape
	}
	if kind == "buffer" && w.r.State[w.out.Tensor] != nil {
		if err := w.input("before", w.kept(trace.Sample(w.r.State[w.out.Tensor], w.Reference.Sample))); err != nil {
			return false, err
		}
	}
	if err := w.output(w.out.Tensor, w.kept(expected), w.kept(got)); err != nil {
		return false, err
	}
	return w.finish()
}

func (w *writing) weights() (bool, error) {
	if w.Material.Model == nil {
		return false, nil
	}
	w.out.Kind, w.out.Digests = "weights", map[string][2]string{}
	for _, t := range w.Reference.Initial {
		if name, ok := strings.CutPrefix(t.Name, "parameters/"); ok {
			w.out.Digests[name] = [2]string{t.SHA256, ""}
		}
	}
	for _, t := range w.Candidate.Initial {
		if name, ok := strings.CutPrefix(t.Name, "parameters/"); ok {
			w.out.Digests[name] = [2]string{w.out.Digests[name][0], t.SHA256}
		}
	}
	if len(w.out.Digests) == 0 {
		return false, nil
	}
	data, err := w.Material.Model.Encode()
	if err != nil {
		return false, err
	}
	if err := w.file("model.onnx", data); err != nil {
		return false, err
	}
	return w.finish()
}

func (w *writing) loss() (bool, error) {
	e := w.Reference.Experiment
	if e == nil || w.Material.Data == nil || w.r.Loss64 == nil {
		return false, nil
	}
	ours, theirs := w.r.Float32, w.c.Float32
	expected, got := float64(w.r.Loss32), float64(w.c.Loss32)
	if w.double && w.c.Loss64 != nil {
		ours, theirs, expected, got = w.r.Float64, w.c.Float64, float64(*w.r.Loss64), float64(*w.c.Loss64)
	}
	if !strings.HasPrefix(w.out.Tensor, "loss") {
		return false, nil
	}
	if w.out.Tensor != "loss" {
		got = float64(w.c.StepLoss)
	}
	var logits []string
	for name := range ours {
		if strings.HasPrefix(name, "outputs/") {
			logits = append(logits, name)
		}
	}
	if len(logits) != 1 {
		return false, nil
	}
	a, errA := ours[logits[0]].Whole()
	b, errB := theirs[logits[0]].Whole()
	if errA != nil || errB != nil {
		return false, nil // sampled outputs make no loss
	}
	w.out.Kind, w.out.Loss = "loss", &e.Loss
	classes, numbers := w.Material.Data.Targets(w.out.Step), w.Material.Data.Numbers(w.out.Step)
	target, err := tensor.Of(classes, len(classes))
	if !e.Loss.TakesClasses() {
		target, err = tensor.Of(numbers, len(numbers))
	}
	if err != nil {
		return false, err
	}
	for _, in := range []struct {
		name string
		t    *tensor.Tensor
	}{{"the reference's outputs", a}, {"the candidate's outputs", b}, {"target", target}} {
		if err := w.input(in.name, in.t); err != nil {
			return false, err
		}
	}
	x, err := tensor.Of([]float64{expected}, 1)
	if err != nil {
		return false, err
	}
	y, err := tensor.Of([]float64{got}, 1)
	if err != nil {
		return false, err
	}
	if err := w.output("loss", x, y); err != nil {
		return false, err
	}
	return w.finish()
}
