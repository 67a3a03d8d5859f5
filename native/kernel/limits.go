package kernel

import (
	"bytes"
	"math"
	"slices"
	"time"
)

// Limits are what this machine can do at this moment on some threads: no kernel is faster than the larger of its operations at the peak and its
// bytes at the bandwidth of the smallest memory that holds them.
type Limits struct {
	// Peak is the number of floating-point operations a second of multiply-adds in registers, on the path in use.
	Peak float64
	// Bandwidths are the bytes a second that can be moved within sets of so many bytes, the smallest set first.
	Bandwidths []Bandwidth
}

// Bandwidth is how many bytes a second can be read, or read and written, within a set of bytes.
type Bandwidth struct {
	Set            int
	BytesPerSecond float64
}

// bandwidthSets are sizes from within the first cache to beyond the last.
var bandwidthSets = []int{16 << 10, 64 << 10, 256 << 10, 1 << 20, 4 << 20, 16 << 20, 64 << 20}

// MeasureLimits takes about a tenth of a second. The largest set's memory is held until it returns.
func MeasureLimits(pool *Pool) Limits {
	l := Limits{Peak: 1e9 * measurePeak(active.Load(), pool)}
	data := make([]byte, bandwidthSets[len(bandwidthSets)-1])
	for _, set := range bandwidthSets {
		best := 0.0
		for _, move := range moves {
			best = max(best, measureMove(pool, data[:set], move.do))
		}
		l.Bandwidths = append(l.Bandwidths, Bandwidth{Set: set, BytesPerSecond: best})
	}
	return l.Higher(l)
}

// Higher returns the higher limits of two measurements, since other work on the machine only ever lowers them; and since bytes that fit a smaller
// memory fit a larger one, no bandwidth is below that of a larger set.
func (l Limits) Higher(other Limits) Limits {
	out := Limits{Peak: max(l.Peak, other.Peak), Bandwidths: slices.Clone(l.Bandwidths)}
	highest := 0.0
	for i := len(out.Bandwidths) - 1; i >= 0; i-- {
		highest = max(highest, out.Bandwidths[i].BytesPerSecond, other.Bandwidths[i].BytesPerSecond)
		out.Bandwidths[i].BytesPerSecond = highest
	}
	return out
}

// moves are the ways of moving bytes that a limit is made of: Go's own memory copy, which reads half of a set and writes the other, and its
// comparison of two halves, which reads all.
var moves = []struct {
	name string
	do   func(x, y []byte)
}{
	{"copy", func(x, y []byte) { copy(x, y) }},
	{"read", func(x, y []byte) {
		if !bytes.Equal(x, y) {
			panic("kernel: bytes differ from their copy")
		}
	}},
}

// mover returns a call that moves the bytes of a set a few times, each thread those of its share, and how many bytes that are.
func mover(pool *Pool, set []byte, do func(x, y []byte)) (call func(), moved int) {
	threads := pool.Threads()
	share := len(set) / threads / 2
	repeat := max(1, (4<<20)/len(set)) // the clock and the start of the threads must not count
	body := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			x := set[2*i*share:]
			for range repeat {
				do(x[:share], x[share:2*share])
			}
		}
	}
	return func() { pool.For(threads, 1, body) }, 2 * share * threads * repeat
}

// measureMove returns the bytes a second of the fastest of some moves.
func measureMove(pool *Pool, set []byte, do func(x, y []byte)) float64 {
	call, moved := mover(pool, set, do)
	best := time.Duration(math.MaxInt64)
	call()
	for began := time.Now(); time.Since(began) < 5*time.Millisecond || best == math.MaxInt64; {
		begin := time.Now()
		call()
		best = min(best, time.Since(begin))
	}
	return float64(moved) / best.Seconds()
}

// measurePeak returns the multiply-adds' limit of a path in GF/s: independent chains in registers.
func measurePeak(p *path, pool *Pool) float64 {
	const loops = 50_000
	lanes, peak := p.lanes, p.peak
	if peak == nil {
		lanes, peak = 1, genericPeak
	}
	body := func(_, lo, hi int) {
		for range hi - lo {
			peak(loops)
		}
	}
	best := time.Duration(math.MaxInt64)
	for range 200 {
		begin := time.Now()
		pool.For(pool.Threads(), 1, body)
		best = min(best, time.Since(begin))
	}
	return 2 * 12 * loops * float64(lanes) * float64(pool.Threads()) / float64(best)
}

// sink keeps the compiler from leaving genericPeak's arithmetic out.
var sink [16]float32

// genericPeak does 12 multiply-adds in each of the loops.
func genericPeak(loops int) {
	a, b, c, d, e, f := float32(1), float32(2), float32(3), float32(4), float32(5), float32(6)
	g, h, i, j, k, l := a, b, c, d, e, f
	const x, y = 0.5, 1
	for range loops {
		a, b, c, d, e, f = a*x+y, b*x+y, c*x+y, d*x+y, e*x+y, f*x+y
		g, h, i, j, k, l = g*x+y, h*x+y, i*x+y, j*x+y, k*x+y, l*x+y
	}
	if s := a + b + c + d + e + f + g + h + i + j + k + l; s == 0 { // never
		sink[0] = s
	}
}
