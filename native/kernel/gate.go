package kernel

// Gate is dx[i] = scale * dy[i] where y[i] > 0, else 0: the gradient of an activation that is zero or rises with one slope, such as a rectifier
// followed by a dropout, from its result y.
func Gate[T Float](dx, dy, y []T, scale T) {
	dy, y = dy[:len(dx)], y[:len(dx)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(dx))
		for i := 0; i < done; i += elementsPerCall {
			k.gate(address(dx, i), address(dy, i), address(y, i), k.vectors(i, done), float32(scale))
		}
	}
	for i := done; i < len(dx); i++ {
		if y[i] > 0 {
			dx[i] = scale * dy[i]
		} else {
			dx[i] = 0
		}
	}
}
