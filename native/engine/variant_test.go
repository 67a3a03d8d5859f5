package engine_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"

	native "tandem/native/engine"
	"tandem/native/kernel"
	"tandem/onnx/safetensors"
	"tandem/results/engine"
	"tandem/results/judge"
	"tandem/results/record"
	"tandem/results/trace"
)

// TestVariants wants every variant to round in its own way, and in nothing but its rounding: norm-wise within 1e-5 in float32, and of
// float64's own rounding in float64.
func TestVariants(t *testing.T) {
	for name, net := range map[string]network{"pixels": pixels, "convolution": {first: first, second: second, activation: "Relu", convolution: true}} {
		t.Run(name, func(t *testing.T) { testVariants(t, net) })
	}
}

func testVariants(t *testing.T, net network) {
	s := newSetting(t, net)
	e := native.New("test")
	if _, err := e.Load(context.Background(), s.load); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	grad := func(dtype, variant string) map[string][]float64 {
		t.Helper()
		file := filepath.Join(dir, "grad")
		if _, err := e.Grad(context.Background(), engine.GradParams{DType: dtype, Variant: variant, File: file}); err != nil {
			t.Fatal(err)
		}
		f, err := safetensors.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string][]float64{}
		for name, v := range f.Tensors {
			out[name] = v.Float64s()
		}
		return out
	}
	variants, path := e.Hello().Variants, kernel.Path()
	if len(variants) < trace.LeastVariants {
		t.Errorf("%d variants, a reference needs %d", len(variants), trace.LeastVariants)
	}
	single, double := grad("float32", ""), grad("float64", "")
	for _, v := range variants {
		t.Run(v, func(t *testing.T) {
			differs := 0.0
			for name, x := range grad("float32", v) {
				d := trace.Distance(x, single[name])
				if !(d <= 1e-5) {
					t.Errorf("%s is off by %g in float32", name, d)
				}
				differs = max(differs, d)
			}
			if differs == 0 {
				t.Error("it computes the plain way's very bits, so it measures no noise")
			}
			for name, x := range grad("float64", v) {
				if d := trace.Distance(x, double[name]); !(d <= 1e-13) {
					t.Errorf("%s is off by %g in float64", name, d)
				}
			}
		})
	}
	if kernel.Path() != path {
		t.Errorf("the kernels are now %s, were %s", kernel.Path(), path)
	}
	_, err := e.Grad(context.Background(), engine.GradParams{DType: "float32", Variant: "by guessing", File: filepath.Join(dir, "grad")})
	if refused := new(engine.Error); !errors.As(err, &refused) || refused.Kind != engine.KindUnsupported {
		t.Errorf("an unknown variant: %v", err)
	}
}

// TestReference wants the native trainer, as a reference with its own variants, to pass itself and a program that rounds differently, and
// to fail a mistaken one.
func TestReference(t *testing.T) {
	s := newSetting(t, pixels)
	ref, err := trace.CollectReference(context.Background(), native.New("test"), trace.ReferenceOptions{
		Load: s.load, Experiment: s.experiment, Steps: s.steps, JudgedSteps: trace.JudgedSteps(s.experiment.Parity.JudgedSteps, s.steps),
		Nudges: trace.DefaultNudges, Seed: 1, WorkDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range ref.Steps {
		if len(step.Refused) > 0 {
			t.Errorf("step %d: variants were refused: %v", step.Step, step.Refused)
		}
	}
	cand, err := trace.CollectCandidate(context.Background(), native.New("test"), ref, trace.CandidateOptions{Load: s.load, WorkDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if p := judge.Judge(ref, cand, s.experiment.Parity.Thresholds); p.Verdict != record.Pass {
		t.Errorf("itself: %s: %v", p.Verdict, p.Reasons)
	}
	if p := s.candidate(t, ref, 1, ""); p.Verdict != record.Pass {
		t.Errorf("other orders: %s: %v", p.Verdict, p.Reasons)
	}
	if p := s.candidate(t, ref, 1, "loss-sum-for-mean"); p.Verdict != record.Fail || p.Stage != record.StageLoss {
		t.Errorf("a mistake: %s in the stage %q: %v", p.Verdict, p.Stage, p.Reasons)
	}
}
