package kernel

import "math"

// Sigmoid is y[i] = 1/(1 + exp(-x[i])). In float32 its largest error is 2.41 units in the last place.
func Sigmoid[T Float](y, x []T) {
	if k := vectorised[T](); k != nil {
		apply(k.sigmoid, y, x)
		return
	}
	Map(y, x, sigmoid)
}

// sigmoid never takes the exponential of a positive number, so that it does not overflow.
func sigmoid(x float64) float64 {
	if x >= 0 {
		return 1 / (1 + math.Exp(-x))
	}
	e := math.Exp(x)
	return e / (1 + e)
}

// SigmoidGradient is dx[i] = dy[i] * y[i] * (1 - y[i]) for y = sigmoid(x).
func SigmoidGradient[T Float](dx, dy, y []T) {
	if k := vectorised[T](); k != nil {
		apply2(k.sigmoidGradient, dx, dy, y)
		return
	}
	MapGradient(dx, dy, y, func(y float64) float64 { return y * (1 - y) })
}
