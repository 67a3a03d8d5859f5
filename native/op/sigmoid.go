package op

import "math"

// Sigmoid is 1 / (1 + exp(-x)).
func init() {
	registerPointwise("Sigmoid", 6, fixed(pointwise{
		value: sigmoid, fromOutput: func(y float64) float64 { return y * (1 - y) },
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
