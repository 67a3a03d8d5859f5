package kernel

import "fmt"

// The blocking of Gemm: a tile of tileRows x tileColumns accumulators stays in registers; packed panels of blockDepth
// elements a row stay in the first-level cache; blockColumns columns of the packed right factor (200 KiB in float64) in the second.
// A chain of sums is no longer than blockDepth, which bounds its rounding error.
const (
	tileRows     = 4
	tileColumns  = 2
	blockDepth   = 200
	blockColumns = 128
)

// gemmGrain is the number of multiply-adds below which another thread costs more than it saves.
const gemmGrain = 64 << 10

// Matrix is a row-major matrix, element (i, j) at Data[i*Stride+j], or its transpose.
type Matrix[T Float] struct {
	Data       []T
	Stride     int
	Transposed bool // element (i, j) at Data[j*Stride+i]
}

// Gemm is C = alpha * A * B + C0 for an m x k matrix A, a k x n matrix B and row-major C; what is added is set up by Start.
type Gemm[T Float] struct {
	M, N, K int
	Alpha   T
	A, B    Matrix[T]
	C       []T // M x N; nil where End takes all that is wanted
	// StrideC is how far apart the rows of C begin; 0 means N.
	StrideC int
	// Start writes what the product is added to into rows lo ... hi, columns left ... right of C; nil means zeros.
	Start func(lo, hi, left, right int)
	// End, if there is one, is called once for each part of C when its sums are complete and still in a near cache: to add a bias, for an
	// activation, or to use C where it is not kept.
	End End[T]
	// ResultWithin and LeftWithin, each nil or with a length for each row, let PrepareEach leave out what does not count. Of row r of C only the first
	// ResultWithin[r] elements are wanted, the others are anything or not written. Of row r of A, or where it is transposed of what is row r of its Data, only the
	// first LeftWithin[r] elements are not 0.
	ResultWithin, LeftWithin []int
	// Adam, if there is one, updates with the product, which is not kept: C and End must be nil.
	Adam *AdamProduct[T]

	pool *Pool
	body func(worker, lo, hi int)
	// One scratch buffer for each worker: a packed panel of A, then a packed block of B.
	scratch [][]T
}

// End gets rows lo ... hi, columns left ... right of a product: element (i, j) lies at c[(i-lo)*stride+j-left], and may be changed.
// worker is the number of the thread, from 0 on, that calls it.
type End[T Float] func(worker int, c []T, stride, lo, hi, left, right int)

// Prepare checks the operands' sizes, allocates scratch and returns the call that computes the product. The operands'
// elements are read and written when the call runs.
func (g Gemm[T]) Prepare(pool *Pool) func() {
	if g.Adam != nil {
		if g.C != nil || g.Start != nil || g.End != nil {
			panic("kernel: Gemm: a product that Adam updates with has no C, no start and no end")
		}
		g.End = g.Adam.end(g.N)
	}
	g.setStride()
	g.check()
	if f, ok := any(&g).(*Gemm[float32]); ok {
		if p := active.Load(); p.tileRows > 0 {
			t := newTiled(p, f)
			return t.split(pool)
		}
	}
	if g.C == nil {
		g.C, g.StrideC = make([]T, g.M*g.N), g.N
	}
	g.pool = pool
	g.scratch = make([][]T, pool.Threads())
	for i := range g.scratch {
		g.scratch[i] = make([]T, tileRows*blockDepth+blockColumns*blockDepth)
	}
	run := &g
	grain := max(1, gemmGrain/max(1, min(g.M, g.N)*g.K))
	if g.N >= g.M {
		g.body = func(w, lo, hi int) { run.block(w, 0, run.M, lo, hi) }
		return func() { run.pool.For(run.N, grain, run.body) }
	}
	g.body = func(w, lo, hi int) { run.block(w, lo, hi, 0, run.N) }
	return func() { run.pool.For(run.M, grain, run.body) }
}

// Offsets says where the operands of one product of a batch begin in the data of A, B and C.
type Offsets struct{ A, B, C int }

// PrepareBatch is Prepare for as many products of the same size as there are offsets; their results must not overlap. It
// shares the products between the threads, not the parts of one. Start and End must be nil.
func (g Gemm[T]) PrepareBatch(pool *Pool, offsets []Offsets) func() {
	each := g.PrepareEach(pool, offsets)
	grain := max(1, gemmGrain/max(1, g.M*g.N*g.K))
	body := func(w, lo, hi int) {
		for i := lo; i < hi; i++ {
			each(w, i)
		}
	}
	return func() { pool.For(len(offsets), grain, body) }
}

// PrepareEach is PrepareBatch for a caller that shares out the work itself, because it does more with each product: it returns what computes
// product i on the pool's worker of that number.
func (g Gemm[T]) PrepareEach(pool *Pool, offsets []Offsets) func(worker, i int) {
	if g.Start != nil || g.End != nil || g.Adam != nil {
		panic("kernel: Gemm: a batch has no start and no end")
	}
	g.setStride()
	for _, o := range offsets {
		one := g
		one.from(&g, o)
		one.check()
	}
	if f, ok := any(&g).(*Gemm[float32]); ok {
		if p := active.Load(); p.tileRows > 0 {
			if s := newSmall(p, f); s != nil {
				return s.each(pool, offsets)
			}
			t := newTiled(p, f)
			return t.each(pool, offsets)
		}
	}
	workers := make([]Gemm[T], pool.Threads())
	for i := range workers {
		workers[i] = g
		workers[i].scratch = [][]T{make([]T, tileRows*blockDepth+blockColumns*blockDepth)}
	}
	return func(w, i int) {
		workers[w].from(&g, offsets[i])
		workers[w].block(0, 0, g.M, 0, g.N)
	}
}

func (g *Gemm[T]) setStride() {
	if g.StrideC == 0 {
		g.StrideC = g.N
	}
}

// from sets the operands to those of whole that begin at o.
func (g *Gemm[T]) from(whole *Gemm[T], o Offsets) {
	g.A.Data, g.B.Data, g.C = whole.A.Data[o.A:], whole.B.Data[o.B:], whole.C[o.C:]
}

func (g *Gemm[T]) check() {
	need := func(name string, m Matrix[T], rows, columns int) {
		if m.Transposed {
			rows, columns = columns, rows
		}
		if m.Stride < columns || rows > 0 && len(m.Data) < (rows-1)*m.Stride+columns {
			panic(fmt.Sprintf("kernel: Gemm: %s has %d elements, stride %d, for %d x %d", name, len(m.Data), m.Stride, rows, columns))
		}
	}
	need("A", g.A, g.M, g.K)
	need("B", g.B, g.K, g.N)
	if g.C != nil || g.End == nil {
		need("C", Matrix[T]{Data: g.C, Stride: g.StrideC}, g.M, g.N)
	}
	if g.C == nil && g.Start != nil {
		panic("kernel: Gemm: a result that is not kept has no start")
	}
}

// block computes rows lo ... hi and columns left ... right of C.
func (g *Gemm[T]) block(worker, lo, hi, left, right int) {
	if g.Start != nil {
		g.Start(lo, hi, left, right)
	} else {
		for i := lo; i < hi; i++ {
			clear(g.C[i*g.StrideC+left : i*g.StrideC+right])
		}
	}
	panelA := g.scratch[worker][:tileRows*blockDepth]
	blockB := g.scratch[worker][tileRows*blockDepth:]
	for j0 := left; j0 < right; j0 += blockColumns {
		j1 := min(j0+blockColumns, right)
		for p0 := 0; p0 < g.K; p0 += blockDepth {
			p1 := min(p0+blockDepth, g.K)
			depth := p1 - p0
			for j := j0; j < j1; j += tileColumns {
				packColumns(blockB[(j-j0)*depth:], g.B, p0, p1, j, min(j+tileColumns, j1))
			}
			for i := lo; i < hi; i += tileRows {
				rows := min(tileRows, hi-i)
				packRows(panelA, g.A, p0, p1, i, i+rows)
				for j := j0; j < j1; j += tileColumns {
					acc := tile(depth, panelA, blockB[(j-j0)*depth:])
					for r := range rows {
						for c := range min(tileColumns, j1-j) {
							g.C[(i+r)*g.StrideC+j+c] += g.Alpha * acc[r*tileColumns+c]
						}
					}
				}
			}
		}
	}
	if g.End != nil && lo < hi && left < right {
		g.End(worker, g.C[lo*g.StrideC+left:], g.StrideC, lo, hi, left, right)
	}
}

// packRows copies rows i0 ... i1 of A, columns p0 ... p1, as depth groups of tileRows elements; missing rows are zeros.
func packRows[T Float](dst []T, a Matrix[T], p0, p1, i0, i1 int) {
	depth := p1 - p0
	for r := range tileRows {
		if i0+r >= i1 {
			for p := range depth {
				dst[p*tileRows+r] = 0
			}
			continue
		}
		if a.Transposed {
			src := a.Data[p0*a.Stride+i0+r:]
			for p := range depth {
				dst[p*tileRows+r] = src[p*a.Stride]
			}
			continue
		}
		for p, v := range a.Data[(i0+r)*a.Stride+p0:][:depth] {
			dst[p*tileRows+r] = v
		}
	}
}

// packColumns copies columns j0 ... j1 of B, rows p0 ... p1, as depth groups of tileColumns elements; missing columns are zeros.
func packColumns[T Float](dst []T, b Matrix[T], p0, p1, j0, j1 int) {
	depth := p1 - p0
	if j1-j0 < tileColumns {
		clear(dst[:depth*tileColumns])
	}
	for c := range j1 - j0 {
		if b.Transposed {
			for p, v := range b.Data[(j0+c)*b.Stride+p0:][:depth] {
				dst[p*tileColumns+c] = v
			}
			continue
		}
		src := b.Data[p0*b.Stride+j0+c:]
		for p := range depth {
			dst[p*tileColumns+c] = src[p*b.Stride]
		}
	}
}

// tile multiplies a packed panel of A with one of B: eight sums, each in order of depth.
func tile[T Float](depth int, a, b []T) (acc [tileRows * tileColumns]T) {
	var c00, c01, c10, c11, c20, c21, c30, c31 T
	a, b = a[:depth*tileRows], b[:depth*tileColumns]
	for len(a) >= tileRows && len(b) >= tileColumns {
		b0, b1 := b[0], b[1]
		a0, a1, a2, a3 := a[0], a[1], a[2], a[3]
		c00 += a0 * b0
		c01 += a0 * b1
		c10 += a1 * b0
		c11 += a1 * b1
		c20 += a2 * b0
		c21 += a2 * b1
		c30 += a3 * b0
		c31 += a3 * b1
		a, b = a[tileRows:], b[tileColumns:]
	}
	return [tileRows * tileColumns]T{c00, c01, c10, c11, c20, c21, c30, c31}
}
