package op

import "tandem/native/kernel"

// Erf is the Gauss error function.
func init() {
	registerPointwise("Erf", 9, fixed(pointwise{kernels: &pointwiseKernels{
		kernel.Erf[float32], kernel.Erf[float64], kernel.ErfGradient[float32], kernel.ErfGradient[float64], false,
	}}), matrixCase("matrix", 0, nil))
}
