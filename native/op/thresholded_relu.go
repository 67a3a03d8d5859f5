package op

import "tandem/onnx"

// ThresholdedRelu is x where x > alpha, else 0. Shrink is x - bias where x > lambd, x + bias where x < -lambd, else 0: PyTorch's
// Hardshrink and Softshrink.
func init() {
	registerPointwise("ThresholdedRelu", 10, func(a onnx.Attributes) (pointwise, error) {
		alpha, err := a.Float("alpha", 1)
		return pointwise{
			value: func(x float64) float64 {
				if x > alpha {
					return x
				}
				return 0
			},
			fromInput: func(x float64) float64 {
				if x > alpha {
					return 1
				}
				return 0
			},
		}, err
	}, matrixCase("default", 0, nil), matrixCase("alpha", 0, map[string]any{"alpha": -0.3}))
	registerPointwise("Shrink", 9, func(a onnx.Attributes) (pointwise, error) {
		bias, err := a.Float("bias", 0)
		if err != nil {
			return pointwise{}, err
		}
		lambd, err := a.Float("lambd", 0.5)
		return pointwise{
			value: func(x float64) float64 {
				switch {
				case x > lambd:
					return x - bias
				case x < -lambd:
					return x + bias
				}
				return 0
			},
			fromInput: func(x float64) float64 {
				if x > lambd || x < -lambd {
					return 1
				}
				return 0
			},
		}, err
	}, matrixCase("hard", 0, nil), matrixCase("soft", 0, map[string]any{"lambd": 0.3, "bias": 0.3}))
}
