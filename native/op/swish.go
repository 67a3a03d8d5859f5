package op

import (
	"math"

	"tandem/onnx"
)

// Swish is x / (1 + exp(-alpha * x)), PyTorch's SiLU where alpha is 1 (Ramachandran and others, "Searching for Activation Functions", 2017).
func init() {
	registerPointwise("Swish", 24, func(a onnx.Attributes) (pointwise, error) {
		alpha, err := a.Float("alpha", 1)
		sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
		return pointwise{
			value: func(x float64) float64 { return x * sigmoid(alpha*x) },
			fromInput: func(x float64) float64 {
				s := sigmoid(alpha * x)
				return s + alpha*x*s*(1-s)
			},
		}, err
	}, matrixCase("default", 0, nil), matrixCase("alpha", 0, map[string]any{"alpha": 1.7}))
}
