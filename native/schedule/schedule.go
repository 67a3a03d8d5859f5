package schedule

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Config is a schedule and its numbers.
type Config struct {
	Kind    string  // "constant", "linear", "cosine"; "" means "constant"
	Peak    float64 // the rate after the warm-up
	WarmUp  int64   // steps
	Total   int64   // steps until the minimum, the warm-up's included; not used by "constant"
	Minimum float64 // not used by "constant"
	// Shift is added to the number of each step. It exists to plant a known mistake.
	Shift int64
}

// share returns how much of the way from the minimum to the peak is left after a share x, from 0 to 1, of the decline; nil
// stands for a rate that stays.
var shares = map[string]func(x float64) float64{}

// Check refuses a kind that does not exist and numbers that make no sense.
func (c Config) Check() error {
	share, known := shares[c.kind()]
	switch {
	case !known:
		return fmt.Errorf("schedule: there is no schedule %q; there are %s", c.Kind, strings.Join(slices.Sorted(maps.Keys(shares)), ", "))
	case !(c.Peak >= 0):
		return fmt.Errorf("schedule: the learning rate is %g, must not be negative", c.Peak)
	case c.WarmUp < 0:
		return fmt.Errorf("schedule: the warm-up takes %d steps, must not be negative", c.WarmUp)
	case share != nil && c.Total <= c.WarmUp:
		return fmt.Errorf("schedule: %d steps in all leave none after the %d of the warm-up", c.Total, c.WarmUp)
	case share != nil && !(c.Minimum >= 0 && c.Minimum <= c.Peak):
		return fmt.Errorf("schedule: the minimum is %g, must be from 0 to the learning rate %g", c.Minimum, c.Peak)
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
	share := shares[c.kind()]
	switch {
	case share == nil:
		return c.Peak
	case step >= c.Total:
		return c.Minimum
	}
	return c.Minimum + (c.Peak-c.Minimum)*share(float64(step-c.WarmUp)/float64(c.Total-c.WarmUp))
}
