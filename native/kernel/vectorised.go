package kernel

import "unsafe"

// elementsPerCall bounds the time of one call of assembly, which the runtime cannot interrupt, to some tens of microseconds.
const elementsPerCall = 16 << 10

// vectorised returns the path in use if it has its own kernels for elements of type T, else nil.
func vectorised[T Float]() *path {
	var t T
	if unsafe.Sizeof(t) != elementBytes {
		return nil
	}
	if k := active.Load(); k.lanes > 0 {
		return k
	}
	return nil
}

// whole returns how many of n elements fill vectors; the generic loop does the others.
func (k *path) whole(n int) int { return n &^ (k.lanes - 1) }

// vectors returns the number of vectors of the call that begins at element i of n.
func (k *path) vectors(i, n int) int { return min(elementsPerCall, n-i) / k.lanes }

// address is that of an element of a slice of float32, which T is where vectorised returns a path.
func address[T Float](x []T, i int) *float32 { return (*float32)(unsafe.Pointer(&x[i])) }
