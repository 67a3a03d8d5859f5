package kernel

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// fastest runs a benchmark and returns the shortest time of a call: other work on the machine only ever adds.
func fastest(b *testing.B, call func()) time.Duration {
	call()
	best := time.Duration(math.MaxInt64)
	for b.Loop() {
		begin := time.Now()
		call()
		best = min(best, time.Since(begin))
	}
	return best
}

// measurePeak returns the multiply-adds' limit of a path on one thread in GF/s, 0 for the generic one.
func measurePeak(p *path) float64 {
	if p.peak == nil {
		return 0
	}
	const loops = 50_000
	best := time.Duration(math.MaxInt64)
	for range 200 {
		begin := time.Now()
		p.peak(loops)
		best = min(best, time.Since(begin))
	}
	return 2 * 12 * loops * float64(p.lanes) / float64(best)
}

// BenchmarkGemm times the products of the MLP 784-128-64-10 at batch 32 and some larger ones on every path with one thread.
// GF/s and %peak, the share of the multiply-adds' limit measured just before, are of the fastest call.
func BenchmarkGemm(b *testing.B) {
	shapes := []struct {
		name    string
		m, n, k int
		ta, tb  bool
	}{
		{"forward1", 32, 128, 784, false, true},
		{"weights1", 128, 784, 32, true, false},
		{"forward2", 32, 64, 128, false, true},
		{"weights2", 64, 128, 32, true, false},
		{"data2", 32, 128, 64, false, false},
		{"forward3", 32, 10, 64, false, true},
		{"weights3", 10, 64, 32, true, false},
		{"data3", 32, 64, 10, false, false},
		{"square256", 256, 256, 256, false, false},
		{"square1024", 1024, 1024, 1024, false, false},
		{"square1024NT", 1024, 1024, 1024, false, true},
		{"square1024TN", 1024, 1024, 1024, true, false},
	}
	for _, p := range paths {
		for _, s := range shapes {
			if p.lanes == 0 && s.m > 256 {
				continue
			}
			b.Run(p.name+"/"+s.name, func(b *testing.B) {
				before := active.Swap(p)
				defer active.Store(before)
				pool := NewPool(1)
				defer pool.Close()
				rng := rand.New(rand.NewPCG(1, 1))
				dense := func(rows, columns int, transposed bool) Matrix[float32] {
					m := randomMatrix[float32](rng, rows, columns, transposed)
					m.Stride -= 3 // randomMatrix's gap
					return m
				}
				call := Gemm[float32]{
					M: s.m, N: s.n, K: s.k, Alpha: 1, A: dense(s.m, s.k, s.ta), B: dense(s.k, s.n, s.tb), C: make([]float32, s.m*s.n),
				}.Prepare(pool)
				peak := measurePeak(p)
				rate := 2 * float64(s.m) * float64(s.n) * float64(s.k) / float64(fastest(b, call))
				b.ReportMetric(rate, "GF/s")
				if peak > 0 {
					b.ReportMetric(100*rate/peak, "%peak")
				}
			})
		}
	}
}

// BenchmarkAdam times an update of as many parameters as the MLP's first layer has.
func BenchmarkAdam(b *testing.B) {
	const n = 784 * 128
	for _, p := range paths {
		b.Run(p.name, func(b *testing.B) {
			before := active.Swap(p)
			defer active.Store(before)
			x, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
			for i := range g {
				g[i], v[i] = float32(i%7), 1
			}
			c := AdamStep[float32]{Shrink: 1, Fresh1: 0.1, Beta2: 0.999, Fresh2: 0.001, Size: 0.001, Scale: 10, Eps: 1e-8}
			best := fastest(b, func() { Adam(x, g, m, v, &c) })
			b.ReportMetric(float64(best)/n, "ns/element")
		})
	}
}

// BenchmarkPool times a loop of two equal parts of some microseconds over one thread, over two that sleep between the loops, and over
// two that stay awake.
func BenchmarkPool(b *testing.B) {
	work := paths[len(paths)-1].peak
	if work == nil {
		b.Skip("no vectors to work with")
	}
	body := func(_, lo, hi int) {
		for range hi - lo {
			work(1000)
		}
	}
	for _, c := range []struct {
		name    string
		threads int
		spin    time.Duration
	}{{"one", 1, 0}, {"sleeping", 2, 0}, {"awake", 2, spinTime}} {
		b.Run(c.name, func(b *testing.B) {
			pool := newPool(c.threads, c.spin)
			defer pool.Close()
			best := fastest(b, func() { pool.For(2, 1, body) })
			b.ReportMetric(float64(best), "ns/fastest")
		})
	}
}
