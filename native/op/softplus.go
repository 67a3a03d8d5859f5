package op

import "math"

// Softplus is log(1 + exp(x)). PyTorch returns x itself above 20, where the two differ by less than 2.1e-9.
func init() {
	registerPointwise("Softplus", 1, fixed(pointwise{value: softplus, fromInput: sigmoid}), matrixCase("matrix", 0, nil))
}

func softplus(x float64) float64 { return math.Max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }
