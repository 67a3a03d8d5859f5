package op

import "tandem/native/kernel"

// Sigmoid is 1 / (1 + exp(-x)).
func init() {
	registerPointwise("Sigmoid", 6, fixed(pointwise{kernels: &pointwiseKernels{
		kernel.Sigmoid[float32], kernel.Sigmoid[float64], kernel.SigmoidGradient[float32], kernel.SigmoidGradient[float64], true,
	}}), matrixCase("matrix", 0, nil))
}
