package kernel

// depthwisePasses are a path's passes of depthwise convolutions over pixels side by side, for at least a vector of channels.
type depthwisePasses struct {
	// depthwiseSums computes pixels of y, stepY bytes apart: the sum over the taps of their weights times x, whose pixels are stepX bytes apart, as one chain of fused multiply-adds; start, if
	// not nil, is added at last, its pixels stepStart bytes apart.
	depthwiseSums func(y *float32, stepY uintptr, x *float32, stepX uintptr, weights *float32, taps *int, count int, start *float32, stepStart uintptr, channels, pixels int)
	// depthwiseProducts writes, where each tap's weights are in out, the sum over pixels of dy times x.
	depthwiseProducts func(out, dy *float32, stepDY uintptr, x *float32, stepX uintptr, taps *int, count, channels, pixels int)
}

// DepthwiseRows is a convolution of two dimensions in which each channel has one filter of its own, with channels last: images (N, H, W, C), weights (kernel ..., C).
type DepthwiseRows struct {
	Window           Window
	Images, Channels int
}

// PrepareDepthwiseRows returns the call that computes y from x. The weights are (kernel ..., C) as PrepareWeightsToRows writes them, the bias (C) may be nil.
func PrepareDepthwiseRows[T Float](d *DepthwiseRows, pool *Pool, y, x, weights, bias []T) func() {
	w := &d.Window
	rows := w.forwardRows(d.Channels)
	return prepareDepthwise(d, pool, rows, y, x, weights, bias, false)
}

// PrepareDepthwiseRowsData returns the call that computes dx, the gradient of the images, from dy; added, if not nil, is as large and is added.
func PrepareDepthwiseRowsData[T Float](d *DepthwiseRows, pool *Pool, dx, dy, weights, added []T) func() {
	w := &d.Window
	return prepareDepthwise(d, pool, w.backwardRows(d.Channels), dx, dy, weights, added, true)
}

// prepareDepthwise shares the rows of all images between the threads. start is a pixel, or as large as to.
func prepareDepthwise[T Float](d *DepthwiseRows, pool *Pool, rows []pixelRow, to, from, weights, start []T, whole bool) func() {
	if d.Images == 0 || len(rows) == 0 {
		return func() {}
	}
	n, sizeTo, sizeFrom := d.Channels, len(to)/d.Images, len(from)/d.Images
	k := vectorised[T]().forChannels(n, false)
	compute := func(row *pixelRow, to, from, start []T) {
		for i := range row.runs {
			r := &row.runs[i]
			most := max(8, elementsPerCall/max(1, n*len(r.taps)))
			for p := 0; p < r.pixels; p += most {
				pixels, first, source := min(most, r.pixels-p), row.to+r.to+p*r.stepTo, 0
				if len(r.taps) > 0 {
					source = row.from + r.from + p*r.stepFrom
				}
				begin, stepStart := start, 0
				if whole && start != nil {
					begin, stepStart = start[first:], r.stepTo
				}
				if k == nil {
					depthwiseSums(to[first:], r.stepTo, from[source:], r.stepFrom, weights, r.taps, begin, stepStart, n, pixels)
					continue
				}
				var added *float32
				if begin != nil {
					added = address(begin, 0)
				}
				k.depthwiseSums(address(to, first), uintptr(r.stepTo)*elementBytes, address(from, source), uintptr(r.stepFrom)*elementBytes, address(weights, 0),
					firstTap(r.taps), len(r.taps), added, uintptr(stepStart)*elementBytes, n, pixels)
			}
		}
	}
	body := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			image := i / len(rows)
			s := start
			if whole && start != nil {
				s = start[image*sizeTo:][:sizeTo]
			}
			compute(&rows[i%len(rows)], to[image*sizeTo:][:sizeTo], from[image*sizeFrom:][:sizeFrom], s)
		}
	}
	grain := max(1, elementsPerCall/max(1, sizeTo/len(rows)*d.Window.KernelLen()))
	return func() { pool.For(d.Images*len(rows), grain, body) }
}

// depthwiseSums is the pass of its name.
func depthwiseSums[T Float](y []T, stepY int, x []T, stepX int, weights []T, taps []windowTap, start []T, stepStart, channels, pixels int) {
	for p := range pixels {
		sums := y[p*stepY:][:channels]
		clear(sums)
		for _, t := range taps {
			from, w := x[p*stepX+t.image:][:channels], weights[t.weights:][:channels]
			for c := range sums {
				sums[c] += w[c] * from[c]
			}
		}
		if start != nil {
			for c, v := range start[p*stepStart:][:channels] {
				sums[c] += v
			}
		}
	}
}

// gradientBands is the number of bands of rows that each image is divided into for the sums over all pixels, where images are few: whatever the number of threads.
func gradientBands(w *Window, images int) int {
	const units = 8
	return max(1, min(units/max(1, images), w.Out[1]))
}

// GradientWorkspace is the number of elements that PrepareDepthwiseRowsWeights needs: a sum of each weight for each part.
func (d *DepthwiseRows) GradientWorkspace() int {
	return d.Images * gradientBands(&d.Window, d.Images) * d.Window.KernelLen() * d.Channels
}

// PrepareDepthwiseRowsWeights returns the call that computes dw, the gradient of the weights, in the order of PrepareDepthwiseRows. Rows are summed one by one, then those of a part, then the
// parts, which bounds the rounding error.
func PrepareDepthwiseRowsWeights[T Float](d *DepthwiseRows, pool *Pool, dw, dy, x, workspace []T) func() {
	w, n := &d.Window, d.Channels
	size := w.KernelLen() * n
	if d.Images == 0 || n == 0 {
		return func() { clear(dw) }
	}
	k := vectorised[T]().forChannels(n, false)
	vertical, horizontal := w.forward(1), w.forward(2)
	type part struct {
		axisRun
		// Of each column of the window its taps, and where they count from at the output 0.
		taps [][]windowTap
		from []int
	}
	var parts []part
	for _, run := range vertical.runs() {
		p := part{axisRun: run}
		for _, h := range horizontal.taps {
			var taps []windowTap
			for _, v := range run.taps {
				taps = append(taps, windowTap{(v.first*w.In[2] + h.first) * n, (v.k*w.Kernel[2] + h.k) * n})
			}
			if len(taps) > 0 {
				p.from = append(p.from, countFrom(taps))
			}
			p.taps = append(p.taps, taps)
		}
		parts = append(parts, p)
	}
	scratch := newThreadScratch[T](pool, size)
	bands, in, out := gradientBands(&d.Window, d.Images), w.InLen()*n, w.OutLen()*n
	row := func(p *part, o int, sums, temp, dy, x []T) {
		if len(p.axisRun.taps) == 0 {
			return
		}
		for i, h := range horizontal.taps {
			taps, pixels := p.taps[i], h.hi-h.lo
			if pixels == 0 {
				for _, t := range taps {
					clear(temp[t.weights:][:n])
				}
				continue
			}
			upstream, image := dy[(o*w.Out[2]+h.lo)*n:], x[(o*w.Stride[1]*w.In[2]+h.lo*h.step)*n+p.from[i]:]
			if k == nil {
				depthwiseProducts(temp, upstream, image, h.step*n, taps, n, pixels)
				continue
			}
			k.depthwiseProducts(address(temp, 0), address(upstream, 0), uintptr(n)*elementBytes, address(image, 0), uintptr(h.step*n)*elementBytes, firstTap(taps), len(taps), n, pixels)
		}
		// The rows of the window that are inside the image follow each other.
		first, last := p.axisRun.taps[0].k, p.axisRun.taps[len(p.axisRun.taps)-1].k+1
		lo, hi := first*w.Kernel[2]*n, last*w.Kernel[2]*n
		Accumulate(sums[lo:hi], temp[lo:hi])
	}
	body := func(worker, lo, hi int) {
		temp := scratch.of(worker)[:size]
		for i := lo; i < hi; i++ {
			image, band := i/bands, i%bands
			sums := workspace[i*size:][:size]
			clear(sums)
			top, bottom := w.Out[1]*band/bands, w.Out[1]*(band+1)/bands
			for j := range parts {
				p := &parts[j]
				for o := max(top, p.lo); o < min(bottom, p.hi); o++ {
					row(p, o, sums, temp, dy[image*out:][:out], x[image*in:][:in])
				}
			}
		}
	}
	sum := func(_, lo, hi int) {
		copy(dw[lo:hi], workspace[lo:hi])
		for i := 1; i < d.Images*bands; i++ {
			Accumulate(dw[lo:hi], workspace[i*size+lo:][:hi-lo])
		}
	}
	grain := max(1, elementsPerCall/max(1, d.Images*bands))
	return func() {
		pool.For(d.Images*bands, 1, body)
		pool.For(size, grain, sum)
	}
}

// depthwiseProducts is the pass of its name.
func depthwiseProducts[T Float](out, dy, x []T, stepX int, taps []windowTap, channels, pixels int) {
	for _, t := range taps {
		sums := out[t.weights:][:channels]
		clear(sums)
		for p := range pixels {
			from, d := x[p*stepX+t.image:][:channels], dy[p*channels:][:channels]
			for c := range sums {
				sums[c] += d[c] * from[c]
			}
		}
	}
}
