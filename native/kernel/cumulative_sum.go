package kernel

// CumulativeSum adds up along the middle dimension of outer x n x inner elements: each with those before it, or after it if
// reverse, itself left out if exclusive.
func CumulativeSum[E Float | int64](y, x []E, outer, n, inner int, exclusive, reverse bool) {
	first, step := 0, inner
	if reverse {
		first, step = (n-1)*inner, -inner
	}
	for o := range outer {
		for j := range inner {
			at := o*n*inner + j + first
			var sum E
			for range n {
				if exclusive {
					y[at] = sum
					sum += x[at]
				} else {
					sum += x[at]
					y[at] = sum
				}
				at += step
			}
		}
	}
}
