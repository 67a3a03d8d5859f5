package op

import "math"

// Sin and Cos are the sine and cosine of an angle in radians.
func init() {
	registerPointwise("Sin", 7, fixed(pointwise{value: math.Sin, fromInput: math.Cos}), matrixCase("matrix", 0, nil))
	registerPointwise("Cos", 7, fixed(pointwise{
		value: math.Cos, fromInput: func(x float64) float64 { return -math.Sin(x) },
	}), matrixCase("matrix", 0, nil))
}
