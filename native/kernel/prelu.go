package kernel

// PRelu is y[i] = x where x >= 0, else slope * x, for x = x[i*stepX] and slope = slope[i*stepSlope].
func PRelu[T Float](y, x, slope []T, stepX, stepSlope int) {
	for i := range y {
		v := x[i*stepX]
		if v < 0 {
			v *= slope[i*stepSlope]
		}
		y[i] = v
	}
}

// PReluSlope is what the gradient of PRelu's x is multiplied with: y[i] = 1 where x > 0, else slope.
func PReluSlope[T Float](y, x, slope []T, stepX, stepSlope int) {
	for i := range y {
		y[i] = slope[i*stepSlope]
		if x[i*stepX] > 0 {
			y[i] = 1
		}
	}
}
