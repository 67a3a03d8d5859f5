package tensor_test

import (
	"encoding/binary"
	"math"
	"testing"

	"tandem/onnx/tensor"
)

// TestHalfPrecision converts every number of 16 bits to float64 and back, and what lies between two of them to the nearer one, or to
// the even one.
func TestHalfPrecision(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Float16, tensor.BFloat16} {
		all := tensor.New(d, 1<<16)
		for i := range 1 << 16 {
			binary.LittleEndian.PutUint16(all.Bytes()[2*i:], uint16(i))
		}
		x := all.Float64s()
		back := func(x []float64) []uint16 {
			wide, err := tensor.Of(x, len(x))
			if err != nil {
				t.Fatal(err)
			}
			half, err := wide.Convert(d)
			if err != nil {
				t.Fatal(err)
			}
			bits := make([]uint16, len(x))
			for i := range bits {
				bits[i] = binary.LittleEndian.Uint16(half.Bytes()[2*i:])
			}
			return bits
		}
		for i, bits := range back(x) {
			if bits != uint16(i) && !math.IsNaN(x[i]) || math.IsNaN(x[i]) && !math.IsNaN(x[bits]) {
				t.Fatalf("%v %#04x is %g, and that %#04x", d, i, x[i], bits)
			}
		}
		var middle, below, above []float64
		var even []uint16
		for i := 0; i+1 < 1<<15 && !math.IsInf(x[i+1], 0); i++ {
			m := (x[i] + x[i+1]) / 2
			middle, even = append(middle, m), append(even, uint16(i+i%2))
			below, above = append(below, math.Nextafter(m, 0)), append(above, math.Nextafter(m, math.Inf(1)))
		}
		down, up := back(below), back(above)
		for i, bits := range back(middle) {
			if bits != even[i] || down[i] != uint16(i) || up[i] != uint16(i+1) {
				t.Fatalf("%v between %#04x and the next: %#04x, just below %#04x, just above %#04x", d, i, bits, down[i], up[i])
			}
		}
		largest := x[len(middle)]
		step := largest - x[len(middle)-1]
		if got := back([]float64{largest + step/2*0.999, largest + step/2, -math.MaxFloat64}); got[0] != uint16(len(middle)) || !math.IsInf(x[got[1]], 1) || !math.IsInf(x[got[2]], -1) {
			t.Errorf("%v beyond %g: %#04x", d, largest, got)
		}
	}
}
