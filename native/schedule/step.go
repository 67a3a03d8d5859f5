package schedule

import "fmt"

// The rate is multiplied by gamma at each milestone: torch.optim.lr_scheduler.MultiStepLR. Its products are made one after the other, as
// torch makes them, so that they are the same bits.
func init() {
	kinds["step"] = kind{
		rate: func(c Config, step int64) float64 {
			rate := c.Peak
			for _, m := range c.Milestones {
				if step >= m {
					rate *= c.Gamma
				}
			}
			return rate
		},
		check: func(c Config) error {
			if len(c.Milestones) == 0 {
				return fmt.Errorf("schedule: %q needs milestones", c.Kind)
			}
			last := c.WarmUp
			for _, m := range c.Milestones {
				if m <= last {
					return fmt.Errorf("schedule: the milestones %v must rise, the first after the warm-up's %d steps", c.Milestones, c.WarmUp)
				}
				last = m
			}
			if !(c.Gamma > 0 && c.Gamma <= 1) {
				return fmt.Errorf("schedule: gamma is %g, must be above 0 and at most 1", c.Gamma)
			}
			return nil
		},
	}
}
