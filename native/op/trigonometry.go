package op

import "math"

// The trigonometric and hyperbolic functions, of angles in radians, and their inverses.
func init() {
	inside := Case{Name: "inside -1 to 1", Inputs: []CaseInput{{Shape: []int{2, 3}, Float: []float64{-0.9, -0.5, -0.125, 0.25, 0.5, 0.75}}}}
	above := Case{Name: "above 1", Inputs: []CaseInput{{Shape: []int{2, 2}, Float: []float64{1.125, 1.5, 2, 7.5}}}}
	matrix := matrixCase("matrix", 0, nil)
	angle := Case{Name: "away from poles", Inputs: []CaseInput{{Shape: []int{5}, Float: []float64{-1.25, -0.5, 0.125, 0.75, 2.5}}}}
	function := func(name string, since int64, value, derivative func(float64) float64, c Case) {
		registerPointwise(name, since, fixed(pointwise{value: value, fromInput: derivative}), c)
	}
	root := func(x float64) float64 { return 1 / math.Sqrt(x) }
	function("Sin", 7, math.Sin, math.Cos, matrix)
	function("Cos", 7, math.Cos, func(x float64) float64 { return -math.Sin(x) }, matrix)
	function("Tan", 7, math.Tan, func(x float64) float64 { return 1 + math.Tan(x)*math.Tan(x) }, angle)
	function("Asin", 7, math.Asin, func(x float64) float64 { return root(1 - x*x) }, inside)
	function("Acos", 7, math.Acos, func(x float64) float64 { return -root(1 - x*x) }, inside)
	function("Atan", 7, math.Atan, func(x float64) float64 { return 1 / (1 + x*x) }, matrix)
	function("Sinh", 9, math.Sinh, math.Cosh, matrix)
	function("Cosh", 9, math.Cosh, math.Sinh, matrix)
	function("Asinh", 9, math.Asinh, func(x float64) float64 { return root(1 + x*x) }, matrix)
	function("Acosh", 9, math.Acosh, func(x float64) float64 { return root(x*x - 1) }, above)
	function("Atanh", 9, math.Atanh, func(x float64) float64 { return 1 / (1 - x*x) }, inside)
}
