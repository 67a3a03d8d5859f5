package kernel

// small is a float32 product of which there are many, each small enough for its packed right factor to stay in a near cache: one head's in attention. What
// tiled finds out anew for each product is decided once; and of each tile only that is computed which counts (ResultWithin, LeftWithin).
//
// The sums are those of tiled, chains of multiply-adds in order of depth, so their bits are too.
type small struct {
	path    *path
	gemm    *Gemm[float32]
	whole   int // panels of two vectors of columns; a vector more may follow
	tiles   []smallTile
	scratch int // elements
}

// smallTile is a tile of rows lo ... hi, of which so many panels count, whole ones and perhaps a vector, and so much of the depth.
type smallTile struct {
	lo, hi      int
	whole, rest int
	from, to    int
}

// smallElements is the size of the right factor (128 KiB) up to which a product is small.
const smallElements = 32 << 10

// newSmall returns the product's plan, nil where it is not small or has not whole vectors of columns.
func newSmall(p *path, g *Gemm[float32]) *small {
	if g.K < 1 || g.K > tileDepth || g.M < 1 || g.N < 1 || g.N%p.lanes != 0 || g.N*g.K > smallElements {
		return nil
	}
	width := 2 * p.lanes
	s := &small{path: p, gemm: g, whole: g.N / width, scratch: g.N * g.K}
	count, row := tileEdges(0, g.M, p.tileRows)
	for i := range count {
		t := smallTile{lo: row(i), hi: row(i + 1), to: g.K}
		columns := g.N
		if g.ResultWithin != nil {
			columns = 0
			for _, n := range g.ResultWithin[t.lo:t.hi] {
				columns = max(columns, n)
			}
		}
		vectors := (min(columns, g.N) + p.lanes - 1) / p.lanes
		// A panel of which only one vector counts is computed as a whole where that is there: a tile of one vector has its rows to read for half the work.
		t.whole = min((vectors+1)/2, s.whole)
		t.rest = max(0, vectors-2*t.whole)
		if g.LeftWithin != nil {
			t.from, t.to = s.depth(t.lo, t.hi)
		}
		s.tiles = append(s.tiles, t)
	}
	return s
}

// depth returns where rows lo ... hi of the left factor are not known to be zero.
func (s *small) depth(lo, hi int) (from, to int) {
	within := s.gemm.LeftWithin
	if !s.gemm.A.Transposed {
		for _, n := range within[lo:hi] {
			to = max(to, n)
		}
		return 0, min(to, s.gemm.K)
	}
	from = s.gemm.K
	for p, n := range within[:s.gemm.K] {
		if n > lo {
			from, to = min(from, p), p+1
		}
	}
	return min(from, to), to
}

// packVector packs the columns from left on that are a vector.
func (s *small) packVector(panel []float32, right Matrix[float32], left int) {
	lanes, depth := s.path.lanes, s.gemm.K
	if right.Transposed {
		packTransposed(s.path, panel[:lanes*depth], lanes, right, 0, depth, left, left+lanes)
	} else {
		copyApart(s.path, panel, lanes, right.Data[left:], right.Stride, lanes, depth)
	}
}

// each is tiled.each.
func (s *small) each(pool *Pool, offsets []Offsets) func(worker, i int) {
	pool.reserve(s.scratch)
	return func(w, i int) { s.compute(pool.scratch[w], offsets[i]) }
}

func (s *small) compute(panels []float32, o Offsets) {
	g, width := s.gemm, 2*s.path.lanes
	right := Matrix[float32]{Data: g.B.Data[o.B:], Stride: g.B.Stride, Transposed: g.B.Transposed}
	packColumnsInPanels(s.path, panels, width, right, 0, g.K, 0, s.whole*width)
	rest := s.whole * width
	if rest < g.N {
		s.packVector(panels[rest*g.K:], right, rest)
	}
	rowStride, depthStride := uintptr(g.A.Stride)*elementBytes, elementBytes
	if g.A.Transposed {
		rowStride, depthStride = depthStride, rowStride
	}
	stepC := uintptr(g.StrideC) * elementBytes
	for _, t := range s.tiles {
		depth, rows, c := t.to-t.from, t.hi-t.lo, g.C[o.C+t.lo*g.StrideC:]
		a := &g.A.Data[o.A]
		switch {
		case depth == 0:
		case g.A.Transposed:
			a = &g.A.Data[o.A+t.from*g.A.Stride+t.lo]
		default:
			a = &g.A.Data[o.A+t.lo*g.A.Stride+t.from]
		}
		if t.whole > 0 {
			s.path.strips[1][rows](a, rowStride, depthStride, &panels[t.from*width], uintptr(width)*elementBytes, uintptr(width*g.K)*elementBytes, &c[0], stepC, depth, t.whole, g.Alpha, false)
		}
		if t.rest > 0 {
			s.path.strips[0][rows](a, rowStride, depthStride, &panels[rest*g.K+t.from*s.path.lanes], uintptr(s.path.lanes)*elementBytes, 0, &c[rest], stepC, depth, 1, g.Alpha, false)
		}
	}
}
