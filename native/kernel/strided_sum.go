package kernel

// StridedSum is y[i] = sum over k of x[r.Kept[i] + r.Reduced[k]] for results lo ... hi, with parts of 32 terms summed before they are
// added up, which bounds the rounding error.
func StridedSum[T Float](y, x []T, r *Reduction, lo, hi int) {
	if len(r.Reduced) == 1 {
		first := r.Reduced[0]
		for i, at := range r.Kept[lo:hi] {
			y[lo+i] = x[at+first]
		}
		return
	}
	const part = 32
	for i := lo; i < hi; i++ {
		at := r.Kept[i]
		var sum T
		for k := 0; k < len(r.Reduced); k += part {
			var s T
			for _, by := range r.Reduced[k:min(k+part, len(r.Reduced))] {
				s += x[at+by]
			}
			sum += s
		}
		y[i] = sum
	}
}
