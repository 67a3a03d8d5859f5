package optim

import (
	"errors"
	"math"

	"tandem/native/kernel"
	"tandem/native/op"
)

// NAdam as torch.optim.NAdam (Dozat, "Incorporating Nesterov momentum into Adam", 2016), with t counted from 1:
//
//	g = g + weight_decay * p, or p = p - lr * weight_decay * p with decoupled_weight_decay
//	mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2)
//	m = m + (1 - beta1) * (g - m)
//	v = beta2 * v + (1 - beta2) * g * g
//	d = sqrt(v / (1 - beta2^t)) + eps
//	p = p - lr * (1 - mu_t) / (1 - mu_1 ... mu_t) * g / d - lr * mu_(t+1) / (1 - mu_1 ... mu_(t+1)) * m / d
//
// PyTorch keeps the product of the mu as a float32 number of the state; here it is computed from the step in float64.
func init() {
	register(Rule{
		Kind:  "nadam",
		Slots: func(Config) []string { return []string{"exp_avg", "exp_avg_sq"} },
		Check: func(c Config) error {
			if !(c.MomentumDecay >= 0) {
				return errors.New("the decay of the momentum must not be negative")
			}
			return checkAdam(c)
		},
		Float32: nadam[float32], Float64: nadam[float64],
	})
}

func nadam[T kernel.Float](c Config) Update[T] {
	step := kernel.NAdamStep[T]{Fresh1: T(1 - c.Betas[0]), Beta2: T(c.Betas[1]), Fresh2: T(1 - c.Betas[1]), Eps: T(c.Eps)}
	product := muProduct{config: c}
	return Update[T]{
		Begin: func(run *op.Run) {
			t := run.Step + 1
			mu, next, before := product.config.mu(t), product.config.mu(t+1), product.until(t)
			step.Now = T(run.LearningRate * (1 - mu) / (1 - before))
			step.Size = T(run.LearningRate * next / (1 - before*next))
			step.Scale = T(1 / math.Sqrt(1-math.Pow(c.Betas[1], float64(t))))
			step.Shrink, step.Decay = 1, T(c.WeightDecay)
			if c.DecoupledDecay {
				step.Shrink, step.Decay = T(1-run.LearningRate*c.WeightDecay), 0
			}
		},
		Range: func(p, g []T, slots [][]T, lo, hi int) {
			kernel.NAdam(p[lo:hi], g, slots[0][lo:hi], slots[1][lo:hi], &step)
		},
	}
}

// mu is NAdam's momentum of step t, counted from 1.
func (c Config) mu(t int64) float64 {
	return c.Betas[0] * (1 - 0.5*math.Pow(0.96, float64(t)*c.MomentumDecay))
}

// muProduct computes mu_1 ... mu_t, from the product of the step before where that was the last one asked for.
type muProduct struct {
	config  Config
	t       int64
	product float64
}

func (m *muProduct) until(t int64) float64 {
	if m.t == 0 || t < m.t {
		m.t, m.product = 0, 1
	}
	for m.t < t {
		m.t++
		m.product *= m.config.mu(m.t)
	}
	return m.product
}
