package compare

import (
	"math"
	"testing"

	"tandem/onnx/tensor"
	"tandem/results/trace"
)

func outputs(t *testing.T, name string, rows int, x ...float32) map[string]*tensor.Tensor {
	t.Helper()
	v, err := tensor.Of(x, rows, len(x)/max(rows, 1))
	if err != nil {
		t.Fatal(err)
	}
	return map[string]*tensor.Tensor{name: v}
}

func TestLook(t *testing.T) {
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	base := outputs(t, "y", 2, 1, -2, 3, -4)
	tests := []struct {
		name   string
		other  map[string]*tensor.Tensor
		want   bool
		reason string
	}{
		{"the same", outputs(t, "y", 2, 1, -2, 3, -4), true, "equal outputs agree"},
		{"rounding", outputs(t, "y", 2, 1.00001, -2, 3, -4), true, "2.5e-6 of the largest output is rounding"},
		{"a difference", outputs(t, "y", 2, 1.001, -2, 3, -4), false, "2.5e-4 is not"},
		{"NaN", outputs(t, "y", 2, nan, -2, 3, -4), false, "NaN compares with nothing"},
		{"infinite", outputs(t, "y", 2, inf, -2, 3, -4), false, ""},
		{"another shape", outputs(t, "y", 4, 1, -2, 3, -4), false, "the same numbers in another shape are another output"},
		{"another name", outputs(t, "z", 2, 1, -2, 3, -4), false, ""},
		{"nothing", nil, false, "no outputs are no agreement"},
	}
	for _, tt := range tests {
		if l := look("initial", "a", "b", base, tt.other); l.OK != tt.want {
			t.Errorf("%s: OK is %t (%g), want %t: %s", tt.name, l.OK, float64(l.MaxDiff), tt.want, tt.reason)
		}
	}
	low := float32(math.Inf(-1))
	if l := look("initial", "a", "b", outputs(t, "y", 2, low, 1), outputs(t, "y", 2, low, 1)); !l.OK {
		t.Error("masked on both sides: not OK")
	}
	for _, other := range []float32{-low, 0, nan} {
		if l := look("initial", "a", "b", outputs(t, "y", 2, low, 1), outputs(t, "y", 2, other, 1)); l.OK {
			t.Errorf("%v agrees with %v", low, other)
		}
	}
	if l := look("initial", "a", "b", nil, nil); l.OK {
		t.Error("nothing agrees with nothing")
	}
	if l := look("initial", "a", "b", outputs(t, "y", 0), outputs(t, "y", 0)); l.OK {
		t.Error("no rows agree")
	}
}

func TestAccuracy(t *testing.T) {
	scores := trace.Tensors(outputs(t, "outputs/y", 4, 0, 1, 2, 1, 5, 5, -3, -2))
	got, err := accuracy(scores, labels{targets: []int64{1, 0, 0, 0}})
	if err != nil || got != 0.75 { // of equal scores the first counts
		t.Errorf("accuracy %g, %v, want 0.75", got, err)
	}
	for name, bad := range map[string]trace.Tensors{
		"no output":      {},
		"two outputs":    {"a": scores["outputs/y"], "b": scores["outputs/y"]},
		"too few rows":   trace.Tensors(outputs(t, "y", 1, 1, 2)),
		"no test images": trace.Tensors(outputs(t, "y", 0)),
	} {
		targets := []int64{1, 0, 0, 0}
		if name == "no test images" {
			targets = nil
		}
		if _, err := accuracy(bad, labels{targets: targets}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}
