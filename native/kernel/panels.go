package kernel

import "math"

// panelTiles computes a group of tiles of rows, panel after panel of columns. Where a panel is packed for this group alone, a chain of it is at a time, which
// stays in the first-level cache while the rows pass; else a tile is computed in one go through all chains, so that C passes once, and the panel stays in
// the second level with the group's rows.
func (b *block) panelTiles(row func(tile int) int, first, end int, lastGroup bool) {
	lanes, width := b.path.lanes, b.panelWidth()
	lo, hi := row(first), row(end)
	c, stride := b.c, b.width
	at := lo*stride + b.left
	if b.c == nil {
		c, stride, at = b.kept, b.right-b.left, 0
	}
	together := b.start == nil && b.chain0 == 0 // the chains can be added up in the temporary tiles
	for j := b.left; j < b.right; j += width {
		n := min(width, b.right-j)
		vectors := (n + lanes - 1) / lanes
		inPlace := !b.swapped && n == vectors*lanes
		chains := b.chain1 - b.chain0
		if !b.lies(n) || !inPlace && !together {
			chains = 1
		}
		for k := b.chain0; k < b.chain1; k += chains {
			panel, stepB := b.chunk(j, k)
			after := j + width
			if after >= b.right && !lastGroup {
				after = b.left
			}
			if inPlace {
				b.deepTiles(row, first, end, after, k, k+chains, vectors, panel, stepB, c[at+j-b.left:], stride, k > 0 || b.start != nil)
				continue
			}
			b.deepTiles(row, first, end, after, k, k+chains, vectors, panel, stepB, b.temp, width, together && k > 0)
			switch {
			case together && k+chains < b.chain1:
			case b.swapped:
				b.storeTransposed(b.temp, width, lo, hi-lo, j, j+n, !together)
			default:
				storeCut(c[at+j-b.left:], b.temp, stride, width, hi-lo, n, !together)
			}
		}
	}
}

// deepTiles computes the group's tiles of a panel in some of the block's chains, the first of which begins at panel, to the rows of c. The panel at column
// next comes after it.
func (b *block) deepTiles(row func(tile int) int, first, end, next, from, to, vectors int, panel *float32, stepB uintptr, c []float32, stride int, add bool) {
	lo, hi := row(first), row(end)
	if to-from == 1 { // nothing to be fetched, and less to be told
		f, depth := b.path.strips[vectors-1], b.lengths[from]
		for tile := first; tile < end; tile++ {
			i, rows := row(tile), row(tile+1)-row(tile)
			a, rowStride, depthStride := b.leftAt(i, rows, lo, hi, from)
			f[rows](a, rowStride, depthStride, panel, stepB, 0, &c[(i-lo)*stride], uintptr(stride)*elementBytes, depth, 1, b.alpha, add)
		}
		return
	}
	ahead := b.upcoming(next, from, to, end-first, vectors)
	for tile := first; tile < end; tile++ {
		i, rows := row(tile), row(tile+1)-row(tile)
		a, rowStride, depthStride := b.leftAt(i, rows, lo, hi, from)
		source, into, every := ahead.turn()
		b.path.deepTiles[vectors-1][rows](a, rowStride, depthStride, panel, stepB, &c[(i-lo)*stride], uintptr(stride)*elementBytes,
			&b.sums[0], &b.lengths[from], to-from, b.alpha, add, source, uintptr(ahead.stride)*elementBytes, into, every)
	}
	ahead.finish(b.path)
}

// upcoming is what the tiles of one panel do for the next, of so many rows: they copy them, each tile its part, or where they are packed already fetch them.
type upcoming struct {
	source       []float32
	stride, rows int
	panel        []float32 // empty where nothing is copied
	width        int
	done         int // rows so far
	each, every  int // rows of a tile, one each so many turns
}

// upcoming plans what so many tiles of so many vectors, in the chains from ... to, do for the panel at a column.
func (b *block) upcoming(column, from, to, tiles, vectors int) upcoming {
	width, begin := b.panelWidth(), b.chain(from)
	u := upcoming{rows: b.chain(to) - begin, width: width}
	switch {
	case column >= b.right:
		return upcoming{}
	case b.shared != nil:
		u.source, u.stride = b.shared[column*b.depth+begin*width:], width
	case b.ahead && column < b.packedTo:
		u.source, u.stride = b.panelAt(column), width
	case b.ahead && column+width <= b.right && vectors*b.path.lanes == width:
		m := &b.tiled.right
		u.source, u.stride = m.Data[begin*m.Stride+column:], m.Stride
		u.panel = b.panelAt(column)[:u.rows*width]
		b.packedTo = column + width
	default:
		return upcoming{}
	}
	turns := 0 // of a tile, in all chains but the last
	for _, length := range b.lengths[from : to-1] {
		turns += length / 2
	}
	for u.every = max(1, turns*tiles/u.rows); ; u.every-- {
		u.each = 0
		for _, length := range b.lengths[from : to-1] {
			u.each += length / 2 / u.every
		}
		if u.each*tiles >= u.rows || u.every == 1 {
			return u
		}
	}
}

// turn returns what the next tile is told.
func (u *upcoming) turn() (source, into *float32, every int) {
	if u.each == 0 || u.done+u.each > u.rows {
		return nil, nil, math.MaxInt
	}
	source = &u.source[u.done*u.stride]
	if len(u.panel) > 0 {
		into = &u.panel[u.done*u.width]
	}
	u.done += u.each
	return source, into, u.every
}

// finish copies the rows that are left.
func (u *upcoming) finish(path *path) {
	if len(u.panel) == 0 || u.done == u.rows {
		return
	}
	source := u.source[u.done*u.stride:]
	_ = source[(u.rows-u.done-1)*u.stride+u.width-1]
	path.copyPanel(&u.panel[u.done*u.width], &source[0], uintptr(u.stride)*elementBytes, u.rows-u.done)
}

// lies reports whether all chains of a panel of n columns can be read: where they are, or packed with the others.
func (b *block) lies(n int) bool {
	return b.shared != nil || b.ahead || !b.packRight && (n == b.panelWidth() || n == b.path.lanes)
}

// chunk returns where chain k of the panel at column j begins, and the distance of its rows in bytes: packed with the others, in place if it can be read there
// in whole vectors, or packed now.
func (b *block) chunk(j, k int) (first *float32, stepB uintptr) {
	m, width := &b.tiled.right, b.panelWidth()
	p0, p1 := b.chain(k), b.chain(k+1)
	n := min(width, b.right-j)
	switch {
	case b.shared != nil:
		return &b.shared[j*b.depth+p0*width], uintptr(width) * elementBytes
	case b.ahead:
		return &b.wholePanel(j, n)[(p0-b.chain(b.chain0))*width], uintptr(width) * elementBytes
	case b.lies(n):
		return &m.Data[p0*m.Stride+j], uintptr(m.Stride) * elementBytes
	}
	packColumnsInPanels(b.path, b.panels[:width*(p1-p0)], width, *m, p0, p1, j, j+n)
	return &b.panels[0], uintptr(width) * elementBytes
}

// panelAt returns the place of the panel at column j where those of a block, in all of its chains, are kept.
func (b *block) panelAt(j int) []float32 {
	return b.panels[(j-b.left)*(b.chain(b.chain1)-b.chain(b.chain0)):]
}

// wholePanel returns the panel at column j, of n columns, in all of the block's chains: it was packed before, or is now.
func (b *block) wholePanel(j, n int) []float32 {
	panel := b.panelAt(j)
	if j >= b.packedTo {
		p0, p1 := b.chain(b.chain0), b.chain(b.chain1)
		packColumnsInPanels(b.path, panel, b.panelWidth(), b.tiled.right, p0, p1, j, j+n)
		b.packedTo = j + b.panelWidth()
	}
	return panel
}
