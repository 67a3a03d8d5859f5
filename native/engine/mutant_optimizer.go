package engine

import (
	"math"
	"slices"

	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/optim"
	"tandem/native/train"
)

// Mistakes in the optimizer: rules that are known to be wrong, registered beside the real ones.

func adamLike(n *Native) bool { return trainsBy("adam", "adamw")(n) }

func hasEps(n *Native) bool { return n.options.Optimizer.Eps > 0 }

func hasMomentum(n *Native) bool {
	o := n.options.Optimizer
	return o.Kind == "sgd" && o.Momentum > 0 && o.Dampening == 0 && !o.Nesterov
}

func isNesterov(n *Native) bool {
	return n.options.Optimizer.Kind == "sgd" && n.options.Optimizer.Nesterov
}

func ratesDecay(n *Native) bool { return n.options.Optimizer.LRDecay > 0 }

// otherAlpha is PyTorch's default, or that of Keras where the experiment has PyTorch's.
func otherAlpha(o *train.Options) {
	if o.Optimizer.Alpha != 0.99 {
		o.Optimizer.Alpha = 0.99
	} else {
		o.Optimizer.Alpha = 0.9
	}
}

func exchangeBetas(o *train.Options) {
	o.Optimizer.Betas[0], o.Optimizer.Betas[1] = o.Optimizer.Betas[1], o.Optimizer.Betas[0]
}

// plainAdam is NAdam without what it adds to Adam.
func plainAdam(o *train.Options) {
	o.Optimizer.Kind = "adam"
	if o.Optimizer.DecoupledDecay {
		o.Optimizer.Kind = "adamw"
	}
}

// rmspropEpsInside is TensorFlow's form of RMSprop.
var rmspropEpsInside = replaceRule(map[string]string{"rmsprop": func() string {
	r, _ := optim.Lookup("rmsprop")
	r.Kind = "eps-inside-root.rmsprop"
	r.Float32, r.Float64 = insideRMSprop[float32], insideRMSprop[float64]
	return optim.Mistaken(r)
}()})

func insideRMSprop[T kernel.Float](c optim.Config) optim.Update[T] {
	var rate float64
	return optim.Update[T]{
		Begin: func(run *op.Run) { rate = run.LearningRate },
		Range: func(p, g []T, slots [][]T, lo, hi int) {
			for i := lo; i < hi; i++ {
				d := g[i-lo] + T(c.WeightDecay)*p[i]
				square := slots[0]
				square[i] = T(c.Alpha)*square[i] + T(1-c.Alpha)*d*d
				spread := square[i]
				if c.Centered {
					slots[1][i] += T(1-c.Alpha) * (d - slots[1][i])
					spread -= slots[1][i] * slots[1][i]
				}
				change := d / T(math.Sqrt(float64(spread)+c.Eps))
				if c.Momentum > 0 {
					buffer := slots[len(slots)-1]
					buffer[i] = T(c.Momentum)*buffer[i] + change
					change = buffer[i]
				}
				p[i] -= T(rate) * change
			}
		},
	}
}

// replaceRule trains by a mistaken rule: wrong has its kind by the right one's.
func replaceRule(wrong map[string]string) func(*train.Options) {
	return func(o *train.Options) { o.Optimizer.Kind = wrong[o.Optimizer.Kind] }
}

// The rules that do nothing, and those that add up the gradients of all steps, in a slot of that name.
const carried = "carried"

var (
	neverStep = replaceRule(mistakenRules("never-steps", func(r optim.Rule) optim.Rule {
		r.Float32, r.Float64 = standStill[float32], standStill[float64]
		return r
	}))
	neverZero = replaceRule(mistakenRules("never-zeroes", func(r optim.Rule) optim.Rule {
		slots, float32s, float64s := r.Slots, r.Float32, r.Float64
		r.Slots = func(c optim.Config) []string { return append(slices.Clone(slots(c)), carried) }
		r.Float32 = func(c optim.Config) optim.Update[float32] { return accumulating(float32s(c)) }
		r.Float64 = func(c optim.Config) optim.Update[float64] { return accumulating(float64s(c)) }
		return r
	}))
)

// mistakenRules registers a wrong form of each optimizer and returns their kinds by the right ones'.
func mistakenRules(name string, spoil func(optim.Rule) optim.Rule) map[string]string {
	wrong := map[string]string{}
	for _, kind := range optim.Kinds() {
		r, _ := optim.Lookup(kind)
		r = spoil(r)
		r.Kind = name + "." + kind
		wrong[kind] = optim.Mistaken(r)
	}
	return wrong
}

func standStill[T kernel.Float](optim.Config) optim.Update[T] {
	return optim.Update[T]{Begin: func(*op.Run) {}, Range: func([]T, []T, [][]T, int, int) {}}
}

// accumulating has an update see the sum of all gradients since the slot was zero.
func accumulating[T kernel.Float](u optim.Update[T]) optim.Update[T] {
	return optim.Update[T]{Begin: u.Begin, Range: func(p, g []T, slots [][]T, lo, hi int) {
		last := len(slots) - 1
		sum := slots[last]
		for i := lo; i < hi; i++ {
			sum[i] += g[i-lo]
		}
		u.Range(p, sum[lo:hi], slots[:last], lo, hi)
	}}
}

// adamMistake is one change of Adam's formula (see package optim): the power that the bias correction is computed
// with, or the denominator, from sqrt(v) and sqrt(1 - beta2^t).
type adamMistake struct {
	name        string
	power       func(t float64) float64
	denominator func(root, correction, eps float64) float64
}

var (
	epsInsideRoot = adamMistake{name: "eps-inside-root", denominator: func(root, correction, eps float64) float64 {
		return math.Sqrt(root*root/(correction*correction) + eps)
	}}
	// epsBeforeCorrection is ONNX's own Adam operator: eps is added to the root before the bias correction.
	epsBeforeCorrection = adamMistake{name: "eps-before-correction", denominator: func(root, correction, eps float64) float64 {
		return (root + eps) / correction
	}}
	noCorrection = adamMistake{name: "no-correction", power: func(float64) float64 { return math.Inf(1) }}
	// lateCorrection counts the step after the correction was computed; the first one cannot be 0, as it divides.
	lateCorrection = adamMistake{name: "late-correction", power: func(t float64) float64 { return max(t-1, 1) }}
)

// byMistake trains by a form of adam or adamw with the mistake.
func byMistake(m adamMistake) func(*train.Options) {
	if m.power == nil {
		m.power = func(t float64) float64 { return t }
	}
	if m.denominator == nil {
		m.denominator = func(root, correction, eps float64) float64 { return root/correction + eps }
	}
	wrong := map[string]string{}
	for _, kind := range []string{"adam", "adamw"} {
		r, _ := optim.Lookup(kind)
		r.Kind = m.name + "." + kind
		r.Float32 = func(c optim.Config) optim.Update[float32] { return wrongAdam[float32](m, c, kind == "adamw") }
		r.Float64 = func(c optim.Config) optim.Update[float64] { return wrongAdam[float64](m, c, kind == "adamw") }
		wrong[kind] = optim.Mistaken(r)
	}
	return replaceRule(wrong)
}

func wrongAdam[T kernel.Float](m adamMistake, c optim.Config, decoupled bool) optim.Update[T] {
	var size, correction, shrink, decay float64
	return optim.Update[T]{
		Begin: func(run *op.Run) {
			t := m.power(float64(run.Step + 1))
			size = run.LearningRate / (1 - math.Pow(c.Betas[0], t))
			correction = math.Sqrt(1 - math.Pow(c.Betas[1], t))
			shrink, decay = 1, c.WeightDecay
			if decoupled {
				shrink, decay = 1-run.LearningRate*c.WeightDecay, 0
			}
		},
		Range: func(p, g []T, slots [][]T, lo, hi int) {
			first, second := slots[0], slots[1]
			for i := lo; i < hi; i++ {
				w := p[i] * T(shrink)
				d := g[i-lo] + T(decay)*w
				first[i] += T(1-c.Betas[0]) * (d - first[i])
				second[i] = T(c.Betas[1])*second[i] + T(1-c.Betas[1])*d*d
				p[i] = w - T(size)*first[i]/T(m.denominator(math.Sqrt(float64(second[i])), correction, c.Eps))
			}
		},
	}
}
