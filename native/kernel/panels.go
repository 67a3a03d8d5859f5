package kernel

import "math"

// panelTiles computes a group of tiles of rows, panel after panel of columns. Where a panel is packed for this group alone, a chain of it is at a time, which
// stays in the first-level cache while the rows pass; else a tile is computed in one go through all chains, so that C passes once, and the panel stays in
// the second level with the group's rows.
func (b *block) panelTiles(row func(tile int) int, first, end int) {
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
			if inPlace {
				b.deepTiles(row, first, end, j, k, k+chains, vectors, panel, stepB, c[at+j-b.left:], stride, k > 0 || b.start != nil)
				continue
			}
			b.deepTiles(row, first, end, j, k, k+chains, vectors, panel, stepB, b.temp, width, together && k > 0)
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

// deepTiles computes the group's tiles of the panel at column j in some of the block's chains, the first of which begins at panel, to the rows of c.
func (b *block) deepTiles(row func(tile int) int, first, end, j, from, to, vectors int, panel *float32, stepB uintptr, c []float32, stride int, add bool) {
	lo, hi, width := row(first), row(end), b.panelWidth()
	begin := b.chain(from)
	if to-from == 1 { // nothing to be fetched, and less to be told
		f, depth := b.path.strips[vectors-1], b.lengths[from]
		for tile := first; tile < end; tile++ {
			i, rows := row(tile), row(tile+1)-row(tile)
			a, rowStride, depthStride := b.leftAt(i, rows, lo, hi, from)
			f[rows](a, rowStride, depthStride, panel, stepB, 0, &c[(i-lo)*stride], uintptr(stride)*elementBytes, depth, 1, b.alpha, add)
		}
		return
	}
	// The next panel of those that are packed is fetched evenly during the tiles, in all chains but the last.
	next, part, every := panel, 0, math.MaxInt
	if b.shared != nil && j+width < b.right {
		depth := b.chain(to) - begin
		part = (depth + end - first - 1) / (end - first)
		every = max(1, (depth-b.lengths[to-1])/2/part)
	}
	for tile := first; tile < end; tile++ {
		i, rows := row(tile), row(tile+1)-row(tile)
		a, rowStride, depthStride := b.leftAt(i, rows, lo, hi, from)
		if part > 0 {
			next = &b.shared[(j+width)*b.depth+min(begin+part*(tile-first), b.depth-1)*width]
		}
		b.path.deepTiles[vectors-1][rows](a, rowStride, depthStride, panel, stepB, &c[(i-lo)*stride], uintptr(stride)*elementBytes,
			&b.sums[0], &b.lengths[from], to-from, b.alpha, add, next, every)
	}
}

// lies reports whether all chains of a panel of n columns can be read: where they are, or packed with the others.
func (b *block) lies(n int) bool {
	return b.shared != nil || !b.packRight && (n == b.panelWidth() || n == b.path.lanes)
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
	case b.lies(n):
		return &m.Data[p0*m.Stride+j], uintptr(m.Stride) * elementBytes
	}
	packColumnsInPanels(b.path, b.panels[:width*(p1-p0)], width, *m, p0, p1, j, j+n)
	return &b.panels[0], uintptr(width) * elementBytes
}
