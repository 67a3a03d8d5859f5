package updateformula

import (
	"math"

	"tandem/fixtures/experiment"
)

// Rate returns the learning rate of a step of a training of that many steps. The rate rises linearly over the warm-up's steps; "linear"
// and "cosine" then let it fall to the minimum, "step" multiplies it by gamma at each milestone (torch.optim.lr_scheduler.LinearLR,
// CosineAnnealingLR and MultiStepLR).
func Rate(e *experiment.Experiment, steps int, step int64) float64 {
	s, peak := e.Schedule, e.Optimizer.LearningRate
	if step < 0 {
		step = 0
	}
	if warm := int64(s.WarmUp); step < warm {
		return peak * float64(step+1) / float64(warm+1)
	}
	if s.Kind == "step" {
		for _, m := range s.Milestones {
			if step >= int64(m) {
				peak *= s.Gamma
			}
		}
		return peak
	}
	total := int64(s.Total)
	if total == 0 {
		total = int64(steps)
	}
	done := 1.0
	if step < total {
		done = float64(step-int64(s.WarmUp)) / float64(total-int64(s.WarmUp))
	}
	switch s.Kind {
	case "linear":
		return s.Minimum + (peak-s.Minimum)*(1-done)
	case "cosine":
		return s.Minimum + (peak-s.Minimum)*(1+math.Cos(math.Pi*done))/2
	}
	return peak
}

// ClipScale is what every gradient is multiplied by for their common norm, as torch.nn.utils.clip_grad_norm_ does.
func ClipScale(o experiment.Optimizer, norm float64) float64 {
	if o.ClipNorm <= 0 {
		return 1
	}
	return min(1, o.ClipNorm/(norm+1e-6))
}

// Decays reports whether the weight decay applies to a parameter: unless its name fits a pattern of no_decay.
func Decays(o experiment.Optimizer, parameter string) bool {
	for _, pattern := range o.NoDecay {
		if experiment.Fits(parameter, pattern) {
			return false
		}
	}
	return true
}
