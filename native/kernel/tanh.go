package kernel

import "math"

// Tanh is y[i] = tanh(x[i]). In float32 its largest error is 1.5 units in the last place.
func Tanh[T Float](y, x []T) {
	if k := vectorised[T](); k != nil {
		apply(k.tanh, y, x)
		return
	}
	Map(y, x, math.Tanh)
}

// TanhGradient is dx[i] = dy[i] * (1 - y[i]^2) for y = tanh(x).
func TanhGradient[T Float](dx, dy, y []T) {
	if k := vectorised[T](); k != nil {
		apply2(k.tanhGradient, dx, dy, y)
		return
	}
	MapGradient(dx, dy, y, func(y float64) float64 { return 1 - y*y })
}
