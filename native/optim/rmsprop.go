package optim

import (
	"errors"

	"tandem/native/kernel"
	"tandem/native/op"
)

// RMSprop as torch.optim.RMSprop (Hinton, "Neural networks for machine learning", lecture 6e, 2012; centered: Graves, "Generating
// sequences with recurrent neural networks", 2013):
//
//	g = g + weight_decay * p
//	v = alpha * v + (1 - alpha) * g * g
//	m = m + (1 - alpha) * (g - m), with centered
//	r = g / (sqrt(v) + eps), or g / (sqrt(v - m*m) + eps) with centered
//	b = momentum * b + r, with a momentum above 0
//	p = p - lr * b, or p - lr * r without momentum
//
// eps is added to the root; TensorFlow adds it inside.
func init() {
	register(Rule{
		Kind: "rmsprop",
		Slots: func(c Config) []string {
			slots := []string{"square_avg"}
			if c.Centered {
				slots = append(slots, "grad_avg")
			}
			if c.Momentum > 0 {
				slots = append(slots, "momentum_buffer")
			}
			return slots
		},
		Check: func(c Config) error {
			switch {
			case !(c.Alpha >= 0 && c.Alpha < 1):
				return errors.New("alpha must be at least 0 and below 1")
			case !(c.Eps >= 0):
				return errors.New("eps must not be negative")
			case !(c.Momentum >= 0):
				return errors.New("the momentum must not be negative")
			}
			return nil
		},
		Float32: rmsprop[float32], Float64: rmsprop[float64],
	})
}

func rmsprop[T kernel.Float](c Config) Update[T] {
	step := kernel.RMSpropStep[T]{
		Decay: T(c.WeightDecay), Alpha: T(c.Alpha), Fresh: T(1 - c.Alpha), Momentum: T(c.Momentum), Eps: T(c.Eps),
	}
	return Update[T]{
		Begin: func(run *op.Run) { step.Rate = T(run.LearningRate) },
		Range: func(p, g []T, slots [][]T, lo, hi int) {
			next := 1
			optional := func(has bool) []T {
				if !has {
					return nil
				}
				next++
				return slots[next-1][lo:hi]
			}
			mean := optional(c.Centered)
			buffer := optional(c.Momentum > 0)
			kernel.RMSprop(p[lo:hi], g, slots[0][lo:hi], mean, buffer, &step)
		},
	}
}
