package op

import "tandem/native/kernel"

// Tanh is the hyperbolic tangent.
func init() {
	registerPointwise("Tanh", 6, fixed(pointwise{kernels: &pointwiseKernels{
		kernel.Tanh[float32], kernel.Tanh[float64], kernel.TanhGradient[float32], kernel.TanhGradient[float64], true,
	}}), matrixCase("matrix", 0, nil))
}
