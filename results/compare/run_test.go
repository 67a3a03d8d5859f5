package compare_test

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/fixtures/dataset"
	"tandem/fixtures/experiment"
	native "tandem/native/engine"
	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/results/compare"
	"tandem/results/engine"
	"tandem/results/judge/fingerprint"
	"tandem/results/record"
)

// engineVariable makes this test program the native engine instead.
const engineVariable = "TANDEM_TEST_ENGINE"

func TestMain(m *testing.M) {
	if name := os.Getenv(engineVariable); name != "" {
		var e engine.Engine = native.New("test")
		switch name {
		case "drifting":
			e = drifting{native.New("test")}
		case "moded":
			e = moded{native.New("test")}
		case "lazy":
			e = lazy{native.New("test")}
		}
		if err := engine.Serve(context.Background(), os.Stdin, os.Stdout, e); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const settings = `
name = "small"
[model]
source = "not.used:here"
[data]
source = "synthetic"
train = 90
test = 40
flatten = true
shuffle = true
[loss]
kind = "cross_entropy"
[optimizer]
kind = "adam"
learning_rate = 0.003
[train]
batch = 16
epochs = 4
[parity]
judged_steps = [0, 1, 5, 6, -1]
[timing]
blocks = 10
block_steps = 5
warm_up = 2
`

// options makes a comparison of the native engine with itself on a small model. In both roles it is a process of its own.
func options(t *testing.T) compare.Options {
	t.Helper()
	e, err := experiment.Parse([]byte(settings), "small.toml")
	if err != nil {
		t.Fatal(err)
	}
	folder, err := compare.NewFolder(filepath.Join(t.TempDir(), "run"), compare.ResultFile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(folder.Discard)
	d, err := dataset.Load(t.Context(), e, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	batches, err := d.Draw(e)
	if err != nil {
		t.Fatal(err)
	}
	file := folder.WorkFile("data.safetensors")
	digests, err := dataset.WriteFile(file, d, batches)
	if err != nil {
		t.Fatal(err)
	}
	side := compare.Side{Start: func(ctx context.Context, _ int) (*engine.Client, error) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), engineVariable+"=native")
		return engine.Start(ctx, cmd, engine.Options{})
	}}
	o := compare.Options{
		Experiment: e, Folder: folder, Threads: 1, Reference: side, Candidate: side, Timing: true, Save: true, Traces: true,
		ModelFile: folder.File("model.onnx"), Model: record.Model{File: "model.onnx", Exporter: "the test", DropoutSites: 1},
		Data: compare.Data{
			File: file, Test: map[string]*tensor.Tensor{d.InputName: d.TestInput}, TestTargets: tensor.View[int64](d.TestTarget),
			Record: record.Data{Source: d.Source, Description: d.Description, TrainRows: d.TrainRows(), TestRows: d.TestRows(), Steps: len(batches.Offsets) - 1, SHA256: digests},
		},
		Third: compare.Looker{Name: "third", Missing: "the test has none"},
	}
	if err := model(t).Save(o.ModelFile); err != nil {
		t.Fatal(err)
	}
	return o
}

func model(t *testing.T) *onnx.Model {
	t.Helper()
	rng := rand.New(rand.NewPCG(3, 4))
	weights := func(shape ...int) *tensor.Tensor {
		w := tensor.New(tensor.Float32, shape...)
		for i := range tensor.View[float32](w) {
			tensor.View[float32](w)[i] = float32(rng.NormFloat64() / math.Sqrt(float64(shape[len(shape)-1])))
		}
		return w
	}
	ratio, _ := tensor.Of([]float32{0.1})
	yes, _ := tensor.Of([]bool{true})
	m, err := onnx.NewBuilder("small", 20).
		Input("input", tensor.Float32, -1, 784).
		Initializer("fc1.weight", weights(16, 784)).Initializer("fc1.bias", weights(16)).
		Initializer("fc2.weight", weights(10, 16)).Initializer("fc2.bias", weights(10)).
		Initializer("ratio", ratio).Initializer("yes", yes).
		Node("Gemm", []string{"input", "fc1.weight", "fc1.bias"}, []string{"h"}, map[string]any{"transB": 1}).
		Node("Tanh", []string{"h"}, []string{"r"}, nil).
		Node("Dropout", []string{"r", "ratio", "yes"}, []string{"d"}, nil).
		Node("Gemm", []string{"d", "fc2.weight", "fc2.bias"}, []string{"logits"}, map[string]any{"transB": 1}).
		Output("logits", tensor.Float32, -1, 10).
		Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestRunOfAnEngineAgainstItself(t *testing.T) {
	o := options(t)
	var phases []string
	o.Progress = func(phase string, done, total int) {
		if total > 0 && (done < 0 || done > total) {
			t.Errorf("%s: %d of %d", phase, done, total)
		}
		phases = append(phases, phase)
	}
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Parity.Verdict != record.Pass {
		t.Fatalf("the verdict is %s: %q", r.Parity.Verdict, r.Parity.Reasons)
	}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	if r.Data.Steps != 24 || len(r.Loss.Candidate) != 24 || !slices.Equal(r.Loss.Reference, r.Loss.Candidate) {
		t.Errorf("%d steps: losses %v and %v, want 24 that are the same", r.Data.Steps, r.Loss.Reference, r.Loss.Candidate)
	}
	if r.Accuracy == nil || r.Accuracy.Reference != r.Accuracy.Candidate || !(r.Accuracy.Candidate > r.Accuracy.Initial) {
		t.Errorf("accuracy %+v, want the same on both sides and better than before", r.Accuracy)
	}
	if r.Timing == nil || len(r.Timing.Candidate.BlockMedians) != 10 || r.Memory[record.Candidate].PeakBytes <= r.Memory[record.Candidate].BaselineBytes {
		t.Errorf("timing %+v, memory %+v", r.Timing, r.Memory)
	}
	if len(phases) == 0 {
		t.Error("no progress was told")
	}
	looked := 0
	for _, l := range r.Forward {
		if l.Skipped == "" {
			looked++
		}
	}
	if looked != 2 {
		t.Errorf("%d looks at the forward pass were taken, want 2: %+v", looked, r.Forward)
	}
	dir, err := o.Folder.Commit()
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"experiment.json", "model.onnx", "trained.onnx", "traces/reference/trace.json", "traces/candidate/trace.json"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(o.Folder.Work); !errors.Is(err, os.ErrNotExist) {
		t.Error("the work folder is still there")
	}
}

func TestRunOfAMutantFailsAndClaimsNoSpeed(t *testing.T) {
	o := options(t)
	o.Candidate.Mutant = "loss-sum-for-mean"
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Parity.Verdict != record.Fail || r.Parity.Stage != record.StageLoss {
		t.Errorf("verdict %s in stage %q, want FAIL in loss: %q", r.Parity.Verdict, r.Parity.Stage, r.Parity.Reasons)
	}
	if d := r.Parity.Diagnosis; d == nil || len(d.Causes) != 1 || d.Causes[0].Name != fingerprint.LossReduction || d.Evidence == "" {
		t.Errorf("the diagnosis is %+v, want the one cause %q and evidence", d, fingerprint.LossReduction)
	} else if _, err := os.Stat(filepath.Join(o.Folder.Dir, d.Evidence, "replay.py")); err != nil {
		t.Error(err)
	}
	if r.Timing.Speedup != nil {
		t.Error("a speed-up is claimed")
	}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
}

func TestProofPlantsEveryMistakeThatApplies(t *testing.T) {
	o := options(t)
	o.Timing, o.Prove = false, true
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	proof := r.Parity.Proof
	if r.Parity.Verdict != record.Pass || proof == nil || proof.Applicable < 8 || proof.Caught != proof.Applicable {
		t.Fatalf("verdict %s, proof %+v, want PASS with every mistake caught: %q", r.Parity.Verdict, proof, r.Parity.Reasons)
	}
	for _, m := range proof.Mutants {
		if m.Name == "relu-missing" {
			t.Error("a mistake that does not apply was counted: the model has no Relu")
		}
	}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
}

func TestAForwardPassThatDiffersFails(t *testing.T) {
	o := options(t)
	o.Timing = false
	o.Third = compare.Looker{Name: "third", Forward: func(_ context.Context, _ string, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
		return map[string]*tensor.Tensor{"logits": tensor.New(tensor.Float32, inputs["input"].Shape()[0], 10)}, nil
	}}
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Parity.Verdict != record.Fail || r.Parity.Stage != record.StageForward {
		t.Errorf("verdict %s in stage %q, want FAIL in forward", r.Parity.Verdict, r.Parity.Stage)
	}
}

func TestCheckJudgesAgainstARecording(t *testing.T) {
	o := options(t)
	o.Timing, o.Traces = false, false
	ref, err := compare.Record(t.Context(), o, []int{0, 3, -1})
	if err != nil {
		t.Fatal(err)
	}
	o.Reference = compare.Side{}
	for mutant, want := range map[string]record.Verdict{"": record.Pass, "optimizer-never-steps": record.Fail} {
		o.Candidate.Mutant = mutant
		r, err := compare.Check(t.Context(), o, ref)
		if err != nil {
			t.Fatal(err)
		}
		if r.Parity.Verdict != want {
			t.Errorf("mutant %q: the verdict is %s, want %s: %q", mutant, r.Parity.Verdict, want, r.Parity.Reasons)
		}
		if r.Timing != nil || r.TimingAbsent == "" || !r.Engines[0].Recorded {
			t.Errorf("mutant %q: a check says nothing of speed and names its reference a recording", mutant)
		}
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
	}
}

func TestRequirements(t *testing.T) {
	whole := engine.Hello{
		Name: "e", DTypes: []string{"float32", "float64"}, Variants: []string{"a", "b", "c", "d", "e"}, SharedRandom: true,
	}
	bare := engine.Hello{Name: "e", DTypes: []string{"float32"}}
	for _, c := range []struct {
		name  string
		hello engine.Hello
		role  record.Role
		sites int
		want  []string // parts of the message; none for an engine that lacks nothing
	}{
		{"a reference that has it all", whole, record.Reference, 2, nil},
		{"a candidate that has the least", bare, record.Candidate, 0, nil},
		{"a candidate without masks", bare, record.Candidate, 2, []string{"cannot be the candidate", "of which the model has 2"}},
		{"a candidate without float32", engine.Hello{Name: "e", DTypes: []string{"float16"}}, record.Candidate, 0, []string{`compute in float32 (dtypes has ["float16"])`}},
		{"a bare reference", bare, record.Reference, 0, []string{"the engine e cannot be the reference", "compute in float64", "at least 5 variants"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := compare.Requirements(c.hello, c.role, c.sites)
			if (err == nil) != (c.want == nil) {
				t.Fatalf("the error is %v", err)
			}
			for _, w := range c.want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("the error lacks %q: %v", w, err)
				}
			}
			if refused := new(engine.Error); err != nil && (!errors.As(err, &refused) || refused.Kind != engine.KindUnsupported) {
				t.Errorf("the error is no refusal: %v", err)
			}
		})
	}
}
