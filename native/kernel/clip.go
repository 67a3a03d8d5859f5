package kernel

// Clip is y[i] = min(max(x[i], least), most), so most where the bounds are the wrong way round; NaN stays NaN.
func Clip[T Float](y, x []T, least, most T) {
	x = x[:len(y)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(y))
		for i := 0; i < done; i += elementsPerCall {
			k.clip(address(y, i), address(x, i), k.vectors(i, done), float32(least), float32(most))
		}
	}
	for i := done; i < len(y); i++ {
		v := x[i]
		if v < least {
			v = least
		}
		if v > most {
			v = most
		}
		y[i] = v
	}
}

// ClipGradient is dx[i] = dy[i] where least < x[i] < most, else 0.
func ClipGradient[T Float](dx, dy, x []T, least, most T) {
	dy, x = dy[:len(dx)], x[:len(dx)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(dx))
		for i := 0; i < done; i += elementsPerCall {
			k.clipGradient(address(dx, i), address(dy, i), address(x, i), k.vectors(i, done), float32(least), float32(most))
		}
	}
	for i := done; i < len(dx); i++ {
		if v := x[i]; least < v && v < most {
			dx[i] = dy[i]
		} else {
			dx[i] = 0
		}
	}
}
