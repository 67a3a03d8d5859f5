package op

import "math"

// Sqrt is the square root. Its gradient at 0 is infinite, as PyTorch's is.
func init() {
	registerPointwise("Sqrt", 6, fixed(pointwise{
		value: math.Sqrt, fromOutput: func(y float64) float64 { return 1 / (2 * y) },
	}), positiveCase())
}
