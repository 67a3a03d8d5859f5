package kernel

import "math"

// Erf is y[i] = erf(x[i]), the error function. In float32 its largest error is 1.08 units in the last place.
func Erf[T Float](y, x []T) {
	if k := vectorised[T](); k != nil {
		apply(k.erf, y, x)
		return
	}
	Map(y, x, math.Erf)
}

// ErfGradient is dx[i] = dy[i] * 2/sqrt(pi) exp(-x[i]^2). In float32 the largest error of the derivative is 2.35 units in the last place.
func ErfGradient[T Float](dx, dy, x []T) {
	if k := vectorised[T](); k != nil {
		apply2(k.erfGradient, dx, dy, x)
		return
	}
	MapGradient(dx, dy, x, func(x float64) float64 { return 2 / math.Sqrt(math.Pi) * math.Exp(-x*x) })
}
