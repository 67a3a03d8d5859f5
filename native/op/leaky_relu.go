package op

import "tandem/onnx"

// LeakyRelu is x where x >= 0, else alpha * x. Its gradient at 0 is alpha, as PyTorch's is.
func init() {
	registerPointwise("LeakyRelu", 6, func(a onnx.Attributes) (pointwise, error) {
		alpha, err := a.Float("alpha", 0.01)
		return pointwise{
			value: func(x float64) float64 {
				if x >= 0 {
					return x
				}
				return alpha * x
			},
			fromInput: func(x float64) float64 {
				if x > 0 {
					return 1
				}
				return alpha
			},
		}, err
	}, matrixCase("default", 0.01, nil), matrixCase("alpha", 0.01, map[string]any{"alpha": 0.2}))
}
