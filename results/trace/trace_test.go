package trace_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"tandem/fixtures/experiment"
	"tandem/onnx/tensor"
	"tandem/results/engine"
	"tandem/results/trace"
	"tandem/results/trace/tracetest"
)

func collect(t testing.TB, sample int, omit bool) (*trace.Reference, *trace.Candidate) {
	t.Helper()
	total, last := 0, 0
	ref, err := trace.CollectReference(context.Background(), &tracetest.Engine{Seed: 1}, trace.ReferenceOptions{
		Experiment: &experiment.Experiment{Name: "tracetest", Seed: 1 << 63}, Steps: 9, JudgedSteps: []int{0, 2}, Sample: sample, OmitInitialState: omit,
		Nudges: 2, Seed: 7, Activations: true, WorkDir: t.TempDir(),
		Progress: func(done, all int, what string) {
			if done <= last || done > all || what == "" {
				t.Errorf("progress %d of %d after %d: %q", done, all, last, what)
			}
			last, total = done, all
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	// The steps that are judged are counted as judged work alone.
	if want := total - len(ref.Steps); last != want {
		t.Errorf("progress ended at %d of %d, want %d", last, total, want)
	}
	cand, err := trace.CollectCandidate(context.Background(), &tracetest.Engine{Seed: 1, Order: tracetest.CandidateOrder}, ref, trace.CandidateOptions{Activations: true, WorkDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return ref, cand
}

func TestRoundTrip(t *testing.T) {
	for _, test := range []struct {
		name   string
		sample int
		omit   bool
	}{{"whole", 0, false}, {"sampled, without the initial state", 50, true}} {
		t.Run(test.name, func(t *testing.T) {
			ref, cand := collect(t, test.sample, test.omit)
			dir := t.TempDir()
			for range 2 { // a second time over the first
				if err := trace.WriteReference(dir, ref); err != nil {
					t.Fatal(err)
				}
			}
			got, err := trace.ReadReference(os.DirFS(dir))
			if err != nil {
				t.Fatal(err)
			}
			again := t.TempDir()
			if err := trace.WriteReference(again, got); err != nil {
				t.Fatal(err)
			}
			sameFolder(t, dir, again)
			dir, again = t.TempDir(), t.TempDir()
			if err := trace.WriteCandidate(dir, cand); err != nil {
				t.Fatal(err)
			}
			gotCandidate, err := trace.ReadCandidate(os.DirFS(dir))
			if err != nil {
				t.Fatal(err)
			}
			if err := trace.WriteCandidate(again, gotCandidate); err != nil {
				t.Fatal(err)
			}
			sameFolder(t, dir, again)
			if _, err := trace.ReadReference(os.DirFS(dir)); err == nil {
				t.Error("a candidate's trace was read as a reference")
			}
		})
	}
}

// TestCollected looks into a reference trace.
func TestCollected(t *testing.T) {
	ref, cand := collect(t, 50, true)
	if len(ref.Losses) != 9 || len(cand.Losses) != 9 || len(ref.FreeRuns) != 2 || len(ref.Steps) != 2 || len(cand.Steps) != 2 {
		t.Fatalf("%d and %d losses, %d free runs, %d and %d steps", len(ref.Losses), len(cand.Losses), len(ref.FreeRuns), len(ref.Steps), len(cand.Steps))
	}
	s := ref.Steps[1]
	if s.Rows != 8 || s.State == nil || ref.Steps[0].State != nil || !ref.Steps[0].InitialState {
		t.Errorf("step %d has %d rows, state %v; the first step's state %v", s.Step, s.Rows, s.State != nil, ref.Steps[0].State != nil)
	}
	if g := s.Float32["gradients/fc1.weight"]; g.Values.Len() != 256 {
		t.Errorf("a reference gradient is kept in part: %d of 256", g.Values.Len())
	}
	if g := s.Float64["gradients/fc1.weight"]; g.Values.Len() != 50 || !slices.Equal(g.Shape, []int{16, 16}) {
		t.Errorf("a float64 gradient has %d elements of shape %v, want 50 of [16 16]", g.Values.Len(), g.Shape)
	}
	if len(s.Noise) != 1+len(tracetest.Variants) || len(s.StepNoise) != 2+len(tracetest.Variants) {
		t.Errorf("%d and %d noises for %d variants", len(s.Noise), len(s.StepNoise), len(tracetest.Variants))
	}
	for _, n := range s.Noise {
		if d := n.Distance["gradients/fc1.weight"]; !(d > 0 && d < 1e-6) {
			t.Errorf("variant %q is %v from float64", n.Variant, d)
		}
	}
	if _, ok := s.Noise[0].Distance["loss"]; !ok {
		t.Error("the loss's noise is not measured")
	}
	if slices.Equal(ref.FreeRuns[0].Losses, ref.Losses) || slices.Equal(ref.FreeRuns[0].Losses, ref.FreeRuns[1].Losses) {
		t.Error("nudged starts change nothing")
	}
}

func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := trace.CollectReference(ctx, &tracetest.Engine{}, trace.ReferenceOptions{Experiment: &experiment.Experiment{}, Steps: 9, WorkDir: t.TempDir()})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want context.Canceled", err)
	}
}

// impure is an engine whose grad changes its state.
type impure struct{ *tracetest.Engine }

// Hello has no variants, so that the short batch is not reached.
func (e impure) Hello() engine.Hello {
	h := e.Engine.Hello()
	h.Variants = nil
	return h
}

func (e impure) Grad(ctx context.Context, p engine.GradParams) (*engine.GradResult, error) {
	result, err := e.Engine.Grad(ctx, p)
	if err == nil {
		_, err = e.Step(ctx, 1)
	}
	return result, err
}

func TestReferencesThatAreNone(t *testing.T) {
	for _, test := range []struct {
		name string
		e    engine.Engine
		edit func(*trace.ReferenceOptions)
		says string
	}{
		{"grad changes the state", impure{&tracetest.Engine{}}, func(*trace.ReferenceOptions) {}, "must change nothing"},
		{"no float64", &tracetest.Engine{NoFloat64: true}, func(*trace.ReferenceOptions) {}, "float64"},
		{"judged step outside", &tracetest.Engine{}, func(o *trace.ReferenceOptions) { o.JudgedSteps = []int{9} }, "not resolved"},
		{"no steps", &tracetest.Engine{}, func(o *trace.ReferenceOptions) { o.Steps = 0 }, "there must be a step"},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := trace.ReferenceOptions{Experiment: &experiment.Experiment{}, Steps: 9, JudgedSteps: []int{0, 2}, WorkDir: t.TempDir()}
			test.edit(&o)
			if _, err := trace.CollectReference(context.Background(), test.e, o); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want one with %q", err, test.says)
			}
		})
	}
}

// choosy is an engine that refuses a variant, as one does that has no images to lay out in another way.
type choosy struct{ *tracetest.Engine }

func (e choosy) Grad(ctx context.Context, p engine.GradParams) (*engine.GradResult, error) {
	if p.Variant == "reverse" {
		return nil, engine.Errorf(engine.KindUnsupported, "not with this model")
	}
	return e.Engine.Grad(ctx, p)
}

func TestRefusedVariant(t *testing.T) {
	o := trace.ReferenceOptions{Experiment: &experiment.Experiment{}, Steps: 3, JudgedSteps: []int{0}, WorkDir: t.TempDir()}
	ref, err := trace.CollectReference(context.Background(), choosy{&tracetest.Engine{}}, o)
	if err != nil {
		t.Fatal(err)
	}
	if s := ref.Steps[0]; s.Refused["reverse"] != "not with this model" || len(s.Noise) != len(tracetest.Variants) {
		t.Errorf("refused %v, %d noises", s.Refused, len(s.Noise))
	}
}

func TestJudgedSteps(t *testing.T) {
	if got, want := trace.JudgedSteps([]int{-1, 0, 5, 9, 10, -10, -11, 5}, 10), []int{0, 5, 9}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// sameFolder demands that two traces are the same bytes, so that one read is the one written.
func sameFolder(t *testing.T, a, b string) {
	t.Helper()
	x, y := files(t, a), files(t, b)
	if len(x) != len(y) || len(x) < 10 {
		t.Errorf("%d files became %d", len(x), len(y))
	}
	for name, f := range x {
		if y[name] == nil || !bytes.Equal(f.Data, y[name].Data) {
			t.Errorf("%s differs after reading and writing again", name)
		}
	}
}

// folder returns the files of a small written trace.
func folder(t testing.TB) fstest.MapFS {
	t.Helper()
	ref, _ := collect(t, 50, true)
	dir := t.TempDir()
	if err := trace.WriteReference(dir, ref); err != nil {
		t.Fatal(err)
	}
	return files(t, dir)
}

func files(t testing.TB, dir string) fstest.MapFS {
	t.Helper()
	out := fstest.MapFS{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		out[filepath.ToSlash(name)] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReadRefuses(t *testing.T) {
	good := folder(t)
	main := string(good["trace.json"].Data)
	replace := func(old, new string) func(fstest.MapFS) {
		return func(f fstest.MapFS) {
			if !strings.Contains(main, old) {
				t.Fatalf("trace.json has no %s", old)
			}
			f["trace.json"] = &fstest.MapFile{Data: []byte(strings.Replace(main, old, new, 1))}
		}
	}
	for _, test := range []struct {
		name string
		edit func(fstest.MapFS)
		says string
	}{
		{"no trace.json", func(f fstest.MapFS) { delete(f, "trace.json") }, "trace.json"},
		{"another version", replace("tandem.trace/1", "tandem.trace/2"), "record the trace again"},
		{"another role", replace(`"reference"`, `"candidate"`), "not a reference"},
		{"unknown field", replace(`"sample":`, `"samples":`), "samples"},
		{"trailing text", func(f fstest.MapFS) { f["trace.json"] = &fstest.MapFile{Data: []byte(main + "{}")} }, "trace.json"},
		{"negative sample", replace(`"sample": 50`, `"sample": -1`), "sample is -1"},
		{"another sample", replace(`"sample": 50`, `"sample": 49`), "a sample of 49"},
		{"steps out of order", replace(`"step": 2`, `"step": 0`), "follows step"},
		{"state that is not the initial one left out", replace(`"step": 0`, `"step": 1`), "claims the initial state"},
		{"file missing", func(f fstest.MapFS) { delete(f, "step-000002/state.safetensors") }, "step-000002/state"},
		{"file altered", func(f fstest.MapFS) {
			data := bytes.Clone(f["final.safetensors"].Data)
			data[len(data)-1] ^= 1
			f["final.safetensors"] = &fstest.MapFile{Data: data}
		}, "is not the file"},
		{"foreign file listed", replace(`"final.safetensors"`, `"../final.safetensors"`), "which no such trace has"},
		{"free run twice", replace(`"one ulp, start 2"`, `"one ulp, start 1"`), "there twice"},
		{"no experiment", func(f fstest.MapFS) {
			var m map[string]any
			if err := json.Unmarshal([]byte(main), &m); err != nil {
				t.Fatal(err)
			}
			delete(m["trace"].(map[string]any), "experiment")
			data, _ := json.Marshal(m)
			f["trace.json"] = &fstest.MapFile{Data: data}
		}, "no experiment"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := fstest.MapFS{}
			for name, file := range good {
				f[name] = file
			}
			test.edit(f)
			if _, err := trace.ReadReference(f); err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("error %v, want one with %q", err, test.says)
			}
		})
	}
}

// FuzzReadReference reads a small trace with any content of trace.json and of a tensor file, under the digest that such
// a file has: reading ends with an error or with a trace that can be written and read again.
func FuzzReadReference(f *testing.F) {
	w, err := tensor.Of([]float32{1, 2, 3}, 3)
	if err != nil {
		f.Fatal(err)
	}
	small := &trace.Reference{Experiment: &experiment.Experiment{}, Sample: 2}
	small.FinalValues = trace.Set{"parameters/w": trace.Sample(w, 2)}
	small.Steps = []trace.ReferenceStep{{InitialState: true, Noise: []trace.Noise{{Distance: map[string]engine.Float{"loss": 1}}}}}
	small.FreeRuns = []trace.FreeRun{{Name: "a", Losses: []float64{1}}}
	dir := f.TempDir()
	if err := trace.WriteReference(dir, small); err != nil {
		f.Fatal(err)
	}
	good := files(f, dir)
	var head struct {
		Files map[string]string `json:"files"`
		Trace json.RawMessage   `json:"trace"`
	}
	if err := json.Unmarshal(good["trace.json"].Data, &head); err != nil {
		f.Fatal(err)
	}
	var inner bytes.Buffer
	if err := json.Compact(&inner, head.Trace); err != nil {
		f.Fatal(err)
	}
	final := good["final.safetensors"].Data
	f.Add(inner.Bytes(), final)
	f.Add(bytes.Replace(inner.Bytes(), []byte(`"sample":2`), []byte(`"sample":1`), 1), final)
	f.Add(bytes.Replace(inner.Bytes(), []byte(`"loss":1`), []byte(`"loss":-1`), 1), final)
	f.Add(inner.Bytes(), bytes.Replace(final, []byte("[3]"), []byte("[9]"), 1))
	f.Add(inner.Bytes(), bytes.Replace(final, []byte("[3]"), []byte("-[]"), 1))
	f.Add([]byte(`{"experiment":{}}`), []byte{})
	f.Add([]byte(`null`), final)
	f.Fuzz(func(t *testing.T, inner, final []byte) {
		sum := sha256.Sum256(final)
		main := fmt.Sprintf(`{"schema":%q,"role":"reference","files":{"final.safetensors":"%x","losses.safetensors":%q},"trace":%s}`,
			trace.Schema, sum, head.Files["losses.safetensors"], inner)
		r, err := trace.ReadReference(fstest.MapFS{
			"trace.json": {Data: []byte(main)}, "final.safetensors": {Data: final}, "losses.safetensors": good["losses.safetensors"],
		})
		if err != nil {
			return
		}
		dir := t.TempDir()
		if err := trace.WriteReference(dir, r); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		if _, err := trace.ReadReference(os.DirFS(dir)); err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}

// TestAddedStep adds a judged step to both traces after the fact: it must be what it had been if it had been asked for.
func TestAddedStep(t *testing.T) {
	for _, sample := range []int{0, 50} {
		o := trace.ReferenceOptions{Experiment: &experiment.Experiment{Name: "tracetest"}, Steps: 9, JudgedSteps: []int{0, 2, 5}, Sample: sample, Activations: true, WorkDir: t.TempDir()}
		asked, err := trace.CollectReference(context.Background(), &tracetest.Engine{Seed: 1}, o)
		if err != nil {
			t.Fatal(err)
		}
		o.JudgedSteps = []int{0, 2}
		ref, err := trace.CollectReference(context.Background(), &tracetest.Engine{Seed: 1}, o)
		if err != nil {
			t.Fatal(err)
		}
		e := &tracetest.Engine{Seed: 1, Order: tracetest.CandidateOrder}
		co := trace.CandidateOptions{Activations: true, WorkDir: t.TempDir()}
		cand, err := trace.CollectCandidate(context.Background(), e, ref, co)
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []int{5, 5, 2} { // the second time, and where there is one, nothing happens
			if err := trace.AddReferenceStep(context.Background(), &tracetest.Engine{Seed: 1}, ref, step, o); err != nil {
				t.Fatal(err)
			}
		}
		if err := trace.AddCandidateSteps(context.Background(), e, ref, cand, co); err != nil {
			t.Fatal(err)
		}
		if len(ref.Steps) != 3 || len(cand.Steps) != 3 || ref.Steps[2].Step != 5 || cand.Steps[2].Step != 5 {
			t.Fatalf("steps of the traces: %d and %d", len(ref.Steps), len(cand.Steps))
		}
		if !ref.Steps[2].Departure || ref.Steps[1].Departure {
			t.Error("the added step alone must say that it was added")
		}
		for i, want := range []int{8, 6} { // of 9 steps in all
			if got := ref.Steps[i].Replays; len(got) != 3 || len(got[0]) != want || len(got[2]) != want || slices.Equal(got[0], got[1]) {
				t.Errorf("the replays of judged step %d are %v, want 3 different ones of %d steps", ref.Steps[i].Step, got, want)
			}
			for k, loss := range ref.Steps[i].Replays[0] {
				if exact := asked.Losses[ref.Steps[i].Step+1+k]; !(math.Abs(float64(loss)-exact) <= 1e-4*math.Abs(exact)) {
					t.Errorf("replayed from judged step %d, nudged, loss %d is %v, the training's %v", ref.Steps[i].Step, k, loss, exact)
				}
			}
		}
		if got := len(cand.Steps[2].Replay); got != 3 {
			t.Errorf("%d steps trained on from step 5 of 9, want 3", got)
		}
		ref.Steps[2].Departure = false
		if got, want := fmt.Sprintf("%+v", ref.Steps[2].Noise), fmt.Sprintf("%+v", asked.Steps[2].Noise); got != want {
			t.Errorf("noise %s, want %s", got, want)
		}
		for name, x := range asked.Steps[2].State {
			if y := ref.Steps[2].State[name]; y == nil || x.SHA256() != y.SHA256() {
				t.Errorf("the added step's state differs in %q", name)
			}
		}
		dir := t.TempDir()
		ref.Steps[2].Departure = true
		if err := trace.WriteReference(dir, ref); err != nil {
			t.Fatal(err)
		}
		again, err := trace.ReadReference(os.DirFS(dir))
		if err != nil || !again.Steps[2].Departure {
			t.Errorf("read again: %v", err)
		}
	}
	ref, _ := collect(t, 0, false)
	o := trace.ReferenceOptions{Experiment: &experiment.Experiment{}, WorkDir: t.TempDir()}
	for _, test := range []struct {
		name string
		e    engine.Engine
		step int
		says string
	}{
		{"after the end", &tracetest.Engine{Seed: 1}, 9, "one of the training's"},
		{"before the beginning", &tracetest.Engine{Seed: 1}, -1, "one of the training's"},
		{"another model", &tracetest.Engine{Seed: 2}, 5, "not the one in the trace"},
		{"no float64", &tracetest.Engine{Seed: 1, NoFloat64: true}, 5, "float64"},
	} {
		if err := trace.AddReferenceStep(context.Background(), test.e, ref, test.step, o); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.says)
		}
	}
}
