package kernel

// panelTiles computes a group of tiles of rows, panel after panel of columns: a panel's chain stays in the first-level cache while the rows pass, the
// group's rows in the second while the panels do.
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
		for k := b.chain0; k < b.chain1; k++ {
			panel, stepB := b.chunk(j, k)
			depth := b.chain(k+1) - b.chain(k)
			for tile := first; tile < end; tile++ {
				i, rows := row(tile), row(tile+1)-row(tile)
				a, rowStride, depthStride := b.leftAt(i, rows, lo, hi, k)
				f := b.path.strips[vectors-1][rows]
				if inPlace {
					part := c[at+(i-lo)*stride+j-b.left:]
					f(a, rowStride, depthStride, panel, stepB, 0, &part[0], uintptr(stride)*elementBytes, depth, 1, b.alpha, k > 0 || b.start != nil)
					continue
				}
				temp := b.temp[(i-lo)*width:]
				f(a, rowStride, depthStride, panel, stepB, 0, &temp[0], uintptr(width)*elementBytes, depth, 1, b.alpha, together && k > 0)
			}
			switch {
			case inPlace || together && k+1 < b.chain1:
			case b.swapped:
				b.storeTransposed(b.temp, width, lo, hi-lo, j, j+n, !together)
			default:
				storeCut(c[at+j-b.left:], b.temp, stride, width, hi-lo, n, !together)
			}
		}
	}
}

// chunk returns chain k of the panel that begins at column j, and the distance of its rows in bytes: packed, or in place if it can be read there in whole
// vectors.
func (b *block) chunk(j, k int) (first *float32, stepB uintptr) {
	m, width := &b.tiled.right, b.panelWidth()
	p0, p1 := b.chain(k), b.chain(k+1)
	n := min(width, b.right-j)
	if !b.packRight && (n == width || n == b.path.lanes) {
		return &m.Data[p0*m.Stride+j], uintptr(m.Stride) * elementBytes
	}
	packColumnsInPanels(b.path, b.panels[:width*(p1-p0)], width, *m, p0, p1, j, j+n)
	return &b.panels[0], uintptr(width) * elementBytes
}
