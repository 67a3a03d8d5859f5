package kernel

import "math"

// Softmax is y = exp(x - largest) / sum of the same along the middle dimension of outer x n x inner elements, for the vectors
// lo ... hi of the outer*inner ones. The sum is taken in float64 whatever T is. A NaN makes its whole vector NaN.
func Softmax[T Float](y, x []T, n, inner, lo, hi int) {
	for v := lo; v < hi; v++ {
		at := v/inner*n*inner + v%inner
		largest, sum := largestAlong(x, at, n, inner), 0.0
		for i := range n {
			sum += math.Exp(float64(x[at+i*inner] - largest))
		}
		for i := range n {
			y[at+i*inner] = T(math.Exp(float64(x[at+i*inner]-largest)) / sum)
		}
	}
}

// LogSoftmaxAlong is the logarithm of Softmax, computed without it: x - largest - log(sum).
func LogSoftmaxAlong[T Float](y, x []T, n, inner, lo, hi int) {
	for v := lo; v < hi; v++ {
		at := v/inner*n*inner + v%inner
		largest, sum := largestAlong(x, at, n, inner), 0.0
		for i := range n {
			sum += math.Exp(float64(x[at+i*inner] - largest))
		}
		shift := math.Log(sum)
		for i := range n {
			y[at+i*inner] = T(float64(x[at+i*inner]-largest) - shift)
		}
	}
}

// SoftmaxGradient is dx = y * (dy - sum of dy * y along the vector).
func SoftmaxGradient[T Float](dx, dy, y []T, n, inner, lo, hi int) {
	for v := lo; v < hi; v++ {
		at, sum := v/inner*n*inner+v%inner, 0.0
		for i := range n {
			sum += float64(dy[at+i*inner]) * float64(y[at+i*inner])
		}
		for i := range n {
			j := at + i*inner
			dx[j] = T(float64(y[j]) * (float64(dy[j]) - sum))
		}
	}
}

// LogSoftmaxGradient is dx = dy - exp(y) * sum of dy along the vector.
func LogSoftmaxGradient[T Float](dx, dy, y []T, n, inner, lo, hi int) {
	for v := lo; v < hi; v++ {
		at, sum := v/inner*n*inner+v%inner, 0.0
		for i := range n {
			sum += float64(dy[at+i*inner])
		}
		for i := range n {
			j := at + i*inner
			dx[j] = T(float64(dy[j]) - math.Exp(float64(y[j]))*sum)
		}
	}
}

func largestAlong[T Float](x []T, at, n, step int) T {
	largest := T(math.Inf(-1))
	for i := range n {
		largest = max(largest, x[at+i*step])
	}
	return largest
}
