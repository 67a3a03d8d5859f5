package kernel

// Max is y[i] = max(a[i*stepA], b[i*stepB]), NaN where either is NaN. y may be a or b when its step is 1.
func Max[T Float](y, a, b []T, stepA, stepB int) {
	for i := range y {
		y[i] = max(a[i*stepA], b[i*stepB])
	}
}

// Min is y[i] = min(a[i*stepA], b[i*stepB]), NaN where either is NaN. y may be a or b when its step is 1.
func Min[T Float](y, a, b []T, stepA, stepB int) {
	for i := range y {
		y[i] = min(a[i*stepA], b[i*stepB])
	}
}
