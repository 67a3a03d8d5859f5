package kernel

import (
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"
)

// spinTime is how long a thread without work looks for some before it sleeps. Waking a sleeping thread takes 5 to 300
// microseconds, many times what a small kernel does; between the kernels of a step and between steps no thread should sleep.
const spinTime = 10 * time.Millisecond

// Pool runs loops on a fixed number of threads. The caller's goroutine is one of them. The others look for work for 10 ms
// after their last and then sleep and use no processor time; they sleep at once where there are more threads than processors
// to run them. A Pool serves one caller at a time.
type Pool struct {
	threads int
	workers []*worker // one for each further thread
	body    func(worker, lo, hi int)
	pending atomic.Int32 // workers that have not finished
	caller  waiter
	spin    time.Duration
	// scratch is one buffer for each thread, shared by all calls prepared for this pool, which run one at a time.
	scratch [][]float32
	shared  []float32 // likewise, for what all threads read
	// beside is what the caller does before its part of the next loop, which is smaller by so much of all of it; within is set meanwhile.
	beside []func()
	less   float64
	within bool
	// workspaces are what Workspace gave out.
	workspaces map[workspaceKey]any
}

// worker is a further thread and the range it is to do next.
type worker struct {
	_ [128]byte // no cache line holds what two threads look at
	waiter
	lo, hi int
	closed bool
	_      [128]byte
}

// The states of a waiter.
const (
	looking  = iota // for the signal, by turns, or busy and not looking at all
	sleeping        // on the channel
	signaled
)

// waiter lets one goroutine wait for a signal from another. No second signal is given before the first is taken.
type waiter struct {
	state atomic.Int32
	wake  chan struct{} // of capacity 1; filled once for each time that a sleeper is signaled
}

func (w *waiter) signal() {
	if w.state.Swap(signaled) == sleeping {
		w.wake <- struct{}{}
	}
}

// take takes the signal if it is there.
func (w *waiter) take() bool { return w.state.CompareAndSwap(signaled, looking) }

// wait returns when it has taken a signal; it stays awake for the time spin at most.
func (w *waiter) wait(spin time.Duration) {
	for {
		if spin > 0 && w.look(spin) {
			return
		}
		// Who wakes may find the signal taken by the one who gave it, and waits for the next.
		if w.state.CompareAndSwap(looking, sleeping) {
			<-w.wake
		}
		if w.take() {
			return
		}
	}
}

// look takes a signal that comes within the time spin.
func (w *waiter) look(spin time.Duration) bool {
	begin := time.Now()
	for {
		for range 16 {
			if w.state.Load() == signaled && w.take() {
				return true
			}
			pause()
		}
		if time.Since(begin) > spin {
			return false
		}
		runtime.Gosched() // others may need this processor, the collector among them
	}
}

// NewPool starts threads-1 workers; Close ends them.
func NewPool(threads int) *Pool {
	spin := spinTime
	if threads > runtime.GOMAXPROCS(0) {
		spin = 0 // a thread that looks for work would keep another from doing it
	}
	return newPool(threads, spin)
}

func newPool(threads int, spin time.Duration) *Pool {
	p := &Pool{threads: max(threads, 1), spin: spin}
	p.scratch = make([][]float32, p.threads)
	p.caller.wake = make(chan struct{}, 1)
	for i := range p.threads - 1 {
		w := &worker{waiter: waiter{wake: make(chan struct{}, 1)}}
		p.workers = append(p.workers, w)
		go p.serve(w, i+1)
	}
	return p
}

func (p *Pool) serve(w *worker, number int) {
	for {
		w.wait(p.spin)
		if w.closed {
			return
		}
		p.body(number, w.lo, w.hi)
		if p.pending.Add(-1) == 0 {
			p.caller.signal()
		}
	}
}

// Threads returns the number of threads.
func (p *Pool) Threads() int { return p.threads }

// reserve makes every thread's scratch at least n elements long, aligned to a cache line.
func (p *Pool) reserve(n int) {
	for i := range p.scratch {
		if len(p.scratch[i]) < n {
			p.scratch[i] = alignedSlice(n)
		}
	}
}

// reserveShared does so with what all threads read.
func (p *Pool) reserveShared(n int) {
	if len(p.shared) < n {
		p.shared = alignedSlice(n)
	}
}

// alignedSlice returns n elements that begin a cache line.
func alignedSlice(n int) []float32 {
	const line, elements = 64, 64 / int(elementBytes)
	s := make([]float32, n+elements-1)
	past := int(uintptr(unsafe.Pointer(&s[0])) % line / elementBytes)
	return s[(elements-past)%elements:][:n]
}

// For calls body for disjoint ranges that cover 0 ... n, each with its own worker's number and none smaller than grain unless n
// is. It returns when all are done. It allocates nothing; body should be made once, not at each call.
func (p *Pool) For(n, grain int, body func(worker, lo, hi int)) {
	parts := min(p.threads, n/max(grain, 1))
	if parts <= 1 || p.within {
		p.doBeside()
		if n > 0 {
			body(0, 0, n)
		}
		return
	}
	p.body = body
	p.pending.Store(int32(parts - 1))
	first := n / parts
	if p.beside != nil {
		first = max(0, first-int(float64(n*(parts-1)/parts)*p.less))
	}
	for i, w := range p.workers[:parts-1] {
		w.lo, w.hi = first+(n-first)*i/(parts-1), first+(n-first)*(i+1)/(parts-1)
		w.signal()
	}
	p.doBeside()
	body(0, 0, first)
	// What a worker has not begun, because the system gives its processor to others, is done here in its place.
	for i, w := range p.workers[:parts-1] {
		if w.take() {
			body(i+1, w.lo, w.hi)
			if p.pending.Add(-1) == 0 {
				p.caller.signal()
			}
		}
	}
	p.caller.wait(p.spin)
	p.body = nil
}

// Beside runs calls prepared for the pool that are independent of each other and have little to do, and then last, which has much and uses no
// memory that they write; share is how much they have to do together, as a part of what last has. Where the first loop of last is shared between threads, the
// caller does the others meanwhile, alone, and less of the loop: what they read and write stays in its cache.
func (p *Pool) Beside(calls []func(), share float64, last func()) {
	p.beside, p.less = calls, share
	last()
	p.doBeside() // where it had no loop
}

// doBeside does what is to be done beside a loop.
func (p *Pool) doBeside() {
	if p.beside == nil {
		return
	}
	calls := p.beside
	p.beside = nil
	p.within = true
	for _, call := range calls {
		call()
	}
	p.within = false
}

// Close ends the workers. The pool must be idle.
func (p *Pool) Close() {
	for _, w := range p.workers {
		w.closed = true
		w.signal()
	}
	p.workers = nil
	p.threads = 1
}
