package kernel

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// guard stands before and behind each slice that a kernel gets; what it writes there is found.
const guard = 7777

// guarded returns n elements inside a larger slice with guards around them, and a check that they still stand.
func guarded[T Float](t *testing.T, n int, fill func(i int) T) (x []T, check func(what string)) {
	t.Helper()
	const margin = 5
	whole := make([]T, n+2*margin)
	for i := range whole {
		whole[i] = guard
	}
	x = whole[margin : margin+n] // the capacity reaches over the guards, so that a wrong slice would show
	for i := range x {
		x[i] = fill(i)
	}
	return x, func(what string) {
		t.Helper()
		for i, v := range whole {
			if (i < margin || i >= margin+n) && v != guard {
				t.Errorf("%s, length %d: element %d outside the slice was written", what, n, i-margin)
			}
		}
	}
}

// TestElementKernels runs every kernel that works on elements at the lengths 0 to 67 against its definition, element by element. Inputs
// must stay as they are.
func TestElementKernels(t *testing.T) {
	eachPath(t, testElementKernels[float32])
	t.Run("float64", testElementKernels[float64])
}

func testElementKernels[T Float](t *testing.T) {
	kernels := []struct {
		name string
		run  func(y, a, b []T, keep []bool)
		want func(y, a, b T, keep bool) T // y is what stood there before
	}{
		{"Relu", func(y, a, _ []T, _ []bool) { Relu(y, a) }, func(_, a, _ T, _ bool) T {
			if a < 0 {
				return 0
			}
			return a
		}},
		{"ReluGradient", func(y, a, b []T, _ []bool) { ReluGradient(y, a, b) }, func(_, a, b T, _ bool) T {
			if b > 0 {
				return a
			}
			return 0
		}},
		{"Mask", func(y, a, _ []T, keep []bool) { Mask(y, a, keep, 1.25) }, func(_, a, _ T, keep bool) T {
			if keep {
				return 1.25 * a
			}
			return 0
		}},
		{"Accumulate", func(y, a, _ []T, _ []bool) { Accumulate(y, a) }, func(y, a, _ T, _ bool) T { return y + a }},
		{"Map", func(y, a, _ []T, _ []bool) { Map(y, a, math.Exp) }, func(_, a, _ T, _ bool) T { return T(math.Exp(float64(a))) }},
		{"MapGradient", func(y, a, b []T, _ []bool) { MapGradient(y, a, b, math.Cos) }, func(_, a, b T, _ bool) T {
			return T(float64(a) * math.Cos(float64(b)))
		}},
		{"Max", func(y, a, b []T, _ []bool) { Max(y, a, b, 1, 1) }, func(_, a, b T, _ bool) T { return max(a, b) }},
		{"Min", func(y, a, b []T, _ []bool) { Min(y, a, b, 1, 1) }, func(_, a, b T, _ bool) T { return min(a, b) }},
		{"Where", func(y, a, b []T, keep []bool) { Where(y, keep, a, b, [3]int{1, 1, 1}) }, func(_, a, b T, keep bool) T {
			if keep {
				return a
			}
			return b
		}},
		{"Convert", func(y, a, _ []T, _ []bool) { Convert(y, a, func(x T) T { return -x }) }, func(_, a, _ T, _ bool) T { return -a }},
	}
	rng := rand.New(rand.NewPCG(1, 9))
	for _, k := range kernels {
		for n := range 68 {
			random := func(int) T { return T(rng.NormFloat64()) }
			y, checkY := guarded(t, n, random)
			a, checkA := guarded(t, n, random)
			b, checkB := guarded(t, n, random)
			keep := make([]bool, n)
			for i := range keep {
				keep[i] = rng.IntN(2) == 0
			}
			if n > 2 {
				a[n/2], b[n-1] = 0, 0
			}
			before, a0, b0 := slices.Clone(y), slices.Clone(a), slices.Clone(b)
			k.run(y, a, b, keep)
			checkY(k.name)
			checkA(k.name)
			checkB(k.name)
			if !slices.Equal(a, a0) || !slices.Equal(b, b0) {
				t.Errorf("%s, length %d: an input was changed", k.name, n)
			}
			for i := range y {
				if want := k.want(before[i], a[i], b[i], keep[i]); y[i] != want {
					t.Fatalf("%s, length %d: element %d is %g, want %g", k.name, n, i, y[i], want)
				}
			}
		}
	}
}

// TestNaN states what each kernel makes of a NaN: a training that has gone wrong must be seen to have.
func TestNaN(t *testing.T) {
	nan := math.NaN()
	one := func(run func(y, x []float64)) float64 {
		y := make([]float64, 1)
		run(y, []float64{nan})
		return y[0]
	}
	tests := []struct {
		name string
		got  float64
		nan  bool
	}{
		{"Relu keeps it", one(func(y, x []float64) { Relu(y, x) }), true},
		{"ReluGradient keeps that of dy", one(func(y, x []float64) { ReluGradient(y, x, []float64{1}) }), true},
		{"ReluGradient takes a NaN in y for not positive", one(func(y, x []float64) { ReluGradient(y, []float64{1}, x) }), false},
		{"Mask keeps it where the element is kept", one(func(y, x []float64) { Mask(y, x, []bool{true}, 2) }), true},
		{"Mask drops it where the element is dropped", one(func(y, x []float64) { Mask(y, x, []bool{false}, 2) }), false},
		{"Map keeps it", one(func(y, x []float64) { Map(y, x, math.Tanh) }), true},
		{"MapGradient keeps that of dy", one(func(y, x []float64) { MapGradient(y, x, []float64{1}, math.Cos) }), true},
		{"Max keeps it", one(func(y, x []float64) { Max(y, x, []float64{1}, 1, 1) }), true},
		{"Max keeps it in b", one(func(y, x []float64) { Max(y, []float64{1}, x, 1, 1) }), true},
		{"Min keeps it", one(func(y, x []float64) { Min(y, x, []float64{1}, 1, 1) }), true},
		{"Sum keeps it", one(func(y, x []float64) { y[0] = Sum(append(x, 1, 2)) }), true},
		{"SumRows keeps it", one(func(y, x []float64) { SumRows(y, append(x, 1), 2, 1, 0, 1) }), true},
		{"Softmax makes the vector NaN", one(func(y, x []float64) {
			out := make([]float64, 2)
			Softmax(out, append(x, 1), 2, 1, 0, 1)
			y[0] = out[1]
		}), true},
		{"LogSoftmax makes the row NaN", one(func(y, x []float64) {
			out := make([]float64, 2)
			LogSoftmax(out, append(x, 1), 2, 0, 1)
			y[0] = out[1]
		}), true},
		{"LogSoftmax with a NaN that is not first", one(func(y, x []float64) {
			out := make([]float64, 2)
			LogSoftmax(out, []float64{1, x[0]}, 2, 0, 1)
			y[0] = out[0]
		}), true},
	}
	for _, tt := range tests {
		if math.IsNaN(tt.got) != tt.nan {
			t.Errorf("%s: the result is %g", tt.name, tt.got)
		}
	}
}

// TestSums compares the sums with exact ones: the elements are small integers.
func TestSums(t *testing.T) { eachPath(t, testSums) }

func testSums(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	for rows := range 68 {
		for _, width := range []int{1, 2, 3, 63, 64, 65, 67, 130} {
			x, checkX := guarded(t, rows*width, func(int) float32 { return float32(rng.IntN(100) - 50) })
			y, checkY := guarded(t, width, func(int) float32 { return 1 })
			lo, hi := width/3, width-width/4
			SumRows(y, x, rows, width, lo, hi)
			checkX("SumRows")
			checkY("SumRows")
			for j := range y {
				want := float32(1) // outside lo ... hi nothing is written
				if j >= lo && j < hi {
					want = 0
					for i := range rows {
						want += x[i*width+j]
					}
				}
				if y[j] != want {
					t.Fatalf("SumRows of %d x %d, columns %d to %d: column %d is %g, want %g", rows, width, lo, hi, j, y[j], want)
				}
			}
		}
		x, want := make([]float32, rows), float32(0)
		for i := range x {
			x[i] = float32(rng.IntN(100))
			want += x[i]
		}
		if got := Sum(x); got != want {
			t.Errorf("Sum of %d elements is %g, want %g", rows, got, want)
		}
	}
}

func TestScatterSum(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6}
	y := []float64{9, 9, 9, guard}
	ScatterSum(y[:3], x, []int{0, 0}, 3, 1, nil)
	if !slices.Equal(y, []float64{5, 7, 9, guard}) {
		t.Errorf("rows added: %v", y)
	}
	ScatterSum(y[:3], x, []int{1, 0, 1}, 2, 0, make([]float64, 3))
	if !slices.Equal(y, []float64{7, 14, 0, guard}) {
		t.Errorf("rows summed: %v", y)
	}
}

func TestStrided(t *testing.T) {
	x := []int64{0, 1, 2, 3, 4, 5, 6, 7, 8}
	y := make([]int64, 6)
	CopyStrided(y, x, []int{8, 3}, 3, -1, 0, 2)
	if !slices.Equal(y, []int64{8, 7, 6, 3, 2, 1}) {
		t.Errorf("CopyStrided backwards: %v", y)
	}
	clear(y)
	CopyStrided(y, x, []int{0, 4}, 3, 2, 1, 2)
	if !slices.Equal(y, []int64{0, 0, 0, 4, 6, 8}) {
		t.Errorf("CopyStrided of the second row: %v", y)
	}
	z := []float64{1, 1, 1, 1}
	AddStrided(z, []float64{1, 2, 3, 4}, []int{0, 0}, 2, 3)
	if !slices.Equal(z, []float64{5, 1, 1, 7}) {
		t.Errorf("AddStrided: %v", z)
	}
	blocks := make([]int64, 7)
	CopyBlocks(blocks, x, 2, 3, 4, 5)
	if !slices.Equal(blocks, []int64{0, 1, 2, 0, 5, 6, 7}) {
		t.Errorf("CopyBlocks: %v", blocks)
	}
}

func TestGatherRefusesAnIndexOutOfRange(t *testing.T) {
	for _, index := range []int64{3, -4} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("index %d of 3 was accepted", index)
				}
			}()
			Gather(make([]float32, 2), make([]float32, 6), []int64{index}, 1, 3, 2)
		}()
	}
}

func TestSoftmaxDoesNotOverflow(t *testing.T) {
	for _, x := range [][]float32{{1000, 1001, -1000}, {-1e30, 3e38, 3e38}, {0, float32(math.Inf(-1)), 0}} {
		y, l := make([]float32, 3), make([]float32, 3)
		Softmax(y, x, 3, 1, 0, 1)
		LogSoftmaxAlong(l, x, 3, 1, 0, 1)
		sum := 0.0
		for i := range y {
			sum += float64(y[i])
			if !(math.Abs(math.Exp(float64(l[i]))-float64(y[i])) < 1e-6) {
				t.Errorf("softmax of %v: element %d is %g, its logarithm %g", x, i, y[i], l[i])
			}
		}
		if !(math.Abs(sum-1) < 1e-6) {
			t.Errorf("softmax of %v sums to %g", x, sum)
		}
	}
}

// TestBatchOfProducts compares PrepareBatch with one product at a time, a shared operand among them.
func TestBatchOfProducts(t *testing.T) { eachPath(t, testBatchOfProducts) }

func testBatchOfProducts(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	const m, n, k, count = 5, 7, 9, 4
	a, b := make([]float32, count*m*k), make([]float32, 2*k*n)
	for _, x := range [][]float32{a, b} {
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
	}
	offsets := []Offsets{{0, 0, 3 * m * n}, {m * k, k * n, 0}, {2 * m * k, 0, m * n}, {3 * m * k, k * n, 2 * m * n}}
	one := NewPool(1)
	defer one.Close()
	for threads := 1; threads <= 3; threads++ {
		pool := NewPool(threads)
		c := make([]float32, count*m*n)
		g := Gemm[float32]{M: m, N: n, K: k, Alpha: 2, A: Matrix[float32]{Data: a, Stride: k}, B: Matrix[float32]{Data: b, Stride: n}, C: c}
		g.PrepareBatch(pool, offsets)()
		pool.Close()
		for i, o := range offsets {
			want := make([]float32, m*n)
			s := g
			s.A.Data, s.B.Data, s.C = a[o.A:], b[o.B:], want
			s.Prepare(one)()
			if !slices.Equal(c[o.C:o.C+m*n], want) {
				t.Errorf("%d threads: product %d is %v, want %v", threads, i, c[o.C:o.C+m*n], want)
			}
		}
	}
}
