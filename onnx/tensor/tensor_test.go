package tensor_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"

	"tandem/onnx/tensor"
)

var all = []tensor.DType{
	tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16, tensor.Int8, tensor.Int16, tensor.Int32, tensor.Int64,
	tensor.Uint8, tensor.Uint16, tensor.Uint32, tensor.Uint64, tensor.Bool,
}

func TestDType(t *testing.T) {
	for _, d := range all {
		back, err := tensor.ParseDType(d.String())
		if err != nil || back != d || d.Size() < 1 {
			t.Errorf("%v parses as %v, %v; size %d", d, back, err, d.Size())
		}
	}
	for _, name := range []string{"", "invalid", "Float32", "complex64"} {
		if d, err := tensor.ParseDType(name); err == nil {
			t.Errorf("ParseDType(%q) = %v", name, d)
		}
	}
	if tensor.Invalid.Size() != 0 || tensor.DType(200).Size() != 0 || tensor.DType(200).String() != "dtype(200)" {
		t.Error("an unknown type must have size 0 and a name that says so")
	}
	for d, want := range map[tensor.DType]bool{
		tensor.Float32: true, tensor.Float64: true, tensor.Float16: true, tensor.BFloat16: true,
		tensor.Int8: false, tensor.Bool: false, tensor.Invalid: false,
	} {
		if d.IsFloat() != want {
			t.Errorf("%v.IsFloat() = %v", d, !want)
		}
	}
}

func TestElements(t *testing.T) {
	for _, test := range []struct {
		shape  []int
		want   int // -1 for an error
		reason string
	}{
		{nil, 1, "a scalar has one element"},
		{[]int{2, 3}, 6, "the product"},
		{[]int{5, 0}, 0, "an empty tensor"},
		{[]int{0, math.MaxInt}, 0, "an empty tensor, whatever the other dimension"},
		{[]int{-1}, -1, "no such shape"},
		{[]int{0, -1}, -1, "no such shape, even where the product is 0"},
		{[]int{math.MaxInt}, -1, "its bytes would not fit an int"},
		{[]int{1 << 32, 1 << 32}, -1, "the product wraps around to 0"},
	} {
		n, err := tensor.Elements(test.shape)
		if err != nil {
			n = -1
		}
		if n != test.want {
			t.Errorf("Elements(%v) = %d, %v; want %d: %s", test.shape, n, err, test.want, test.reason)
		}
	}
}

func TestOfCopies(t *testing.T) {
	data := []float32{1, 2, 3, 4}
	x, err := tensor.Of(data, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	data[0] = 9
	if tensor.View[float32](x)[0] != 1 {
		t.Error("Of must copy its data")
	}
	y := x.Clone()
	tensor.View[float32](y)[1] = 9
	if tensor.View[float32](x)[1] != 2 || x.Equal(y) {
		t.Error("Clone must share nothing")
	}
	z, err := x.Reshape(4)
	if err != nil {
		t.Fatal(err)
	}
	tensor.View[float32](z)[2] = 9
	if tensor.View[float32](x)[2] != 9 || x.Equal(z) {
		t.Error("Reshape must share the elements, and another shape is not Equal")
	}
	if _, err := x.Reshape(3); err == nil {
		t.Error("4 elements cannot become 3")
	}
	if _, err := x.Reshape(-4); err == nil {
		t.Error("a negative dimension must be refused")
	}
	if _, err := tensor.Of(data, 3); err == nil {
		t.Error("4 elements do not fill shape [3]")
	}
	if _, err := tensor.Of(data, -4); err == nil {
		t.Error("a negative dimension must be refused")
	}
	if _, err := tensor.Of(data); err == nil {
		t.Error("4 elements do not fill a scalar")
	}
}

func TestFromBytes(t *testing.T) {
	raw := []byte{1, 0, 0, 0, 2, 0, 0, 0}
	x, err := tensor.FromBytes(tensor.Int32, []int{2}, raw)
	if err != nil {
		t.Fatal(err)
	}
	raw[0] = 7
	if got := tensor.View[int32](x); got[0] != 1 || got[1] != 2 {
		t.Errorf("%v, want [1 2], little-endian and copied", got)
	}
	for _, test := range []struct {
		d      tensor.DType
		shape  []int
		raw    []byte
		reason string
	}{
		{tensor.Int32, []int{2}, raw[:7], "a byte short"},
		{tensor.Int32, []int{1}, raw, "too many bytes"},
		{tensor.Invalid, []int{0}, nil, "no such type"},
		{tensor.Float64, []int{math.MaxInt / 16}, raw, "the size in bytes must not wrap around"},
		{tensor.Float64, []int{-1}, raw, "no such shape"},
		{tensor.Bool, []int{2}, []byte{1, 2}, "2 is no bool"},
	} {
		if x, err := tensor.FromBytes(test.d, test.shape, test.raw); err == nil {
			t.Errorf("FromBytes(%v, %v, %d bytes) = %v: %s", test.d, test.shape, len(test.raw), x, test.reason)
		}
	}
}

func TestReadStopsEarly(t *testing.T) {
	for _, n := range []int{0, 3} {
		_, err := tensor.Read(bytes.NewReader(make([]byte, n)), tensor.Int32, 1)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes of 4: %v, want io.ErrUnexpectedEOF", n, err)
		}
	}
	r := strings.NewReader("abcdef")
	if _, err := tensor.Read(r, tensor.Uint8, 2, 2); err != nil || r.Len() != 2 {
		t.Errorf("%v, %d bytes left; want 2: Read takes its own bytes only", err, r.Len())
	}
}

func TestEmptyAndScalar(t *testing.T) {
	for _, d := range all {
		e := tensor.New(d, 0, 3)
		if e.Len() != 0 || len(e.Bytes()) != 0 || len(e.Float64s()) != 0 || !e.Equal(e.Clone()) {
			t.Errorf("%v is not empty", e)
		}
		s := tensor.New(d)
		if s.Len() != 1 || len(s.Bytes()) != d.Size() || len(s.Shape()) != 0 {
			t.Errorf("%v is no scalar", s)
		}
		if e.Equal(tensor.New(d, 3, 0)) {
			t.Error("empty tensors of different shapes are not Equal")
		}
	}
	if v := tensor.View[float32](tensor.New(tensor.Float32, 0)); len(v) != 0 {
		t.Error("a view of nothing has elements")
	}
}

func TestPanicsOnTheCallersBugs(t *testing.T) {
	for label, f := range map[string]func(){
		"invalid type":       func() { tensor.New(tensor.Invalid, 1) },
		"negative dimension": func() { tensor.New(tensor.Float32, -1) },
		"view of another":    func() { tensor.View[float64](tensor.New(tensor.Float32, 2)) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", label)
				}
			}()
			f()
		}()
	}
}

// Every float16 against the definition of IEEE 754 binary16.
func TestFloat16(t *testing.T) {
	raw := make([]byte, 2<<16)
	for i := range 1 << 16 {
		raw[2*i], raw[2*i+1] = byte(i), byte(i>>8)
	}
	x, err := tensor.FromBytes(tensor.Float16, []int{1 << 16}, raw)
	if err != nil {
		t.Fatal(err)
	}
	for i, got := range x.Float64s() {
		exp, frac := i>>10&0x1f, float64(i&0x3ff)
		var want float64
		switch exp {
		case 0:
			want = math.Ldexp(frac, -24)
		case 31:
			want = math.Inf(1)
			if frac != 0 {
				want = math.NaN()
			}
		default:
			want = math.Ldexp(1024+frac, exp-25)
		}
		if i>>15 == 1 {
			want = -want
		}
		same := got == want && math.Signbit(got) == math.Signbit(want)
		if math.IsNaN(want) {
			same = math.IsNaN(got)
		}
		if !same {
			t.Fatalf("%#04x reads as %v, want %v", i, got, want)
		}
	}
}

func TestFloat64s(t *testing.T) {
	of := func(x *tensor.Tensor, err error) *tensor.Tensor {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	for _, test := range []struct {
		x    *tensor.Tensor
		want []float64
	}{
		{of(tensor.Of([]float32{0.1, -2}, 2)), []float64{float64(float32(0.1)), -2}}, // weights widen exactly, not through decimals
		{of(tensor.Of([]float64{0.1}, 1)), []float64{0.1}},
		{of(tensor.FromBytes(tensor.BFloat16, []int{3}, []byte{0x80, 0x3f, 0x20, 0xc0, 0x80, 0x7f})), []float64{1, -2.5, math.Inf(1)}},
		{of(tensor.Of([]int8{-128, 127}, 2)), []float64{-128, 127}},
		{of(tensor.Of([]int16{math.MinInt16}, 1)), []float64{math.MinInt16}},
		{of(tensor.Of([]int32{math.MinInt32}, 1)), []float64{math.MinInt32}},
		{of(tensor.Of([]int64{-1 << 53}, 1)), []float64{-1 << 53}},
		{of(tensor.Of([]uint8{255}, 1)), []float64{255}},
		{of(tensor.Of([]uint16{65535}, 1)), []float64{65535}},
		{of(tensor.Of([]uint32{math.MaxUint32}, 1)), []float64{math.MaxUint32}},
		{of(tensor.Of([]uint64{1 << 63}, 1)), []float64{1 << 63}},
		{of(tensor.Of([]bool{true, false}, 2)), []float64{1, 0}},
	} {
		got := test.x.Float64s()
		if fmt.Sprint(got) != fmt.Sprint(test.want) || len(got) != len(test.want) {
			t.Errorf("%v reads as %v, want %v", test.x, got, test.want)
		}
	}
}

func TestConvert(t *testing.T) {
	x, err := tensor.Of([]float64{0.1, 1 + 1.0/(1<<24), 1e300, math.NaN()}, 4)
	if err != nil {
		t.Fatal(err)
	}
	y, err := x.Convert(tensor.Float32)
	if err != nil {
		t.Fatal(err)
	}
	got := tensor.View[float32](y)
	if got[0] != 0.1 || got[1] != 1 || !math.IsInf(float64(got[2]), 1) || !math.IsNaN(float64(got[3])) {
		t.Errorf("to float32: %v, want 0.1, 1 (a tie goes to even), +Inf, NaN", got)
	}
	if same, err := x.Convert(tensor.Float64); err != nil || same != x {
		t.Error("a conversion to the same type returns the tensor itself")
	}
	ints, err := tensor.Of([]int32{-5, 6}, 2)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := ints.Convert(tensor.Int64)
	if err != nil || tensor.View[int64](wide)[0] != -5 {
		t.Errorf("int32 to int64: %v, %v", wide, err)
	}
	for _, d := range []tensor.DType{tensor.Int64, tensor.Int32, tensor.Uint8, tensor.Invalid} {
		if y, err := x.Convert(d); err == nil {
			t.Errorf("float64 converts to %v as %v", d, y)
		}
	}
}

func TestSHA256(t *testing.T) {
	x, err := tensor.Of([]float32{1, 2}, 2)
	if err != nil {
		t.Fatal(err)
	}
	// hashlib.sha256(numpy.array([1, 2], "<f4").tobytes()).hexdigest()
	const want = "b9c80b5adeca450753a16950c3cc655d271f7bef7a485bc83f112b72fef21d37"
	if got := x.SHA256(); got != want {
		t.Errorf("SHA256 = %s, want %s", got, want)
	}
}

func ExampleOf() {
	x, err := tensor.Of([]float32{1, 2, 3, 4, 5, 6}, 2, 3)
	if err != nil {
		panic(err)
	}
	fmt.Println(x, x.Len(), tensor.View[float32](x)[4])
	// Output: float32[2 3] 6 5
}
