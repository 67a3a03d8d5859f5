package op

import "math"

// Log is the natural logarithm.
func init() {
	registerPointwise("Log", 6, fixed(pointwise{
		value: math.Log, fromInput: func(x float64) float64 { return 1 / x },
	}), positiveCase())
}
