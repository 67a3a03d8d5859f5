package fingerprint

import (
	"fmt"
	"math"
	"strings"

	"tandem/fixtures/experiment"
	"tandem/results/judge/updateformula"
	"tandem/results/trace"
)

// parameterOf splits a state's name in the parameter and the slot, "" for the parameter itself.
func parameterOf(name string) (parameter, slot string) {
	if p, ok := strings.CutPrefix(name, "parameters/"); ok {
		return p, ""
	}
	slot, parameter, _ = strings.Cut(strings.TrimPrefix(name, "optimizer/"), "/")
	return parameter, slot
}

// settings are the optimizer's at the step: with the schedule's learning rate.
func (l *Look) settings(later int64) experiment.Optimizer {
	o := l.Experiment.Optimizer
	o.LearningRate = updateformula.Rate(l.Experiment, len(l.Ref.Losses), int64(l.Step)+later)
	return o
}

// before returns the state of a parameter before the step, and its gradient; ok is false where something is missing.
func (l *Look) before(parameter string) (s updateformula.State, gradient []float64, ok bool) {
	k := l.Ref.Sample
	g, ok := l.R.Float32["gradients/"+parameter]
	if !ok {
		return s, nil, false
	}
	gradient, err := g.Float64s(k)
	if err != nil {
		return s, nil, false
	}
	s = updateformula.State{Weight: l.stateValues("parameters/"+parameter, g), Slots: map[string][]float64{}}
	if len(s.Weight) != len(gradient) {
		return s, nil, false
	}
	for name := range l.R.Update64 {
		if p, slot := parameterOf(name); p == parameter && slot != "" {
			x := l.stateValues(name, g)
			if len(x) != len(gradient) {
				return s, nil, false
			}
			s.Slots[slot] = x
		}
	}
	return s, gradient, true
}

func after(s updateformula.State, slot string) []float64 {
	if slot == "" {
		return s.Weight
	}
	return s.Slots[slot]
}

// recipe is a rule with what stands around it.
type recipe struct {
	rule     updateformula.Rule
	allDecay bool // the weight decay applies to every parameter
	matrices bool // it applies to none of one dimension
	clip     clip // nil multiplies with the one scale of all gradients
}

// clip returns what the optimizer reads in the place of a parameter's gradient; w are the weights.
type clip func(l *Look, parameter string, w, gradient []float64) []float64

// rule is the recipe's for one parameter.
func (r recipe) of(o experiment.Optimizer, parameter string) updateformula.Rule {
	if r.allDecay || updateformula.Decays(o, parameter) {
		return r.rule
	}
	return r.rule.Undecayed()
}

// update returns a parameter's state after the update by a recipe.
func (l *Look) update(r recipe, parameter string) (updateformula.State, bool) {
	before, gradient, ok := l.before(parameter)
	if !ok {
		return before, false
	}
	if r.clip != nil {
		gradient = r.clip(l, parameter, before.Weight, gradient)
	} else {
		gradient = multiplied(gradient, l.clipping())
	}
	if gradient == nil {
		return before, false
	}
	rule := r.of(l.Experiment.Optimizer, parameter)
	if g := l.R.Float32["gradients/"+parameter]; r.matrices && len(g.Shape) == 1 {
		rule = r.rule.Undecayed()
	}
	return rule.Apply(int64(l.Step), before, gradient), true
}

// ruled reports whether the recipe gives every tensor that the candidate updated.
func (l *Look) ruled(r recipe) (residual float64, ok bool) {
	done := map[string]updateformula.State{}
	one := func(p *Pair) (float64, bool) {
		parameter, slot := parameterOf(p.Name)
		s, ok := done[parameter]
		if !ok {
			if s, ok = l.update(r, parameter); !ok {
				return 0, false
			}
			done[parameter] = s
		}
		prediction := after(s, slot)
		if len(prediction) != len(p.Got) {
			return 0, false
		}
		if p.Off {
			return p.explained(prediction)
		}
		return 0, trace.Distance(prediction, p.Got) <= max(4*p.Tolerance, 1e-6)*p.Size
	}
	residual, ok = one(l.Suspect) // most rules end here
	if !ok {
		return 0, false
	}
	for i := range l.Pairs {
		r, ok := one(&l.Pairs[i])
		if !ok {
			return 0, false
		}
		residual = max(residual, r)
	}
	return residual, true
}

// findRule looks for the wrong update rules of a name.
func findRule(name string) func(l *Look) *Finding {
	return func(l *Look) *Finding {
		if !l.usable() || l.Experiment == nil {
			return nil
		}
		for _, rule := range updateformula.Rules(l.settings(0)) {
			if rule.Name != name {
				continue
			}
			if residual, ok := l.ruled(recipe{rule: rule}); ok {
				return &Finding{rule.Text, residual}
			}
		}
		return nil
	}
}

func findSchedule(l *Look) *Finding {
	if !l.usable() || l.Experiment == nil {
		return nil
	}
	right := l.settings(0)
	for _, later := range []int64{1, -1} {
		o := l.settings(later)
		if o.LearningRate == right.LearningRate || int64(l.Step)+later < 0 {
			continue
		}
		if residual, ok := l.ruled(recipe{rule: updateformula.Right(o)}); ok {
			return &Finding{fmt.Sprintf("the learning rate is %.8g, that of step %d, where the schedule has %.8g for step %d", o.LearningRate, int64(l.Step)+later, right.LearningRate, l.Step), residual}
		}
	}
	return nil
}

func findDecayGroups(l *Look) *Finding {
	if !l.usable() || l.Experiment == nil || l.Experiment.Optimizer.WeightDecay == 0 {
		return nil
	}
	if residual, ok := l.ruled(recipe{rule: updateformula.Right(l.settings(0)), matrices: true}); ok {
		return &Finding{"the weight decay leaves out every parameter of one dimension, biases and the weights of normalizations, where no_decay does not name them all", residual}
	}
	if len(l.Experiment.Optimizer.NoDecay) == 0 {
		return nil
	}
	residual, ok := l.ruled(recipe{rule: updateformula.Right(l.settings(0)), allDecay: true})
	if !ok {
		return nil
	}
	return &Finding{fmt.Sprintf("the weight decay applies to every parameter, those that no_decay leaves out (%s) among them", strings.Join(l.Experiment.Optimizer.NoDecay, ", ")), residual}
}

// findOtherDecay solves for the weight decay, which the update depends on linearly, and sees whether the whole update then fits.
func findOtherDecay(l *Look) *Finding {
	if !l.usable() || l.Experiment == nil {
		return nil
	}
	o := l.settings(0)
	if slot := updateformula.QuadraticInDecay(o); slot != "" {
		return l.decayOfSquares(o, slot)
	}
	where := updateformula.LinearInDecay(o)
	for i := range l.Pairs {
		p := &l.Pairs[i]
		parameter, slot := parameterOf(p.Name)
		if !p.Off || slot != where || len(p.Got) != len(p.Exact) || !updateformula.Decays(o, parameter) {
			continue
		}
		before, gradient, ok := l.before(parameter)
		if !ok {
			return nil
		}
		gradient = multiplied(gradient, l.clipping())
		x0 := after(updateformula.WithDecay(o, 0).Apply(int64(l.Step), before, gradient), slot)
		x1 := after(updateformula.WithDecay(o, 1).Apply(int64(l.Step), before, gradient), slot)
		num, den := 0.0, 0.0
		for k := range x0 {
			num += (x1[k] - x0[k]) * (p.Got[k] - x0[k])
			den += (x1[k] - x0[k]) * (x1[k] - x0[k])
		}
		if den == 0 {
			return nil
		}
		decay := num / den
		if p.Double && math.Abs(decay) < 1e-9 {
			decay = 0
		}
		rule := updateformula.WithDecay(o, decay)
		if residual, ok := l.ruled(recipe{rule: rule}); ok {
			return &Finding{rule.Text, residual}
		}
		return nil
	}
	return nil
}

// decayOfSquares is findOtherDecay for a slot of squares of the gradient: its sum is a polynomial of the second degree in the decay, one
// of whose roots is the candidate's.
func (l *Look) decayOfSquares(o experiment.Optimizer, slot string) *Finding {
	for i := range l.Pairs {
		p := &l.Pairs[i]
		parameter, of := parameterOf(p.Name)
		if !p.Off || of != slot || len(p.Got) != len(p.Exact) || !updateformula.Decays(o, parameter) {
			continue
		}
		before, gradient, ok := l.before(parameter)
		if !ok {
			return nil
		}
		gradient = multiplied(gradient, l.clipping())
		sum := func(decay float64) (total float64) {
			for k, x := range after(updateformula.WithDecay(o, decay).Apply(int64(l.Step), before, gradient), slot) {
				total += x - p.Got[k]
			}
			return total
		}
		// a + b decay + c decay^2 from three of its values
		a, plus, minus := sum(0), sum(1), sum(-1)
		b, c := (plus-minus)/2, (plus+minus)/2-a
		root := math.Sqrt(max(b*b-4*a*c, 0))
		for _, decay := range []float64{(-b + root) / (2 * c), (-b - root) / (2 * c)} {
			if math.Abs(decay) < 1e-9 {
				decay = 0
			}
			if math.IsNaN(decay) || math.IsInf(decay, 0) {
				continue
			}
			rule := updateformula.WithDecay(o, decay)
			if residual, ok := l.ruled(recipe{rule: rule}); ok {
				return &Finding{rule.Text, residual}
			}
		}
		return nil
	}
	return nil
}

// findLearningRate looks for one factor on all changes of weights, while the moments are right. A decoupled weight decay may have its own rate.
func findLearningRate(l *Look) *Finding {
	if !l.usable() || l.Experiment == nil {
		return nil
	}
	o := l.settings(0)
	for _, decay := range []float64{0, o.LearningRate * o.WeightDecay} {
		common, worst, tolerance, ok := l.commonFactor(decay)
		if !ok {
			continue
		}
		name, _ := l.called(common, tolerance)
		return &Finding{fmt.Sprintf("the weights change by %s times what they should, and the moments are right: the learning rate is %.6g instead of %g", name, common*o.LearningRate, o.LearningRate), worst}
	}
	return nil
}

// commonFactor is the factor on the changes of all weights that are off, counted from weights that have decayed by a share.
func (l *Look) commonFactor(decay float64) (common, worst, tolerance float64, ok bool) {
	n := 0
	for i := range l.Pairs {
		p := l.Pairs[i]
		if _, slot := parameterOf(p.Name); slot != "" {
			if p.Off {
				return 0, 0, 0, false
			}
			continue
		}
		if !p.Off || p.Before == nil {
			continue
		}
		decayed := make([]float64, len(p.Before))
		for k, w := range p.Before {
			decayed[k] = w * (1 - decay)
		}
		p.Before = decayed
		tolerance = max(tolerance, p.Tolerance)
		c, residual, fits := p.factor()
		if !fits || c <= 0 || n > 0 && math.Abs(c-common) > 8*tolerance*common {
			return 0, 0, 0, false
		}
		if n++; n == 1 {
			common = c
		}
		worst = max(worst, residual)
	}
	return common, worst, tolerance, n > 0
}

func findCounter(l *Look) *Finding {
	if l.C == nil || l.C.UpdateStep == int64(l.Step)+1 && l.C.AfterStep == int64(l.Step)+1 {
		return nil
	}
	return &Finding{fmt.Sprintf("the step counter is %d after the update and %d after the training step, where both must be %d: batch, masks and bias correction go by it", l.C.UpdateStep, l.C.AfterStep, l.Step+1), math.NaN()}
}
