package kernel

import "math"

// LpNormalize divides the vectors lo ... hi along the middle dimension of outer x n x inner elements by their norm: the root of the sum of
// squares or, with absolute, the sum of absolute values. Where that is 0 the result is too.
func LpNormalize[T Float](y, x []T, n, inner, lo, hi int, absolute bool) {
	for v := lo; v < hi; v++ {
		at := v/inner*n*inner + v%inner
		norm := normAlong(x, at, n, inner, absolute)
		for i := range n {
			j := at + i*inner
			y[j] = 0
			if norm != 0 {
				y[j] = T(float64(x[j]) / norm)
			}
		}
	}
}

// LpNormalizeGradient is dx = (dy - s * sum of dy*y) / norm, where s is y, or with absolute the sign of x; 0 where the norm is.
func LpNormalizeGradient[T Float](dx, dy, x []T, n, inner, lo, hi int, absolute bool) {
	for v := lo; v < hi; v++ {
		at := v/inner*n*inner + v%inner
		norm, sum := normAlong(x, at, n, inner, absolute), 0.0
		if norm == 0 {
			for i := range n {
				dx[at+i*inner] = 0
			}
			continue
		}
		for i := range n {
			j := at + i*inner
			sum += float64(dy[j]) * float64(x[j]) / norm
		}
		for i := range n {
			j := at + i*inner
			s := float64(x[j]) / norm
			if absolute {
				s = sign(float64(x[j]))
			}
			dx[j] = T((float64(dy[j]) - s*sum) / norm)
		}
	}
}

func normAlong[T Float](x []T, at, n, step int, absolute bool) float64 {
	sum := 0.0
	for i := range n {
		v := float64(x[at+i*step])
		if absolute {
			sum += math.Abs(v)
		} else {
			sum += v * v
		}
	}
	if absolute {
		return sum
	}
	return math.Sqrt(sum)
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return x
}

// Hardmax is 1 at the first of the largest elements of the vectors lo ... hi along the middle dimension of outer x n x inner elements,
// and 0 elsewhere.
func Hardmax[T Float](y, x []T, n, inner, lo, hi int) {
	for v := lo; v < hi; v++ {
		at, best := v/inner*n*inner+v%inner, 0
		for i := range n {
			y[at+i*inner] = 0
			if x[at+i*inner] > x[at+best*inner] {
				best = i
			}
		}
		if n > 0 {
			y[at+best*inner] = 1
		}
	}
}
