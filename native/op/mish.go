package op

import "math"

// Mish is x * tanh(softplus(x)) (Misra, "Mish: A Self Regularized Non-Monotonic Activation Function", 2019).
func init() {
	registerPointwise("Mish", 18, fixed(pointwise{
		value: func(x float64) float64 { return x * math.Tanh(softplus(x)) },
		fromInput: func(x float64) float64 {
			t := math.Tanh(softplus(x))
			return t + x*(1-t*t)*sigmoid(x)
		},
	}), matrixCase("matrix", 0, nil))
}

// sigmoid never takes the exponential of a positive number, so that it does not overflow.
func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}
