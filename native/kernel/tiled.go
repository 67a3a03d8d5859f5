package kernel

import "unsafe"

// The blocking of the vectorised product. A tile's rows of the left factor, tileDepth deep (10 KiB), stay in the first-level
// cache; tileDepth x tileColumnBlock elements of the right factor (400 KiB) in the second. tileDepth decides where a sum is
// rounded to float32 and so is the same on every path: they all give the same bits. It also bounds the rounding error, which
// grows with the length of a chain: against PyTorch's own noise the gradients of the MLP had rho 3.5 at a depth of 400, 1.1 at 200.
const (
	tileDepth       = 200
	tileColumnBlock = 512
	// tilesInFirstLevel is the number of elements of the left factor up to which all its tiles stay in the first-level cache.
	tilesInFirstLevel = 5 << 10
	// tiledGrain is the number of multiply-adds, about a microsecond of them, below which another thread costs more than it saves.
	tiledGrain = 64 << 10
)

// tileFunc computes a tile of C, whose size belongs to the function: alpha * A * B, added to C with two roundings or
// overwriting it. Element (r, p) of A is rowStride*r + depthStride*p bytes behind a; row p of B begins stepB*p bytes behind b and
// row r of C stepC*r behind c. Each element of the product is one chain of fused multiply-adds in order of depth.
type tileFunc func(a *float32, rowStride, depthStride uintptr, b *float32, stepB uintptr, c *float32, stepC uintptr, depth int, alpha float32, add bool)

// tiled is a float32 product that runs on a path's tiles. It computes C or, if swapped, its transpose as the product of the
// transposed factors in reverse order. A left factor is never packed to be transposed, because its elements are read one by
// one; a right factor must have its columns side by side, in place or packed. So of the two forms one takes the one that packs less.
type tiled struct {
	path                 *path
	left, right          Matrix[float32]
	rows, columns, depth int
	alpha                float32
	c                    []float32
	width                int // how far apart the rows of C begin
	swapped              bool
	start                func(lo, hi, left, right int)
}

// newTiled chooses the form of a product by an estimate of its cost.
func newTiled(p *path, g *Gemm[float32]) tiled {
	straight := tiled{
		path: p, left: g.A, right: g.B, rows: g.M, columns: g.N, depth: g.K,
		alpha: g.Alpha, c: g.C, width: g.StrideC, start: g.Start,
	}
	swapped := straight
	swapped.left, swapped.right = transposed(g.B), transposed(g.A)
	swapped.rows, swapped.columns, swapped.swapped = g.N, g.M, true
	if swapped.cost() < straight.cost() {
		return swapped
	}
	return straight
}

func transposed(m Matrix[float32]) Matrix[float32] {
	m.Transposed = !m.Transposed
	return m
}

// cost estimates the cycles of the product: one for each vector of multiply-adds, what packing takes, and what goes through the temporary
// tile.
func (t *tiled) cost() int {
	vectors := (t.columns + t.path.lanes - 1) / t.path.lanes
	cost := t.rows * vectors * t.depth
	if t.right.Transposed {
		cost += t.columns * t.depth / 2
	}
	through := t.columns % t.path.lanes
	if t.swapped {
		through = t.columns
	}
	return cost + 2*t.rows*through*t.depthBlocks()
}

func (t *tiled) depthBlocks() int { return (t.depth + tileDepth - 1) / tileDepth }

// panelWidth is the number of columns of a packed panel and of the widest tile.
func (t *tiled) panelWidth() int { return 2 * t.path.lanes }

// scratchSizes returns the elements of a thread's temporary tile, of a transposed strip of it, of packed rows of the left
// factor, and of packed panels of the right. The tile has a multiple of eight rows, so that strips can be read whole.
func (t *tiled) scratchSizes() (tile, strip, rows, panels int) {
	width := t.panelWidth()
	depth := min(t.depth, tileDepth)
	columns := min((t.columns+width-1)/width*width, tileColumnBlock)
	return (t.path.tileRows + 7) / 8 * 8 * width, 8 * width, t.path.tileRows * (tileDepth + 16), columns * depth
}

func (t *tiled) scratchSize() int {
	tile, strip, rows, panels := t.scratchSizes()
	return tile + strip + rows + panels
}

// split returns the loop over a pool that computes the whole product.
func (t *tiled) split(pool *Pool) func() {
	pool.reserve(t.scratchSize())
	width := t.panelWidth()
	columnTiles := (t.columns + width - 1) / width
	rowTiles := (t.rows + t.path.tileRows - 1) / t.path.tileRows
	if columnTiles >= rowTiles || columnTiles >= 4*pool.Threads() {
		grain := max(1, tiledGrain/max(1, width*t.rows*t.depth))
		body := func(w, lo, hi int) { t.block(pool.scratch[w], 0, t.rows, lo*width, min(hi*width, t.columns)) }
		return func() { pool.For(columnTiles, grain, body) }
	}
	grain := max(t.path.tileRows, tiledGrain/max(1, t.columns*t.depth))
	body := func(w, lo, hi int) { t.block(pool.scratch[w], lo, hi, 0, t.columns) }
	return func() { pool.For(t.rows, grain, body) }
}

// each returns what computes one of several products of the same size, which begin at the offsets, on a thread of the pool.
func (t *tiled) each(pool *Pool, offsets []Offsets) func(worker, i int) {
	pool.reserve(t.scratchSize())
	products := make([]tiled, pool.Threads())
	for i := range products {
		products[i] = *t
	}
	return func(w, i int) {
		p, o := &products[w], offsets[i]
		if t.swapped {
			o.A, o.B = o.B, o.A
		}
		p.left.Data, p.right.Data, p.c = t.left.Data[o.A:], t.right.Data[o.B:], t.c[o.C:]
		p.block(pool.scratch[w], 0, t.rows, 0, t.columns)
	}
}

// block computes rows lo ... hi and columns left ... right of the product.
func (t *tiled) block(scratch []float32, lo, hi, left, right int) {
	if lo >= hi || left >= right {
		return
	}
	if t.start != nil {
		if t.swapped {
			t.start(left, right, lo, hi)
		} else {
			t.start(lo, hi, left, right)
		}
	} else if t.depth == 0 {
		for i := lo; i < hi; i++ {
			for j := left; j < right; j++ {
				t.c[t.at(i, j)] = 0
			}
		}
	}
	blocks := t.depthBlocks()
	for j0 := left; j0 < right; j0 += tileColumnBlock {
		for b := range blocks {
			s := slab{
				tiled: t, p0: t.depth * b / blocks, p1: t.depth * (b + 1) / blocks,
				left: j0, right: min(j0+tileColumnBlock, right), add: b > 0 || t.start != nil,
			}
			tile, strip, rows, _ := t.scratchSizes()
			s.tile, s.strip = scratch[:tile], scratch[tile:tile+strip]
			s.packedRows, s.panels = scratch[tile+strip:tile+strip+rows], scratch[tile+strip+rows:]
			s.run(lo, hi)
		}
	}
}

// at returns the index in C of an element of the product.
func (t *tiled) at(i, j int) int {
	if t.swapped {
		return j*t.width + i
	}
	return i*t.width + j
}

// slab is the part of a product of some columns and one block of depth.
type slab struct {
	*tiled
	p0, p1, left, right int
	add                 bool
	pack                bool // the right factor, even where it could be read in place
	// Parts of the scratch, as scratchSizes says.
	tile, strip, packedRows, panels []float32
}

// run computes rows lo ... hi. A short left factor stays in the first-level cache while the columns pass; of a long one, a
// tile's rows stay while the packed columns, in the second level, pass.
func (s *slab) run(lo, hi int) {
	width, depth := s.panelWidth(), s.p1-s.p0
	// Tiles of nearly equal height, or of eight rows where they are stored transposed.
	count := (hi - lo + s.path.tileRows - 1) / s.path.tileRows
	tile := func(n int) (i, end int) { return lo + (hi-lo)*n/count, lo + (hi-lo)*(n+1)/count }
	if s.swapped && s.path.tileRows >= 8 && count > 1 {
		count = (hi - lo + 7) / 8
		tile = func(n int) (i, end int) { return lo + 8*n, min(lo+8*n+8, hi) }
	}
	if (hi-lo)*depth <= tilesInFirstLevel || count <= 4 {
		for j := s.left; j < s.right; j += width {
			b, stepB := s.panel(s.panels, j, true)
			for n := range count {
				i, end := tile(n)
				a, rowStride, depthStride := s.leftAt(i)
				s.compute(i, end-i, j, a, rowStride, depthStride, b, stepB)
			}
		}
		return
	}
	s.pack = true
	for j := s.left; j < s.right; j += width {
		s.panel(s.panels[(j-s.left)*depth:], j, true)
	}
	for n := range count {
		i, end := tile(n)
		a, rowStride, depthStride := s.leftAt(i)
		if s.right-s.left > 2*width {
			a, rowStride, depthStride = s.packLeft(i, end)
		}
		for j := s.left; j < s.right; j += width {
			b, stepB := s.panel(s.panels[(j-s.left)*depth:], j, false)
			s.compute(i, end-i, j, a, rowStride, depthStride, b, stepB)
		}
	}
}

const elementBytes = unsafe.Sizeof(float32(0))

// leftAt returns where row i of the left factor begins in this block of depth, and its strides in bytes.
func (s *slab) leftAt(i int) (a *float32, rowStride, depthStride uintptr) {
	stride := uintptr(s.tiled.left.Stride) * elementBytes
	if s.tiled.left.Transposed {
		return &s.tiled.left.Data[s.p0*s.tiled.left.Stride+i], elementBytes, stride
	}
	return &s.tiled.left.Data[i*s.tiled.left.Stride+s.p0], stride, elementBytes
}

// packLeft copies rows i ... end of the left factor, as they lie, so that they are close together: rows a power of two apart
// would displace each other from the cache.
func (s *slab) packLeft(i, end int) (a *float32, rowStride, depthStride uintptr) {
	m := s.tiled.left
	if m.Transposed {
		n := end - i
		for p := s.p0; p < s.p1; p++ {
			copy(s.packedRows[(p-s.p0)*n:(p-s.p0+1)*n], m.Data[p*m.Stride+i:p*m.Stride+end])
		}
		return &s.packedRows[0], elementBytes, uintptr(n) * elementBytes
	}
	const step = tileDepth + 16
	for r := i; r < end; r++ {
		copy(s.packedRows[(r-i)*step:], m.Data[r*m.Stride+s.p0:r*m.Stride+s.p1])
	}
	return &s.packedRows[0], step * elementBytes, elementBytes
}

// panel returns the columns from j on, up to a panel's width of them: in place if they can be read there in whole vectors,
// else in dst, packed there before if fill is set, with zeros for missing columns.
func (s *slab) panel(dst []float32, j int, fill bool) (b *float32, stepB uintptr) {
	width := s.panelWidth()
	n := min(width, s.right-j)
	m := s.tiled.right
	if !s.pack && !m.Transposed && (n == width || n == s.path.lanes) {
		return &m.Data[s.p0*m.Stride+j], uintptr(m.Stride) * elementBytes
	}
	if fill {
		packPanel(s.path, dst[:width*(s.p1-s.p0)], width, m, s.p0, s.p1, j, j+n)
	}
	return &dst[0], uintptr(width) * elementBytes
}

// packPanel copies columns j0 ... j1 of m, rows p0 ... p1, to rows of width elements; missing columns are zeros.
func packPanel(path *path, dst []float32, width int, m Matrix[float32], p0, p1, j0, j1 int) {
	depth, n := p1-p0, j1-j0
	if !m.Transposed {
		for p := range depth {
			row := dst[p*width : (p+1)*width]
			src := m.Data[(p0+p)*m.Stride+j0:]
			clear(row[copy(row, src[:n]):])
		}
		return
	}
	if n < width {
		clear(dst)
	}
	c, even := 0, depth&^7
	if even > 0 {
		for ; c+8 <= n; c += 8 {
			src := m.Data[(j0+c)*m.Stride+p0:]
			_ = src[7*m.Stride+even-1]
			path.transpose8(&dst[c], uintptr(width)*elementBytes, &src[0], uintptr(m.Stride)*elementBytes, even/8)
			for k := c; k < c+8; k++ {
				for p := even; p < depth; p++ {
					dst[p*width+k] = src[(k-c)*m.Stride+p]
				}
			}
		}
	}
	for ; c < n; c++ {
		for p, v := range m.Data[(j0+c)*m.Stride+p0:][:depth] {
			dst[p*width+c] = v
		}
	}
}

// compute runs one tile, through the temporary one where C has not its form.
func (s *slab) compute(i, rows, j int, a *float32, rowStride, depthStride uintptr, b *float32, stepB uintptr) {
	lanes, width, depth := s.path.lanes, s.panelWidth(), s.p1-s.p0
	n := min(width, s.right-j)
	vectors := (n + lanes - 1) / lanes
	f := s.path.tiles[vectors-1][rows]
	if !s.swapped && n == vectors*lanes {
		c := s.c[i*s.width+j : (i+rows-1)*s.width+j+n]
		f(a, rowStride, depthStride, b, stepB, &c[0], uintptr(s.width)*elementBytes, depth, s.alpha, s.add)
		return
	}
	f(a, rowStride, depthStride, b, stepB, &s.tile[0], uintptr(width)*elementBytes, depth, s.alpha, false)
	if !s.swapped {
		for r := range rows {
			c := s.c[(i+r)*s.width+j:][:n]
			if !s.add {
				copy(c, s.tile[r*width:])
				continue
			}
			for k, v := range s.tile[r*width:][:n] {
				c[k] += v
			}
		}
		return
	}
	s.storeTransposed(i, rows, j, n)
}

// storeTransposed brings the temporary tile into C, rows i ... i+rows of the product to as many columns: eight by eight
// where it can, the rest through a transposed strip.
func (s *slab) storeTransposed(i, rows, j, n int) {
	width := s.panelWidth()
	move := s.path.transpose8
	if s.add {
		move = s.path.transposeAdd8
	}
	for r := 0; r < rows; r += 8 {
		strip, count := s.tile[r*width:], min(8, rows-r)
		whole := 0
		if count == 8 {
			whole = n &^ 7
		}
		if whole > 0 {
			c := s.c[j*s.width+i+r : (j+whole-1)*s.width+i+r+8]
			move(&c[0], uintptr(s.width)*elementBytes, &strip[0], uintptr(width)*elementBytes, whole/8)
		}
		if whole == n {
			continue
		}
		s.path.transpose8(&s.strip[0], 8*elementBytes, &strip[whole], uintptr(width)*elementBytes, (n-whole+7)/8)
		for k := whole; k < n; k++ {
			c := s.c[(j+k)*s.width+i+r:][:count]
			from := s.strip[(k-whole)*8:][:len(c)]
			if !s.add {
				copy(c, from)
				continue
			}
			for x, v := range from {
				c[x] += v
			}
		}
	}
}
