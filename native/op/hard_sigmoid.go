package op

import (
	"math"

	"tandem/native/kernel"
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
		// The file holds float32, whose shortest decimal is off PyTorch's sixth by 2e-8. PyTorch's own gradient has it in float32 even where it
		// computes in float64.
		slope := alpha
		if float32(alpha) == float32(1.0/6) {
			alpha, slope = 1.0/6, float64(float32(1.0/6))
		}
		beta, err := a.Float("beta", 0.5)
		return pointwise{
			value: func(x float64) float64 { return math.Max(0, math.Min(1, alpha*x+beta)) },
			fromOutput: func(y float64) float64 {
				if y > 0 && y < 1 {
					return slope
				}
				return 0
			},
		}, err
	}, matrixCase("default", 0, nil), matrixCase("PyTorch's", 0, map[string]any{"alpha": onnx.Widen(1.0 / 6), "beta": 0.5}), matrixCase("steep", 0, map[string]any{"alpha": 0.9, "beta": 0.4}))
	registerPointwise("HardSwish", 14, fixed(pointwise{kernels: &pointwiseKernels{
		float32s: kernel.HardSwish[float32], float64s: kernel.HardSwish[float64],
		gradient: kernel.HardSwishGradient[float32], gradient64: kernel.HardSwishGradient[float64],
	}}), matrixCase("middle", 0, nil), Case{Name: "outside", Inputs: []CaseInput{{Shape: []int{4}, Float: []float64{-5, -2, 2, 5}}}})
}
