package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"
)

// The benchmarks' names and metrics are what "tandem bench --kernels" makes its tables of limits from (package
// results/roofline): a further kernel is a benchmark that reports GF/s and %peak, or GB/s and set-B.

// threadCounts are those that the limits are measured with.
func threadCounts() []int {
	if n := runtime.GOMAXPROCS(0); n > 1 {
		return []int{1, n}
	}
	return []int{1}
}

// BenchmarkPeak is the multiply-adds' limit: independent chains in registers.
func BenchmarkPeak(b *testing.B) { benchmarkRate(b, measurePeak) }

// benchmarkRate reports the best of what measure returns, on every path and with each number of threads.
func benchmarkRate(b *testing.B, measure func(p *path, pool *Pool) float64) {
	for _, p := range paths {
		if p.peak == nil {
			continue
		}
		for _, threads := range threadCounts() {
			b.Run(fmt.Sprintf("path=%s/threads=%d", p.name, threads), func(b *testing.B) {
				pool := NewPool(threads)
				defer pool.Close()
				best := 0.0
				for b.Loop() {
					best = max(best, measure(p, pool))
				}
				b.ReportMetric(best, "GF/s")
			})
		}
	}
}

// BenchmarkTile is what a tile of a product reaches alone, its factors in the first-level cache: the multiply-adds and the loads that feed them, for
// which a processor may lower its clock (see What was tried in the package's comment).
func BenchmarkTile(b *testing.B) { benchmarkRate(b, measureTile) }

// measureTile returns the rate of a path's largest tile in GF/s: the left factor lies column by column, as it is packed, the right one row by row.
func measureTile(p *path, pool *Pool) float64 {
	const calls = 100
	rows, width := p.tileRows, 2*p.lanes
	type factors struct{ a, b, c []float32 }
	own := make([]factors, pool.Threads())
	for i := range own {
		own[i] = factors{randomAligned(rows * tileDepth), randomAligned(width * tileDepth), randomAligned(rows * width)}
	}
	body := func(w, lo, hi int) {
		f := own[w]
		for range (hi - lo) * calls {
			p.strips[1][rows](&f.a[0], elementBytes, uintptr(rows)*elementBytes, &f.b[0], uintptr(width)*elementBytes, 0, &f.c[0], uintptr(width)*elementBytes, tileDepth, 1, 1, false)
		}
	}
	best := time.Duration(math.MaxInt64)
	for range 50 {
		begin := time.Now()
		pool.For(pool.Threads(), 1, body)
		best = min(best, time.Since(begin))
	}
	return 2 * float64(rows*width*tileDepth*calls*pool.Threads()) / float64(best)
}

// randomAligned returns numbers between 0 and 1 on a cache line's boundary: units that multiply zeros may draw less power.
func randomAligned(n int) []float32 {
	out, rng := alignedSlice(n), rand.New(rand.NewPCG(1, 2))
	for i := range out {
		out[i] = rng.Float32()
	}
	return out
}

// BenchmarkBandwidth is the limit of moving bytes within so many.
func BenchmarkBandwidth(b *testing.B) {
	for _, set := range []int{16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 128 << 20} {
		for _, threads := range threadCounts() {
			data := make([]byte, set)
			for _, op := range moves {
				b.Run(fmt.Sprintf("set=%d/threads=%d/op=%s", set, threads, op.name), func(b *testing.B) {
					pool := NewPool(threads)
					defer pool.Close()
					call, moved := mover(pool, data, op.do)
					b.ReportMetric(float64(moved)/float64(fastest(b, call)), "GB/s")
				})
			}
		}
	}
}

// TestLimits: they are there on every path, and moving bytes within the first cache is not slower than beyond the last.
func TestLimits(t *testing.T) {
	for _, p := range paths {
		before := active.Swap(p)
		pool := NewPool(2)
		l := MeasureLimits(pool)
		pool.Close()
		active.Store(before)
		if !(l.Peak > 1e7) || len(l.Bandwidths) != len(bandwidthSets) {
			t.Errorf("%s: %+v", p.name, l)
		}
		for i, b := range l.Bandwidths {
			if b.Set != bandwidthSets[i] || !(b.BytesPerSecond > 1e6) {
				t.Errorf("%s: %+v", p.name, b)
			}
		}
	}
}
