package kernel

import "math"

// LayerNorm brings each row of x, of the given number of columns, to mean 0 and variance 1 and then to y = scale * x + shift,
// for rows lo ... hi; shift may be nil. It keeps each row's mean and 1 / sqrt(variance + epsilon). Sums are taken in float64
// whatever T is, the variance from the differences to the mean (Ba, Kiros and Hinton, "Layer Normalization", 2016).
func LayerNorm[T Float](y, mean, inverse, x, scale, shift []T, columns int, epsilon float64, lo, hi int) {
	scale = scale[:columns]
	if k := vectorised[T](); k != nil {
		layerNorm(k, y, mean, inverse, x, scale, shift, columns, epsilon, lo, hi)
		return
	}
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
		normalizeRow(out, in, scale, shift, mean[r], inverse[r])
	}
}

// LayerNormAgain gives the y of LayerNorm once more, with the same bits, from the means and inverse deviations that it kept.
func LayerNormAgain[T Float](y, mean, inverse, x, scale, shift []T, columns, lo, hi int) {
	scale = scale[:columns]
	k := vectorised[T]()
	for r := lo; r < hi; r++ {
		in, out := x[r*columns:(r+1)*columns], y[r*columns:(r+1)*columns]
		if k != nil {
			normalizeRowBy(k, out, in, scale, shift, float32(mean[r]), float32(inverse[r]))
		} else {
			normalizeRow(out, in, scale, shift, mean[r], inverse[r])
		}
	}
}

func normalizeRow[T Float](out, in, scale, shift []T, mean, inverse T) {
	if shift == nil {
		for i, v := range in {
			out[i] = (v - mean) * inverse * scale[i]
		}
		return
	}
	for i, v := range in {
		out[i] = (v-mean)*inverse*scale[i] + shift[i]
	}
}

func normalizeRowBy[T Float](k *path, out, in, scale, shift []T, mean, inverse float32) {
	for i := 0; i < len(in); i += elementsPerCall {
		n := min(elementsPerCall, len(in)-i)
		if shift == nil {
			k.normalizeUnshifted(address(out, i), address(in, i), address(scale, i), n, mean, inverse)
		} else {
			k.normalize(address(out, i), address(in, i), address(scale, i), address(shift[:len(in)], i), n, mean, inverse)
		}
	}
}

// groupsOfRows calls f for as many groups of rows, of lo ... hi, as one call of assembly may take, and returns the first row that is in no group: those at the
// end, or all where a row is not of whole vectors.
func groupsOfRows(k *path, columns, rows, lo, hi int, f func(row, groups int)) int {
	if columns == 0 || columns%k.lanes != 0 || columns > elementsPerCall {
		return lo
	}
	most := max(1, elementsPerCall/(rows*columns))
	for hi-lo >= rows {
		groups := min(most, (hi-lo)/rows)
		f(lo, groups)
		lo += groups * rows
	}
	return lo
}

func layerNorm[T Float](k *path, y, mean, inverse, x, scale, shift []T, columns int, epsilon float64, lo, hi int) {
	if shift != nil && lo < hi {
		_, _, _, _, _ = y[:hi*columns], x[:hi*columns], mean[:hi], inverse[:hi], shift[:columns]
		lo = groupsOfRows(k, columns, 2, lo, hi, func(r, groups int) {
			k.layerNormRows(address(y, r*columns), address(mean, r), address(inverse, r), address(x, r*columns), address(scale, 0), address(shift, 0), columns, groups, epsilon)
		})
	}
	for r := lo; r < hi; r++ {
		in, out := x[r*columns:(r+1)*columns], y[r*columns:(r+1)*columns]
		middle := sumOf(k, in) / float64(columns)
		squares := squaresOf(k, in, middle)
		mean[r], inverse[r] = T(middle), T(1/math.Sqrt(squares/float64(columns)+epsilon))
		normalizeRowBy(k, out, in, scale, shift, float32(mean[r]), float32(inverse[r]))
	}
}

// LayerNormGradient is, with g = dy * scale and z the normalized row,
//
//	dx = (g - mean of g - z * mean of g * z) * inverse
//
// for rows lo ... hi, and adds their part to dScale, the sum of dy * z over rows, and to dShift, that of dy. Each of the three may be nil. Added, if it is
// not nil, is added to dx.
func LayerNormGradient[T Float](dx, dScale, dShift, dy, x, mean, inverse, scale, added []T, columns, lo, hi int) {
	scale = scale[:columns]
	if k := vectorised[T](); k != nil && dx != nil && dScale != nil && dShift != nil && lo < hi {
		lo = layerNormGradientRows(k, dx, dScale, dShift, dy, x, mean, inverse, scale, added, columns, lo, hi)
	}
	layerNormGradient(dx, dScale, dShift, dy, x, mean, inverse, scale, columns, lo, hi)
	if added != nil && dx != nil {
		Accumulate(dx[lo*columns:hi*columns], added[lo*columns:hi*columns])
	}
}

// layerNormGradientRows does as many rows as it can in groups and returns the first of the others.
func layerNormGradientRows[T Float](k *path, dx, dScale, dShift, dy, x, mean, inverse, scale, added []T, columns, lo, hi int) int {
	_, _, _, _, _ = dx[:hi*columns], dy[:hi*columns], x[:hi*columns], mean[:hi], inverse[:hi]
	dScale, dShift = dScale[:columns], dShift[:columns]
	if added != nil {
		_ = added[:hi*columns]
	}
	rows := k.lanes / 8 // half as many where there are half as many registers
	return groupsOfRows(k, columns, rows, lo, hi, func(r, groups int) {
		var from *float32
		if added != nil {
			from = address(added, r*columns)
		}
		k.layerNormGradientRows(address(dx, r*columns), address(dScale, 0), address(dShift, 0), address(dy, r*columns), address(x, r*columns), from, address(scale, 0), columns, address(mean, r), address(inverse, r), groups)
	})
}

func layerNormGradient[T Float](dx, dScale, dShift, dy, x, mean, inverse, scale []T, columns, lo, hi int) {
	if k := vectorised[T](); k != nil {
		layerNormGradientByRow(k, dx, dScale, dShift, dy, x, mean, inverse, scale, columns, lo, hi)
		return
	}
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

func layerNormGradientByRow[T Float](k *path, dx, dScale, dShift, dy, x, mean, inverse, scale []T, columns, lo, hi int) {
	for r := lo; r < hi; r++ {
		in, upstream := x[r*columns:(r+1)*columns], dy[r*columns:(r+1)*columns]
		m, f := float32(mean[r]), float32(inverse[r])
		if dShift != nil {
			Accumulate(dShift[:columns], upstream)
		}
		sum, product := 0.0, 0.0
		for i := 0; i < columns; i += elementsPerCall {
			n := min(elementsPerCall, columns-i)
			if dScale != nil {
				k.accumulateNormalized(address(dScale[:columns], i), address(upstream, i), address(in, i), n, m, f)
			}
			if dx != nil {
				s, p := k.layerNormSums(address(upstream, i), address(in, i), address(scale, i), n, m, f)
				sum, product = sum+s, product+p
			}
		}
		if dx == nil {
			continue
		}
		out := dx[r*columns : (r+1)*columns]
		meanG, meanZ := float32(sum/float64(columns)), float32(product/float64(columns))
		for i := 0; i < columns; i += elementsPerCall {
			k.layerNormGradient(address(out, i), address(upstream, i), address(in, i), address(scale, i), min(elementsPerCall, columns-i), m, f, meanG, meanZ)
		}
	}
}
