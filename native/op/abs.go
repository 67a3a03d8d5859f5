package op

import "math"

// Abs is the absolute value. Its gradient at 0 is 0, as PyTorch's is.
func init() {
	registerPointwise("Abs", 6, fixed(pointwise{
		value: math.Abs,
		fromInput: func(x float64) float64 {
			if x == 0 {
				return 0
			}
			return math.Copysign(1, x)
		},
	}), matrixCase("matrix", 0.01, nil))
}
