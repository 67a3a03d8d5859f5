package kernel

// Convert is y[i] = f(x[i]).
func Convert[Y, X any](y []Y, x []X, f func(X) Y) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = f(v)
	}
}
