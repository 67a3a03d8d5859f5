package schedule_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"tandem/native/schedule"
)

// TestAgainstTorch compares the rates with those that torch.optim.lr_scheduler set, step by step (testdata/record.py).
func TestAgainstTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/torch.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded []struct {
		schedule.Config
		Rates []float64
	}
	if err := json.Unmarshal(text, &recorded); err != nil {
		t.Fatal(err)
	}
	kinds := map[string]bool{}
	for _, r := range recorded {
		kinds[r.Kind] = true
		if err := r.Check(); err != nil {
			t.Fatal(err)
		}
		if len(r.Rates) < 10 {
			t.Fatalf("%+v: %d rates were recorded", r.Config, len(r.Rates))
		}
		for k, want := range r.Rates {
			// torch multiplies the last rate by a factor at each step, so that its roundings add up.
			if got := r.Rate(int64(k)); !(math.Abs(got-want) <= 1e-15*float64(k+2)*r.Peak) {
				t.Errorf("%+v: the rate of step %d is %.17g, PyTorch's %.17g", r.Config, k, got, want)
			}
		}
	}
	if len(kinds) != 4 {
		t.Errorf("the kinds recorded are %v", kinds)
	}
}

func TestEnds(t *testing.T) {
	c := schedule.Config{Kind: "cosine", Peak: 1, WarmUp: 3, Total: 10, Minimum: 0.1}
	for step, want := range map[int64]float64{0: 0.25, 1: 0.5, 2: 0.75, 3: 1, 10: 0.1, 11: 0.1, 1 << 40: 0.1} {
		if got := c.Rate(step); got != want {
			t.Errorf("the rate of step %d is %g, want %g", step, got, want)
		}
	}
	if c = (schedule.Config{Peak: 0.5}); c.Check() != nil || c.Rate(0) != 0.5 || c.Rate(1<<40) != 0.5 {
		t.Errorf("without a schedule the rate is %g, then %g (%v)", c.Rate(0), c.Rate(1<<40), c.Check())
	}
}

func TestCheckRefuses(t *testing.T) {
	good := schedule.Config{Kind: "linear", Peak: 1, WarmUp: 2, Total: 3, Minimum: 1}
	if err := good.Check(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*schedule.Config){
		"unknown kind":        func(c *schedule.Config) { c.Kind = "steps" },
		"no peak":             func(c *schedule.Config) { c.Peak = math.NaN() },
		"negative warm-up":    func(c *schedule.Config) { c.WarmUp = -1 },
		"warm-up alone":       func(c *schedule.Config) { c.Total = 2 },
		"minimum too high":    func(c *schedule.Config) { c.Minimum = 1.5 },
		"minimum no number":   func(c *schedule.Config) { c.Minimum = math.NaN() },
		"no milestones":       func(c *schedule.Config) { c.Kind, c.Gamma = "step", 0.1 },
		"milestone too early": func(c *schedule.Config) { c.Kind, c.Gamma, c.Milestones = "step", 0.1, []int64{2, 4} },
		"milestones that do not rise": func(c *schedule.Config) {
			c.Kind, c.Gamma, c.Milestones = "step", 0.1, []int64{4, 4}
		},
		"no gamma":        func(c *schedule.Config) { c.Kind, c.Milestones = "step", []int64{4} },
		"gamma too large": func(c *schedule.Config) { c.Kind, c.Gamma, c.Milestones = "step", 1.5, []int64{4} },
	} {
		c := good
		change(&c)
		if c.Check() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
