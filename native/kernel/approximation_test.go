package kernel

import (
	"flag"
	"math"
	"sync"
	"testing"
)

var exhaustive = flag.Bool("exhaustive", false, "test the elementwise functions at every float32 number where they are not nearly constant or linear")

// approximated is an elementwise function of a vectorised path and what its documentation promises.
type approximated struct {
	name     string
	float32s func(y, x []float32)
	float64s func(y, x []float64)
	lo, hi   float64 // where the function is neither constant nor the identity in float32
	ulps     float64 // the bound, from the largest error measured at all numbers
	// relativeTo is the number whose units in the last place count where it is larger than the result: the terms that cancel.
	relativeTo func(x float64) float64
}

func approximatedFunctions() []approximated {
	ones := make([]float32, 1<<16)
	ones64 := make([]float64, 1<<16)
	for i := range ones {
		ones[i], ones64[i] = 1, 1
	}
	gradient := func(f func(dx, dy, v []float32)) func(y, x []float32) {
		return func(y, x []float32) { f(y, ones[:len(x)], x) }
	}
	gradient64 := func(f func(dx, dy, v []float64)) func(y, x []float64) {
		return func(y, x []float64) { f(y, ones64[:len(x)], x) }
	}
	return []approximated{
		{"Exp", Exp[float32], Exp[float64], -105, 90, 1, nil},
		{"Log", Log[float32], Log[float64], 0, math.MaxFloat32, 1, nil},
		{"Tanh", Tanh[float32], Tanh[float64], -10, 10, 1.75, nil},
		{"TanhGradient", gradient(TanhGradient[float32]), gradient64(TanhGradient[float64]), -1, 1, 1, nil},
		{"Sigmoid", Sigmoid[float32], Sigmoid[float64], -105, 20, 2.5, nil},
		{"SigmoidGradient", gradient(SigmoidGradient[float32]), gradient64(SigmoidGradient[float64]), 0, 1, 1, nil},
		{"Erf", Erf[float32], Erf[float64], -4, 4, 1.25, nil},
		{"ErfGradient", gradient(ErfGradient[float32]), gradient64(ErfGradient[float64]), -10.5, 10.5, 2.5, nil},
		{"Gelu", Gelu[float32], Gelu[float64], -15, 15, 5.5, nil},
		{"Gelu above -1", Gelu[float32], Gelu[float64], -1, 15, 2.25, nil},
		{"GeluGradient", gradient(GeluGradient[float32]), gradient64(GeluGradient[float64]), -15, 15, 3, geluTerms},
		{"GeluTanh", GeluTanh[float32], GeluTanh[float64], -15, 15, 3, geluTanhSize},
		{"GeluTanhGradient", gradient(GeluTanhGradient[float32]), gradient64(GeluTanhGradient[float64]), -15, 15, 4, geluTanhTerms},
	}
}

// geluTerms is the size of what GeluGradient adds, Phi(x) and x phi(x).
func geluTerms(x float64) float64 {
	return 0.5*math.Erfc(-x/math.Sqrt2) + math.Abs(x)*math.Exp(-x*x/2)/math.Sqrt(2*math.Pi)
}

// geluTanhSize is the size of GeluTanh times what the rounding of the exponential function's argument counts for, where that is
// negative: the argument itself.
func geluTanhSize(x float64) float64 {
	// The factor of x is rounded where it may be subnormal already.
	return max(0x1p-126*math.Abs(x), math.Abs(geluTanh(x))*(1+max(0, -geluTanhInner(x))))
}

// geluTanhTerms is the same of what GeluTanhGradient adds.
func geluTanhTerms(x float64) float64 {
	s := sigmoid(geluTanhInner(x))
	// The factors of x are rounded where they may be subnormal already.
	return max(0x1p-120, (2*s+math.Abs(geluTanhDerivative(x)))*(1+math.Abs(geluTanhInner(x))))
}

// TestApproximations compares the elementwise functions with float64 at numbers spread over their whole range, or with
// -exhaustive at all of them, and the vectorised paths with each other, which must give the same bits. -v shows the largest errors.
func TestApproximations(t *testing.T) {
	if len(paths) == 1 {
		t.Skip("there are the generic kernels alone")
	}
	for _, f := range approximatedFunctions() {
		t.Run(f.name, func(t *testing.T) {
			from, to := float32(f.lo), float32(f.hi)
			worst := make([]worstCase, 2)
			var group sync.WaitGroup
			for part := range worst {
				group.Add(1)
				go func() {
					defer group.Done()
					worst[part] = f.search(t, from, to, part, len(worst))
				}()
			}
			group.Wait()
			w := worst[0]
			if w.count += worst[1].count; worst[1].ulps > w.ulps {
				w.ulps, w.x, w.got, w.want = worst[1].ulps, worst[1].x, worst[1].got, worst[1].want
			}
			t.Logf("%d numbers, largest error %.3f units in the last place, at %g: %g for %g", w.count, w.ulps, w.x, w.got, w.want)
			if !(w.ulps <= f.ulps) {
				t.Errorf("%g gives %g, want %g: off by %.3f units in the last place, allowed %g", w.x, w.got, w.want, w.ulps, f.ulps)
			}
		})
	}
}

type worstCase struct {
	count   int
	ulps, x float64
	got     float32
	want    float64
}

// search goes through every parts-th batch of numbers between from and to.
func (f *approximated) search(t *testing.T, from, to float32, part, parts int) (w worstCase) {
	const batch = 4096
	step := int64(4099)
	if *exhaustive {
		step = 1
	}
	x, x64, want := make([]float32, 0, batch), make([]float64, batch), make([]float64, batch)
	got := make([][]float32, len(paths))
	for i := range got {
		got[i] = make([]float32, batch)
	}
	flush := func() {
		n := len(x)
		for i, v := range x {
			x64[i] = float64(v)
		}
		f.float64s(want[:n], x64[:n])
		for p := 1; p < len(paths); p++ {
			f.on(p, got[p][:n], x)
		}
		for i := range n {
			for p := 2; p < len(paths); p++ {
				if math.Float32bits(got[p][i]) != math.Float32bits(got[1][i]) {
					t.Errorf("%g gives %g with %s, %g with %s", x[i], got[p][i], paths[p].name, got[1][i], paths[1].name)
				}
			}
			relative := want[i]
			if f.relativeTo != nil {
				relative = max(math.Abs(want[i]), f.relativeTo(x64[i]))
			}
			u := ulpsBetween(got[1][i], want[i], relative)
			if !(u <= w.ulps) {
				w.ulps, w.x, w.got, w.want = u, x64[i], got[1][i], want[i]
			}
		}
		w.count += n
		x = x[:0]
	}
	for b := ordered(from) + int64(part)*step; b <= ordered(to); b += step * int64(parts) {
		if *exhaustive && f.name != "Log" && b > -ordered(0x1p-28) && b < ordered(0x1p-28) {
			b += 4098 * step * int64(parts) // nearly linear there
		}
		if x = append(x, unordered(b)); len(x) == batch {
			flush()
		}
	}
	flush()
	return w
}

var choosing sync.Mutex

// on runs the function on a path.
func (f *approximated) on(p int, y, x []float32) {
	choosing.Lock()
	defer choosing.Unlock()
	before := active.Swap(paths[p])
	f.float32s(y, x)
	active.Store(before)
}

// ordered numbers the float32 numbers in their order, 0 being 0.
func ordered(x float32) int64 {
	b := int64(math.Float32bits(x))
	if b >= 1<<31 {
		return 1<<31 - b
	}
	return b
}

func unordered(n int64) float32 {
	if n < 0 {
		return math.Float32frombits(uint32(1<<31 - n))
	}
	return math.Float32frombits(uint32(n))
}
