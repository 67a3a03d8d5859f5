package updateformula

import (
	"math"

	"tandem/fixtures/experiment"
)

// The optimizer's slots by PyTorch's names.
const (
	FirstMoment  = "exp_avg"
	SecondMoment = "exp_avg_sq"
	Momentum     = "momentum_buffer"
)

// State is a parameter with its optimizer's slots; slices are of equal length.
type State struct {
	Weight []float64
	Slots  map[string][]float64
}

// clone copies the state, so that a rule may change it.
func (s State) clone() State {
	out := State{Weight: append([]float64(nil), s.Weight...), Slots: map[string][]float64{}}
	for name, x := range s.Slots {
		out.Slots[name] = append([]float64(nil), x...)
	}
	return out
}

// slot returns a slot's elements, which are zero where there is none yet.
func (s State) slot(name string) []float64 {
	if s.Slots[name] == nil {
		s.Slots[name] = make([]float64, len(s.Weight))
	}
	return s.Slots[name]
}

// rule is an update rule: the settings and what is different from the published one.
type rule struct {
	experiment.Optimizer
	epsilonInside bool // sqrt(v/c2 + eps)
	epsilonFirst  bool // (sqrt(v) + eps) / sqrt(c2)
	uncorrected   bool // no bias correction
	late          int64
	exchanged     bool // L2 for decoupled decay, or the reverse
	reset         bool // moments forgotten
	restarted     bool // and the step counter
	frozen        bool
	ascends       bool
}

// Apply returns the state after the update of one parameter by the published rule. step counts from 0.
func Apply(o experiment.Optimizer, step int64, before State, gradient []float64) State {
	return rule{Optimizer: o}.apply(step, before, gradient)
}

func (r rule) apply(step int64, before State, gradient []float64) State {
	s := before.clone()
	if r.frozen {
		return s
	}
	if r.reset {
		for _, x := range s.Slots {
			clear(x)
		}
	}
	if r.restarted {
		step = 0
	}
	if r.ascends {
		negative := make([]float64, len(gradient))
		for i, g := range gradient {
			negative[i] = -g
		}
		gradient = negative
	}
	if r.Kind == "sgd" {
		r.sgd(step, s, gradient)
	} else {
		r.adam(step, s, gradient)
	}
	return s
}

func (r rule) sgd(step int64, s State, gradient []float64) {
	for i, g := range gradient {
		if r.exchanged {
			s.Weight[i] -= r.LearningRate * r.WeightDecay * s.Weight[i]
		} else {
			g += r.WeightDecay * s.Weight[i]
		}
		if r.Momentum != 0 {
			b := s.slot(Momentum)
			if step == 0 {
				b[i] = g
			} else {
				b[i] = r.Momentum*b[i] + (1-r.Dampening)*g
			}
			if r.Nesterov {
				g += r.Momentum * b[i]
			} else {
				g = b[i]
			}
		}
		s.Weight[i] -= r.LearningRate * g
	}
}

func (r rule) adam(step int64, s State, gradient []float64) {
	t := float64(step + 1 + r.late)
	c1, c2 := 1-math.Pow(r.Betas[0], t), 1-math.Pow(r.Betas[1], t)
	if r.uncorrected || t == 0 {
		c1, c2 = 1, 1
	}
	m, v := s.slot(FirstMoment), s.slot(SecondMoment)
	for i, g := range gradient {
		if (r.Kind == "adamw") != r.exchanged {
			s.Weight[i] -= r.LearningRate * r.WeightDecay * s.Weight[i]
		} else {
			g += r.WeightDecay * s.Weight[i]
		}
		m[i] += (1 - r.Betas[0]) * (g - m[i])
		v[i] = r.Betas[1]*v[i] + (1-r.Betas[1])*g*g
		denominator := math.Sqrt(v[i])/math.Sqrt(c2) + r.Eps
		switch {
		case r.epsilonInside:
			denominator = math.Sqrt(v[i]/c2 + r.Eps)
		case r.epsilonFirst:
			denominator = (math.Sqrt(v[i]) + r.Eps) / math.Sqrt(c2)
		}
		if denominator == 0 && m[i] == 0 {
			continue
		}
		s.Weight[i] -= r.LearningRate / c1 * m[i] / denominator
	}
}
