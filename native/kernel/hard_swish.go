package kernel

// HardSwish is y[i] = x[i] * min(max(x[i] + 3, 0), 6) / 6 (Howard and others, "Searching for MobileNetV3", 2019), with the sum first: near -3, where it is small, it is then exact.
// The division is a multiplication, so that the result is off by at most 2 units in the last place.
func HardSwish[T Float](y, x []T) {
	x = x[:len(y)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(y))
		for i := 0; i < done; i += elementsPerCall {
			k.hardSwish(address(y, i), address(x, i), k.vectors(i, done))
		}
	}
	const sixth = 1.0 / 6
	for i := done; i < len(y); i++ {
		v := x[i]
		gate := v + 3
		if gate < 0 {
			gate = 0
		}
		if gate > 6 {
			gate = 6
		}
		y[i] = v * gate * T(sixth)
	}
}

// HardSwishGradient is dx[i] = dy[i] * (x[i] / 3 + 1/2), 0 where x[i] <= -3 and dy[i] where x[i] >= 3: at the kinks what PyTorch has.
func HardSwishGradient[T Float](dx, dy, x []T) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(dx))
		for i := 0; i < done; i += elementsPerCall {
			k.hardSwishGradient(address(dx, i), address(dy, i), address(x, i), k.vectors(i, done))
		}
	}
	const third = 1.0 / 3
	for i := done; i < len(dx); i++ {
		v := x[i]
		d := T(1)
		if v < 3 {
			d = T(v*T(third)) + 0.5
		}
		if v <= -3 {
			dx[i] = 0
		} else {
			dx[i] = dy[i] * d
		}
	}
}
