package engine_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"tandem/fixtures/dataset"
	"tandem/fixtures/experiment"
	"tandem/fixtures/reference"
	native "tandem/native/engine"
	"tandem/onnx"
	"tandem/results/engine"
	"tandem/results/judge"
	"tandem/results/judge/fingerprint"
	"tandem/results/record"
	"tandem/results/trace"
)

// mutated judges a candidate with a planted mistake; ok is false when the mistake does not apply.
func mutated(t *testing.T, e engine.Engine, load engine.LoadParams, ref *trace.Reference, limits experiment.Thresholds, m native.Mutant) (p record.Parity, ok bool) {
	t.Helper()
	load.Mutant = m.Name
	cand, err := trace.CollectCandidate(t.Context(), e, ref, trace.CandidateOptions{
		Load: load, Activations: true, WorkDir: t.TempDir(), Enough: judge.Settled(ref, limits),
	})
	if refused := new(engine.Error); errors.As(err, &refused) && refused.Kind == engine.KindUnsupported {
		return p, false
	}
	if err != nil {
		t.Fatal(err)
	}
	p = judge.Judge(ref, cand, limits)
	model, err := onnx.Load(load.Model)
	if err != nil {
		t.Fatal(err)
	}
	data, err := fingerprint.ReadData(load.Data)
	if err != nil {
		t.Logf("the diagnosis does without the data, as in a run: %v", err)
	}
	p.Diagnosis = judge.Diagnose(ref, cand, limits, &p, fingerprint.Material{Model: model, Data: data})
	return p, true
}

// causes counts how many of the mistakes that were caught were taken for what they are.
type causes struct {
	sync.Mutex
	right int
	wrong []string
}

func (c *causes) note(p record.Parity, m native.Mutant) {
	c.Lock()
	defer c.Unlock()
	if m.Cause == "" {
		return
	}
	if d := p.Diagnosis; d != nil && len(d.Causes) > 0 && d.Causes[0].Name == m.Cause {
		c.right++
		return
	} else if d == nil || len(d.Causes) == 0 {
		c.wrong = append(c.wrong, fmt.Sprintf("%s: no cause, want %s", m.Name, m.Cause))
		return
	}
	c.wrong = append(c.wrong, fmt.Sprintf("%s: %s, want %s", m.Name, p.Diagnosis.Causes[0].Name, m.Cause))
}

func (c *causes) String() string {
	slices.Sort(c.wrong)
	return fmt.Sprintf("%d of %d causes are right; not: %s", c.right, c.right+len(c.wrong), strings.Join(c.wrong, "; "))
}

// check demands the right cause for three mistakes in four.
func (c *causes) check(t *testing.T) {
	t.Helper()
	if 4*c.right < 3*(c.right+len(c.wrong)) {
		t.Errorf("fewer than three in four: %v", c)
	}
}

// caught demands that a mistake is caught in its stage.
func caught(t *testing.T, ref *trace.Reference, p record.Parity, m native.Mutant) {
	t.Helper()
	stage := m.Stage
	if m.Batch && len(ref.Steps[0].Batch) > 0 {
		stage = record.StageData
	}
	if p.Verdict != record.Fail || p.Stage != stage {
		t.Errorf("%s in the stage %q, want FAIL in %q\n%s", p.Verdict, p.Stage, stage, strings.Join(p.Reasons, "\n"))
	}
}

// TestMutants plants every mistake of the table in a training that it changes. Each is caught in its own stage; those of the optimizer
// in every training that they change. The reference is the native trainer itself with its hidden units in another order, which is the right
// result here: nothing but the mistake is different.
func TestMutants(t *testing.T) {
	set := func(values ...string) (out []experiment.Setting) {
		for i := 0; i < len(values); i += 2 {
			out = append(out, experiment.Setting{Key: values[i], Value: values[i+1]})
		}
		return out
	}
	var found causes
	var applied struct { // by one of the trainings so far
		sync.Mutex
		to map[string]bool
	}
	applied.to = map[string]bool{}
	for _, s := range []struct {
		name    string
		network network
		changes []experiment.Setting
	}{
		{"adam", pixels, nil},
		{"adamw, square weights, gelu", network{first: 16, second: 16, activation: "Gelu"}, set("optimizer.kind", "adamw", "optimizer.weight_decay", "0.05")},
		{"adam with decay, attention", network{first: first, second: second, activation: "Relu", words: true, attention: true}, set("optimizer.weight_decay", "0.01", "optimizer.clip_norm", "0.1")},
		{"adamw with a recipe", pixels, set("optimizer.kind", "adamw", "optimizer.weight_decay", "0.05", "optimizer.no_decay", `["*.bias"]`, "optimizer.clip_norm", "0.1",
			"schedule.kind", "cosine", "schedule.warm_up", "3", "schedule.total", "100", "schedule.minimum", "0.0001")},
		{"sgd with momentum, convolution", network{first: first, second: second, activation: "Relu", convolution: true}, set("optimizer.kind", "sgd", "optimizer.learning_rate", "0.05", "optimizer.momentum", "0.9", "optimizer.weight_decay", "0.001")},
		{"rmsprop", pixels, set("optimizer.kind", "rmsprop", "optimizer.learning_rate", "0.001", "optimizer.centered", "true", "optimizer.momentum", "0.5", "optimizer.weight_decay", "0.001")},
		{"adagrad", pixels, set("optimizer.kind", "adagrad", "optimizer.learning_rate", "0.05", "optimizer.lr_decay", "0.05", "optimizer.initial_accumulator_value", "0.1",
			"loss.class_weights", "[1, 2, 1, 0.5, 1, 1, 1, 3, 1, 1]", "loss.ignore_index", "4", "loss.label_smoothing", "0.1")},
		{"nadam", pixels, set("optimizer.kind", "nadam", "optimizer.clip_norm", "0.1", "optimizer.weight_decay", "0.01", "optimizer.decoupled_weight_decay", "true")},
		{"huber", pixels, set("data.source", "random", "data.shapes", `{input = [784]}`, "data.target_shape", "[10]", "loss.kind", "huber", "loss.delta", "0.5")},
		{"binary cross-entropy", pixels, set("data.source", "random", "data.shapes", `{input = [784]}`, "data.target_shape", "[10]", "loss.kind", "bce_with_logits", "loss.positive_weights", "[3]")},
		{"lion, gradients added up", pixels, set("train.batch", "8", "train.accumulate", "4", "optimizer.kind", "lion", "optimizer.learning_rate", "0.0003", "optimizer.weight_decay", "0.1")},
		{"sgd with nesterov", network{first: first, second: second, activation: "Gelu", words: true}, set("optimizer.kind", "sgd", "optimizer.learning_rate", "0.05", "optimizer.momentum", "0.9", "optimizer.nesterov", "true")},
	} {
		t.Run(s.name, func(t *testing.T) {
			setting := newSetting(t, s.network, s.changes...)
			ref := setting.reference(t)
			if p := setting.candidate(t, ref, 1, ""); p.Verdict != record.Pass {
				t.Errorf("without a mistake: %s in the stage %q\n%s", p.Verdict, p.Stage, strings.Join(p.Reasons, "\n"))
			}
			before := maps.Clone(applied.to)
			for _, m := range native.Mutants() {
				if before[m.Name] && m.Stage != record.StageOptimizer {
					continue
				}
				t.Run(m.Name, func(t *testing.T) {
					t.Parallel()
					p, ok := mutated(t, newShuffled(t, s.network, 1), setting.load, ref, setting.experiment.Parity.Thresholds, m)
					if !ok {
						t.Skip("does not apply")
					}
					caught(t, ref, p, m)
					if !before[m.Name] {
						found.note(p, m)
					}
					applied.Lock()
					defer applied.Unlock()
					applied.to[m.Name] = true
				})
			}
		})
	}
	for _, m := range native.Mutants() {
		if !applied.to[m.Name] && !t.Failed() && !slices.Contains(ofTransformers, m.Name) && !slices.Contains(ofImages, m.Name) {
			t.Errorf("no training of this test can have the mistake %q", m.Name)
		}
	}
	if !t.Failed() {
		found.check(t)
		t.Log(&found)
	}
}

// ofTransformers are the mistakes that only a Transformer can have: the recording of one is theirs.
var ofTransformers = []string{"attention-scale", "causal-mask-off-by-one", "layer-norm-eps"}

// ofImages are those of images in colours, whose recording is the residual network's.
var ofImages = []string{"augmentation-missing", "flip-on-one-side", "flip-before-crop", "border-of-zeros", "channels-reversed", "images-normalized-twice"}

// TestMutantsOnRecordings plants every mistake in the trainings that PyTorch was recorded at.
func TestMutantsOnRecordings(t *testing.T) {
	for _, name := range reference.Names() {
		t.Run(name, func(t *testing.T) {
			recording, err := reference.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			ref, err := trace.ReadReference(recording)
			if err != nil {
				t.Fatal(err)
			}
			load := recordedLoad(t, recording, ref)
			var found causes
			t.Cleanup(func() {
				found.check(t)
				t.Log(&found) // what the fingerprints do not know yet
			})
			for _, m := range append([]native.Mutant{{}}, native.Mutants()...) {
				t.Run(m.Name, func(t *testing.T) {
					t.Parallel()
					p, ok := mutated(t, native.New("test"), load, ref, ref.Experiment.Parity.Thresholds, m)
					switch {
					case !ok && name == "transformer-small" && slices.Contains(ofTransformers, m.Name):
						t.Error("does not apply")
					case !ok && name == "resnet18-cifar" && slices.Contains(ofImages, m.Name):
						t.Error("does not apply")
					case !ok:
						t.Skip("does not apply")
					case m.Name != "":
						caught(t, ref, p, m)
						found.note(p, m)
					case p.Verdict != record.Pass:
						t.Errorf("without a mistake: %s in the stage %q\n%s", p.Verdict, p.Stage, strings.Join(p.Reasons, "\n"))
					}
				})
			}
		})
	}
}

// recordedLoad writes what a recording was trained on.
func recordedLoad(t *testing.T, recording fs.FS, ref *trace.Reference) engine.LoadParams {
	t.Helper()
	dir := t.TempDir()
	load := engine.LoadParams{
		Experiment: filepath.Join(dir, "experiment.json"), Model: filepath.Join(dir, "model.onnx"), Data: filepath.Join(dir, "data.safetensors"),
		Threads: 1, Random: engine.RandomShared,
	}
	text, err := ref.Experiment.JSON()
	if err != nil {
		t.Fatal(err)
	}
	model, err := fs.ReadFile(recording, reference.ModelFile)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := onnx.Decode(model, reference.ModelFile); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{load.Experiment: text, load.Model: model} {
		if err := os.WriteFile(file, content, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	d, err := dataset.Load(t.Context(), ref.Experiment, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	batches, err := d.Draw(ref.Experiment)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dataset.WriteFile(load.Data, d, batches); err != nil {
		t.Fatal(err)
	}
	return load
}
