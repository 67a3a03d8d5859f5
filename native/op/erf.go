package op

import "math"

// Erf is the Gauss error function.
func init() {
	registerPointwise("Erf", 9, fixed(pointwise{
		value: math.Erf, fromInput: func(x float64) float64 { return 2 / math.Sqrt(math.Pi) * math.Exp(-x*x) },
	}), matrixCase("matrix", 0, nil))
}
