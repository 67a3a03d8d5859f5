package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Config is a schedule and its numbers.
type Config struct {
	Kind    string  // "constant", "linear", "cosine", "step"; "" means "constant"
	Peak    float64 // the rate after the warm-up
	WarmUp  int64   // steps
	Total   int64   // steps until the minimum, the warm-up's included; used by "linear" and "cosine"
	Minimum float64 // used by "linear" and "cosine"
	// Milestones are the steps from which on the rate is smaller by the factor Gamma, counted from 0; used by "step".
	Milestones []int64
	Gamma      float64
	// Shift is added to the number of each step. It exists to plant a known mistake.
	Shift int64
}

// kind is what happens to the rate after the warm-up.
type kind struct {
	rate  func(c Config, step int64) float64
	check func(c Config) error // nil: there is nothing to check but what all kinds have
}

var kinds = map[string]kind{}

// declining is a fall from the peak to the minimum; share returns how much of the way is left after a share x, from 0 to 1, of its steps.
func declining(share func(x float64) float64) kind {
	return kind{
		rate: func(c Config, step int64) float64 {
			if step >= c.Total {
				return c.Minimum
			}
			return c.Minimum + (c.Peak-c.Minimum)*share(float64(step-c.WarmUp)/float64(c.Total-c.WarmUp))
		},
		check: func(c Config) error {
			switch {
			case c.Total <= c.WarmUp:
				return fmt.Errorf("schedule: %d steps in all leave none after the %d of the warm-up", c.Total, c.WarmUp)
			case !(c.Minimum >= 0 && c.Minimum <= c.Peak):
				return fmt.Errorf("schedule: the minimum is %g, must be from 0 to the learning rate %g", c.Minimum, c.Peak)
			}
			return nil
		},
	}
}

// Check refuses a kind that does not exist and numbers that make no sense.
func (c Config) Check() error {
	k, known := kinds[c.kind()]
	switch {
	case !known:
		return fmt.Errorf("schedule: there is no schedule %q; there are %s", c.Kind, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
	case !(c.Peak >= 0):
		return fmt.Errorf("schedule: the learning rate is %g, must not be negative", c.Peak)
	case c.WarmUp < 0:
		return fmt.Errorf("schedule: the warm-up takes %d steps, must not be negative", c.WarmUp)
	case k.check != nil:
		return k.check(c)
	}
	return nil
}

func (c Config) kind() string {
	if c.Kind == "" {
		return "constant"
	}
	return c.Kind
}

// Rate returns the learning rate of a step, counted from 0. The configuration must have passed Check.
func (c Config) Rate(step int64) float64 {
	step = max(step+c.Shift, 0)
	if step < c.WarmUp {
		return c.Peak * float64(step+1) / float64(c.WarmUp+1)
	}
	return kinds[c.kind()].rate(c, step)
}
