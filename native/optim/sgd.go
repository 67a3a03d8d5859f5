package optim

import (
	"errors"

	"tandem/native/kernel"
	"tandem/native/op"
)

// SGD with momentum, dampening, Nesterov's form and L2 weight decay, as torch.optim.SGD:
//
//	g = g + weight_decay * p
//	b = g at the first step, else momentum * b + (1 - dampening) * g
//	d = g + momentum * b with nesterov, else b
//	p = p - lr * d
func init() {
	register(Rule{
		Kind: "sgd",
		Slots: func(c Config) []string {
			if c.Momentum == 0 {
				return nil
			}
			return []string{"momentum_buffer"}
		},
		Check: func(c Config) error {
			switch {
			case !(c.Momentum >= 0):
				return errors.New("the momentum must not be negative")
			case c.Nesterov && (c.Momentum == 0 || c.Dampening != 0):
				return errors.New("nesterov needs a momentum and no dampening")
			}
			return nil
		},
		Float32: sgd[float32], Float64: sgd[float64],
	})
}

func sgd[T kernel.Float](c Config) Update[T] {
	step := kernel.SGDStep[T]{Decay: T(c.WeightDecay), Momentum: T(c.Momentum), Fresh: T(1 - c.Dampening)}
	var first bool
	return Update[T]{
		Begin: func(run *op.Run) {
			step.Rate = T(run.LearningRate)
			first = run.Step == 0
		},
		Range: func(p, g []T, slots [][]T, lo, hi int) {
			if len(slots) == 0 {
				kernel.SGD(p[lo:hi], g, &step)
				return
			}
			kernel.SGDMomentum(p[lo:hi], g, slots[0][lo:hi], &step, first, c.Nesterov)
		},
	}
}
