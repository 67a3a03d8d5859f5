package op

import (
	"math"

	"tandem/onnx"
)

// Celu is x where x > 0, else alpha * (exp(x/alpha) - 1) (Barron, "Continuously Differentiable Exponential Linear Units", 2017).
func init() {
	registerPointwise("Celu", 12, func(a onnx.Attributes) (pointwise, error) {
		alpha, err := a.Float("alpha", 1)
		return pointwise{
			value: func(x float64) float64 {
				if x > 0 {
					return x
				}
				return alpha * math.Expm1(x/alpha)
			},
			fromInput: func(x float64) float64 {
				if x > 0 {
					return 1
				}
				return math.Exp(x / alpha)
			},
		}, err
	}, matrixCase("default", 0.01, nil), matrixCase("alpha", 0.01, map[string]any{"alpha": 0.3}))
}
