package updateformula

import (
	"maps"
	"math"
	"slices"

	"tandem/fixtures/experiment"
)

// The optimizer's slots by PyTorch's names.
const (
	FirstMoment  = "exp_avg"
	SecondMoment = "exp_avg_sq"
	Momentum     = "momentum_buffer"

	SquareAverage   = "square_avg"
	GradientAverage = "grad_avg"
	Sum             = "sum"
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

// Start is the state before the first step.
func Start(o experiment.Optimizer, weight []float64) State {
	s := State{Weight: weight, Slots: map[string][]float64{}}
	for _, name := range Slots(o) {
		x := s.slot(name)
		for i := range x {
			x[i] = Initial(o, name)
		}
	}
	return s
}

// Initial is what a slot's elements are before the first step.
func Initial(o experiment.Optimizer, slot string) float64 {
	if slot == Sum {
		return o.InitialAccumulator
	}
	return 0
}

// Slots are the names of the tensors that the optimizer keeps for each parameter, in the order in which they are computed.
func Slots(o experiment.Optimizer) (slots []string) {
	add := func(has bool, names ...string) {
		if has {
			slots = append(slots, names...)
		}
	}
	add(o.Uses("betas"), FirstMoment)
	add(o.Uses("betas") && o.Uses("eps"), SecondMoment)
	add(o.Kind == "rmsprop", SquareAverage)
	add(o.Centered && o.Uses("centered"), GradientAverage)
	add(o.Kind == "adagrad", Sum)
	add(o.Momentum != 0 && o.Uses("momentum"), Momentum)
	return slots
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
	plain         bool // NAdam without Nesterov's look ahead
	constant      bool // NAdam with the same momentum at every step
	newest        bool // Lion's sign is that of the moment after the step
}

// formulas are the update rules by kind, for one parameter whose state they change.
var formulas = map[string]func(r rule, step int64, s State, gradient []float64){
	"sgd": rule.sgd, "adam": rule.adam, "adamw": rule.adam, "rmsprop": rule.rmsprop, "adagrad": rule.adagrad, "nadam": rule.nadam, "lion": rule.lion,
}

// Kinds are the optimizers whose rule is known, sorted.
func Kinds() []string { return slices.Sorted(maps.Keys(formulas)) }

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
		for name, x := range s.Slots {
			for i := range x {
				x[i] = Initial(r.Optimizer, name)
			}
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
	formulas[r.Kind](r, step, s, gradient)
	return s
}

// Decoupled reports whether the weight decay is taken from the weights, not added to the gradients.
func Decoupled(o experiment.Optimizer) bool {
	return o.Kind == "adamw" || o.Kind == "lion" || o.Kind == "nadam" && o.DecoupledDecay
}

// decay applies the weight decay to a weight and returns its gradient with what the decay adds.
func (r rule) decay(w *float64, g float64) float64 {
	if Decoupled(r.Optimizer) != r.exchanged {
		*w -= r.LearningRate * r.WeightDecay * *w
		return g
	}
	return g + r.WeightDecay**w
}

func (r rule) sgd(step int64, s State, gradient []float64) {
	for i, g := range gradient {
		g = r.decay(&s.Weight[i], g)
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

// corrections are 1 - beta^t of both moments.
func (r rule) corrections(step int64) (t, c1, c2 float64) {
	t = float64(step + 1 + r.late)
	if r.uncorrected || t == 0 {
		return t, 1, 1
	}
	return t, 1 - math.Pow(r.Betas[0], t), 1 - math.Pow(r.Betas[1], t)
}

// denominator is the root of a second moment v with its correction c, and epsilon where the rule has it.
func (r rule) denominator(v, c float64) float64 {
	switch {
	case r.epsilonInside:
		return math.Sqrt(v/c + r.Eps)
	case r.epsilonFirst:
		return (math.Sqrt(v) + r.Eps) / math.Sqrt(c)
	}
	return math.Sqrt(v)/math.Sqrt(c) + r.Eps
}

func (r rule) adam(step int64, s State, gradient []float64) {
	_, c1, c2 := r.corrections(step)
	m, v := s.slot(FirstMoment), s.slot(SecondMoment)
	for i, g := range gradient {
		g = r.decay(&s.Weight[i], g)
		m[i] += (1 - r.Betas[0]) * (g - m[i])
		v[i] = r.Betas[1]*v[i] + (1-r.Betas[1])*g*g
		denominator := r.denominator(v[i], c2)
		if denominator == 0 && m[i] == 0 {
			continue
		}
		s.Weight[i] -= r.LearningRate / c1 * m[i] / denominator
	}
}

func (r rule) nadam(step int64, s State, gradient []float64) {
	if r.plain {
		r.adam(step, s, gradient)
		return
	}
	t, _, c2 := r.corrections(step)
	mu := func(t float64) float64 {
		if r.constant {
			return r.Betas[0]
		}
		return r.Betas[0] * (1 - 0.5*math.Pow(0.96, t*r.MomentumDecay))
	}
	product := 1.0
	for k := 1.0; k <= t; k++ {
		product *= mu(k)
	}
	now, next := (1-mu(t))/(1-product), mu(t+1)/(1-product*mu(t+1))
	if r.uncorrected || product == 1 {
		now, next = 1-mu(t), mu(t+1)
	}
	m, v := s.slot(FirstMoment), s.slot(SecondMoment)
	for i, g := range gradient {
		g = r.decay(&s.Weight[i], g)
		m[i] += (1 - r.Betas[0]) * (g - m[i])
		v[i] = r.Betas[1]*v[i] + (1-r.Betas[1])*g*g
		denominator := r.denominator(v[i], c2)
		if denominator == 0 && m[i] == 0 && g == 0 {
			continue
		}
		s.Weight[i] -= r.LearningRate * (now*g + next*m[i]) / denominator
	}
}

func (r rule) rmsprop(_ int64, s State, gradient []float64) {
	v := s.slot(SquareAverage)
	for i, g := range gradient {
		g = r.decay(&s.Weight[i], g)
		v[i] = r.Alpha*v[i] + (1-r.Alpha)*g*g
		spread := v[i]
		if r.Centered {
			m := s.slot(GradientAverage)
			m[i] += (1 - r.Alpha) * (g - m[i])
			spread -= m[i] * m[i]
		}
		change := 0.0
		if denominator := r.denominator(spread, 1); denominator != 0 || g != 0 {
			change = g / denominator
		}
		if r.Momentum > 0 {
			b := s.slot(Momentum)
			b[i] = r.Momentum*b[i] + change
			change = b[i]
		}
		s.Weight[i] -= r.LearningRate * change
	}
}

func (r rule) adagrad(step int64, s State, gradient []float64) {
	sum, rate := s.slot(Sum), r.LearningRate/(1+float64(max(step+r.late, 0))*r.LRDecay)
	for i, g := range gradient {
		g = r.decay(&s.Weight[i], g)
		sum[i] += g * g
		if denominator := r.denominator(sum[i], 1); denominator != 0 || g != 0 {
			s.Weight[i] -= rate * g / denominator
		}
	}
}

func (r rule) lion(_ int64, s State, gradient []float64) {
	m := s.slot(FirstMoment)
	for i, g := range gradient {
		g = r.decay(&s.Weight[i], g)
		after := r.Betas[1]*m[i] + (1-r.Betas[1])*g
		direction := r.Betas[0]*m[i] + (1-r.Betas[0])*g
		if r.newest {
			direction = after
		}
		if direction != 0 {
			s.Weight[i] -= math.Copysign(r.LearningRate, direction)
		}
		m[i] = after
	}
}
