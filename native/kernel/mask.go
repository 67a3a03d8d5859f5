package kernel

// Mask is y[i] = scale * x[i] where keep[i], else 0.
func Mask[T Float](y, x []T, keep []bool, scale T) {
	x, keep = x[:len(y)], keep[:len(y)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(y))
		for i := 0; i < done; i += elementsPerCall {
			k.mask(address(y, i), address(x, i), &keep[i], k.vectors(i, done), float32(scale))
		}
	}
	for i := done; i < len(y); i++ {
		if keep[i] {
			y[i] = scale * x[i]
		} else {
			y[i] = 0
		}
	}
}
