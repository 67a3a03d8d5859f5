package op

import "math"

// Floor, Ceil, Round (half to even) and Sign are constant between their steps: their gradient is 0 everywhere, as PyTorch's is.
func init() {
	steps := func(name string, since int64, value func(float64) float64) {
		registerPointwise(name, since, fixed(pointwise{value: value, fromInput: func(float64) float64 { return 0 }}),
			Case{Name: "between steps", Inputs: []CaseInput{{Shape: []int{5}, Float: []float64{-1.75, -0.25, 0.25, 1.75, 2.25}}}})
	}
	steps("Floor", 6, math.Floor)
	steps("Ceil", 6, math.Ceil)
	steps("Round", 11, math.RoundToEven)
	steps("Sign", 9, func(x float64) float64 {
		switch {
		case x > 0:
			return 1
		case x < 0:
			return -1
		}
		return x // a zero, or NaN
	})
}
