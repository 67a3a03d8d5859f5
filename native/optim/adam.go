package optim

import (
	"errors"
	"math"

	"tandem/native/kernel"
	"tandem/native/op"
)

// Adam as torch.optim.Adam and torch.optim.AdamW compute it (Kingma and Ba, "Adam: A Method for Stochastic
// Optimization", 2015; Loshchilov and Hutter, "Decoupled Weight Decay Regularization", 2019), with t counted from 1:
//
//	adam:  g = g + weight_decay * p             adamw:  p = p - lr * weight_decay * p
//	m = m + (1 - beta1) * (g - m)
//	v = beta2 * v + (1 - beta2) * g * g
//	p = p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
//
// eps is added after the bias correction; ONNX's own Adam operator adds it before, which is another optimizer.
func init() {
	slots := func(Config) []string { return []string{"exp_avg", "exp_avg_sq"} }
	register(Rule{Kind: "adam", Slots: slots, Check: checkAdam, Float32: adam[float32](false), Float64: adam[float64](false)})
	register(Rule{Kind: "adamw", Slots: slots, Check: checkAdam, Float32: adam[float32](true), Float64: adam[float64](true)})
}

// checkAdam refuses numbers that make no sense for Adam and its kin.
func checkAdam(c Config) error {
	if !(c.Eps >= 0) {
		return errors.New("eps must not be negative")
	}
	return checkBetas(c)
}

func checkBetas(c Config) error {
	for _, b := range c.Betas {
		if !(b >= 0 && b < 1) {
			return errors.New("the betas must be at least 0 and below 1")
		}
	}
	return nil
}

func adam[T kernel.Float](decoupled bool) func(Config) Update[T] {
	return func(c Config) Update[T] {
		step := kernel.AdamStep[T]{Fresh1: T(1 - c.Betas[0]), Beta2: T(c.Betas[1]), Fresh2: T(1 - c.Betas[1]), Eps: T(c.Eps)}
		return Update[T]{
			Begin: func(run *op.Run) {
				t := float64(run.Step + 1)
				step.Size = T(run.LearningRate / (1 - math.Pow(c.Betas[0], t)))
				step.Scale = T(1 / math.Sqrt(1-math.Pow(c.Betas[1], t)))
				step.Shrink, step.Decay = 1, T(c.WeightDecay)
				if decoupled {
					step.Shrink, step.Decay = T(1-run.LearningRate*c.WeightDecay), 0
				}
			},
			Product: func(p []T, slots [][]T) *kernel.AdamProduct[T] {
				return &kernel.AdamProduct[T]{P: p, M: slots[0], V: slots[1], Step: &step}
			},
			Range: func(p, g []T, slots [][]T, lo, hi int) {
				kernel.Adam(p[lo:hi], g, slots[0][lo:hi], slots[1][lo:hi], &step)
			},
		}
	}
}
