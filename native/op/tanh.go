package op

import "math"

// Tanh is the hyperbolic tangent.
func init() {
	registerPointwise("Tanh", 6, fixed(pointwise{
		value: math.Tanh, fromOutput: func(y float64) float64 { return 1 - y*y },
	}), matrixCase("matrix", 0, nil))
}
