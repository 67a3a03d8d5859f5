package kernel

// Map is y[i] = f(x[i]), computed in float64 and rounded once. A NaN goes through f like any other number; the functions of
// package math return NaN for it.
//
// For float32 this is more accurate than PyTorch's own float32 functions and slower: a later implementation may compute in float32
// and several elements at a time, with this one as its reference.
func Map[T Float](y, x []T, f func(float64) float64) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = T(f(float64(v)))
	}
}

// MapGradient is dx[i] = dy[i] * derivative(v[i]), computed in float64 and rounded once.
func MapGradient[T Float](dx, dy, v []T, derivative func(float64) float64) {
	dy, v = dy[:len(dx)], v[:len(dx)]
	for i, x := range v {
		dx[i] = T(float64(dy[i]) * derivative(float64(x)))
	}
}
