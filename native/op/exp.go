package op

import "math"

// Exp is the exponential function.
func init() {
	registerPointwise("Exp", 6, fixed(pointwise{
		value: math.Exp, fromOutput: func(y float64) float64 { return y },
	}), matrixCase("matrix", 0, nil))
}
