package kernel

import "math"

// Softmax is y = exp(x - largest) / sum of the same along the middle dimension of outer x n x inner elements, for the vectors
// lo ... hi of the outer*inner ones. The sum is taken in float64 whatever T is. A NaN makes its whole vector NaN. y may be x.
func Softmax[T Float](y, x []T, n, inner, lo, hi int) {
	if k := vectorised[T](); k != nil && inner == 1 {
		for v := lo; v < hi; v++ {
			softmaxRow(k, y[v*n:(v+1)*n], x[v*n:(v+1)*n])
		}
		return
	}
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

func softmaxRow[T Float](k *path, y, x []T) {
	n, sum, largest := len(y), 0.0, float32(largestOf(k, x))
	for i := 0; i < n; i += elementsPerCall {
		sum += k.expSum(address(y, i), address(x, i), min(elementsPerCall, n-i), largest)
	}
	applyNumber(k.mulNumber, y, y, T(1/sum))
}

// largestOf returns the largest element, -Inf of none. Whether NaN counts depends on its place.
func largestOf[T Float](k *path, x []T) T {
	largest := T(math.Inf(-1))
	for i := 0; i < len(x); i += elementsPerCall {
		largest = max(largest, T(k.largest(address(x, i), min(elementsPerCall, len(x)-i))))
	}
	return largest
}

// LogSoftmaxAlong is the logarithm of Softmax, computed without it: x - largest - log(sum).
func LogSoftmaxAlong[T Float](y, x []T, n, inner, lo, hi int) {
	if k := vectorised[T](); k != nil && inner == 1 {
		for v := lo; v < hi; v++ {
			logSoftmaxRow(k, y[v*n:(v+1)*n], x[v*n:(v+1)*n])
		}
		return
	}
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

func logSoftmaxRow[T Float](k *path, y, x []T) {
	n, sum, largest := len(y), 0.0, float32(largestOf(k, x))
	for i := 0; i < n; i += elementsPerCall {
		sum += k.sumExp(address(x, i), min(elementsPerCall, n-i), largest)
	}
	shift := float32(math.Log(sum))
	for i := 0; i < n; i += elementsPerCall {
		k.subtractBoth(address(y, i), address(x, i), min(elementsPerCall, n-i), largest, shift)
	}
}

// SoftmaxGradient is dx = y * (dy - sum of dy * y along the vector). dx may be dy or y.
func SoftmaxGradient[T Float](dx, dy, y []T, n, inner, lo, hi int) {
	if k := vectorised[T](); k != nil && inner == 1 {
		for v := lo; v < hi; v++ {
			dx, dy, y := dx[v*n:(v+1)*n], dy[v*n:(v+1)*n], y[v*n:(v+1)*n]
			sum := 0.0
			for i := 0; i < n; i += elementsPerCall {
				sum += k.dot(address(dy, i), address(y, i), min(elementsPerCall, n-i))
			}
			for i := 0; i < n; i += elementsPerCall {
				k.softmaxGradient(address(dx, i), address(dy, i), address(y, i), min(elementsPerCall, n-i), float32(sum))
			}
		}
		return
	}
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
	if k := vectorised[T](); k != nil && inner == 1 {
		for v := lo; v < hi; v++ {
			dx, dy, y := dx[v*n:(v+1)*n], dy[v*n:(v+1)*n], y[v*n:(v+1)*n]
			sum := sumOf(k, dy)
			for i := 0; i < n; i += elementsPerCall {
				k.logSoftmaxGradient(address(dx, i), address(dy, i), address(y, i), min(elementsPerCall, n-i), float32(sum))
			}
		}
		return
	}
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
