package op

import "tandem/native/kernel"

// Log is the natural logarithm.
func init() {
	registerPointwise("Log", 6, fixed(pointwise{kernels: &pointwiseKernels{
		kernel.Log[float32], kernel.Log[float64], kernel.LogGradient[float32], kernel.LogGradient[float64], false,
	}}), positiveCase())
}
