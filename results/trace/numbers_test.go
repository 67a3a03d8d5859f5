package trace_test

import (
	"math"
	"slices"
	"testing"

	"tandem/onnx/tensor"
	"tandem/results/trace"
)

func TestNorm(t *testing.T) {
	inf, nan := math.Inf(1), math.NaN()
	for _, test := range []struct {
		x      []float64
		want   float64
		reason string
	}{
		{nil, 0, "empty"},
		{[]float64{0, 0}, 0, ""},
		{[]float64{3, -4}, 5, ""},
		{[]float64{3e300, 4e300}, 5e300, "the squares overflow"},
		{[]float64{3e-300, 4e-300}, 5e-300, "the squares underflow"},
		{[]float64{1, inf}, inf, ""},
		{[]float64{inf, nan}, nan, "NaN beats infinity"},
		{[]float64{nan, 1}, nan, ""},
	} {
		got := trace.Norm(test.x)
		if math.IsNaN(test.want) != math.IsNaN(got) || !math.IsNaN(got) && !(math.Abs(got-test.want) <= 1e-15*test.want) && got != test.want {
			t.Errorf("Norm(%v) = %v, want %v (%s)", test.x, got, test.want, test.reason)
		}
		if d := trace.Distance(test.x, make([]float64, len(test.x))); d != got && !(math.IsNaN(d) && math.IsNaN(got)) {
			t.Errorf("Distance(%v, 0) = %v, Norm %v", test.x, d, got)
		}
	}
	if d := trace.Distance([]float64{1e308}, []float64{-0.7e308}); d != 1.7e308 {
		t.Errorf("a distance near the largest number is %v", d)
	}
	if d := trace.Distance([]float64{5e-324}, []float64{0}); d != 5e-324 {
		t.Errorf("the smallest distance is %v", d)
	}
	for _, test := range []struct {
		x, o []float64
		want float64
	}{
		{[]float64{-inf, 3, inf}, []float64{-inf, 7, inf}, 4},
		{[]float64{inf}, []float64{-inf}, inf},
		{[]float64{-inf}, []float64{-1e308}, inf},
		{[]float64{1}, []float64{-inf}, inf},
		{[]float64{nan}, []float64{nan}, nan},
		{[]float64{nan, -inf}, []float64{-inf, -inf}, nan},
	} {
		if d := trace.Distance(test.x, test.o); d != test.want && !(math.IsNaN(d) && math.IsNaN(test.want)) {
			t.Errorf("Distance(%v, %v) = %v, want %v", test.x, test.o, d, test.want)
		}
	}
	if x := trace.WithoutInfinities([]float64{-inf, 3, 4, inf}); trace.Norm(x) != 5 || !math.IsNaN(trace.Norm(trace.WithoutInfinities([]float64{-inf, nan}))) {
		t.Errorf("without infinities: %v", x)
	}
}

func TestSample(t *testing.T) {
	for _, size := range []struct{ n, k int }{{1, 1}, {10, 0}, {10, 10}, {11, 10}, {100352, 4096}, {8192, 64}, {7, 3}, {0, 3}} {
		values := make([]float64, size.n)
		for i := range values {
			values[i] = float64(i)
		}
		whole, err := tensor.Of(values, size.n)
		if err != nil {
			t.Fatal(err)
		}
		s := trace.Sample(whole, size.k)
		got, err := s.Float64s(size.k)
		if err != nil {
			t.Fatal(err)
		}
		want := size.n
		if size.k > 0 {
			want = min(size.n, size.k)
		}
		if len(got) != want || !slices.IsSorted(got) || len(slices.Compact(slices.Clone(got))) != want {
			t.Errorf("%d of %d elements: %d kept, each once and in order: want %d", size.k, size.n, len(got), want)
		}
		// Every block of the documented partition has its element.
		for j, v := range got {
			if low, high := j*size.n/want, (j+1)*size.n/want; int(v) < low || int(v) >= high {
				t.Errorf("%d of %d: sample %d is element %v, outside [%d, %d)", size.k, size.n, j, v, low, high)
			}
		}
		later, err := trace.Sample(whole, 0).Float64s(size.k)
		if err != nil || !slices.Equal(later, got) {
			t.Errorf("%d of %d: a whole tensor sampled later differs: %v", size.k, size.n, err)
		}
	}
	// With rows of 64 and blocks of 128, a plain stride would look at one column alone.
	values := make([]float64, 8192)
	for i := range values {
		values[i] = float64(i % 64)
	}
	m, _ := tensor.Of(values, 128, 64)
	columns := trace.Sample(m, 64).Values.Float64s()
	slices.Sort(columns)
	if n := len(slices.Compact(columns)); n < 16 {
		t.Errorf("a sample of 64 elements sees %d of 64 columns", n)
	}
	other, _ := tensor.Of(values, 8192)
	if _, err := trace.Sample(other, 64).Float64s(128); err == nil {
		t.Error("a sample of 64 passes for one of 128")
	}
}

func TestNudge(t *testing.T) {
	w, _ := tensor.Of([]float32{1, -1, 0, 1e-20, float32(math.Inf(1)), 3, 4, 5, 6, 7, 8, 9}, 12)
	b, _ := tensor.Of([]float32{1}, 1)
	state := trace.Tensors{"parameters/w": w, "buffers/b": b}
	up, down := 0, 0
	for run := range uint64(4) {
		got := trace.Nudge(state, 1, run)
		if !got["buffers/b"].Equal(b) {
			t.Error("a buffer was nudged")
		}
		again := trace.Nudge(state, 1, run)
		if !again["parameters/w"].Equal(got["parameters/w"]) {
			t.Error("the same seed and run nudge differently")
		}
		x := tensor.View[float32](got["parameters/w"])
		for i, v := range tensor.View[float32](w) {
			switch {
			case v == 0 || math.IsInf(float64(v), 0):
				if x[i] != v {
					t.Errorf("%v became %v", v, x[i])
				}
			case x[i] == math.Nextafter32(v, float32(math.Inf(1))):
				up++
			case x[i] == math.Nextafter32(v, float32(math.Inf(-1))):
				down++
			default:
				t.Errorf("%v became %v, which is not its neighbour", v, x[i])
			}
		}
	}
	if up < 8 || down < 8 {
		t.Errorf("%d elements went up and %d down", up, down)
	}
	if tensor.View[float32](w)[0] != 1 {
		t.Error("the state itself was changed")
	}
}
