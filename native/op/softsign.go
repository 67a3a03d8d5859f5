package op

import "math"

// Softsign is x / (1 + |x|).
func init() {
	registerPointwise("Softsign", 1, fixed(pointwise{
		value:     func(x float64) float64 { return x / (1 + math.Abs(x)) },
		fromInput: func(x float64) float64 { return 1 / ((1 + math.Abs(x)) * (1 + math.Abs(x))) },
	}), matrixCase("matrix", 0, nil))
}
