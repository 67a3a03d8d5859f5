package kernel

// Taps say of which elements along a dimension each element of a result is the weighted sum: element i is the sum of Weight[k] times
// element Index[k] for k in Start[i] ... Start[i+1].
type Taps[T Float] struct {
	Start, Index []int
	Weight       []T
}

// Transposed returns the taps of the gradient: which elements of the result each of n operands goes into.
func (t *Taps[T]) Transposed(n int) *Taps[T] {
	r := &Taps[T]{Start: make([]int, n+1), Index: make([]int, len(t.Index)), Weight: make([]T, len(t.Index))}
	for _, i := range t.Index {
		r.Start[i+1]++
	}
	for i := range n {
		r.Start[i+1] += r.Start[i]
	}
	next := append([]int{}, r.Start[:n]...)
	for o := range len(t.Start) - 1 {
		for k := t.Start[o]; k < t.Start[o+1]; k++ {
			at := next[t.Index[k]]
			next[t.Index[k]]++
			r.Index[at], r.Weight[at] = o, t.Weight[k]
		}
	}
	return r
}

// Interpolate is y[o, i, j] = sum over taps of weight * x[o, index, j] for outer elements lo ... hi, where x has n elements along the
// middle dimension and inner behind it.
func Interpolate[T Float](y, x []T, taps *Taps[T], n, inner, lo, hi int) {
	m := len(taps.Start) - 1
	for o := lo; o < hi; o++ {
		in, out := x[o*n*inner:(o+1)*n*inner], y[o*m*inner:(o+1)*m*inner]
		if inner == 1 {
			for i := range out {
				var sum T
				for k := taps.Start[i]; k < taps.Start[i+1]; k++ {
					sum += taps.Weight[k] * in[taps.Index[k]]
				}
				out[i] = sum
			}
			continue
		}
		for i := range m {
			row := out[i*inner : (i+1)*inner]
			clear(row)
			for k := taps.Start[i]; k < taps.Start[i+1]; k++ {
				w := taps.Weight[k]
				for j, v := range in[taps.Index[k]*inner:][:len(row)] {
					row[j] += w * v
				}
			}
		}
	}
}
