package kernel

import "math"

// Log is y[i] = log(x[i]): -Inf for 0, NaN for negative numbers. In float32 its largest error is 0.89 units in the last place.
func Log[T Float](y, x []T) {
	if k := vectorised[T](); k != nil {
		apply(k.log, y, x)
		return
	}
	Map(y, x, math.Log)
}

// LogGradient is dx[i] = dy[i] / x[i], the same bits on every path.
func LogGradient[T Float](dx, dy, x []T) { Div(dx, dy, x, 1, 1) }
