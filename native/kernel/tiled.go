package kernel

import "unsafe"

// The blocking of the vectorised product. A tile's rows of the left factor, tileDepth deep (10 KiB), stay in the first-level
// cache with the part of C that they give; blockElements of the right factor (512 KiB) in the second. tileDepth decides where a sum is
// rounded to float32 and so is the same on every path: they all give the same bits. It also bounds the rounding error, which
// grows with the length of a chain: against PyTorch's own noise the gradients of the MLP had rho 3.5 at a depth of 400, 1.1 at 200.
const (
	tileDepth     = 200
	blockChains   = 8 // of tileDepth, one after the other while C's part is at hand
	blockElements = 256 << 10
	// groupElements is the number of elements of the left factor (768 KiB) that stay in the second-level cache while the columns pass by.
	groupElements = 192 << 10
	// keptElements is the number of elements of C (1 MiB) that a group of rows gives before End is called.
	keptElements = 256 << 10
	// sharedElements is the largest right factor (16 MiB) that is packed as a whole, for all threads or by each for itself.
	sharedElements = 4 << 20
	// sharedRows is the number of a thread's rows from which on that pays: what the other one has packed comes slowly from its cache.
	sharedRows = 200
	// inFirstLevel is the number of elements of the left factor up to which all of it stays in the first-level cache as it lies.
	inFirstLevel = 5 << 10
	// endElements is the number of elements of C after which End is called, if it can be that soon.
	endElements = 4 << 10
	// tiledGrain is the number of multiply-adds, a microsecond and a half of them, below which another thread costs more than it saves: what it
	// reads and what it hands back lie in the other one's cache.
	tiledGrain = 192 << 10
)

// stripFunc computes tiles of C side by side, whose size belongs to the function: alpha * A * B, added to C with two roundings or
// overwriting it. Element (r, p) of A is rowStride*r + depthStride*p bytes behind a; row p of tile t of B begins tileB*t + stepB*p bytes
// behind b and row r of C stepC*r behind c. Each element of the product is one chain of fused multiply-adds in order of depth.
type stripFunc func(a *float32, rowStride, depthStride uintptr, b *float32, stepB, tileB uintptr, c *float32, stepC uintptr, depth, tiles int, alpha float32, add bool)

// deepTileFunc computes a tile of C as a stripFunc does, in one go through so many chains, whose lengths are given and whose factors follow each other. Sums is
// memory for a tile, row by row, with nothing between. In all chains but the last it fetches from next on, a row of a tile each so many turns of two
// columns; with into it copies that row there, one behind the other, and fetches the fourth after it.
type deepTileFunc func(a *float32, rowStride, depthStride uintptr, b *float32, stepB uintptr, c *float32, stepC uintptr, sums *float32, lengths *int, chains int, alpha float32, add bool, next *float32, stepNext uintptr, into *float32, every int)

// tiled is a float32 product that runs on a path's tiles. It computes C or, if swapped, its transpose as the product of the
// transposed factors in reverse order. A left factor is never packed to be transposed, because its elements are read one by
// one; a right factor must have its columns side by side, in place or packed. So of the two forms one takes the one that packs less.
type tiled struct {
	path                 *path
	left, right          Matrix[float32]
	rows, columns, depth int
	alpha                float32
	c                    []float32 // nil: a part at a time in scratch, for end alone
	width                int       // how far apart the rows of C begin
	swapped              bool
	start                func(lo, hi, left, right int)
	end                  End[float32]
	adam                 *AdamProduct[float32]
	updates              []updating // of each thread, where the update is woven into the product

	packLeft, packRight bool
	byPanels            bool      // a group of rows stays while panels pass, not the columns while rows do
	blockColumns        int       // a multiple of the panel's width
	group               int       // the rows of a group
	chainAt, lengths    []int     // where each part of the sums begins, the end last; and how long it is
	leftStep            int       // the distance of packed rows: close together, and an odd number of cache lines, so that they do not displace each other
	shared              []float32 // all of the right factor in panels, where it is packed once
	ahead               bool      // each thread packs for itself, a panel in all chains of a block while its first tiles of the one before are computed
	own                 []float32 // their memory, one thread's behind the other's: where other products share what they pack
}

// newTiled chooses the form of a product by an estimate of its cost.
func newTiled(p *path, g *Gemm[float32]) tiled {
	t := tiled{
		path: p, left: g.A, right: g.B, rows: g.M, columns: g.N, depth: g.K,
		alpha: g.Alpha, c: g.C, width: g.StrideC, start: g.Start, end: g.End, adam: g.Adam,
	}
	swapped := t
	swapped.left, swapped.right = transposed(g.B), transposed(g.A)
	swapped.rows, swapped.columns, swapped.swapped = g.N, g.M, true
	if g.C != nil && swapped.cost() < t.cost() {
		t = swapped
	}
	for k := range t.chains() + 1 {
		t.chainAt = append(t.chainAt, t.depth*k/max(1, t.chains()))
		if k > 0 {
			t.lengths = append(t.lengths, t.chain(k)-t.chain(k-1))
		}
	}
	width := t.panelWidth()
	columns := (t.columns + width - 1) / width * width
	block := func(elements int) int {
		return min(max(1, elements/max(1, min(t.depth, blockChains*tileDepth))/width)*width, columns)
	}
	t.blockColumns = block(blockElements)
	t.packRight = t.right.Transposed || t.rows > 4*p.tileRows && t.depth > 64
	t.packLeft = t.rows*t.depth > inFirstLevel && t.blockColumns > 2*width
	t.byPanels = t.depth > 64 && t.rows > 2*p.tileRows
	if t.byPanels {
		t.packLeft = t.columns > 2*width
		t.packRight = t.right.Transposed || t.right.Stride != width && t.rows > 3*p.tileRows || displaces(t.right.Stride)
		t.blockColumns = columns
		if t.c == nil {
			t.blockColumns = min(max(1, keptElements/min(t.rows, groupElements/(blockChains*tileDepth))/width)*width, columns)
		}
	}
	return t
}

// setGroup decides how many rows, with all chains of a block, stay in the second-level cache while the right factor passes by.
func (t *tiled) setGroup() {
	if t.byPanels && !t.left.Transposed && t.chains() <= blockChains && !crowds(t.left.Stride) {
		t.packLeft = false // whole rows are read where they lie
	}
	const line = 64 / int(elementBytes)
	t.leftStep = line * ((t.blockDepth()+line-1)/line | 1)
	most := groupElements / t.leftStep
	if !t.byPanels && !t.packLeft {
		most = endElements / max(1, t.blockColumns)
		if t.end == nil {
			most = 1
		}
	}
	t.group = max(1, most/t.path.tileRows) * t.path.tileRows
}

// blockDepth is the depth of as many chains as are added up one after the other.
func (t *tiled) blockDepth() int {
	depth := 0
	for k := 0; k < t.chains(); k += blockChains {
		depth = max(depth, t.chain(min(k+blockChains, t.chains()))-t.chain(k))
	}
	return depth
}

// displaces reports whether rows that far apart, read two cache lines wide, displace each other from the first-level cache: a power of two lets
// them share few of its 64 sets.
func displaces(stride int) bool { return stride%64 == 0 }

// crowds reports whether the rows of a tile, that far apart, are read from one set of the first-level cache, which has as many ways as a tile rows or fewer.
func crowds(stride int) bool { return stride%1024 == 0 }

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
	return cost + 2*t.rows*through
}

// chains is the number of parts, of nearly equal length, that each sum is made of.
func (t *tiled) chains() int { return (t.depth + tileDepth - 1) / tileDepth }

// chain returns where a part of the sums begins; in an empty sum all do at 0.
func (t *tiled) chain(n int) int {
	if t.depth == 0 {
		return 0
	}
	return t.chainAt[n]
}

// panelWidth is the number of columns of a packed panel and of the widest tile.
func (t *tiled) panelWidth() int { return 2 * t.path.lanes }

// tempWidth is the number of columns of the temporary tile: as many as go through it.
func (t *tiled) tempWidth() int {
	if t.swapped && !t.byPanels {
		return t.blockColumns
	}
	return t.panelWidth()
}

// groups is the number of groups, of nearly the same size, that some tiles of rows make.
func (t *tiled) groups(tiles int) int {
	most := t.group / t.path.tileRows
	return (tiles + most - 1) / most
}

// scratch is a thread's memory for one product.
type scratch struct {
	temp   []float32 // a tile before it is transposed or cut; a multiple of eight rows, so that strips can be read whole
	strip  []float32 // of it, transposed
	packed []float32 // rows of the left factor
	panels []float32 // packed columns of the right factor
	kept   []float32 // the rows of C at hand, where C is not kept
	sums   []float32 // a tile between two chains
}

// scratchSizes returns the elements of each part.
func (t *tiled) scratchSizes() (temp, strip, left, panels, c int) {
	block := t.blockDepth()
	temp = (t.path.tileRows + 7) / 8 * 8 * t.tempWidth()
	if t.byPanels {
		temp = (t.group + 7) / 8 * 8 * t.panelWidth()
	}
	strip = 8 * t.panelWidth()
	if t.packLeft {
		left = t.group * t.leftStep
	}
	panels = t.panelWidth() * block
	switch {
	case t.shared != nil, t.ahead:
		panels = 0
	case t.byPanels:
		panels = t.panelWidth() * min(t.depth, tileDepth)
	case t.packRight:
		panels = t.blockColumns * block
	}
	switch {
	case t.weaves():
		c = t.gradientTiles() * t.path.tileRows * t.panelWidth()
	case t.c == nil:
		c = t.group * t.blockColumns
	}
	return temp, strip, left, panels, c
}

func (t *tiled) scratchSize() int {
	temp, strip, left, panels, c := t.scratchSizes()
	return temp + strip + left + panels + c + t.tileElements()
}

// aheadElements is the size of all panels that a thread packs for itself.
func (t *tiled) aheadElements() int {
	width := t.panelWidth()
	return (t.columns + width - 1) / width * width * t.blockDepth()
}

// tileElements is the size of a tile.
func (t *tiled) tileElements() int { return t.path.tileRows * t.panelWidth() }

func (t *tiled) cut(from []float32) (s scratch) {
	temp, strip, left, panels, c := t.scratchSizes()
	next := func(n int) []float32 {
		part := from[:n:n]
		from = from[n:]
		return part
	}
	s.panels, s.temp, s.strip, s.packed, s.kept, s.sums = next(panels), next(temp), next(strip), next(left), next(c), next(t.tileElements())
	return s
}

// split returns the loop over a pool that computes the whole product.
func (t *tiled) split(pool *Pool) func() {
	if t.c == nil && t.chains() > blockChains { // its parts come one block of depth after the other
		t.c, t.width = make([]float32, t.rows*t.columns), t.columns
	}
	if t.weaves() {
		t.updates = make([]updating, pool.Threads())
	}
	width := t.panelWidth()
	columnTiles := (t.columns + width - 1) / width
	rowTiles := (t.rows + t.path.tileRows - 1) / t.path.tileRows
	byColumns := columnTiles >= rowTiles || columnTiles >= 4*pool.Threads()
	if (!t.packRight || t.byPanels) && rowTiles >= 4*pool.Threads() {
		byColumns = false // rows divide more evenly, and a weight's rows stay with the thread that reads them in the forward pass
	}
	t.setGroup()
	rows := t.rows
	if !byColumns {
		rows = (t.rows + pool.Threads() - 1) / pool.Threads()
	}
	size := columnTiles * width * t.depth
	whole := t.byPanels && t.packRight && !t.weaves() && size <= sharedElements && (rows >= sharedRows || rows > t.group)
	t.ahead = whole && !t.right.Transposed && t.chains() > 1
	if whole && !t.ahead && (rows < t.rows || rows > t.group) {
		pool.reserveShared(size)
		t.shared = pool.shared[:size]
	}
	if t.ahead {
		pool.reserveShared(pool.Threads() * t.aheadElements())
	}
	pool.reserve(t.scratchSize())
	call := t.rowsLoop(pool)
	if byColumns {
		grain := max(1, tiledGrain/max(1, width*t.rows*t.depth))
		body := func(w, lo, hi int) { t.compute(w, pool.scratch[w], 0, t.rows, lo*width, min(hi*width, t.columns)) }
		call = func() { pool.For(columnTiles, grain, body) }
	}
	if t.ahead {
		return func() {
			t.own = pool.shared
			call()
		}
	}
	if t.shared == nil {
		return call
	}
	// One chain of all panels after the other: its rows of all columns stay in the second-level cache.
	pack := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			k, j := i/columnTiles, i%columnTiles*width
			p0, p1 := t.chain(k), t.chain(k+1)
			packColumnsInPanels(t.path, t.shared[j*t.depth+p0*width:], width, t.right, p0, p1, j, min(j+width, t.columns))
		}
	}
	return func() {
		t.shared = pool.shared[:size] // it may have grown since
		pool.For(columnTiles*t.chains(), 1, pack)
		call()
	}
}

// rowsLoop returns the loop that shares the rows between the threads.
func (t *tiled) rowsLoop(pool *Pool) func() {
	grain := max(t.path.tileRows, tiledGrain/max(1, t.columns*t.depth))
	body := func(w, lo, hi int) { t.compute(w, pool.scratch[w], lo, hi, 0, t.columns) }
	return func() { pool.For(t.rows, grain, body) }
}

// each returns what computes one of several products of the same size, which begin at the offsets, on a thread of the pool.
func (t *tiled) each(pool *Pool, offsets []Offsets) func(worker, i int) {
	t.setGroup()
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
		p.compute(w, pool.scratch[w], 0, t.rows, 0, t.columns)
	}
}

// compute does rows lo ... hi and columns left ... right of the product.
func (t *tiled) compute(worker int, memory []float32, lo, hi, left, right int) {
	if lo >= hi || left >= right {
		return
	}
	if t.start != nil {
		if t.swapped {
			t.start(left, right, lo, hi)
		} else {
			t.start(lo, hi, left, right)
		}
	}
	b := block{tiled: t, worker: worker, scratch: t.cut(memory), lo: lo, hi: hi}
	if t.ahead {
		n := t.aheadElements()
		b.panels = t.own[worker*n:][:n]
	}
	chains := t.chains()
	for b.left = left; b.left < right; b.left += t.blockColumns {
		b.right = min(b.left+t.blockColumns, right)
		for b.chain0 = 0; ; b.chain0 = b.chain1 {
			b.chain1 = min(b.chain0+blockChains, chains)
			b.last = b.chain1 == chains
			if b.updates != nil {
				b.update()
			} else {
				b.run()
			}
			if b.last {
				break
			}
		}
	}
}

// block is the part of a product of some rows and columns and some of the chains that make its sums.
type block struct {
	*tiled
	scratch
	worker         int
	lo, hi         int
	left, right    int
	chain0, chain1 int
	last           bool // no chain comes after these
	packedTo       int  // the panels before this column are packed, where they are kept
}

const elementBytes = unsafe.Sizeof(float32(0))

// tileEdges returns the number of tiles that n rows from lo on are divided into, and where each begins: tiles of full height and a rest, or of nearly
// the same height where the rest would be small.
func tileEdges(lo, n, height int) (tiles int, row func(tile int) int) {
	tiles = (n + height - 1) / height
	if rest := n % height; rest == 0 || 2*rest >= height {
		return tiles, func(tile int) int { return lo + min(tile*height, n) }
	}
	return tiles, func(tile int) int { return lo + n*tile/tiles }
}

// run computes the block, tile after tile of rows. Their height is eight where tiles are stored transposed one by one.
func (b *block) run() {
	height := b.path.tileRows
	if b.swapped && !b.byPanels && height >= 8 && b.hi-b.lo > height {
		height = 8
	}
	tiles, row := tileEdges(b.lo, b.hi-b.lo, height)
	if !b.byPanels {
		b.fill()
	}
	b.packedTo = b.left
	groups := b.groups(tiles)
	for group := range groups {
		first, end := tiles*group/groups, tiles*(group+1)/groups
		lo, hi := row(first), row(end)
		if b.packLeft {
			b.packRows(row, first, end)
		}
		if b.byPanels {
			b.panelTiles(row, first, end, group+1 == groups)
		}
		for tile := first; tile < end && !b.byPanels; tile++ {
			b.tile(row(tile), row(tile+1), lo, hi)
		}
		if b.end != nil && b.last && !b.swapped {
			if b.c == nil {
				b.end(b.worker, b.kept, b.right-b.left, lo, hi, b.left, b.right)
			} else {
				b.end(b.worker, b.c[lo*b.width+b.left:], b.width, lo, hi, b.left, b.right)
			}
		}
	}
	if b.end != nil && b.last && b.swapped {
		b.end(b.worker, b.c[b.left*b.width+b.lo:], b.width, b.left, b.right, b.lo, b.hi)
	}
}

// tile computes rows i ... end of the block, of the group of rows lo ... hi.
func (b *block) tile(i, end, lo, hi int) {
	rows, lanes, width := end-i, b.path.lanes, b.panelWidth()
	n := b.right - b.left
	whole := n / width
	rest := n - whole*width
	vectors := (rest + lanes - 1) / lanes
	// The memory of C's rows; swapped, or where it has not whole vectors, by way of the temporary tile.
	temp, stepTemp := &b.temp[0], uintptr(b.tempWidth())*elementBytes
	c, stepC := temp, stepTemp
	var part []float32
	if !b.swapped {
		if b.c == nil {
			part, stepC = b.kept[(i-lo)*n:], uintptr(n)*elementBytes
		} else {
			part, stepC = b.c[i*b.width+b.left:], uintptr(b.width)*elementBytes
		}
		c = &part[0]
	}
	throughTemp := b.swapped || rest%lanes != 0
	together := b.start == nil && b.chain0 == 0 // the chains can be added up in the temporary tile
	for k := b.chain0; k < b.chain1 || k == 0; k++ {
		p0, p1 := b.chain(k), b.chain(k+1)
		depth := p1 - p0
		add := k > 0 || b.start != nil
		addTemp := together && k > 0
		a, rowStride, depthStride := b.leftAt(i, rows, lo, hi, k)
		if whole > 0 {
			panel, stepB, tileB := b.panel(0, p0, depth)
			f := b.path.strips[1][rows]
			addC := add
			if b.swapped {
				addC = addTemp
			}
			f(a, rowStride, depthStride, panel, stepB, tileB, c, stepC, depth, whole, b.alpha, addC)
		}
		if rest > 0 {
			panel, stepB, tileB := b.panel(whole, p0, depth)
			f := b.path.strips[vectors-1][rows]
			switch {
			case b.swapped:
				f(a, rowStride, depthStride, panel, stepB, tileB, &b.temp[whole*width], stepTemp, depth, 1, b.alpha, addTemp)
			case rest%lanes != 0:
				f(a, rowStride, depthStride, panel, stepB, tileB, temp, stepTemp, depth, 1, b.alpha, addTemp)
			default:
				f(a, rowStride, depthStride, panel, stepB, tileB, &part[whole*width], stepC, depth, 1, b.alpha, add)
			}
		}
		if throughTemp && (!together || k+1 >= b.chain1) {
			switch {
			case b.swapped:
				b.storeTransposed(b.temp, b.tempWidth(), i, rows, b.left, b.right, !together)
			default:
				storeCut(part[whole*width:], b.temp, int(stepC/elementBytes), b.tempWidth(), rows, rest, !together)
			}
		}
	}
}

// leftAt returns where tile i ... i+rows of the left factor, of the group of rows lo ... hi, begins in a chain, and its strides in bytes.
func (b *block) leftAt(i, rows, lo, hi, chain int) (a *float32, rowStride, depthStride uintptr) {
	m := &b.tiled.left
	stride := uintptr(m.Stride) * elementBytes
	p0, from := b.chain(chain), b.chain(b.chain0)
	switch {
	case b.depth == 0:
		return &b.temp[0], 0, 0 // is not read
	case b.packLeft && m.Transposed:
		return &b.packed[(i-lo)*(b.chain(b.chain1)-from)+(p0-from)*rows], elementBytes, uintptr(rows) * elementBytes
	case b.packLeft:
		return &b.packed[(i-lo)*b.leftStep+p0-from], uintptr(b.leftStep) * elementBytes, elementBytes
	case m.Transposed:
		return &m.Data[p0*m.Stride+i], elementBytes, stride
	}
	return &m.Data[i*m.Stride+p0], stride, elementBytes
}

// packRows copies the left factor's rows of some tiles so that they are close together: rows a power of two apart would displace each other from the
// cache. They lie as before, or tile by tile where they are read column by column.
func (b *block) packRows(row func(tile int) int, first, end int) {
	m := &b.tiled.left
	lo, hi := row(first), row(end)
	from, to := b.chain(b.chain0), b.chain(b.chain1)
	if !m.Transposed {
		copyApart(b.path, b.packed, b.leftStep, m.Data[lo*m.Stride+from:], m.Stride, to-from, hi-lo)
		return
	}
	// Eight rows of the factor at a time, which the first-level cache holds, go to all tiles.
	for p := from; p < to; p += 8 {
		for tile := first; tile < end; tile++ {
			i, rows := row(tile), row(tile+1)-row(tile)
			copyApart(b.path, b.packed[(i-lo)*(to-from)+(p-from)*rows:], rows, m.Data[p*m.Stride+i:], m.Stride, rows, min(8, to-p))
		}
	}
}

// copyApart copies rows of n elements from src, stride apart, to dst, step apart.
func copyApart(path *path, dst []float32, step int, src []float32, stride, n, rows int) {
	if n == 0 || rows == 0 {
		return
	}
	_, _ = dst[(rows-1)*step+n-1], src[(rows-1)*stride+n-1]
	if n >= 8 {
		path.copyRows(&dst[0], uintptr(step)*elementBytes, &src[0], uintptr(stride)*elementBytes, n/8, uintptr(n-8)*elementBytes, rows)
		return
	}
	for r := range rows {
		for i := range n {
			dst[r*step+i] = src[r*stride+i]
		}
	}
}

// panel returns a tile of the block's columns in a chain that begins at depth p0, the distance of its rows and that of the next tile in bytes: in place if
// it can be read there in whole vectors, else as fill has packed it.
func (b *block) panel(tile, p0, depth int) (first *float32, stepB, tileB uintptr) {
	width := b.panelWidth()
	if depth == 0 {
		return &b.temp[0], 0, 0 // is not read
	}
	m, from := &b.tiled.right, p0-b.chain(b.chain0)
	if b.packRight {
		return &b.panels[from*b.blockColumns+tile*width*depth], uintptr(width) * elementBytes, uintptr(width*depth) * elementBytes
	}
	if rest := b.right - b.left - tile*width; rest >= width || rest == b.path.lanes {
		return &m.Data[p0*m.Stride+b.left+tile*width], uintptr(m.Stride) * elementBytes, uintptr(width) * elementBytes
	}
	return &b.panels[from*width], uintptr(width) * elementBytes, 0
}

// fill packs what panel returns packed.
func (b *block) fill() {
	width, n := b.panelWidth(), b.right-b.left
	rest := n % width
	for k := b.chain0; k < b.chain1; k++ {
		p0, p1 := b.chain(k), b.chain(k+1)
		from := p0 - b.chain(b.chain0)
		switch {
		case b.packRight:
			packColumnsInPanels(b.path, b.panels[from*b.blockColumns:], width, b.tiled.right, p0, p1, b.left, b.right)
		case rest != 0 && rest != b.path.lanes:
			packColumnsInPanels(b.path, b.panels[from*width:], width, b.tiled.right, p0, p1, b.right-rest, b.right)
		}
	}
}

// packColumnsInPanels copies columns left ... right of m, rows p0 ... p1, to panels of so many rows of width elements, one after the other; missing
// columns are zeros.
func packColumnsInPanels(path *path, dst []float32, width int, m Matrix[float32], p0, p1, left, right int) {
	depth := p1 - p0
	if m.Transposed {
		for j := left; j < right; j += width {
			packTransposed(path, dst[(j-left)*depth:][:width*depth], width, m, p0, p1, j, min(j+width, right))
		}
		return
	}
	for j := left; j < right && depth > 0; j += width {
		panel, n := dst[(j-left)*depth:][:width*depth], min(width, right-j)
		if n == width {
			src := m.Data[p0*m.Stride+j:]
			_ = src[(depth-1)*m.Stride+n-1]
			path.copyPanel(&panel[0], &src[0], uintptr(m.Stride)*elementBytes, depth)
			continue
		}
		clear(panel)
		copyApart(path, panel, width, m.Data[p0*m.Stride+j:], m.Stride, n, depth)
	}
}

// packTransposed packs one panel of a matrix whose columns lie as rows, eight by eight.
func packTransposed(path *path, dst []float32, width int, m Matrix[float32], p0, p1, j0, j1 int) {
	depth, n := p1-p0, j1-j0
	if n < width {
		clear(dst)
	}
	c, even := 0, depth&^7
	if even > 0 {
		for ; c+8 <= n; c += 8 {
			src := m.Data[(j0+c)*m.Stride+p0:]
			_ = src[7*m.Stride+depth-1]
			path.transpose8(&dst[c], uintptr(width)*elementBytes, &src[0], uintptr(m.Stride)*elementBytes, even/8)
			if even < depth { // the last eight, some of them again
				path.transpose8(&dst[(depth-8)*width+c], uintptr(width)*elementBytes, &src[depth-8], uintptr(m.Stride)*elementBytes, 1)
			}
		}
	}
	for ; c < n; c++ {
		for p, v := range m.Data[(j0+c)*m.Stride+p0:][:depth] {
			dst[p*width+c] = v
		}
	}
}

// storeCut brings the first n columns of a temporary tile into C.
func storeCut(c, temp []float32, stride, width, rows, n int, add bool) {
	for r := range rows {
		row := c[r*stride:][:n]
		if !add {
			copy(row, temp[r*width:])
			continue
		}
		for k, v := range temp[r*width:][:n] {
			row[k] += v
		}
	}
}

// storeTransposed brings rows i ... i+rows of the product, columns left ... right, which lie in temp, into C as that many columns: eight by eight where it
// can, the rest through a transposed strip.
func (b *block) storeTransposed(temp []float32, width, i, rows, left, right int, add bool) {
	stride, n := b.width, right-left
	move := b.path.transpose8
	if add {
		move = b.path.transposeAdd8
	}
	for r := 0; r < rows; r += 8 {
		from, count := temp[r*width:], min(8, rows-r)
		whole := 0
		if count == 8 {
			whole = n &^ 7
		}
		if whole > 0 {
			c := b.c[left*stride+i+r : (left+whole-1)*stride+i+r+8]
			move(&c[0], uintptr(stride)*elementBytes, &from[0], uintptr(width)*elementBytes, whole/8)
		}
		for j := whole; j < n; j += b.panelWidth() {
			part := min(b.panelWidth(), n-j)
			b.path.transpose8(&b.strip[0], 8*elementBytes, &from[j], uintptr(width)*elementBytes, (part+7)/8)
			for k := range part {
				c := b.c[(left+j+k)*stride+i+r:][:count]
				src := b.strip[k*8:][:len(c)]
				if !add {
					copy(c, src)
					continue
				}
				for x, v := range src {
					c[x] += v
				}
			}
		}
	}
}
