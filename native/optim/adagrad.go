package optim

import (
	"errors"

	"tandem/native/kernel"
	"tandem/native/op"
)

// Adagrad as torch.optim.Adagrad (Duchi, Hazan, Singer: "Adaptive subgradient methods for online learning and stochastic
// optimization", 2011), with steps k counted from 0 and s beginning with initial_accumulator_value:
//
//	g = g + weight_decay * p
//	s = s + g * g
//	p = p - lr / (1 + k * lr_decay) * g / (sqrt(s) + eps)
func init() {
	register(Rule{
		Kind:    "adagrad",
		Slots:   func(Config) []string { return []string{"sum"} },
		Initial: func(c Config, _ string) float64 { return c.InitialAccumulator },
		Check: func(c Config) error {
			switch {
			case !(c.Eps >= 0):
				return errors.New("eps must not be negative")
			case !(c.LRDecay >= 0):
				return errors.New("the decay of the learning rate must not be negative")
			case !(c.InitialAccumulator >= 0):
				return errors.New("the initial accumulator value must not be negative")
			}
			return nil
		},
		Float32: adagrad[float32], Float64: adagrad[float64],
	})
}

func adagrad[T kernel.Float](c Config) Update[T] {
	step := kernel.AdagradStep[T]{Decay: T(c.WeightDecay), Eps: T(c.Eps)}
	return Update[T]{
		Begin: func(run *op.Run) { step.Rate = T(run.LearningRate / (1 + float64(run.Step)*c.LRDecay)) },
		Range: func(p, g []T, slots [][]T, lo, hi int) {
			kernel.Adagrad(p[lo:hi], g, slots[0][lo:hi], &step)
		},
	}
}
