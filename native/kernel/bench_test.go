package kernel

import (
	"fmt"
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

// BenchmarkGemm times the products of the MLP 784-128-64-10 at batch 32, those of the Transformer's blocks and some larger ones on every path.
// GF/s and %peak, the share of the multiply-adds' limit measured just before, are of the fastest call. The form says which factors are
// transposed.
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
		{"qkv", 512, 768, 256, false, true},
		{"up", 512, 1024, 256, false, true},
		{"down", 512, 256, 1024, false, true},
		{"dataUp", 512, 256, 1024, false, false},
		{"dataDown", 512, 1024, 256, false, false},
		{"weightsUp", 1024, 256, 512, true, false},
		{"weightsDown", 256, 1024, 512, true, false},
		{"square256", 256, 256, 256, false, false},
		{"square1024", 1024, 1024, 1024, false, false},
		{"square1024", 1024, 1024, 1024, false, true},
		{"square1024", 1024, 1024, 1024, true, false},
	}
	letter := map[bool]string{false: "N", true: "T"}
	for _, p := range paths {
		for _, threads := range threadCounts() {
			for _, s := range shapes {
				if p.lanes == 0 && (s.m > 256 || threads > 1) {
					continue
				}
				b.Run(fmt.Sprintf("path=%s/threads=%d/of=%s/m=%d/n=%d/k=%d/form=%s", p.name, threads, s.name, s.m, s.n, s.k, letter[s.ta]+letter[s.tb]), func(b *testing.B) {
					before := active.Swap(p)
					defer active.Store(before)
					pool := NewPool(threads)
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
					peak := measurePeak(p, pool)
					rate := 2 * float64(s.m) * float64(s.n) * float64(s.k) / float64(fastest(b, call))
					b.ReportMetric(rate, "GF/s")
					if peak > 0 {
						b.ReportMetric(100*rate/peak, "%peak")
					}
				})
			}
		}
	}
}

// BenchmarkAdam times an update of as many parameters as the MLP's first layer has.
func BenchmarkAdam(b *testing.B) {
	const n = 784 * 128
	for _, p := range paths {
		b.Run("path="+p.name, func(b *testing.B) {
			before := active.Swap(p)
			defer active.Store(before)
			x, g, m, v := make([]float32, n), make([]float32, n), make([]float32, n), make([]float32, n)
			for i := range g {
				g[i], v[i] = float32(i%7), 1
			}
			c := AdamStep[float32]{Shrink: 1, Fresh1: 0.1, Beta2: 0.999, Fresh2: 0.001, Size: 0.001, Scale: 10, Eps: 1e-8}
			best := fastest(b, func() { Adam(x, g, m, v, &c) })
			b.ReportMetric(float64(best)/n, "ns/element")
			b.ReportMetric(28*n/float64(best), "GB/s") // four slices are read, three of them written
			b.ReportMetric(16*n, "set-B")
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
