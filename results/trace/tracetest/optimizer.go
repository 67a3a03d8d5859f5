package tracetest

import "math"

// AdamW's constants, with PyTorch's formula: the weights decay first, and epsilon is added to the root of the
// bias-corrected second moment.
const (
	rate     = 1e-2
	beta1    = 0.9
	beta2    = 0.999
	epsilon  = 1e-8
	decaying = 0.02
)

// adamW updates p, m and v in place with the gradient g; step counts from 0.
func adamW[T float](order, mutant string, step int64, p, m, v, g []T) {
	t := float64(step + 1)
	switch mutant {
	case "bias correction one step late":
		t++
	case "no bias correction":
		t = math.Inf(1)
	case "optimizer state reset":
		clear(m)
		clear(v)
	}
	c1, c2 := 1-math.Pow(beta1, t), 1-math.Pow(beta2, t)
	for i := range p {
		grad := g[i]
		if mutant == "L2 for decoupled weight decay" {
			grad += T(decaying) * p[i]
		} else {
			p[i] -= T(rate*decaying) * p[i]
		}
		m[i] += T(1-beta1) * (grad - m[i])
		v[i] = T(beta2)*v[i] + T(1-beta2)*grad*grad
		root := T(math.Sqrt(float64(v[i]))) / T(math.Sqrt(c2))
		denominator := root + T(epsilon)
		switch mutant {
		case "eps inside the root":
			denominator = T(math.Sqrt(float64(v[i])/c2 + epsilon))
		case "eps before the bias correction":
			denominator = (T(math.Sqrt(float64(v[i]))) + T(epsilon)) / T(math.Sqrt(c2))
		}
		eta := rate
		if mutant == "learning rate doubled" {
			eta *= 2
		}
		if order == "stride 4" { // the same formula in another order of operations
			p[i] -= T(eta) * (m[i] / T(c1)) / denominator
		} else {
			p[i] -= T(eta/c1) * (m[i] / denominator)
		}
	}
}
