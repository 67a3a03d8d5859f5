package op

import (
	"math"

	"tandem/onnx"
)

// The constants of Selu's paper, which PyTorch computes with in float64. ONNX gives their float32 neighbours for defaults.
const (
	seluAlpha = 1.6732632423543772848170429916717
	seluGamma = 1.0507009873554804934193349852946
)

// Elu is x where x > 0, else alpha * (exp(x) - 1). Selu is gamma times the same, with fixed defaults (Klambauer and others,
// "Self-Normalizing Neural Networks", 2017).
func init() {
	exactly := func(x, constant float64) float64 {
		if float32(x) == float32(constant) {
			return constant
		}
		return x
	}
	registerPointwise("Elu", 6, func(a onnx.Attributes) (pointwise, error) {
		alpha, err := a.Float("alpha", 1)
		return elu(alpha, 1), err
	}, matrixCase("default", 0.01, nil), matrixCase("alpha", 0.01, map[string]any{"alpha": 0.3}))
	registerPointwise("Selu", 6, func(a onnx.Attributes) (pointwise, error) {
		alpha, err := a.Float("alpha", seluAlpha)
		if err != nil {
			return pointwise{}, err
		}
		gamma, err := a.Float("gamma", seluGamma)
		return elu(exactly(alpha, seluAlpha), exactly(gamma, seluGamma)), err
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
