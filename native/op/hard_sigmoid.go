package op

import (
	"math"

	"tandem/onnx"
)

// HardSigmoid is alpha * x + beta held between 0 and 1; HardSwish is x times it with alpha 1/6 and beta 1/2 (Howard and others,
// "Searching for MobileNetV3", 2019). At the two kinks the gradients are PyTorch's.
func init() {
	registerPointwise("HardSigmoid", 6, func(a onnx.Attributes) (pointwise, error) {
		alpha, err := a.Float("alpha", 0.2)
		if err != nil {
			return pointwise{}, err
		}
		beta, err := a.Float("beta", 0.5)
		return pointwise{
			value: func(x float64) float64 { return math.Max(0, math.Min(1, alpha*x+beta)) },
			fromOutput: func(y float64) float64 {
				if y > 0 && y < 1 {
					return alpha
				}
				return 0
			},
		}, err
	}, matrixCase("default", 0, nil), matrixCase("PyTorch's", 0, map[string]any{"alpha": 1.0 / 6, "beta": 0.5}), matrixCase("steep", 0, map[string]any{"alpha": 0.9, "beta": 0.4}))
	registerPointwise("HardSwish", 14, fixed(pointwise{
		value: func(x float64) float64 { return x * math.Max(0, math.Min(1, x/6+0.5)) },
		fromInput: func(x float64) float64 {
			switch {
			case x <= -3:
				return 0
			case x < 3:
				return x/3 + 0.5
			}
			return 1
		},
	}), matrixCase("middle", 0, nil), Case{Name: "outside", Inputs: []CaseInput{{Shape: []int{4}, Float: []float64{-5, -2, 2, 5}}}})
}
