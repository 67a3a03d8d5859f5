package lossformula_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/results/judge/lossformula"
)

// TestAgainstTorch holds the formulas to torch.nn.functional, and the losses that can be taken for each to differ from it.
func TestAgainstTorch(t *testing.T) {
	text, err := os.ReadFile("../../../native/pass/testdata/losses.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Cases []struct {
			Shape           []int
			Loss            experiment.Loss
			Output, Numbers []float64
			Classes         []int64
			Value           float64
		}
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	if len(recorded.Cases) < 20 {
		t.Fatalf("%d cases were recorded", len(recorded.Cases))
	}
	for i, c := range recorded.Cases {
		x := lossformula.Output{Values: c.Output, Shape: c.Shape}
		targets := lossformula.Targets{Classes: c.Classes, Numbers: c.Numbers}
		got, err := lossformula.Value(c.Loss, x, targets)
		if err != nil || !(math.Abs(got-c.Value) <= 1e-14*math.Max(1, math.Abs(c.Value))*float64(len(c.Output))) {
			t.Errorf("case %d, %s: the loss is %.17g, PyTorch's %.17g (%v)", i, c.Loss.Kind, got, c.Value, err)
		}
		for _, other := range lossformula.Others(c.Loss) {
			if wrong, err := lossformula.Value(other.Loss, x, targets); err == nil && math.Abs(wrong-got) < 1e-9*math.Abs(got) {
				t.Errorf("case %d, %s: %q changes nothing", i, c.Loss.Kind, other.Text)
			}
		}
	}
}

func TestRefused(t *testing.T) {
	for _, c := range []struct {
		loss    experiment.Loss
		shape   []int
		targets lossformula.Targets
	}{
		{experiment.Loss{Kind: "mse"}, []int{2, 2}, lossformula.Targets{Numbers: []float64{1}}},
		{experiment.Loss{Kind: "hinge"}, []int{2, 2}, lossformula.Targets{}},
		{experiment.Loss{Kind: "nll"}, []int{4}, lossformula.Targets{Classes: []int64{1}}},
		{experiment.Loss{Kind: "nll"}, []int{2, 2}, lossformula.Targets{Classes: []int64{1}}},
		{experiment.Loss{Kind: "nll"}, []int{2, 2}, lossformula.Targets{Classes: []int64{1, 2}}},
		{experiment.Loss{Kind: "nll", ClassWeights: []float64{1}}, []int{2, 2}, lossformula.Targets{Classes: []int64{1, 1}}},
	} {
		if v, err := lossformula.Value(c.loss, lossformula.Output{Values: make([]float64, 4), Shape: c.shape}, c.targets); err == nil {
			t.Errorf("%s of %v: %v", c.loss.Kind, c.shape, v)
		}
	}
	own := lossformula.Output{Values: []float64{2.5}}
	for _, reduction := range []string{"mean", "sum"} {
		if v, err := lossformula.Value(experiment.Loss{Kind: "output", Reduction: reduction}, own, lossformula.Targets{}); err != nil || v != 2.5 {
			t.Errorf("the %s of a loss that the model computes itself is %v (%v)", reduction, v, err)
		}
	}
	if v, err := lossformula.Value(experiment.Loss{Kind: "mse", Reduction: "mean"}, own, lossformula.Targets{Numbers: []float64{1}}); err == nil {
		t.Errorf("a scalar has the squared error %v", v)
	}
	if _, err := lossformula.Value(experiment.Loss{Kind: "mse"}, lossformula.Output{}, lossformula.Targets{}); err == nil {
		t.Error("an empty output has a loss")
	}
}
