package compare_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	native "tandem/native/engine"
	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/compare"
	"tandem/results/engine"
	"tandem/results/record"
)

// drifting is the native engine with a weight moved by a hundred-thousandth in the middle of a long run: as if a unit had flipped there,
// for no state that it is given shows it.
type drifting struct{ *native.Native }

const driftsAt = 10

func (d drifting) Step(ctx context.Context, n int) (*engine.StepResult, error) {
	if n <= driftsAt {
		return d.Native.Step(ctx, n)
	}
	out, err := d.Native.Step(ctx, driftsAt)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "drifting")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "state")
	if _, err := d.GetState(ctx, file); err != nil {
		return nil, err
	}
	f, err := safetensors.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for name, t := range f.Tensors {
		if name != "step" {
			for i := range tensor.View[float32](t) {
				tensor.View[float32](t)[i] *= 1 + 1e-5
			}
		}
	}
	if err := safetensors.WriteFile(file, f.Tensors, nil); err != nil {
		return nil, err
	}
	if _, err := d.SetState(ctx, file); err != nil {
		return nil, err
	}
	rest, err := d.Native.Step(ctx, n-driftsAt)
	if err != nil {
		return nil, err
	}
	out.Losses, out.Seconds, out.Step = append(out.Losses, rest.Losses...), append(out.Seconds, rest.Seconds...), rest.Step
	return out, nil
}

// TestDeparturesAreJudged has a candidate whose free run leaves the reference's: the steps there are judged as well, while the
// reference can be started, and are in the traces.
func TestDeparturesAreJudged(t *testing.T) {
	o := options(t)
	o.Timing = false
	o.Candidate.Start = func(ctx context.Context, _ int) (*engine.Client, error) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), engineVariable+"=drifting")
		return engine.Start(ctx, cmd, engine.Options{})
	}
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	d := r.Parity.Curve.Departure
	if d == nil || d.Step != driftsAt || !slices.Equal(d.Judged, []int{driftsAt - 1, driftsAt}) {
		t.Fatalf("departure %+v, want one at step %d that was judged with the step before", d, driftsAt)
	}
	if r.Parity.Verdict != record.Pass {
		t.Errorf("the verdict is %s: %q", r.Parity.Verdict, r.Parity.Reasons)
	}
	var steps []int
	for _, s := range r.Parity.Steps {
		steps = append(steps, s.Step)
	}
	if want := []int{0, 1, 5, 6, 9, 10, 23}; !slices.Equal(steps, want) {
		t.Errorf("judged steps %v, want %v", steps, want)
	}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
}
