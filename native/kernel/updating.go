package kernel

import "unsafe"

// AdamProduct is what Adam updates with a product: the parameters P and the moments M and V are matrices of the product's size, one row behind
// the other. The bits are those of the product followed by Adam, but sums that are subnormal on the way may count as zeros.
type AdamProduct[T Float] struct {
	P, M, V []T
	Step    *AdamStep[T] // is read when the product is computed
}

// end returns the update as the End of a product of so many columns.
func (a *AdamProduct[T]) end(columns int) End[T] {
	return func(_ int, gradient []T, stride, lo, hi, left, right int) {
		if right-left == stride && stride == columns { // the rows follow each other
			first, last := lo*columns, hi*columns
			Adam(a.P[first:last], gradient[:last-first], a.M[first:last], a.V[first:last], a.Step)
			return
		}
		for i := lo; i < hi; i++ {
			first, last := i*columns+left, i*columns+right
			Adam(a.P[first:last], gradient[(i-lo)*stride:][:last-first], a.M[first:last], a.V[first:last], a.Step)
		}
	}
}

// stripAdamFunc computes tiles of a gradient side by side, as a stripFunc does where the left factor's rows are neighbours, and updates with
// each while the next one is computed. Add adds to the gradient that is there.
type stripAdamFunc func(a *float32, depthStride uintptr, b *float32, stepB, tileB uintptr, depth, tiles int, add bool, u *uint64)

// updating is where stripAdamFunc stands; the assembly knows the fields by their order. A tile's gradient lies row by row with nothing between. The
// addresses are no pointers, since what they point to is held by the product, and the last may point behind it.
type updating struct {
	pending pendingTile
	corner  [4]uintptr // the next tile's parameters, their moments, and where its gradient goes
	stride  uintptr    // of the rows of parameters and moments, in bytes
	step    AdamStep[float32]
	_       [128]byte // no cache line holds what two threads write
}

// pendingTile is computed and waits for its update.
type pendingTile struct {
	corner        [4]uintptr
	rows, vectors int // the woven ones have two vectors
}

// strips returns the functions for the step.
func (u *updating) strips(path *path) []stripAdamFunc {
	if u.step.Shrink == 1 && u.step.Decay == 0 {
		return path.stripsAdam[0]
	}
	return path.stripsAdam[1]
}

func (u *updating) call(f stripAdamFunc, a *float32, depthStride uintptr, b *float32, stepB, tileB uintptr, depth, tiles int, add bool) {
	f(a, depthStride, b, stepB, tileB, depth, tiles, add, (*uint64)(unsafe.Pointer(u)))
}

// finish updates with the last tile.
func (u *updating) finish(path *path) {
	if u.pending.rows > 0 {
		u.call(u.strips(path)[1], nil, 0, nil, 0, 0, 0, 0, false)
	}
}

// at sets what the next tile updates: the elements from number first on.
func (u *updating) at(a *AdamProduct[float32], first int) {
	for i, x := range [][]float32{a.P, a.M, a.V} {
		u.corner[i] = uintptr(unsafe.Pointer(&x[first]))
	}
}

// weaves reports whether the product's update is woven into it: its left factor is read column by column, and no sum is put together in
// more than one go.
func (t *tiled) weaves() bool {
	return t.path.stripsAdam[0] != nil && t.adam != nil && t.c == nil && t.left.Transposed && t.alpha == 1 && t.depth > 0 && (t.chains() == 1 || t.byPanels && t.chains() <= blockChains)
}

// gradientTiles is the number of tiles of a gradient that are kept: those of a group of rows, and the one that waits for its update.
func (t *tiled) gradientTiles() int { return t.group/t.path.tileRows + 1 }

// update computes the block and updates with it, group by group of rows.
func (b *block) update() {
	if !b.byPanels {
		b.fill()
	}
	tiles, row := tileEdges(b.lo, b.hi-b.lo, b.path.tileRows)
	groups := b.groups(tiles)
	for group := range groups {
		first, end := tiles*group/groups, tiles*(group+1)/groups
		if b.packLeft {
			b.packRows(row, first, end)
		}
		b.updateWhole(row, first, end)
		b.updateRest(row, first, end)
	}
}

// updateWhole does the columns that fill tiles. A single chain's tiles follow each other along the rows, as the parameters do; where there are more, a
// panel's chain stays in the first-level cache while the rows pass.
func (b *block) updateWhole(row func(tile int) int, first, end int) {
	lo, hi, width, chains := row(first), row(end), b.panelWidth(), b.chains()
	whole, stride := (b.right-b.left)/width, uintptr(width)*elementBytes
	u := &b.updates[b.worker]
	u.step, u.stride = *b.adam.Step, uintptr(b.columns)*elementBytes
	strips := u.strips(b.path)
	buffer := 0
	gradient := func() *float32 { return &b.kept[buffer*b.path.tileRows*width] }
	next := func() { buffer = (buffer + 1) % b.gradientTiles() }
	u.pending = pendingTile{}
	u.pending.corner[3] = uintptr(unsafe.Pointer(gradient()))
	next()
	if !b.byPanels && whole > 0 {
		u.corner[3] = uintptr(unsafe.Pointer(gradient()))
		panel, stepB, tileB := b.panel(0, 0, b.depth)
		for tile := first; tile < end; tile++ {
			i := row(tile)
			a, _, depthStride := b.leftAt(i, row(tile+1)-i, lo, hi, 0)
			u.at(b.adam, i*b.columns+b.left)
			u.call(strips[row(tile+1)-i], a, depthStride, panel, stepB, tileB, b.depth, whole, false)
		}
		whole = 0
	}
	for j := range whole {
		begin := buffer
		for k := range chains {
			panel, stepB := b.chunk(b.left+j*width, k)
			depth := b.chain(k+1) - b.chain(k)
			buffer = begin
			for tile := first; tile < end; tile++ {
				i, rows := row(tile), row(tile+1)-row(tile)
				a, rowStride, depthStride := b.leftAt(i, rows, lo, hi, k)
				if k+1 < chains {
					b.path.strips[1][rows](a, rowStride, depthStride, panel, stepB, 0, gradient(), stride, depth, 1, 1, k > 0)
				} else {
					u.at(b.adam, i*b.columns+b.left+j*width)
					u.corner[3] = uintptr(unsafe.Pointer(gradient()))
					u.call(strips[rows], a, depthStride, panel, stepB, 0, depth, 1, k > 0)
				}
				next()
			}
		}
	}
	u.finish(b.path)
}

// updateRest does the columns that are fewer than a tile's.
func (b *block) updateRest(row func(tile int) int, first, end int) {
	lo, hi, width, lanes := row(first), row(end), b.panelWidth(), b.path.lanes
	whole := (b.right - b.left) / width
	rest := b.right - b.left - whole*width
	if rest == 0 {
		return
	}
	for k := range b.chains() {
		depth := b.chain(k+1) - b.chain(k)
		var panel *float32
		var stepB uintptr
		if b.byPanels {
			panel, stepB = b.chunk(b.right-rest, k)
		} else {
			panel, stepB, _ = b.panel(whole, b.chain(k), depth)
		}
		for tile := first; tile < end; tile++ {
			i, rows := row(tile), row(tile+1)-row(tile)
			a, rowStride, depthStride := b.leftAt(i, rows, lo, hi, k)
			b.path.strips[(rest-1)/lanes][rows](a, rowStride, depthStride, panel, stepB, 0, &b.kept[(i-lo)*width], uintptr(width)*elementBytes, depth, 1, 1, k > 0)
		}
	}
	if rest == lanes {
		u := &b.updates[b.worker]
		u.at(b.adam, lo*b.columns+b.right-rest)
		u.corner[3] = uintptr(unsafe.Pointer(&b.kept[0]))
		u.pending = pendingTile{u.corner, hi - lo, 1}
		u.finish(b.path)
		return
	}
	b.end(b.worker, b.kept, width, lo, hi, b.right-rest, b.right)
}
