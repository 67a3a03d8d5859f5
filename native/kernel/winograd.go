package kernel

import (
	"fmt"
	"unsafe"
)

// Winograd is a convolution with 3 x 3 windows one pixel apart, of images whose channels lie last, by the algorithm F(4x4, 3x3): a tile of 4 x 4 pixels of
// the output takes 36 multiplications a pair of channels in place of 144 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016; Winograd,
// "Arithmetic Complexity of Computations", 1980). With d a tile of 6 x 6 pixels of the input, g the weights and * the product element by element,
//
//	y  = Aᵀ ((G g Gᵀ) * (Bᵀ d B)) A, summed over the input's channels before Aᵀ
//	dg = Gᵀ ((A dy Aᵀ) * (Bᵀ d B)) G, summed over the tiles before Gᵀ
//
// A polynomial's values at the points 0, a, -a, b, -b and infinity decide the matrices: a = 5/8 and b = 3/2 are exact in binary and round less than the usual
// 1 and 2 (after Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural Networks", 2018). For the same reason the weights are transformed
// in float64 and rounded once, and each sum is made of chains of winogradChain channels or winogradTiles tiles. Measured against float64, the error is 1 to 3 times
// that of the direct convolution.
//
// The 36 positions of a tile are 36 products of matrices. Tiles are computed in blocks, so that all that lies between their input and their output stays in the
// second-level cache.
type Winograd struct {
	Images            int
	InHeight, InWidth int
	// The output's pixel (0, 0) sees the input from row -PadTop and column -PadLeft on; what is outside counts as zero.
	OutHeight, OutWidth int
	PadTop, PadLeft     int
	In, Out             int // channels, multiples of WinogradChannels
}

// WinogradChannels is what the numbers of channels must be a multiple of: a vector of the widest path.
const WinogradChannels = 16

const (
	winogradTile      = 4  // pixels of the output a side
	winogradWindow    = 6  // of the input
	winogradPositions = 36 // products
	winogradTiles     = 36 // of a block; also the longest chain of a weight's gradient
	winogradChain     = 64 // channels
	winogradColumns   = 64 // channels of the output that are computed at once
	winogradPad       = 16 // elements that keep rows and positions from lying a power of two apart, where they would displace each other
	// winogradTasks is the number of parts that a weight's gradient has at least, so that as many threads can share it: by parts of the weights, then by parts of the
	// tiles, which are added up in their order.
	winogradTasks = 8
)

const (
	pointA, pointB = 5. / 8, 3. / 2
	pointA2        = pointA * pointA
	pointB2        = pointB * pointB
	// The product of a point's distances from the other finite points.
	normZero = pointA2 * pointB2
	normA    = 2 * pointA2 * (pointA2 - pointB2)
	normB    = 2 * pointB2 * (pointB2 - pointA2)
)

func (w *Winograd) check() {
	if w.In%WinogradChannels != 0 || w.Out%WinogradChannels != 0 || w.In < 1 || w.Out < 1 {
		panic(fmt.Sprintf("kernel: Winograd: %d and %d channels are no multiples of %d", w.In, w.Out, WinogradChannels))
	}
}

func (w *Winograd) tilesWide() int { return (w.OutWidth + winogradTile - 1) / winogradTile }
func (w *Winograd) tilesHigh() int { return (w.OutHeight + winogradTile - 1) / winogradTile }
func (w *Winograd) tiles() int     { return w.Images * w.tilesHigh() * w.tilesWide() }

// Workspace is the number of elements that PrepareWinograd needs: the transformed weights, unless they are transformed part by part.
func (w *Winograd) Workspace() int {
	if w.byParts() {
		return 0
	}
	return winogradPositions * w.In * (w.Out + winogradPanel - WinogradChannels)
}

// byParts reports whether a part of the weights is transformed, used for all tiles and forgotten. The transformed weights take four times the memory of the weights: with few tiles they would be
// most of what passes through the caches.
func (w *Winograd) byParts() bool { return w.tiles() <= 4*winogradTiles }

// winogradPanel is the widest panel of transformed weights, on any path.
const winogradPanel = 32

// winogradEngine does the arithmetic: on a path's kernels, or the generic one where path is nil.
type winogradEngine[T Float] struct {
	path  *path
	panel int // columns of a product's panel
	lanes int
}

func newWinogradEngine[T Float]() winogradEngine[T] {
	if k := vectorised[T](); k != nil {
		return winogradEngine[T]{k, 2 * k.lanes, k.lanes}
	}
	return winogradEngine[T]{nil, WinogradChannels, WinogradChannels}
}

// threadScratch is a thread's memory, for both directions.
type threadScratch[T Float] struct{ of func(worker int) []T }

func newThreadScratch[T Float](pool *Pool, n int) threadScratch[T] {
	var zero T
	if _, ok := any(zero).(float32); ok {
		pool.reserve(n)
		return threadScratch[T]{func(worker int) []T {
			s := pool.scratch[worker]
			return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(s))), len(s))
		}}
	}
	own := make([][]T, pool.Threads())
	for i := range own {
		own[i] = make([]T, n)
	}
	return threadScratch[T]{func(worker int) []T { return own[worker] }}
}

// WinogradOperands are the operands of a convolution: Y = X convolved with Weights (Out, In, 3, 3), plus Bias (Out) and Added, which is as large as Y and may be Y, where they are not nil, but not
// both. Rotated, the weights are (In, Out, 3, 3) and each window is turned about its centre: with the pads 2 - PadTop and 2 - PadLeft of a convolution, its gradient dy for X and the
// channels exchanged, Y is the gradient of its input. Workspace has Winograd.Workspace elements.
type WinogradOperands[T Float] struct {
	Y, X, Weights, Bias, Added, Workspace []T
	Rotated                               bool
}

// winogradForward is a prepared convolution.
type winogradForward[T Float] struct {
	Winograd
	winogradEngine[T]
	WinogradOperands[T]
	transformed []T   // weights
	zeros       []T   // what pixels outside are read from
	sinks       [][]T // what each thread writes them to
	scratch     threadScratch[T]
	panels      int
	block       int // tiles
	parts       int // of the output's channels, in groups of winogradColumns
}

// PrepareWinograd returns the call that computes a convolution.
func PrepareWinograd[T Float](w Winograd, pool *Pool, o WinogradOperands[T]) func() {
	w.check()
	f := &winogradForward[T]{Winograd: w, winogradEngine: newWinogradEngine[T](), WinogradOperands: o, zeros: make([]T, w.In), sinks: make([][]T, pool.Threads())}
	for i := range f.sinks {
		f.sinks[i] = make([]T, w.Out)
	}
	f.transformed = o.Workspace[:w.Workspace()]
	f.panels = (w.Out + f.panel - 1) / f.panel
	f.block = min(winogradTiles, w.tiles())
	f.parts = 1
	columns := (w.Out + winogradColumns - 1) / winogradColumns
	if w.byParts() {
		f.block, f.parts = w.tiles(), columns
		f.scratch = newThreadScratch[T](pool, (f.stepV()+f.stepM()+stepPart)*winogradPositions+f.looseWeights())
		body := func(worker, lo, hi int) { f.computeByParts(worker, lo, hi) }
		return func() { pool.For(columns, 1, body) }
	}
	blocks := (w.tiles() + f.block - 1) / f.block
	if blocks < 4*pool.Threads() {
		f.parts = columns
	}
	f.scratch = newThreadScratch[T](pool, max((f.stepV()+f.stepM())*winogradPositions, f.looseWeights()))
	groups := (w.In + winogradPanel - 1) / winogradPanel
	transform := func(worker, lo, hi int) {
		for i := lo; i < hi; i++ {
			panel, c0 := i/groups, i%groups*winogradPanel
			f.transformWeights(f.transformed[(panel*f.In+c0)*f.panel:], f.panels*f.In*f.panel, f.scratch.of(worker), panel, c0)
		}
	}
	body := func(worker, lo, hi int) { f.compute(worker, lo, hi) }
	return func() {
		pool.For(f.panels*groups, 1, transform)
		pool.For(blocks*f.parts, 1, body)
	}
}

// The distances of a transformed block's rows and positions.
func (f *winogradForward[T]) rowV() int  { return f.In + winogradPad }
func (f *winogradForward[T]) stepV() int { return f.block*f.rowV() + winogradPad }
func (f *winogradForward[T]) stepM() int { return f.block*winogradColumns + winogradPad }

// stepPart is the distance of the positions of a part of the weights.
const stepPart = winogradChain*winogradColumns + winogradPad

// looseWeights is the memory that transformWeights takes.
func (f *winogradForward[T]) looseWeights() int { return 2 * 9 * f.panel * winogradPanel }

// transformWeights does a panel of the output's channels and winogradPanel of the input's from c0 on, which follow each other in to.
func (f *winogradForward[T]) transformWeights(to []T, step int, scratch []T, panel, c0 int) {
	k0 := panel * f.panel
	columns, rows := min(f.panel, f.Out-k0), min(winogradPanel, f.In-c0)
	loose := scratch[:9*columns*rows]
	if f.Rotated {
		turned := scratch[9*columns*rows:][:9*columns*rows]
		f.transpose(turned, rows, f.Weights[c0*f.Out*9+k0*9:], f.Out*9, rows, columns*9)
		for i := range 9 { // turned has rows (channel of the output, i), columns by channel of the input
			f.transpose(loose[(8-i)*columns:], 9*columns, turned[i*rows:], 9*rows, columns, rows)
		}
	} else {
		f.transpose(loose, columns, f.Weights[k0*f.In*9+c0*9:], f.In*9, columns, rows*9)
	}
	f.weightsOf(to, step, f.panel, loose, columns, 9*columns, columns, rows)
}

// compute does tasks lo ... hi: a block of tiles and a part of the output's channels each.
func (f *winogradForward[T]) compute(worker, lo, hi int) {
	scratch := f.scratch.of(worker)
	v, m := scratch[:f.stepV()*winogradPositions], scratch[f.stepV()*winogradPositions:][:f.stepM()*winogradPositions]
	columnGroups := (f.Out + winogradColumns - 1) / winogradColumns
	last := -1
	for task := lo; task < hi; task++ {
		block, part := task/f.parts, task%f.parts
		first := block * f.block
		n := min(f.block, f.tiles()-first)
		if block != last {
			f.inputs(v, first, n)
			last = block
		}
		for g := columnGroups * part / f.parts; g < columnGroups*(part+1)/f.parts; g++ {
			k0 := g * winogradColumns
			columns := min(winogradColumns, f.Out-k0)
			for p := range winogradPositions {
				for c0 := 0; c0 < f.In; c0 += winogradChain {
					f.chain(m, v, p, c0, columns, n, f.transformed[((p*f.panels+k0/f.panel)*f.In+c0)*f.panel:], f.In*f.panel)
				}
			}
			f.outputs(f.sinks[worker], m, first, n, k0, columns)
		}
	}
}

// computeByParts does groups lo ... hi of the output's channels for all tiles, which are one block.
func (f *winogradForward[T]) computeByParts(worker, lo, hi int) {
	scratch := f.scratch.of(worker)
	v, scratch := scratch[:f.stepV()*winogradPositions], scratch[f.stepV()*winogradPositions:]
	m, scratch := scratch[:f.stepM()*winogradPositions], scratch[f.stepM()*winogradPositions:]
	u, loose := scratch[:stepPart*winogradPositions], scratch[stepPart*winogradPositions:]
	f.inputs(v, 0, f.block)
	for g := lo; g < hi; g++ {
		k0 := g * winogradColumns
		columns := min(winogradColumns, f.Out-k0)
		for c0 := 0; c0 < f.In; c0 += winogradChain {
			for j := 0; j < columns; j += f.panel {
				for c := c0; c < min(c0+winogradChain, f.In); c += winogradPanel {
					f.transformWeights(u[j*winogradChain+(c-c0)*f.panel:], stepPart, loose, (k0+j)/f.panel, c)
				}
			}
			for p := range winogradPositions {
				f.chain(m, v, p, c0, columns, f.block, u[p*stepPart:], winogradChain*f.panel)
			}
		}
		f.outputs(f.sinks[worker], m, 0, f.block, k0, columns)
	}
}

// inputs transforms n tiles of the input from the first on.
func (f *winogradForward[T]) inputs(v []T, first, n int) {
	for t := range n {
		var pixels [winogradPositions]*T
		tilePixels(&f.Winograd, f.X, f.zeros, first+t, &pixels)
		f.input(v[t*f.rowV():], f.stepV(), &pixels, f.In)
	}
}

// outputs transforms n tiles of the output from the first on, their channels from k0 on.
func (f *winogradForward[T]) outputs(sink, m []T, first, n, k0, columns int) {
	for t := range n {
		var pixels [winogradTile * winogradTile]*T
		outputPixels(&f.Winograd, f.Y, sink, first+t, k0, &pixels)
		var others [winogradTile * winogradTile]*T
		switch {
		case f.Added != nil:
			outputPixels(&f.Winograd, f.Added, sink, first+t, k0, &others)
		case f.Bias != nil:
			for i := range others {
				others[i] = &f.Bias[k0]
			}
		default:
			f.output(&pixels, nil, m[t*winogradColumns:], f.stepM(), columns)
			continue
		}
		f.output(&pixels, &others, m[t*winogradColumns:], f.stepM(), columns)
	}
}

// chain adds the products of position p over the input's channels c0 ... c0+winogradChain, for n tiles and so many columns of weights, whose panels lie stepPanel apart.
func (f *winogradForward[T]) chain(m, v []T, p, c0, columns, n int, u []T, stepPanel int) {
	depth := min(winogradChain, f.In-c0)
	for j := 0; j < columns; j += f.panel {
		f.multiply(m[p*f.stepM()+j:], winogradColumns, v[p*f.stepV()+c0:], f.rowV(), 1, u[j/f.panel*stepPanel:], f.panel, n, min(f.panel, columns-j), depth, c0 > 0)
	}
}

// tilePixels finds the 6 x 6 pixels of the input that a tile sees.
func tilePixels[T Float](w *Winograd, x, zeros []T, tile int, pixels *[winogradPositions]*T) {
	wide, high := w.tilesWide(), w.tilesHigh()
	top, left := tile/wide%high*winogradTile-w.PadTop, tile%wide*winogradTile-w.PadLeft
	image := tile / (wide * high) * w.InHeight
	for i := range winogradWindow {
		row := pixels[i*winogradWindow:][:winogradWindow]
		y := top + i
		if y < 0 || y >= w.InHeight {
			for j := range row {
				row[j] = &zeros[0]
			}
			continue
		}
		at := ((image+y)*w.InWidth + left) * w.In
		for j := range row {
			if c := left + j; c >= 0 && c < w.InWidth {
				row[j] = &x[at+j*w.In]
			} else {
				row[j] = &zeros[0]
			}
		}
	}
}

// outputPixels finds the 4 x 4 pixels of a tile of the output, from channel k on.
func outputPixels[T Float](w *Winograd, y, outside []T, tile, k int, pixels *[winogradTile * winogradTile]*T) {
	wide, high := w.tilesWide(), w.tilesHigh()
	top, left := tile/wide%high*winogradTile, tile%wide*winogradTile
	image := tile / (wide * high) * w.OutHeight
	for i := range winogradTile {
		at := ((image+top+i)*w.OutWidth+left)*w.Out + k
		for j := range winogradTile {
			if top+i < w.OutHeight && left+j < w.OutWidth {
				pixels[i*winogradTile+j] = &y[at+j*w.Out]
			} else {
				pixels[i*winogradTile+j] = &outside[0]
			}
		}
	}
}

// GradientWorkspace is the number of elements that PrepareWinogradWeights needs: the transformed gradient of each task, where several tasks add to the same weights.
func (w *Winograd) GradientWorkspace() int {
	if w.groups() == 1 {
		return 0
	}
	return w.chunks() * w.groups() * winogradPositions * stepSum
}

// stepSum is the distance of a chunk's positions.
const stepSum = winogradColumns*winogradColumns + winogradPad

func (w *Winograd) chunks() int {
	return ((w.In + winogradColumns - 1) / winogradColumns) * ((w.Out + winogradColumns - 1) / winogradColumns)
}

// groups is the number of parts of the tiles, decided by the sizes alone: it decides what is rounded.
func (w *Winograd) groups() int {
	blocks := (w.tiles() + winogradTiles - 1) / winogradTiles
	return max(1, min((winogradTasks+w.chunks()-1)/w.chunks(), blocks/2))
}

// winogradGradient is a prepared gradient of weights. It is divided into chunks of weights, winogradColumns channels of the input by as many of the output.
type winogradGradient[T Float] struct {
	Winograd
	winogradEngine[T]
	dw, dy, x, workspace []T
	zeros                []T
	scratch              threadScratch[T]
}

// rowTile is the distance of a transformed block's rows, stepTiles of its positions.
const (
	rowTile   = winogradColumns + winogradPad
	stepTiles = winogradTiles*rowTile + winogradPad
)

// PrepareWinogradWeights returns the call that computes the gradient dw (Out, In, 3, 3) of the weights from x and the output's gradient dy.
func PrepareWinogradWeights[T Float](w Winograd, pool *Pool, dw, dy, x, workspace []T) func() {
	w.check()
	g := &winogradGradient[T]{
		Winograd: w, winogradEngine: newWinogradEngine[T](), dw: dw, dy: dy, x: x, workspace: workspace[:w.GradientWorkspace()], zeros: make([]T, max(w.In, w.Out)),
	}
	g.scratch = newThreadScratch[T](pool, winogradPositions*(2*stepTiles+stepSum)+9*winogradColumns*winogradColumns)
	chunks, groups := w.chunks(), w.groups()
	if groups == 1 {
		body := func(worker, lo, hi int) {
			for chunk := lo; chunk < hi; chunk++ {
				s := g.scratch.of(worker)
				sums := s[:winogradPositions*stepSum]
				rest := s[winogradPositions*stepSum:]
				g.sum(rest, sums, chunk, 0)
				g.finish(rest, sums, chunk, 0, g.chunkRows(chunk))
			}
		}
		return func() { pool.For(chunks, 1, body) }
	}
	sums := func(task int) []T { return g.workspace[task*winogradPositions*stepSum:][:winogradPositions*stepSum] }
	body := func(worker, lo, hi int) {
		for task := lo; task < hi; task++ {
			g.sum(g.scratch.of(worker), sums(task), task/groups, task%groups)
		}
	}
	// The rows of a chunk, 16 channels of the input, are added up and transformed by one thread.
	const slices = winogradColumns / WinogradChannels
	finish := func(worker, lo, hi int) {
		for i := lo; i < hi; i++ {
			chunk := i / slices
			from := i % slices * WinogradChannels
			to := min(from+WinogradChannels, g.chunkRows(chunk))
			if from >= to {
				continue
			}
			total := sums(chunk * groups)
			for group := 1; group < groups; group++ {
				part := sums(chunk*groups + group)
				for p := range winogradPositions {
					at, n := p*stepSum+from*winogradColumns, (to-from)*winogradColumns
					Accumulate(total[at:at+n], part[at:at+n])
				}
			}
			g.finish(g.scratch.of(worker), total, chunk, from, to)
		}
	}
	return func() {
		pool.For(chunks*groups, 1, body)
		pool.For(chunks*slices, 1, finish)
	}
}

// chunk returns where a chunk of weights begins: chunks count along the output's channels, then the input's.
func (g *winogradGradient[T]) chunk(number int) (c0, k0 int) {
	across := (g.Out + winogradColumns - 1) / winogradColumns
	return number / across * winogradColumns, number % across * winogradColumns
}

func (g *winogradGradient[T]) chunkRows(number int) int {
	c0, _ := g.chunk(number)
	return min(winogradColumns, g.In-c0)
}

// sum adds up a group of tiles: sums lies by position, channel of the input, channel of the output.
func (g *winogradGradient[T]) sum(scratch, sums []T, number, group int) {
	c0, k0 := g.chunk(number)
	rows, columns := min(winogradColumns, g.In-c0), min(winogradColumns, g.Out-k0)
	v, u := scratch[:winogradPositions*stepTiles], scratch[winogradPositions*stepTiles:][:winogradPositions*stepTiles]
	blocks := (g.tiles() + winogradTiles - 1) / winogradTiles
	begin, end := blocks*group/g.groups(), blocks*(group+1)/g.groups()
	for block := begin; block < end; block++ {
		first := block * winogradTiles
		n := min(winogradTiles, g.tiles()-first)
		for t := range n {
			var pixels [winogradPositions]*T
			tilePixels(&g.Winograd, g.x[c0:], g.zeros, first+t, &pixels)
			g.input(v[t*rowTile:], stepTiles, &pixels, rows)
			var gradients [winogradTile * winogradTile]*T
			outputPixels(&g.Winograd, g.dy, g.zeros, first+t, k0, &gradients)
			g.outputGradient(u[t*rowTile:], stepTiles, &gradients, columns)
		}
		for p := range winogradPositions {
			for j := 0; j < columns; j += g.panel {
				g.multiply(sums[p*stepSum+j:], winogradColumns, v[p*stepTiles:], 1, rowTile, u[p*stepTiles+j:], rowTile, rows, min(g.panel, columns-j), n, block > begin)
			}
		}
	}
	if begin == end {
		clear(sums)
	}
}

// finish transforms the rows lo ... hi of a chunk and stores them.
func (g *winogradGradient[T]) finish(scratch, sums []T, number, lo, hi int) {
	c0, k0 := g.chunk(number)
	columns := min(winogradColumns, g.Out-k0)
	loose := scratch[:9*(hi-lo)*columns]
	g.weightsGradient(loose, columns, 9*columns, sums[lo*winogradColumns:], stepSum, winogradColumns, columns, hi-lo)
	g.transpose(g.dw[k0*g.In*9+(c0+lo)*9:], g.In*9, loose, columns, 9*(hi-lo), columns)
}
