package kernel

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"tandem/native/philox"
)

// TestForCoversEachIndexOnce runs over all small n, grains and numbers of threads: each index comes exactly once, no range is
// shorter than the grain unless n is, and no worker gets two.
func TestForCoversEachIndexOnce(t *testing.T) {
	for threads := 1; threads <= 5; threads++ {
		pool := NewPool(threads)
		for n := range 40 {
			for grain := range 12 {
				seen := make([]atomic.Int32, n)
				workers := make([]atomic.Int32, threads)
				var short atomic.Int32
				pool.For(n, grain, func(worker, lo, hi int) {
					workers[worker].Add(1)
					if hi-lo < min(grain, n) {
						short.Add(1)
					}
					for i := lo; i < hi; i++ {
						seen[i].Add(1)
					}
				})
				for i := range seen {
					if c := seen[i].Load(); c != 1 {
						t.Fatalf("%d threads, n = %d, grain %d: index %d came %d times", threads, n, grain, i, c)
					}
				}
				for w := range workers {
					if c := workers[w].Load(); c > 1 {
						t.Fatalf("%d threads, n = %d, grain %d: worker %d got %d ranges", threads, n, grain, w, c)
					}
				}
				if short.Load() > 0 {
					t.Fatalf("%d threads, n = %d, grain %d: a range is shorter than the grain", threads, n, grain)
				}
			}
		}
		pool.Close()
	}
}

// TestForWhateverTheWorkersDo runs loops back to back and with rests, so that workers are met looking for work, on their way to sleep,
// asleep, and too late because the caller has done their part.
func TestForWhateverTheWorkersDo(t *testing.T) {
	for _, spin := range []time.Duration{0, time.Nanosecond, 20 * time.Microsecond, spinTime} {
		pool := newPool(4, spin)
		var sums [4]int // each worker's own: the race detector finds two that share
		body := func(worker, lo, hi int) {
			for i := lo; i < hi; i++ {
				sums[worker] += i
			}
		}
		const loops, n = 3000, 400
		for i := range loops {
			pool.For(n, 1+i%200, body)
			if i%50 == 0 {
				time.Sleep(time.Duration(i) * 100 * time.Nanosecond)
			}
		}
		pool.Close()
		if got, want := sums[0]+sums[1]+sums[2]+sums[3], loops*n*(n-1)/2; got != want {
			t.Errorf("spin %v: the indices add up to %d, want %d", spin, got, want)
		}
	}
}

// TestIdleWorkersSleep waits for every worker to sleep: an engine between two commands uses no processor time.
func TestIdleWorkersSleep(t *testing.T) {
	pool := newPool(3, time.Millisecond)
	defer pool.Close()
	pool.For(3, 1, func(_, _, _ int) {})
	for _, w := range pool.workers {
		for w.state.Load() != sleeping {
			time.Sleep(time.Millisecond) // a worker that never sleeps runs into the test's time limit
		}
	}
}

// TestMoreThreadsThanProcessors: workers must not stay awake at the cost of each other.
func TestMoreThreadsThanProcessors(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	pool := NewPool(2)
	defer pool.Close()
	if pool.spin != 0 {
		t.Errorf("two threads on one processor stay awake for %v", pool.spin)
	}
	pool.For(2, 1, func(_, _, _ int) {})
}

func TestForUsesEveryThread(t *testing.T) {
	pool := NewPool(3)
	defer pool.Close()
	used := make([]atomic.Bool, 3)
	pool.For(300, 1, func(worker, _, _ int) { used[worker].Store(true) })
	for w := range used {
		if !used[w].Load() {
			t.Errorf("worker %d had nothing to do", w)
		}
	}
}

func TestForAllocatesNothing(t *testing.T) {
	for threads := 1; threads <= 3; threads++ {
		pool := NewPool(threads)
		sums := make([]int, threads)
		body := func(worker, lo, hi int) { sums[worker] += hi - lo }
		if n := testing.AllocsPerRun(100, func() { pool.For(1000, 10, body) }); n != 0 {
			t.Errorf("%d threads: For makes %g allocations", threads, n)
		}
		pool.Close()
	}
}

// TestKernelsAllocateNothing holds the prepared calls to what package kernel promises.
func TestKernelsAllocateNothing(t *testing.T) { eachPath(t, testKernelsAllocateNothing) }

func testKernelsAllocateNothing(t *testing.T) {
	pool := NewPool(2)
	defer pool.Close()
	x, y := make([]float32, 64*64), make([]float32, 64*64)
	matrix := Matrix[float32]{Data: x, Stride: 64}
	product := Gemm[float32]{M: 64, N: 64, K: 64, Alpha: 1, A: matrix, B: matrix, C: y}.Prepare(pool)
	batch := Gemm[float32]{M: 32, N: 32, K: 64, Alpha: 1, A: matrix, B: matrix, C: y}.PrepareBatch(pool, []Offsets{{}, {0, 0, 1024}})
	keep, adam := make([]bool, 100), AdamStep[float32]{Eps: 1}
	for name, call := range map[string]func(){
		"Gemm": product, "a batch of Gemm": batch,
		"SumRows":                   func() { SumRows(y[:64], x, 64, 64, 0, 64) },
		"LogSoftmax":                func() { LogSoftmax(y, x, 64, 0, 64) },
		"LogSoftmax of narrow rows": func() { LogSoftmax(y, x, 8, 0, 64) },
		"Keep":                      func() { Keep(keep, philox.Stream{Step: 1}, 3, 0.5) },
		"KeepRows":                  func() { KeepRows(keep[:64], philox.Stream{Step: 1}, 4, 32, 48, 0.5) },
		"ReluDropout":               func() { ReluDropout(y, 64, x[:32], keep[:96], 2) },
		"Adam":                      func() { Adam(y[:100], x[:100], y[100:200], y[200:300], &adam) },
		"Softmax":                   func() { Softmax(y, x, 64, 1, 0, 64) },
	} {
		if n := testing.AllocsPerRun(20, call); n != 0 {
			t.Errorf("%s makes %g allocations", name, n)
		}
	}
}

func TestWorkspace(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	first := Workspace[float32](p, 0, 10)
	if len(first) != 2 || len(first[0]) != 10 || len(first[1]) != 10 || &first[0][0] == &first[1][0] {
		t.Fatalf("two threads have %v", first)
	}
	if again := Workspace[float32](p, 0, 10); &again[0][0] != &first[0][0] {
		t.Error("two calls that ask for the same do not share it")
	}
	for _, other := range [][][]float32{Workspace[float32](p, 1, 10), Workspace[float32](p, 0, 9)} {
		if &other[0][0] == &first[0][0] {
			t.Error("what differs in number or length is shared")
		}
	}
	if double := Workspace[float64](p, 0, 10); len(double) != 2 || len(double[1]) != 10 {
		t.Errorf("in float64 two threads have %v", double)
	}
}

// TestBeside: what runs beside a loop runs once, on the caller's thread and without a loop of its own being shared, and the loop still covers its range; the same where the
// loop is not shared, or where there is nothing to run beside it.
func TestBeside(t *testing.T) {
	for _, threads := range []int{1, 2, 3} {
		p := NewPool(threads)
		for _, c := range []struct {
			n, grain, calls int
			share           float64
		}{{128, 1, 2, 0.1}, {128, 1, 0, 0}, {7, 1, 1, 0.9}, {2, 1, 3, 5}, {3, 100, 2, 0.5}, {0, 1, 2, 0.1}} {
			var beside []func()
			done := make([]int, 10)
			for i := range c.calls {
				beside = append(beside, func() {
					p.For(10, 1, func(worker, lo, hi int) {
						if worker != 0 || lo != 0 || hi != 10 {
							t.Errorf("%d threads, %+v: a loop beside another runs %d ... %d on thread %d", threads, c, lo, hi, worker)
						}
						done[i]++
					})
				})
			}
			covered := make([]atomic.Int32, c.n)
			p.Beside(beside, c.share, func() {
				p.For(c.n, c.grain, func(_, lo, hi int) {
					for i := lo; i < hi; i++ {
						covered[i].Add(1)
					}
				})
			})
			for i, n := range done {
				if want := 0; i < c.calls {
					if want = 1; n != want {
						t.Errorf("%d threads, %+v: call %d ran %d times", threads, c, i, n)
					}
				}
			}
			for i := range covered {
				if covered[i].Load() != 1 {
					t.Errorf("%d threads, %+v: element %d was done %d times", threads, c, i, covered[i].Load())
				}
			}
			parts := make([]atomic.Int32, 12) // the next loop is an ordinary one
			p.For(12, 1, func(_, lo, hi int) {
				for i := lo; i < hi; i++ {
					parts[i].Add(1)
				}
			})
			for i := range parts {
				if parts[i].Load() != 1 {
					t.Errorf("%d threads, %+v: a loop after it did element %d %d times", threads, c, i, parts[i].Load())
				}
			}
		}
		p.Close()
	}
}
