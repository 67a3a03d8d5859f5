package kernel

import "math"

// RMSNorm divides each row of so many columns by the root of its mean square and multiplies it elementwise with scale, for rows lo ... hi
// (Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019):
//
//	y = x * inverse * scale, inverse = 1/sqrt(mean of x*x + epsilon)
func RMSNorm[T Float](y, inverse, x, scale []T, columns int, epsilon float64, lo, hi int) {
	for r := lo; r < hi; r++ {
		in, out := x[r*columns:(r+1)*columns], y[r*columns:(r+1)*columns]
		inv := T(1 / math.Sqrt(squares64(in, 0)/float64(columns)+epsilon))
		inverse[r] = inv
		for j, v := range in {
			out[j] = v * inv * scale[j]
		}
	}
}

// RMSNormGradient is the gradient of RMSNorm in rows lo ... hi. dx, when it is not nil, is set:
//
//	dx = inverse * (g - z * mean of g*z), g = dy * scale, z = x * inverse
//
// dScale, when it is not nil, has the sum over the rows of dy * z added to it.
func RMSNormGradient[T Float](dx, dScale, dy, x, inverse, scale []T, columns, lo, hi int) {
	for r := lo; r < hi; r++ {
		in, upstream, inv := x[r*columns:(r+1)*columns], dy[r*columns:(r+1)*columns], inverse[r]
		if dScale != nil {
			for j, d := range upstream {
				dScale[j] += d * in[j] * inv
			}
		}
		if dx == nil {
			continue
		}
		sum := 0.0
		for j, d := range upstream {
			sum += float64(d) * float64(scale[j]) * float64(in[j])
		}
		out := dx[r*columns : (r+1)*columns]
		slope := T(sum * float64(inv) * float64(inv) / float64(columns))
		for j, d := range upstream {
			out[j] = inv * (d*scale[j] - in[j]*slope)
		}
	}
}
