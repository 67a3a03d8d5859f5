package kernel

import "math"

// Softmax is y = exp(x - largest) / sum of the same along the middle dimension of outer x n x inner elements, for the vectors
// lo ... hi of the outer*inner ones. The sum is taken in float64 whatever T is. A NaN makes its whole vector NaN. y may be x.
func Softmax[T Float](y, x []T, n, inner, lo, hi int) {
	if k := vectorised[T](); k != nil && inner == 1 {
		softmaxOfRows(k, y[lo*n:hi*n], x[lo*n:hi*n], n, nil)
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

// SoftmaxWithin is Softmax of the first lengths[r] elements of each row of n; the other elements of y are 0. y may be x.
func SoftmaxWithin[T Float](y, x []T, n int, lengths []int) {
	if k := vectorised[T](); k != nil {
		softmaxOfRows(k, y[:len(lengths)*n], x[:len(lengths)*n], n, lengths)
		return
	}
	for r, length := range lengths {
		row := y[r*n : (r+1)*n]
		Softmax(row[:length], x[r*n:r*n+length], length, 1, 0, 1)
		clear(row[length:])
	}
}

// SoftmaxGradientWithin is SoftmaxGradient of the first lengths[r] elements of each row of n; the other elements of dx are 0.
func SoftmaxGradientWithin[T Float](dx, dy, y []T, n int, lengths []int) {
	if k := vectorised[T](); k != nil {
		softmaxGradientOfRows(k, dx[:len(lengths)*n], dy[:len(lengths)*n], y[:len(lengths)*n], n, lengths)
		return
	}
	for r, length := range lengths {
		row := dx[r*n : (r+1)*n]
		SoftmaxGradient(row[:length], dy[r*n:r*n+length], y[r*n:r*n+length], length, 1, 0, 1)
		clear(row[length:])
	}
}

// eachRows calls f for as many rows of n elements at a time as one call of assembly may take, and with the first of their lengths, if they have any.
func eachRows(elements, n int, lengths []int, f func(at, rows int, lengths *int)) {
	if n == 0 {
		return
	}
	most := max(1, elementsPerCall/n)
	for r := 0; r < elements/n; r += most {
		var first *int
		if lengths != nil {
			first = &lengths[r]
		}
		f(r*n, min(most, elements/n-r), first)
	}
}

func softmaxOfRows[T Float](k *path, y, x []T, n int, lengths []int) {
	if n > elementsPerCall {
		for at := 0; at < len(y); at += n {
			length := n
			if lengths != nil {
				length = lengths[at/n]
			}
			softmaxRow(k, y[at:at+length], x[at:at+length])
			clear(y[at+length : at+n])
		}
		return
	}
	eachRows(len(y), n, lengths, func(at, rows int, lengths *int) { k.softmaxRows(address(y, at), address(x, at), n, lengths, rows) })
}

func softmaxGradientOfRows[T Float](k *path, dx, dy, y []T, n int, lengths []int) {
	if n > elementsPerCall {
		for at := 0; at < len(dx); at += n {
			length := n
			if lengths != nil {
				length = lengths[at/n]
			}
			softmaxGradientRow(k, dx[at:at+length], dy[at:at+length], y[at:at+length])
			clear(dx[at+length : at+n])
		}
		return
	}
	eachRows(len(dx), n, lengths, func(at, rows int, lengths *int) {
		k.softmaxGradientRows(address(dx, at), address(dy, at), address(y, at), n, lengths, rows)
	})
}

func softmaxGradientRow[T Float](k *path, dx, dy, y []T) {
	n, sum := len(dx), 0.0
	for i := 0; i < n; i += elementsPerCall {
		sum += k.dot(address(dy, i), address(y, i), min(elementsPerCall, n-i))
	}
	for i := 0; i < n; i += elementsPerCall {
		k.softmaxGradient(address(dx, i), address(dy, i), address(y, i), min(elementsPerCall, n-i), float32(sum))
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
		softmaxGradientOfRows(k, dx[lo*n:hi*n], dy[lo*n:hi*n], y[lo*n:hi*n], n, nil)
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
