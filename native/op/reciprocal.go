package op

// Reciprocal is 1 / x.
func init() {
	registerPointwise("Reciprocal", 6, fixed(pointwise{
		value: func(x float64) float64 { return 1 / x }, fromOutput: func(y float64) float64 { return -y * y },
	}), matrixCase("matrix", 0.5, nil))
}
