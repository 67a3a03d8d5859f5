package kernel

import (
	"cmp"
	"slices"
)

// Ordered is a type of numbers.
type Ordered interface{ float32 | float64 | int64 }

// ArgExtremum is the number of the largest element (or the smallest) along the middle dimension of outer x n x inner elements; of equal ones
// the first, or the last. A NaN counts as larger and as smaller than all others, as in PyTorch.
func ArgExtremum[E Ordered](y []int64, x []E, outer, n, inner int, smallest, last bool) {
	for o := range outer {
		for j := range inner {
			at := o*n*inner + j
			best, where := x[at], 0
			for i := 1; i < n; i++ {
				v := x[at+i*inner]
				if best != best && !(last && v != v) {
					break
				}
				if v != v || !smallest && v > best || smallest && v < best || last && v == best {
					best, where = v, i
				}
			}
			y[o*inner+j] = int64(where)
		}
	}
}

// TopK writes the k largest elements (or the smallest) along the middle dimension of outer x n x inner elements, in that order, and
// their numbers; of equal ones the first comes first. order has room for n numbers.
func TopK[E Ordered](values []E, numbers []int64, x []E, order []int, k, outer, n, inner int, smallest bool) {
	for o := range outer {
		for j := range inner {
			at := o*n*inner + j
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(a, b int) int {
				c := cmp.Compare(x[at+a*inner], x[at+b*inner]) // NaN is smallest
				if x[at+a*inner] != x[at+a*inner] || x[at+b*inner] != x[at+b*inner] {
					c = -c // and here largest
				}
				if smallest {
					return c
				}
				return -c
			})
			for i, from := range order[:k] {
				values[(o*k+i)*inner+j], numbers[(o*k+i)*inner+j] = x[at+from*inner], int64(from)
			}
		}
	}
}
