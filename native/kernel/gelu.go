package kernel

import "math"

// Gelu is y[i] = x[i] Phi(x[i]), Phi being the normal distribution function (Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016).
// For -Inf it is 0, the limit. In float32 its largest error is 5.4 units in the last place of the result, whatever the sign of x and however small
// the result; for x > -1 it is 2.13.
func Gelu[T Float](y, x []T) {
	if k := vectorised[T](); k != nil {
		apply(k.gelu, y, x)
		return
	}
	Map(y, x, gelu)
}

// geluBound is where Phi(-x) is 0 even in float64; beyond it the formulas would multiply infinity with 0.
const geluBound = 39

func gelu(x float64) float64 {
	if x < -geluBound {
		return math.Copysign(0, -1)
	}
	return 0.5 * x * math.Erfc(-x/math.Sqrt2)
}

// GeluGradient is dx[i] = dy[i] * (Phi(x[i]) + x[i] phi(x[i])), phi being the normal density.
// In float32 the largest error of the derivative is 2.9 units in the last place of the larger of it and the sum of its terms' sizes: it is 0
// near x = -0.75.
func GeluGradient[T Float](dx, dy, x []T) {
	if k := vectorised[T](); k != nil {
		apply2(k.geluGradient, dx, dy, x)
		return
	}
	MapGradient(dx, dy, x, geluDerivative)
}

func geluDerivative(x float64) float64 {
	x = max(-geluBound, min(x, geluBound))
	return 0.5*math.Erfc(-x/math.Sqrt2) + x*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
}

// GeluBoth is GeluGradient, and then puts Gelu of x in the place of x: the bits of both, but what they have in common is computed once.
func GeluBoth[T Float](dx, dy, x []T) {
	if k := vectorised[T](); k != nil {
		apply2(k.geluBoth, dx, dy, x)
		return
	}
	GeluGradient(dx, dy, x)
	Gelu(x, x)
}

// GeluTanh is Hendrycks and Gimpel's approximation of Gelu, 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), computed as x times the sigmoid
// function of twice tanh's argument, which is the same and does not cancel. In float32 its largest error is
// 2.7 units in the last place, for negative x of the result times 1 + |2u|: u, tanh's argument, is rounded before its exponential is taken.
func GeluTanh[T Float](y, x []T) {
	if k := vectorised[T](); k != nil {
		apply(k.geluTanh, y, x)
		return
	}
	Map(y, x, geluTanh)
}

func geluTanh(x float64) float64 { return max(x, -geluBound) * sigmoid(geluTanhInner(x)) }

func geluTanhInner(x float64) float64 { return 2 * math.Sqrt(2/math.Pi) * (x + 0.044715*x*x*x) }

// GeluTanhGradient is dx[i] = dy[i] times the derivative of GeluTanh at x[i]. In float32 the largest error of the derivative is 1 + |2u| times 3.7
// units in the last place of what is added up.
func GeluTanhGradient[T Float](dx, dy, x []T) {
	if k := vectorised[T](); k != nil {
		apply2(k.geluTanhGradient, dx, dy, x)
		return
	}
	MapGradient(dx, dy, x, geluTanhDerivative)
}

func geluTanhDerivative(x float64) float64 {
	x = max(-geluBound, min(x, geluBound))
	inner := geluTanhInner(x)
	return sigmoid(inner) + x*sigmoid(inner)*sigmoid(-inner)*2*math.Sqrt(2/math.Pi)*(1+3*0.044715*x*x)
}
