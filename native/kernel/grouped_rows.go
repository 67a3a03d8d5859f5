package kernel

// GroupedRows is a convolution of two dimensions in groups with channels last: images (N, H, W, Groups*Inputs) give (N, H, W, Groups*Outputs), each group from its own channels alone. Groups
// of a few vectors are too narrow for products of unfolded rows: each element of the window is one product for pixels side by side, read where they lie, and their sums stay in the first-level cache.
type GroupedRows struct {
	Window                          Window
	Images, Groups, Inputs, Outputs int // channels of each group
}

// weightsLen is the number of weights of a group.
func (g *GroupedRows) weightsLen() int { return g.Window.KernelLen() * g.Inputs * g.Outputs }

// PrepareGroupedRows returns the call that computes y from x; the bias (Groups*Outputs) may be nil. Weights are (Groups*Outputs, Inputs, kernel ...), arranged has as many elements.
func PrepareGroupedRows[T Float](g *GroupedRows, pool *Pool, y, x, weights, bias, arranged []T) func() {
	arrange := prepareGroupedWeights(g, pool, arranged, weights, false)
	compute := prepareGrouped(g, pool, g.Window.forwardRows(1), y, x, arranged, bias, false)
	return func() { arrange(); compute() }
}

// PrepareGroupedRowsData returns the call that computes dx, the gradient of the images, from dy; added, if not nil, is as large and is added.
func PrepareGroupedRowsData[T Float](g *GroupedRows, pool *Pool, dx, dy, weights, added, arranged []T) func() {
	arrange := prepareGroupedWeights(g, pool, arranged, weights, true)
	back := *g
	back.Inputs, back.Outputs = g.Outputs, g.Inputs
	compute := prepareGrouped(&back, pool, g.Window.backwardRows(1), dx, dy, arranged, added, true)
	return func() { arrange(); compute() }
}

// prepareGroupedWeights returns the call that arranges weights (group, output, input, kernel ...) as (group, kernel ..., input, output), or, to go back, (group, kernel ..., output, input).
func prepareGroupedWeights[T Float](g *GroupedRows, pool *Pool, to, from []T, back bool) func() {
	size, positions := g.weightsLen(), g.Window.KernelLen()
	stepInput, stepOutput := g.Outputs, 1
	if back {
		stepInput, stepOutput = 1, g.Inputs
	}
	return g.eachGroup(pool, func(group int) {
		to, from := to[group*size:][:size], from[group*size:][:size]
		for output := range g.Outputs {
			for input := range g.Inputs {
				at := input*stepInput + output*stepOutput
				for k, v := range from[(output*g.Inputs+input)*positions:][:positions] {
					to[at+k*g.Inputs*g.Outputs] = v
				}
			}
		}
	})
}

// eachGroup shares the groups between the threads.
func (g *GroupedRows) eachGroup(pool *Pool, do func(group int)) func() {
	body := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			do(i)
		}
	}
	grain := max(1, elementsPerCall/max(1, g.weightsLen()))
	return func() { pool.For(g.Groups, grain, body) }
}

// prepareGrouped shares the rows of all images between the threads; weights are (group, kernel ..., input, output). What start holds, a pixel or as much as to, is added.
func prepareGrouped[T Float](g *GroupedRows, pool *Pool, rows []pixelRow, to, from, weights, start []T, whole bool) func() {
	if g.Images == 0 || len(rows) == 0 {
		return func() {}
	}
	inputs, outputs := g.Groups*g.Inputs, g.Groups*g.Outputs
	sizeTo, sizeFrom := len(to)/g.Images, len(from)/g.Images
	k := vectorised[T]().forChannels(g.Outputs, true)
	begin := func(image, row []T, first int) {
		switch {
		case start == nil:
			clear(row)
		case whole:
			copy(row, image[first:])
		default:
			copy(row, start)
		}
	}
	body := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			image, row := i/len(rows), &rows[i%len(rows)]
			y, x := to[image*sizeTo:][:sizeTo], from[image*sizeFrom:][:sizeFrom]
			var added []T
			if whole && start != nil {
				added = start[image*sizeTo:][:sizeTo]
			}
			for j := range row.runs {
				r := &row.runs[j]
				first := (row.to + r.to) * outputs
				for p := range r.pixels {
					at := first + p*r.stepTo*outputs
					begin(added, y[at:][:outputs], at)
				}
				if len(r.taps) > 0 {
					groupedProducts(g, k, y[first:], r.stepTo*outputs, x[(row.from+r.from)*inputs:], r.stepFrom*inputs, weights, r.taps, r.pixels)
				}
			}
		}
	}
	grain := max(1, elementsPerCall/max(1, sizeTo/len(rows)*g.Window.KernelLen()*g.Inputs))
	return func() { pool.For(g.Images*len(rows), grain, body) }
}

// groupedProducts adds to pixels of y, some elements apart, the products of what the taps see of x and their weights.
func groupedProducts[T Float](g *GroupedRows, k *path, y []T, stepY int, x []T, stepX int, weights []T, taps []windowTap, pixels int) {
	channels, size := g.Groups*g.Inputs, g.weightsLen()
	if k == nil {
		for p := range pixels {
			for group := range g.Groups {
				sums := y[p*stepY+group*g.Outputs:][:g.Outputs]
				for _, t := range taps {
					from := x[p*stepX+t.image*channels+group*g.Inputs:][:g.Inputs]
					w := weights[group*size+t.weights*g.Inputs*g.Outputs:]
					for i, v := range from {
						for o, f := range w[i*g.Outputs:][:g.Outputs] {
							sums[o] += v * f
						}
					}
				}
			}
		}
		return
	}
	for p := 0; p < pixels; p += k.tileRows {
		n := min(k.tileRows, pixels-p)
		for group := range g.Groups {
			for o := 0; o < g.Outputs; {
				vectors := min(2, (g.Outputs-o)/k.lanes)
				for _, t := range taps {
					k.strips[vectors-1][n](address(x, p*stepX+t.image*channels+group*g.Inputs), uintptr(stepX)*elementBytes, elementBytes,
						address(weights, group*size+t.weights*g.Inputs*g.Outputs+o), uintptr(g.Outputs)*elementBytes, 0,
						address(y, p*stepY+group*g.Outputs+o), uintptr(stepY)*elementBytes, g.Inputs, 1, 1, true)
				}
				o += vectors * k.lanes
			}
		}
	}
}

// GradientWorkspace is the number of elements that PrepareGroupedRowsWeights needs: a sum of each weight for each part.
func (g *GroupedRows) GradientWorkspace() int {
	return g.Images * gradientBands(&g.Window, g.Images) * g.Groups * g.weightsLen()
}

// PrepareGroupedRowsWeights returns the call that computes dw, (Groups*Outputs, Inputs, kernel ...), from dy and x. Each row's sums are added to those of its part, and the parts to each other, which
// bounds the rounding error.
func PrepareGroupedRowsWeights[T Float](g *GroupedRows, pool *Pool, dw, dy, x, workspace []T) func() {
	w, size, positions := &g.Window, g.weightsLen(), g.Window.KernelLen()
	all := g.Groups * size
	if g.Images == 0 || all == 0 {
		return func() { clear(dw) }
	}
	k := vectorised[T]().forChannels(g.Outputs, true)
	inputs, outputs := g.Groups*g.Inputs, g.Groups*g.Outputs
	vertical, horizontal := w.forward(1), w.forward(2)
	bands, in, out := gradientBands(w, g.Images), w.InLen()*inputs, w.OutLen()*outputs
	row := func(o int, sums, dy, x []T) {
		for _, v := range vertical.taps {
			if o < v.lo || o >= v.hi {
				continue
			}
			for _, h := range horizontal.taps {
				if h.lo == h.hi {
					continue
				}
				image := x[((v.first+o*v.step)*w.In[2]+h.first+h.lo*h.step)*inputs:]
				groupedSums(g, k, sums[(v.k*w.Kernel[2]+h.k)*g.Inputs*g.Outputs:], dy[(o*w.Out[2]+h.lo)*outputs:], image, h.step*inputs, h.hi-h.lo)
			}
		}
	}
	body := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			image, band := i/bands, i%bands
			sums := workspace[i*all:][:all]
			clear(sums)
			for o := w.Out[1] * band / bands; o < w.Out[1]*(band+1)/bands; o++ {
				row(o, sums, dy[image*out:][:out], x[image*in:][:in])
			}
		}
	}
	sum := g.eachGroup(pool, func(group int) {
		total := workspace[group*size:][:size]
		for i := 1; i < g.Images*bands; i++ {
			Accumulate(total, workspace[i*all+group*size:][:size])
		}
		to := dw[group*size:][:size]
		for o := range g.Outputs {
			for i := range g.Inputs {
				for k := range positions {
					to[(o*g.Inputs+i)*positions+k] = total[(k*g.Inputs+i)*g.Outputs+o]
				}
			}
		}
	})
	return func() {
		pool.For(g.Images*bands, 1, body)
		sum()
	}
}

// groupedSums adds to one element's weights of each group, whose distance is that of all weights of a group, the sums over pixels of x times dy.
func groupedSums[T Float](g *GroupedRows, k *path, sums, dy, x []T, stepX, pixels int) {
	outputs, size := g.Groups*g.Outputs, g.weightsLen()
	for group := range g.Groups {
		to := sums[group*size:]
		if k == nil {
			for p := range pixels {
				upstream := dy[p*outputs+group*g.Outputs:][:g.Outputs]
				for i, v := range x[p*stepX+group*g.Inputs:][:g.Inputs] {
					for o, d := range upstream {
						to[i*g.Outputs+o] += v * d
					}
				}
			}
			continue
		}
		for o := 0; o < g.Outputs; {
			vectors := min(2, (g.Outputs-o)/k.lanes)
			for i := 0; i < g.Inputs; i += k.tileRows {
				n := min(k.tileRows, g.Inputs-i)
				k.strips[vectors-1][n](address(x, group*g.Inputs+i), elementBytes, uintptr(stepX)*elementBytes, address(dy, group*g.Outputs+o), uintptr(outputs)*elementBytes, 0,
					address(to, i*g.Outputs+o), uintptr(g.Outputs)*elementBytes, pixels, 1, 1, true)
			}
			o += vectors * k.lanes
		}
	}
}
