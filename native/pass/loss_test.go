package pass_test

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/pass"
)

// TestLossOfAnOutput takes the loss of each of two outputs, by name and position.
func TestLossOfAnOutput(t *testing.T) {
	build := func(output string) (*ir.Value, error) {
		g := ir.NewGraph("loss")
		for _, name := range []string{"loss", "scores", "0"} {
			v := &ir.Value{Name: name, Type: ir.Float, Shape: []int{}, Role: ir.Parameter}
			g.State, g.Outputs = append(g.State, v), append(g.Outputs, v)
		}
		return pass.Loss(g, pass.LossConfig{Kind: "output", Reduction: "mean", Output: output})
	}
	for output, want := range map[string]string{"": "loss", "loss": "loss", "scores": "scores", "1": "scores", "2": "0", "0": "0"} {
		if loss, err := build(output); err != nil || loss.Producer.Inputs[0].Name != want {
			t.Errorf("output %q: %v, want %s (%v)", output, loss, want, err)
		}
	}
	for _, output := range []string{"logits", "3", "-1"} {
		if _, err := build(output); err == nil || !strings.Contains(err.Error(), `loss.output: the model has no output "`+output+`": it may be one of loss, scores, 0, or a position from 0 to 2`) {
			t.Errorf("output %q: %v", output, err)
		}
	}
}

// TestLossesAgainstTorch compares each loss and its gradient with torch.nn.functional's (testdata/record_losses.py).
func TestLossesAgainstTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/losses.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Cases []struct {
			Shape []int
			Loss  struct {
				Kind, Reduction, Output string
				ClassWeights            []float64 `json:"class_weights"`
				IgnoreIndex             *int64    `json:"ignore_index"`
				LabelSmoothing          float64   `json:"label_smoothing"`
				ClassDim                int       `json:"class_dim"`
				Delta, Beta             float64
				PositiveWeights         []float64 `json:"positive_weights"`
				LogTarget               bool      `json:"log_target"`
			}
			Output, Numbers, Gradient []float64
			Classes                   []int64
			Value                     float64
		}
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, c := range recorded.Cases {
		seen[c.Loss.Kind] = true
		t.Run(fmt.Sprintf("%d %s %s", i, c.Loss.Kind, c.Loss.Reduction), func(t *testing.T) {
			g := ir.NewGraph("loss")
			x := &ir.Value{Name: "x", Type: ir.Float, Shape: c.Shape, Role: ir.Parameter}
			g.State, g.Outputs = []*ir.Value{x}, []*ir.Value{x}
			loss, err := pass.Loss(g, pass.LossConfig(c.Loss))
			if err != nil {
				t.Fatal(err)
			}
			gradients, err := pass.Differentiate(g, loss)
			if err != nil {
				t.Fatal(err)
			}
			g.Outputs = []*ir.Value{loss, gradients[x]}
			plan, err := pass.NewPlan(g)
			if err != nil {
				t.Fatal(err)
			}
			pool := kernel.NewPool(2)
			defer pool.Close()
			p, err := pass.Bind(g, plan, &op.Run{}, pool, func(*ir.Value) []float64 { return c.Output })
			if err != nil {
				t.Fatal(err)
			}
			for _, in := range g.Inputs {
				b, err := p.Buffer(in)
				if err != nil {
					t.Fatal(err)
				}
				if len(b.Int) != len(c.Classes) || len(b.Float) != len(c.Numbers) {
					t.Fatalf("the target has shape %v, for %d classes and %d numbers", in.Shape, len(c.Classes), len(c.Numbers))
				}
				copy(b.Int, c.Classes)
				copy(b.Float, c.Numbers)
			}
			for _, call := range p.Calls {
				call()
			}
			value, err := p.Buffer(loss)
			if err != nil {
				t.Fatal(err)
			}
			if got := value.Float[0]; !(math.Abs(got-c.Value) <= 1e-14*math.Max(1, math.Abs(c.Value))*float64(len(c.Output))) {
				t.Errorf("the loss is %.17g, PyTorch's %.17g", got, c.Value)
			}
			d, err := p.Buffer(gradients[x])
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range c.Gradient {
				if !(math.Abs(d.Float[i]-want) <= 1e-14) {
					t.Errorf("gradient %d is %.17g, PyTorch's %.17g", i, d.Float[i], want)
				}
			}
		})
	}
	for _, kind := range pass.LossKinds() {
		if !seen[kind] {
			t.Errorf("no case of %s was recorded", kind)
		}
	}
}

// TestRefusedLosses: what does not fit a model's output.
func TestRefusedLosses(t *testing.T) {
	for _, tt := range []struct {
		shape []int
		c     pass.LossConfig
		want  string
	}{
		{[]int{3}, pass.LossConfig{Kind: "cross_entropy", Reduction: "mean"}, "at least two dimensions"},
		{[]int{3, 2}, pass.LossConfig{Kind: "nll", Reduction: "mean", ClassWeights: []float64{1}}, "has 1 numbers"},
		{[]int{3, 2}, pass.LossConfig{Kind: "bce_with_logits", Reduction: "mean", PositiveWeights: []float64{1, 2, 3}}, "has 3 numbers"},
		{[]int{3, 2}, pass.LossConfig{Kind: "mse", Reduction: "batchmean"}, `reduction "batchmean"`},
		{[]int{3, 2}, pass.LossConfig{Kind: "hinge", Reduction: "mean"}, `loss "hinge"`},
	} {
		g := ir.NewGraph("loss")
		x := &ir.Value{Name: "x", Type: ir.Float, Shape: tt.shape, Role: ir.Parameter}
		g.State, g.Outputs = []*ir.Value{x}, []*ir.Value{x}
		if _, err := pass.Loss(g, tt.c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s of %v: %v, want %q", tt.c.Kind, tt.shape, err, tt.want)
		}
	}
	if kinds := pass.LossKinds(); !slices.IsSorted(kinds) {
		t.Error(kinds)
	}
}
