package optim

import (
	"tandem/native/kernel"
	"tandem/native/op"
)

// Lion (Chen et al., "Symbolic discovery of optimization algorithms", 2023, algorithm 2), as its authors' program computes it:
//
//	p = p - lr * weight_decay * p
//	p = p - lr * sign(beta1 * m + (1 - beta1) * g)
//	m = beta2 * m + (1 - beta2) * g
func init() {
	register(Rule{
		Kind:    "lion",
		Slots:   func(Config) []string { return []string{"exp_avg"} },
		Check:   checkBetas,
		Float32: lion[float32], Float64: lion[float64],
	})
}

func lion[T kernel.Float](c Config) Update[T] {
	step := kernel.LionStep[T]{Beta1: T(c.Betas[0]), Fresh1: T(1 - c.Betas[0]), Beta2: T(c.Betas[1]), Fresh2: T(1 - c.Betas[1])}
	return Update[T]{
		Begin: func(run *op.Run) {
			step.Rate, step.Shrink = T(run.LearningRate), T(1-run.LearningRate*c.WeightDecay)
		},
		Range: func(p, g []T, slots [][]T, lo, hi int) {
			kernel.Lion(p[lo:hi], g, slots[0][lo:hi], &step)
		},
	}
}
