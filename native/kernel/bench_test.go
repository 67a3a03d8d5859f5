package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
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

// BenchmarkAdam times an update of as many parameters as the MLP's first layer has; the other optimizers' benchmarks do the same.
func BenchmarkAdam(b *testing.B) {
	c := AdamStep[float32]{Shrink: 1, Fresh1: 0.1, Beta2: 0.999, Fresh2: 0.001, Size: 0.001, Scale: 10, Eps: 1e-8}
	benchmarkUpdate(b, 2, func(p, g []float32, slots [][]float32) { Adam(p, g, slots[0], slots[1], &c) })
}

func BenchmarkSGDMomentum(b *testing.B) {
	c := SGDStep[float32]{Rate: 0.001, Momentum: 0.9, Fresh: 1}
	benchmarkUpdate(b, 1, func(p, g []float32, slots [][]float32) { SGDMomentum(p, g, slots[0], &c, false, false) })
}

func BenchmarkRMSprop(b *testing.B) {
	c := RMSpropStep[float32]{Rate: 0.001, Alpha: 0.99, Fresh: 0.01, Momentum: 0.9, Eps: 1e-8}
	for _, form := range []struct {
		name  string
		slots int
	}{{"plain", 1}, {"momentum", 2}, {"centered", 2}, {"centered+momentum", 3}} {
		b.Run(form.name, func(b *testing.B) {
			benchmarkUpdate(b, form.slots, func(p, g []float32, slots [][]float32) {
				var m, buffer []float32
				switch form.name {
				case "momentum":
					buffer = slots[1]
				case "centered":
					m = slots[1]
				case "centered+momentum":
					m, buffer = slots[1], slots[2]
				}
				RMSprop(p, g, slots[0], m, buffer, &c)
			})
		})
	}
}

func BenchmarkAdagrad(b *testing.B) {
	c := AdagradStep[float32]{Rate: 0.001, Eps: 1e-10}
	benchmarkUpdate(b, 1, func(p, g []float32, slots [][]float32) { Adagrad(p, g, slots[0], &c) })
}

func BenchmarkNAdam(b *testing.B) {
	c := NAdamStep[float32]{Shrink: 1, Fresh1: 0.1, Beta2: 0.999, Fresh2: 0.001, Now: 0.0005, Size: 0.001, Scale: 10, Eps: 1e-8}
	benchmarkUpdate(b, 2, func(p, g []float32, slots [][]float32) { NAdam(p, g, slots[0], slots[1], &c) })
}

func BenchmarkLion(b *testing.B) {
	c := LionStep[float32]{Shrink: 1, Rate: 0.001, Beta1: 0.9, Fresh1: 0.1, Beta2: 0.99, Fresh2: 0.01}
	benchmarkUpdate(b, 1, func(p, g []float32, slots [][]float32) { Lion(p, g, slots[0], &c) })
}

// benchmarkUpdate times an optimizer with so many slots, which begin with ones, on every path. A slot and the parameters are read and written, the
// gradients read.
func benchmarkUpdate(b *testing.B, slots int, update func(p, g []float32, slots [][]float32)) {
	const n = 784 * 128
	for _, path := range paths {
		b.Run("path="+path.name, func(b *testing.B) {
			before := active.Swap(path)
			defer active.Store(before)
			p, g, s := make([]float32, n), make([]float32, n), make([][]float32, slots)
			for i := range g {
				g[i] = float32(i % 7)
			}
			for k := range s {
				s[k] = slices.Repeat([]float32{1}, n)
			}
			best := fastest(b, func() { update(p, g, s) })
			b.ReportMetric(float64(best)/n, "ns/element")
			b.ReportMetric(float64(4*(3+2*slots)*n)/float64(best), "GB/s")
			b.ReportMetric(float64(4*(2+slots)*n), "set-B")
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
