package kernel

import (
	"slices"
	"unsafe"
)

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

// forChannels returns the path whose passes over vectors of channels serve n of them, which is a narrower one where this one's vectors do not fit, or nil, as it is of nil: whole vectors have to make
// them up, or, where the last one may overlap the one before, one has to fit.
func (k *path) forChannels(n int, whole bool) *path {
	for i := slices.Index(paths, k); i > 0; i-- {
		if p := paths[i]; n >= p.lanes && (!whole || n%p.lanes == 0) {
			return p
		}
	}
	return nil
}

// whole returns how many of n elements fill vectors; the generic loop does the others.
func (k *path) whole(n int) int { return n &^ (k.lanes - 1) }

// vectors returns the number of vectors of the call that begins at element i of n.
func (k *path) vectors(i, n int) int { return min(elementsPerCall, n-i) / k.lanes }

// address is that of an element of a slice of float32, which T is where vectorised returns a path.
func address[T Float](x []T, i int) *float32 { return (*float32)(unsafe.Pointer(&x[i])) }
