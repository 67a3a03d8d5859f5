package tensor

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Float64s returns the elements as float64, in a new slice. Every type but the 64-bit integers converts exactly.
func (t *Tensor) Float64s() []float64 {
	out := make([]float64, t.Len())
	switch t.dtype {
	case Float32:
		widen(out, View[float32](t))
	case Float64:
		copy(out, View[float64](t))
	case Float16:
		for i := range out {
			out[i] = float64(float16(binary.LittleEndian.Uint16(t.raw[2*i:])))
		}
	case BFloat16:
		for i := range out {
			out[i] = float64(math.Float32frombits(uint32(binary.LittleEndian.Uint16(t.raw[2*i:])) << 16))
		}
	case Int8:
		widen(out, View[int8](t))
	case Int16:
		widen(out, View[int16](t))
	case Int32:
		widen(out, View[int32](t))
	case Int64:
		widen(out, View[int64](t))
	case Uint8:
		widen(out, View[uint8](t))
	case Uint16:
		widen(out, View[uint16](t))
	case Uint32:
		widen(out, View[uint32](t))
	case Uint64:
		widen(out, View[uint64](t))
	case Bool:
		for i, b := range t.raw {
			if b != 0 {
				out[i] = 1
			}
		}
	}
	return out
}

// Convert returns a tensor of element type d with the same values; to float32, float16 and bfloat16 it rounds to nearest even (64-bit
// integers to float64 first). It returns t itself when the type is already d. Only conversions to floating-point types and to Int64 are
// offered: tandem needs no others.
func (t *Tensor) Convert(d DType) (*Tensor, error) {
	if t.dtype == d {
		return t, nil
	}
	switch {
	case d == Float32:
		out := New(d, t.shape...)
		view := View[float32](out)
		for i, v := range t.Float64s() {
			view[i] = float32(v)
		}
		return out, nil
	case d == Float64:
		out := New(d, t.shape...)
		copy(View[float64](out), t.Float64s())
		return out, nil
	case d == Float16 || d == BFloat16:
		out := New(d, t.shape...)
		for i, v := range t.Float64s() {
			half := halfBits(v, 10, 15)
			if d == BFloat16 {
				half = halfBits(v, 7, 127)
			}
			binary.LittleEndian.PutUint16(out.raw[2*i:], half)
		}
		return out, nil
	case d == Int64 && !t.dtype.IsFloat() && t.dtype != Uint64:
		out := New(d, t.shape...)
		view := View[int64](out)
		for i, v := range t.Float64s() { // exact: every source here has at most 32 bits
			view[i] = int64(v)
		}
		return out, nil
	}
	return nil, fmt.Errorf("tensor: no conversion from %v to %v", t.dtype, d)
}

func widen[T float32 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](dst []float64, src []T) {
	for i, v := range src {
		dst[i] = float64(v)
	}
}

// float16 widens an IEEE 754 binary16 number; every one is exact in float32.
func float16(h uint16) float32 {
	sign, exp, frac := uint32(h>>15)<<31, uint32(h>>10)&0x1f, uint32(h)&0x3ff
	switch exp {
	case 0: // zero and subnormal: frac * 2^-24
		v := float32(frac) * (1.0 / (1 << 24))
		return math.Float32frombits(sign | math.Float32bits(v))
	case 0x1f:
		return math.Float32frombits(sign | 0xff<<23 | frac<<13)
	}
	return math.Float32frombits(sign | (exp+112)<<23 | frac<<13)
}

// halfBits rounds to the nearest number of 16 bits, of which so many are the fraction, and to the even one between two. bias is what is
// added to the exponent.
func halfBits(x float64, fraction, bias int) uint16 {
	infinity := uint64(2*bias+1) << fraction
	bits := infinity
	size := math.Abs(x)
	switch {
	case math.IsNaN(x):
		bits |= 1 << (fraction - 1)
	case size == 0:
		bits = 0
	case !math.IsInf(x, 0):
		exponent := max(math.Ilogb(size), 1-bias) // that of the smallest normal number for subnormal ones
		steps := uint64(math.RoundToEven(math.Ldexp(size, fraction-exponent)))
		// A normal number's leading one is not written. Where it was rounded up to the next power of two, the sum carries into the exponent.
		bits = min(steps+uint64(exponent+bias-1)<<fraction, infinity)
	}
	if math.Signbit(x) {
		bits |= 1 << 15
	}
	return uint16(bits)
}
