package kernel

import "math"

// LayerNorm brings each row of x, of the given number of columns, to mean 0 and variance 1 and then to y = scale * x + shift,
// for rows lo ... hi; shift may be nil. It keeps each row's mean and 1 / sqrt(variance + epsilon). Sums are taken in float64
// whatever T is, the variance from the differences to the mean (Ba, Kiros and Hinton, "Layer Normalization", 2016).
func LayerNorm[T Float](y, mean, inverse, x, scale, shift []T, columns int, epsilon float64, lo, hi int) {
	scale = scale[:columns]
	for r := lo; r < hi; r++ {
		in, out := x[r*columns:(r+1)*columns], y[r*columns:(r+1)*columns]
		sum := 0.0
		for _, v := range in {
			sum += float64(v)
		}
		middle := sum / float64(columns)
		squares := 0.0
		for _, v := range in {
			d := float64(v) - middle
			squares += d * d
		}
		// Rounded first, so that the gradient sees the numbers that the result was computed from.
		mean[r], inverse[r] = T(middle), T(1/math.Sqrt(squares/float64(columns)+epsilon))
		m, f := mean[r], inverse[r]
		if shift == nil {
			for i, v := range in {
				out[i] = (v - m) * f * scale[i]
			}
			continue
		}
		for i, v := range in {
			out[i] = (v-m)*f*scale[i] + shift[i]
		}
	}
}

// LayerNormGradient is, with g = dy * scale and z the normalized row,
//
//	dx = (g - mean of g - z * mean of g * z) * inverse
//
// for rows lo ... hi, and adds their part to dScale, the sum of dy * z over rows, and to dShift, that of dy. Each of the three may be nil.
func LayerNormGradient[T Float](dx, dScale, dShift, dy, x, mean, inverse, scale []T, columns, lo, hi int) {
	scale = scale[:columns]
	for r := lo; r < hi; r++ {
		in, upstream := x[r*columns:(r+1)*columns], dy[r*columns:(r+1)*columns]
		m, f := mean[r], inverse[r]
		if dShift != nil {
			Accumulate(dShift[:columns], upstream)
		}
		if dScale != nil {
			for i, v := range in {
				dScale[i] += upstream[i] * ((v - m) * f)
			}
		}
		if dx == nil {
			continue
		}
		sum, product := 0.0, 0.0
		for i, v := range in {
			g := float64(upstream[i]) * float64(scale[i])
			sum += g
			product += g * float64((v-m)*f)
		}
		meanG, meanZ := T(sum/float64(columns)), T(product/float64(columns))
		out := dx[r*columns : (r+1)*columns]
		for i, v := range in {
			out[i] = (upstream[i]*scale[i] - meanG - (v-m)*f*meanZ) * f
		}
	}
}
