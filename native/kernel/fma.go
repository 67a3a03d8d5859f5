package kernel

import (
	"math"
	"unsafe"
)

// fma is x * y + z, rounded once, as the processors' fused multiply-add. Of float32 it is right where the result is not subnormal.
//
// In float64 the product of two float32 is exact and the sum is rounded; rounding that to float32 gives another result than one rounding only where it
// lies just between two float32, to which the sum's own rounding may have brought it from either side (Boldo and Melquiond, "Emulation of FMA and
// correctly rounded sums: proved algorithms using rounding to odd", 2008).
func fma[T Float](x, y, z T) T {
	if unsafe.Sizeof(x) == 8 {
		return T(math.FMA(float64(x), float64(y), float64(z)))
	}
	product, addend := float64(x)*float64(y), float64(z)
	sum := product + addend
	const below = 1<<29 - 1 // the bits that float32 does not have
	if bits := math.Float64bits(sum); bits&below == 1<<28 {
		other := sum - product
		lost := (product - (sum - other)) + (addend - other) // by the sum's rounding, exactly; NaN of infinities
		switch {
		case lost > 0 == (sum > 0) && lost != 0:
			sum = math.Float64frombits(bits + 1)
		case lost != 0:
			sum = math.Float64frombits(bits - 1)
		}
	}
	return T(sum)
}
