package kernel

import "math"

// Exp is y[i] = exp(x[i]). In float32 its largest error is 0.89 units in the last place.
func Exp[T Float](y, x []T) {
	if k := vectorised[T](); k != nil {
		apply(k.exp, y, x)
		return
	}
	Map(y, x, math.Exp)
}

// ExpGradient is dx[i] = dy[i] * y[i] for y = exp(x), the same bits on every path.
func ExpGradient[T Float](dx, dy, y []T) { Mul(dx, dy, y, 1, 1) }
