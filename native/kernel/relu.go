package kernel

// Relu is y[i] = max(x[i], 0); NaN stays NaN.
func Relu[T Float](y, x []T) {
	x = x[:len(y)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(y))
		for i := 0; i < done; i += elementsPerCall {
			k.relu(address(y, i), address(x, i), k.vectors(i, done))
		}
	}
	for i := done; i < len(y); i++ {
		v := x[i]
		if v < 0 {
			v = 0
		}
		y[i] = v
	}
}

// ReluGradient is dx[i] = dy[i] where y[i] > 0, else 0.
func ReluGradient[T Float](dx, dy, y []T) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(dx))
		for i := 0; i < done; i += elementsPerCall {
			k.reluGradient(address(dx, i), address(dy, i), address(y, i), k.vectors(i, done))
		}
	}
	for i := done; i < len(dx); i++ {
		if y[i] > 0 {
			dx[i] = dy[i]
		} else {
			dx[i] = 0
		}
	}
}
