package updateformula_test

import (
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/results/judge/updateformula"
)

// recordings are runs of real torch.optim, written by the scripts beside them.
const recordings = "../../../native/optim/testdata/"

func read(t *testing.T, name string, into any) {
	t.Helper()
	text, err := os.ReadFile(recordings + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}

type testCase struct {
	Name, Kind string
	Float64    struct {
		Parameter [][]float64
		Slots     map[string][]float64
	}
	Options struct {
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

func (c testCase) optimizer() experiment.Optimizer {
	o := c.Options
	return experiment.Optimizer{
		Kind: c.Kind, LearningRate: o.LR, Betas: o.Betas, Alpha: o.Alpha, Eps: o.Eps, WeightDecay: o.WeightDecay,
		Momentum: o.Momentum, Dampening: o.Dampening, Nesterov: o.Nesterov, Centered: o.Centered, LRDecay: o.LRDecay,
		InitialAccumulator: o.InitialAccumulator, MomentumDecay: o.MomentumDecay, DecoupledDecay: o.DecoupledDecay,
	}
}

var recorded struct {
	Start     []float64
	Gradients [][]float64
	Cases     []testCase
}

// far is the largest relative difference of two vectors' elements, measured against the largest element.
func far(a, b []float64) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	off, size := 0.0, 0.0
	for i := range a {
		off, size = max(off, math.Abs(a[i]-b[i])), max(size, math.Abs(b[i]))
	}
	return off / max(size, math.SmallestNonzeroFloat64)
}

// TestAgainstTorch holds the published rules to ten steps of real torch.optim in float64, and each mistake to differ from them.
func TestAgainstTorch(t *testing.T) {
	read(t, "torch.json", &recorded)
	seen, kinds := map[string]bool{}, map[string]bool{}
	for _, c := range recorded.Cases {
		o := c.optimizer()
		kinds[c.Kind] = true
		s := updateformula.Start(o, recorded.Start)
		for step, g := range recorded.Gradients {
			after := updateformula.Apply(o, int64(step), s, g)
			if step > 0 { // a first step hides what depends on the state
				for _, r := range updateformula.Rules(o) {
					wrong := r.Apply(int64(step), s, g)
					if differs := far(wrong.Weight, after.Weight) > 1e-12 || slotsDiffer(wrong, after); differs {
						seen[r.Name] = true
					}
				}
			}
			s = after
			if d := far(s.Weight, c.Float64.Parameter[step]); !(d <= 1e-14*float64(step+1)) {
				t.Errorf("%s, step %d: the parameter is %.3g off PyTorch's", c.Name, step, d)
			}
		}
		if got := slices.Sorted(slices.Values(updateformula.Slots(o))); !slices.Equal(got, slices.Sorted(maps.Keys(c.Float64.Slots))) {
			t.Errorf("%s: the slots are %v", c.Name, got)
		}
		for name, want := range c.Float64.Slots {
			if d := far(s.Slots[name], want); !(d <= 1e-13) {
				t.Errorf("%s: %s is %.3g off PyTorch's", c.Name, name, d)
			}
		}
	}
	for _, kind := range updateformula.Kinds() {
		if !kinds[kind] {
			t.Errorf("no run of %s was recorded", kind)
		}
	}
	for _, m := range updateformula.Mistakes {
		if !seen[m.Name] {
			t.Errorf("the mistake %q changes nothing in any recorded run", m.Name)
		}
	}
}

func slotsDiffer(a, b updateformula.State) bool {
	for name := range b.Slots {
		if far(a.Slots[name], b.Slots[name]) > 1e-12 {
			return true
		}
	}
	return false
}

// TestStepSchedule has the example of the documentation of torch.optim.lr_scheduler.MultiStepLR, and a warm-up before the milestones.
func TestStepSchedule(t *testing.T) {
	e := &experiment.Experiment{
		Optimizer: experiment.Optimizer{LearningRate: 0.05},
		Schedule:  experiment.Schedule{Kind: "step", Milestones: []int{30, 80}, Gamma: 0.1},
	}
	for step, want := range map[int64]float64{0: 0.05, 29: 0.05, 30: 0.005, 79: 0.005, 80: 0.0005, 1000: 0.0005} {
		if got := updateformula.Rate(e, 100, step); !(math.Abs(got-want) <= 1e-15) {
			t.Errorf("the rate of step %d is %g, PyTorch's %g", step, got, want)
		}
	}
	e.Schedule.WarmUp = 4
	if got := updateformula.Rate(e, 100, 1); !(math.Abs(got-0.02) <= 1e-15) {
		t.Errorf("the rate of step 1 of 4 of a warm-up is %g", got)
	}
}

// TestRecipeAgainstTorch holds schedule, clipping and weight-decay groups to real PyTorch.
func TestRecipeAgainstTorch(t *testing.T) {
	var r struct {
		Peak, Minimum float64
		WeightDecay   float64  `json:"weight_decay"`
		NoDecay       []string `json:"no_decay"`
		ClipNorm      float64  `json:"clip_norm"`
		WarmUp        int      `json:"warm_up"`
		Total         int
		Start         map[string][]float64
		Gradients     []map[string][]float64
		Float64       []map[string][]float64
	}
	read(t, "recipe.json", &r)
	e := &experiment.Experiment{
		Optimizer: experiment.Optimizer{Kind: "adamw", LearningRate: r.Peak, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, WeightDecay: r.WeightDecay, NoDecay: r.NoDecay, ClipNorm: r.ClipNorm},
		Schedule:  experiment.Schedule{Kind: "cosine", WarmUp: r.WarmUp, Minimum: r.Minimum},
	}
	states := map[string]updateformula.State{}
	for name, x := range r.Start {
		states[name] = updateformula.Start(e.Optimizer, x)
	}
	clipped := 0
	for step, gradients := range r.Gradients {
		square := 0.0
		for _, g := range gradients {
			for _, v := range g {
				square += v * v
			}
		}
		scale := updateformula.ClipScale(e.Optimizer, math.Sqrt(square))
		if scale < 1 {
			clipped++
		}
		for name, g := range gradients {
			scaled := make([]float64, len(g))
			for i, v := range g {
				scaled[i] = v * scale
			}
			o := e.Optimizer
			o.LearningRate = updateformula.Rate(e, r.Total, int64(step))
			if !updateformula.Decays(o, name) {
				o.WeightDecay = 0
			}
			states[name] = updateformula.Apply(o, int64(step), states[name], scaled)
			if d := far(states[name].Weight, r.Float64[step][name]); !(d <= 1e-14*float64(step+1)) {
				t.Errorf("step %d: %s is %.3g off PyTorch's", step, name, d)
			}
		}
	}
	if clipped == 0 || clipped == len(r.Gradients) {
		t.Errorf("%d of %d steps were clipped, want some", clipped, len(r.Gradients))
	}
}
