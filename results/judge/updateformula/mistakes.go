package updateformula

import (
	"fmt"
	"math"

	"tandem/fixtures/experiment"
)

// The names of the mistakes.
const (
	EpsilonInside      = "eps-inside-root"
	ONNXAdam           = "onnx-adam"
	NoBiasCorrection   = "no-bias-correction"
	BiasCorrectionLate = "bias-correction-off-by-one"
	OtherEpsilon       = "other-epsilon"
	OtherBetas         = "other-betas"
	DecayKind          = "weight-decay-kind"
	OtherDecay         = "other-weight-decay"
	StateReset         = "optimizer-state-reset"
	NeverSteps         = "optimizer-never-steps"
	Ascends            = "update-sign"
	Dampened           = "momentum-dampened"
	NoMomentum         = "momentum-missing"
	Nesterov           = "nesterov"
	OtherAlpha         = "other-alpha"
	Centering          = "centering"
	LookAhead          = "look-ahead-missing"
	MomentumSchedule   = "momentum-schedule"
	RateDecay          = "rate-decay"
	NewestMoment       = "sign-of-newest-moment"
)

// Mistake is a wrong update rule.
type Mistake struct {
	Name string
	Text string // what it does
	// make returns the rules to try for an optimizer; none where the mistake cannot be made with it.
	make func(o experiment.Optimizer) []rule
}

// Rule is a wrong rule that can be applied.
type Rule struct {
	Name, Text string
	rule       rule
}

// Apply returns the state after the update of one parameter. step counts from 0.
func (r Rule) Apply(step int64, before State, gradient []float64) State {
	return r.rule.apply(step, before, gradient)
}

// Undecayed is the rule for a parameter that gets no weight decay.
func (r Rule) Undecayed() Rule {
	r.rule.WeightDecay = 0
	return r
}

// Right is the published rule.
func Right(o experiment.Optimizer) Rule { return Rule{rule: rule{Optimizer: o}} }

// Mistakes are the known ones.
var Mistakes = []Mistake{
	{NeverSteps, "the optimizer does not step: parameters and moments stay as they were", all(func(r *rule) { r.frozen = true })},
	{EpsilonInside, "epsilon is added inside the root, sqrt(v + eps), instead of to it", using("eps", func(r *rule) { r.epsilonInside = true })},
	{ONNXAdam, "epsilon is added before the bias correction, the formula of ONNX's Adam operator and not of torch's", corrected(
		func(r *rule) { r.epsilonFirst = true },
		func(r *rule) { r.epsilonFirst = true; r.late = -1 },
	)},
	{NoBiasCorrection, "the moments are not corrected for their bias towards zero", corrected(func(r *rule) { r.uncorrected = true })},
	{BiasCorrectionLate, "the bias correction is that of another step: its step counter is off by one", corrected(
		func(r *rule) { r.late = 1 },
		func(r *rule) { r.late = -1 },
	)},
	{DecayKind, "the weight decay is of the other kind: L2 (added to the gradient) for decoupled (taken from the weights), or the reverse", func(o experiment.Optimizer) []rule {
		if o.WeightDecay == 0 {
			return nil
		}
		return []rule{{Optimizer: o, exchanged: true}}
	}},
	{StateReset, "the optimizer's state before the step was lost: its moments are those of a first step", all(
		func(r *rule) { r.reset = true },
		func(r *rule) { r.reset, r.restarted = true, true },
	)},
	{Ascends, "the update has the wrong sign", all(func(r *rule) { r.ascends = true })},
	{OtherEpsilon, "epsilon is another one", func(o experiment.Optimizer) (out []rule) {
		if !o.Uses("eps") {
			return nil
		}
		for exponent := -16; exponent <= -2; exponent++ {
			r := rule{Optimizer: o}
			if r.Eps = math.Pow(10, float64(exponent)); math.Abs(r.Eps-o.Eps) > 1e-3*o.Eps {
				out = append(out, r)
			}
		}
		r := rule{Optimizer: o}
		r.Eps = 0
		return append(out, r)
	}},
	{OtherBetas, "the decay rates of the moments (betas) are others", func(o experiment.Optimizer) (out []rule) {
		if !o.Uses("betas") {
			return nil
		}
		for _, first := range []float64{o.Betas[0], 0.9, 0.95, 0.99, 0.5, 0.999, 0, 1 - o.Betas[0]} {
			for _, second := range []float64{o.Betas[1], 0.999, 0.99, 0.95, 0.98, 0.9, 0.9999, 1 - o.Betas[1]} {
				r := rule{Optimizer: o}
				if r.Betas = [2]float64{first, second}; r.Betas != o.Betas {
					out = append(out, r)
				}
			}
		}
		return out
	}},
	{Dampened, "the momentum is dampened: the gradient enters it times 1 - momentum or another factor", func(o experiment.Optimizer) (out []rule) {
		if o.Kind != "sgd" || o.Momentum == 0 {
			return nil
		}
		for _, d := range []float64{o.Momentum, 0.1, 0.5, 0.9, 0} {
			r := rule{Optimizer: o}
			if r.Dampening = d; d != o.Dampening {
				out = append(out, r)
			}
		}
		return out
	}},
	{NoMomentum, "the momentum is missing", func(o experiment.Optimizer) []rule {
		if o.Momentum == 0 {
			return nil
		}
		return using("momentum", func(r *rule) { r.Momentum = 0 })(o)
	}},
	{OtherAlpha, "the decay rate of the mean of squares (alpha) is another", func(o experiment.Optimizer) (out []rule) {
		if !o.Uses("alpha") {
			return nil
		}
		for _, alpha := range []float64{0.99, 0.9, 0.95, 0.999, 0.5, 1 - o.Alpha} {
			r := rule{Optimizer: o}
			if r.Alpha = alpha; alpha != o.Alpha {
				out = append(out, r)
			}
		}
		return out
	}},
	{Centering, "the gradients' mean is subtracted from the mean of their squares where it should not be, or the reverse", using("centered", func(r *rule) { r.Centered = !r.Centered })},
	{LookAhead, "Nesterov's look ahead is missing: the update is Adam's", using("momentum_decay", func(r *rule) { r.plain = true })},
	{MomentumSchedule, "the momentum is beta1 at every step: its schedule is missing", using("momentum_decay", func(r *rule) { r.constant = true })},
	{RateDecay, "the learning rate does not decay, or as far as at another step", func(o experiment.Optimizer) []rule {
		if !o.Uses("lr_decay") || o.LRDecay == 0 {
			return nil
		}
		return all(func(r *rule) { r.LRDecay = 0 }, func(r *rule) { r.late = 1 }, func(r *rule) { r.late = -1 })(o)
	}},
	{NewestMoment, "the sign is that of the moment after the step, beta2's, not of beta1's average", func(o experiment.Optimizer) []rule {
		if o.Kind != "lion" {
			return nil
		}
		return all(func(r *rule) { r.newest = true })(o)
	}},
	{Nesterov, "Nesterov's momentum is taken for the plain one, or the reverse", sgd(func(r *rule) { r.Nesterov = !r.Nesterov })},
}

func all(changes ...func(*rule)) func(experiment.Optimizer) []rule {
	return func(o experiment.Optimizer) (out []rule) {
		for _, change := range changes {
			r := rule{Optimizer: o}
			change(&r)
			out = append(out, r)
		}
		return out
	}
}

// using is for mistakes with a value that only some optimizers use.
func using(key string, changes ...func(*rule)) func(experiment.Optimizer) []rule {
	return func(o experiment.Optimizer) []rule {
		if !o.Uses(key) {
			return nil
		}
		return all(changes...)(o)
	}
}

// corrected is for mistakes with the bias correction.
func corrected(changes ...func(*rule)) func(experiment.Optimizer) []rule {
	return func(o experiment.Optimizer) []rule {
		if !o.Uses("betas") {
			return nil
		}
		return using("eps", changes...)(o)
	}
}

// sgd is for mistakes with momentum.
func sgd(changes ...func(*rule)) func(experiment.Optimizer) []rule {
	return func(o experiment.Optimizer) []rule {
		if o.Kind != "sgd" || o.Momentum == 0 {
			return nil
		}
		return all(changes...)(o)
	}
}

// Rules returns the wrong rules that can be taken for the optimizer's.
func Rules(o experiment.Optimizer) (out []Rule) {
	for _, m := range Mistakes {
		for _, r := range m.make(o) {
			text := m.Text
			switch m.Name {
			case OtherEpsilon:
				text += fmt.Sprintf(": %g instead of %g", r.Eps, o.Eps)
			case OtherBetas:
				text += fmt.Sprintf(": %g and %g instead of %g and %g", r.Betas[0], r.Betas[1], o.Betas[0], o.Betas[1])
			case Dampened:
				text += fmt.Sprintf(" (dampening %g instead of %g)", r.Dampening, o.Dampening)
			case OtherAlpha:
				text += fmt.Sprintf(": %g instead of %g", r.Alpha, o.Alpha)
			case BiasCorrectionLate:
				text += fmt.Sprintf(" (t%+d)", r.late)
			}
			out = append(out, Rule{m.Name, text, r})
		}
	}
	return out
}

// WithDecay returns the right rule with another weight decay.
func WithDecay(o experiment.Optimizer, decay float64) Rule {
	was := o.WeightDecay
	o.WeightDecay = decay
	return Rule{OtherDecay, fmt.Sprintf("the weight decay is %.4g instead of %g", decay, was), rule{Optimizer: o}}
}

// LinearInDecay names where the result depends linearly on the weight decay: the slot, or "" for the weight.
func LinearInDecay(o experiment.Optimizer) string {
	switch {
	case Decoupled(o):
		return ""
	case o.Kind == "adam" || o.Kind == "nadam":
		return FirstMoment
	case o.Kind == "sgd" && o.Momentum != 0:
		return Momentum
	case o.Kind == "rmsprop" && o.Centered:
		return GradientAverage
	}
	return ""
}

// QuadraticInDecay names the slot that depends on the weight decay by the square of the gradient alone; "" where there is none.
func QuadraticInDecay(o experiment.Optimizer) string {
	switch {
	case o.Kind == "rmsprop" && !o.Centered:
		return SquareAverage
	case o.Kind == "adagrad":
		return Sum
	}
	return ""
}
