package op

import (
	"math"

	"tandem/onnx"
)

// Elu is x where x > 0, else alpha * (exp(x) - 1). Selu is gamma times the same, with fixed defaults (Klambauer and others,
// "Self-Normalizing Neural Networks", 2017).
func init() {
	registerPointwise("Elu", 6, func(a onnx.Attributes) (pointwise, error) {
		alpha, err := a.Float("alpha", 1)
		return elu(alpha, 1), err
	}, matrixCase("default", 0.01, nil), matrixCase("alpha", 0.01, map[string]any{"alpha": 0.3}))
	registerPointwise("Selu", 6, func(a onnx.Attributes) (pointwise, error) {
		alpha, err := a.Float("alpha", 1.67326319217681884765625)
		if err != nil {
			return pointwise{}, err
		}
		gamma, err := a.Float("gamma", 1.05070102214813232421875)
		return elu(alpha, gamma), err
	}, matrixCase("default", 0.01, nil), matrixCase("alpha and gamma", 0.01, map[string]any{"alpha": 0.5, "gamma": 2.0}))
}

func elu(alpha, gamma float64) pointwise {
	return pointwise{
		value: func(x float64) float64 {
			if x > 0 {
				return gamma * x
			}
			return gamma * alpha * math.Expm1(x)
		},
		fromInput: func(x float64) float64 {
			if x > 0 {
				return gamma
			}
			return gamma * alpha * math.Exp(x)
		},
	}
}
