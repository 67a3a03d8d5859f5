package kernel

import (
	"math"
	"testing"
	"unsafe"
)

// fenced returns n elements that end where an unreadable page begins, or begin where one ends: touching the page is a fault.
func fenced[E any](t testing.TB, n int, atEnd bool) []E {
	t.Helper()
	var e E
	size := n * int(unsafe.Sizeof(e))
	m := betweenFences(t, size)
	if n == 0 {
		return []E{}
	}
	at := 0
	if atEnd {
		at = len(m) - size
	}
	return unsafe.Slice((*E)(unsafe.Pointer(&m[at])), n)
}

// fencedCopy returns a copy of x between fences; nil stays nil.
func fencedCopy[E any](t testing.TB, x []E, atEnd bool) []E {
	t.Helper()
	if x == nil {
		return nil
	}
	y := fenced[E](t, len(x), atEnd)
	copy(y, x)
	return y
}

// fencedNaN returns n elements between fences that hold no number yet.
func fencedNaN[T Float](t testing.TB, n int, atEnd bool) []T {
	t.Helper()
	x := fenced[T](t, n, atEnd)
	for i := range x {
		x[i] = T(math.NaN())
	}
	return x
}

// fencedMatrix moves a matrix between fences, without what lies behind its last element.
func fencedMatrix(t testing.TB, m Matrix[float32], rows, columns int, atEnd bool) Matrix[float32] {
	t.Helper()
	if m.Transposed {
		rows, columns = columns, rows
	}
	m.Data = fencedCopy(t, m.Data[:max(0, (rows-1)*m.Stride+columns)], atEnd)
	return m
}

// fenceScratch puts the memory that calls prepared for the pool work in between fences; it holds no number yet.
func fenceScratch(t testing.TB, pool *Pool, atEnd bool) {
	t.Helper()
	for i, s := range pool.scratch {
		pool.scratch[i] = fencedNaN[float32](t, len(s), atEnd)
	}
	pool.shared = fencedNaN[float32](t, len(pool.shared), atEnd)
}
