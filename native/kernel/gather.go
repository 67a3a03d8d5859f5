package kernel

// Gather is y[o, i, j] = x[o, index[i], j], where x has outer x n x inner elements. A negative index counts from the end. It
// panics when an index is outside -n ... n-1.
func Gather[E any](y, x []E, index []int64, outer, n, inner int) {
	for o := range outer {
		for i, at := range index {
			src := (o*n + row(at, n)) * inner
			copy(y[(o*len(index)+i)*inner:][:inner], x[src:src+inner])
		}
	}
}

// GatherGradient sets dx to zeros and adds dy[o, i, j] to dx[o, index[i], j], but for the row padding, which stays 0; -1 is none.
func GatherGradient[T Float](dx, dy []T, index []int64, outer, n, inner, padding int) {
	clear(dx)
	for o := range outer {
		for i, at := range index {
			r := row(at, n)
			if r == padding {
				continue
			}
			dst := (o*n + r) * inner
			Accumulate(dx[dst:dst+inner], dy[(o*len(index)+i)*inner:][:inner])
		}
	}
}

func row(index int64, n int) int {
	if index < 0 {
		index += int64(n)
	}
	if index < 0 || index >= int64(n) {
		panic("kernel: Gather: an index is out of range")
	}
	return int(index)
}
