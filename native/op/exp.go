package op

import "tandem/native/kernel"

// Exp is the exponential function.
func init() {
	registerPointwise("Exp", 6, fixed(pointwise{kernels: &pointwiseKernels{
		kernel.Exp[float32], kernel.Exp[float64], kernel.ExpGradient[float32], kernel.ExpGradient[float64], true,
	}}), matrixCase("matrix", 0, nil))
}
