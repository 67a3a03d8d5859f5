package kernel

import (
	"bytes"
	"fmt"
	"math"
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

// measurePeak returns the multiply-adds' limit of a path in GF/s, 0 for the generic one.
func measurePeak(p *path, pool *Pool) float64 {
	if p.peak == nil {
		return 0
	}
	const loops = 50_000
	body := func(_, lo, hi int) {
		for range hi - lo {
			p.peak(loops)
		}
	}
	best := time.Duration(math.MaxInt64)
	for range 200 {
		begin := time.Now()
		pool.For(pool.Threads(), 1, body)
		best = min(best, time.Since(begin))
	}
	return 2 * 12 * loops * float64(p.lanes) * float64(pool.Threads()) / float64(best)
}

// BenchmarkPeak is the multiply-adds' limit: independent chains in registers.
func BenchmarkPeak(b *testing.B) {
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
					best = max(best, measurePeak(p, pool))
				}
				b.ReportMetric(best, "GF/s")
			})
		}
	}
}

// BenchmarkBandwidth is the limit of moving bytes within so many: Go's own memory copy, which reads half of them and writes the other,
// and its comparison of two halves, which reads all. Each thread has its share.
func BenchmarkBandwidth(b *testing.B) {
	for _, set := range []int{16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 128 << 20} {
		for _, threads := range threadCounts() {
			data := make([]byte, set)
			share := set / threads / 2
			for _, op := range []struct {
				name string
				do   func(x, y []byte)
			}{
				{"copy", func(x, y []byte) { copy(x, y) }},
				{"read", func(x, y []byte) {
					if !bytes.Equal(x, y) {
						panic("kernel: zeros differ from zeros")
					}
				}},
			} {
				b.Run(fmt.Sprintf("set=%d/threads=%d/op=%s", set, threads, op.name), func(b *testing.B) {
					pool := NewPool(threads)
					defer pool.Close()
					repeat := max(1, (4<<20)/set) // the clock and the start of the threads must not count
					body := func(_, lo, hi int) {
						for i := lo; i < hi; i++ {
							x := data[2*i*share:]
							for range repeat {
								op.do(x[:share], x[share:2*share])
							}
						}
					}
					best := fastest(b, func() { pool.For(threads, 1, body) })
					b.ReportMetric(float64(2*share*threads*repeat)/float64(best), "GB/s")
				})
			}
		}
	}
}
