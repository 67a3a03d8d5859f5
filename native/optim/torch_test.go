package optim_test

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"testing"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/optim"
	"tandem/native/pass"
)

// recording is testdata/torch.json, written by testdata/record.py.
type recording struct {
	Torch     string
	Start     []float64
	Gradients [][]float64
	Cases     []struct {
		Name, Kind       string
		Float64, Float32 states
		Options          struct {
			LR, Alpha, Eps, Momentum, Dampening float64
			Betas                               [2]float64
			WeightDecay                         float64 `json:"weight_decay"`
			Nesterov, Centered                  bool
			LRDecay                             float64 `json:"lr_decay"`
			InitialAccumulator                  float64 `json:"initial_accumulator_value"`
			MomentumDecay                       float64 `json:"momentum_decay"`
			DecoupledDecay                      bool    `json:"decoupled_weight_decay"`
		}
	}
}

// states are the parameter after each step and the moments after the last.
type states struct {
	Parameter [][]float64
	Slots     map[string][]float64
}

// TestAgainstTorch compares ten steps of each optimizer with those of real torch.optim.
func TestAgainstTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var r recording
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, c := range r.Cases {
		kinds[c.Kind]++
		o := c.Options
		config := optim.Config{
			Kind: c.Kind, LearningRate: o.LR, Betas: o.Betas, Alpha: o.Alpha, Eps: o.Eps, WeightDecay: o.WeightDecay,
			Momentum: o.Momentum, Dampening: o.Dampening, Nesterov: o.Nesterov, Centered: o.Centered, LRDecay: o.LRDecay,
			InitialAccumulator: o.InitialAccumulator, MomentumDecay: o.MomentumDecay, DecoupledDecay: o.DecoupledDecay,
		}
		// Both sides do the same operations; PyTorch fuses some multiplications with the addition after them, so each of an
		// update's operations may be off by a rounding.
		t.Run(c.Name+"/float64", func(t *testing.T) { replay[float64](t, config, r, c.Float64, 0x1p-53) })
		t.Run(c.Name+"/float32", func(t *testing.T) { replay[float32](t, config, r, c.Float32, 0x1p-24) })
	}
	for _, kind := range optim.Kinds() {
		if kinds[kind] == 0 {
			t.Errorf("no case of %s was recorded", kind)
		}
	}
}

func replay[T kernel.Float](t *testing.T, c optim.Config, r recording, want states, epsilon float64) {
	shape := []int{len(r.Start)}
	g := ir.NewGraph("update")
	parameter := &ir.Value{Name: "p", Type: ir.Float, Shape: shape, Role: ir.Parameter}
	gradient := &ir.Value{Name: "g", Type: ir.Float, Shape: shape, Role: ir.Input}
	g.State, g.Inputs = []*ir.Value{parameter}, []*ir.Value{gradient}
	if err := pass.Update(g, map[*ir.Value]*ir.Value{parameter: gradient}, c); err != nil {
		t.Fatal(err)
	}
	state := map[*ir.Value][]T{}
	for _, v := range g.State {
		state[v] = make([]T, v.Len())
	}
	for i, x := range r.Start {
		state[parameter][i] = T(x)
	}
	for v, data := range state {
		if v.Role == ir.Slot {
			for i := range data {
				data[i] = T(optim.Initial(c, v.Name[:len(v.Name)-len("/p")]))
			}
		}
	}
	plan, err := pass.NewPlan(g)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	run := &op.Run{LearningRate: c.LearningRate}
	p, err := pass.Bind(g, plan, run, pool, func(v *ir.Value) []T { return state[v] })
	if err != nil {
		t.Fatal(err)
	}
	if len(want.Parameter) != len(r.Gradients) || len(r.Gradients) < 10 {
		t.Fatalf("%d steps were recorded for %d gradients", len(want.Parameter), len(r.Gradients))
	}
	moved := make([]float64, len(r.Start)) // the sum of the updates' sizes
	before := r.Start
	for step, d := range r.Gradients {
		b, err := p.Buffer(gradient)
		if err != nil {
			t.Fatal(err)
		}
		for i, x := range d {
			b.Float[i] = T(x)
		}
		run.Step = int64(step)
		for _, call := range p.Calls {
			call()
		}
		after := want.Parameter[step]
		for i, w := range after {
			moved[i] += math.Abs(w - before[i])
			// One rounding of the parameter a step, a few of each update.
			limit := epsilon * (float64(step+1)*(math.Abs(before[i])+math.Abs(w)) + 8*moved[i])
			if got := float64(state[parameter][i]); !(math.Abs(got-w) <= limit) {
				t.Errorf("step %d, element %d: the parameter is %.17g, PyTorch's %.17g, off by %g of %g", step, i, got, w, math.Abs(got-w), limit)
			}
		}
		before = after
	}
	if slices.Equal(before, r.Start) {
		t.Error("the recorded parameter never moved")
	}
	slots := 0
	for _, v := range g.State {
		if v.Role != ir.Slot {
			continue
		}
		slots++
		name := v.Name[:len(v.Name)-len("/p")]
		if len(want.Slots[name]) != v.Len() {
			t.Fatalf("PyTorch recorded no %s", name)
		}
		for i, w := range want.Slots[name] {
			// Sums of terms of either sign: the error is relative to the largest gradient that went in.
			largest := math.Abs(w)
			for _, d := range r.Gradients {
				size := math.Abs(d[i]) + c.WeightDecay*10
				if name == "exp_avg_sq" {
					size *= size
				}
				largest = max(largest, size)
			}
			if got := float64(state[v][i]); !(math.Abs(got-w) <= 16*epsilon*largest) {
				t.Errorf("%s[%d] is %.17g, PyTorch's %.17g", name, i, got, w)
			}
		}
	}
	if slots != len(want.Slots) {
		t.Errorf("tandem keeps %d moments, PyTorch %d", slots, len(want.Slots))
	}
}

func TestRefusedConfigurations(t *testing.T) {
	good := optim.Config{Kind: "adam", LearningRate: 0.1, Betas: [2]float64{0.9, 0.99}, Eps: 1e-8}
	if _, err := optim.Slots(good); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(c *optim.Config)
	}{
		{"unknown kind", func(c *optim.Config) { c.Kind = "adadelta" }},
		{"negative learning rate", func(c *optim.Config) { c.LearningRate = -1 }},
		{"learning rate not a number", func(c *optim.Config) { c.LearningRate = math.NaN() }},
		{"negative weight decay", func(c *optim.Config) { c.WeightDecay = -1 }},
		{"beta of 1", func(c *optim.Config) { c.Betas[1] = 1 }},
		{"negative beta", func(c *optim.Config) { c.Betas[0] = -0.1 }},
		{"negative eps", func(c *optim.Config) { c.Eps = -1 }},
		{"alpha of 1", func(c *optim.Config) { *c = optim.Config{Kind: "rmsprop", Alpha: 1} }},
		{"negative alpha", func(c *optim.Config) { *c = optim.Config{Kind: "rmsprop", Alpha: -0.1} }},
		{"negative accumulator", func(c *optim.Config) { *c = optim.Config{Kind: "adagrad", InitialAccumulator: -1} }},
		{"negative decay of the rate", func(c *optim.Config) { *c = optim.Config{Kind: "adagrad", LRDecay: -1} }},
		{"negative decay of the momentum", func(c *optim.Config) { c.Kind, c.MomentumDecay = "nadam", -1 }},
		{"beta of 1 in lion", func(c *optim.Config) { c.Kind, c.Betas[0] = "lion", 1 }},
		{"negative momentum", func(c *optim.Config) { *c = optim.Config{Kind: "sgd", Momentum: -0.5} }},
		{"nesterov without momentum", func(c *optim.Config) { *c = optim.Config{Kind: "sgd", Nesterov: true} }},
		{"nesterov with dampening", func(c *optim.Config) {
			*c = optim.Config{Kind: "sgd", Nesterov: true, Momentum: 0.9, Dampening: 0.1}
		}},
	}
	for _, tt := range tests {
		c := good
		tt.change(&c)
		if _, err := optim.Slots(c); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
}
