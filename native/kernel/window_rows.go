package kernel

import "slices"

// What slides over images with channels last, (height, width, channels) of two spatial dimensions, sees the same elements of its window at most pixels side by side; only those near the
// borders see fewer. Kernels for such runs of pixels need not look where they are.

// windowTap is an element of a window: how many elements what it reads lies behind the first one of the pixel that the window stands at, and where its weights begin.
type windowTap struct{ image, weights int }

// axisTap is what one coordinate of the window reads along a dimension: at the positions lo ... hi the source position first + step*(position - 0), the number k is its own.
type axisTap struct{ k, first, step, lo, hi int }

// axis is positions from first on, step apart, along a dimension of the result.
type axis struct {
	first, step, count int
	taps               []axisTap
}

// axisRun is positions lo ... hi of an axis that see the same taps.
type axisRun struct {
	lo, hi int
	taps   []axisTap
}

// runs divides an axis into such runs.
func (a *axis) runs() (runs []axisRun) {
	for lo := 0; lo < a.count; {
		run := axisRun{lo: lo, hi: a.count}
		for _, t := range a.taps {
			switch {
			case t.lo <= lo && lo < t.hi:
				run.taps = append(run.taps, t)
				run.hi = min(run.hi, t.hi)
			case lo < t.lo && t.lo < t.hi:
				run.hi = min(run.hi, t.lo)
			}
		}
		runs = append(runs, run)
		lo = run.hi
	}
	return runs
}

// firstTap is taps as assembly takes them: two numbers each.
func firstTap(taps []windowTap) *int {
	if len(taps) == 0 {
		return nil
	}
	return &taps[0].image
}

// countFrom lets taps count from the one that is first in the image, and returns where that was.
func countFrom(taps []windowTap) int {
	first := slices.MinFunc(taps, func(a, b windowTap) int { return a.image - b.image }).image
	for i := range taps {
		taps[i].image -= first
	}
	return first
}

// forward is dimension d of the convolution.
func (w *Window) forward(d int) axis {
	a := axis{step: 1, count: w.Out[d]}
	for k := range w.Kernel[d] {
		lo, hi, _ := w.inside(d, k)
		a.taps = append(a.taps, axisTap{k: k, first: k*w.Dilation[d] - w.Pad[d], step: w.Stride[d], lo: lo, hi: hi})
	}
	return a
}

// backward is dimension d of the image's gradient: an axis for each remainder of the stride, since positions a stride apart see the same coordinates of the window.
func (w *Window) backward(d int) (axes []axis) {
	stride := w.Stride[d]
	for first := range min(stride, w.In[d]) {
		a := axis{first: first, step: stride, count: (w.In[d] - first + stride - 1) / stride}
		for k := range w.Kernel[d] {
			shift := first + w.Pad[d] - k*w.Dilation[d]
			if shift%stride != 0 {
				continue
			}
			shift /= stride // exact: the output that position 0 reads
			lo := min(max(0, -shift), a.count)
			a.taps = append(a.taps, axisTap{k: k, first: shift, step: 1, lo: lo, hi: max(lo, min(a.count, w.Out[d]-shift))})
		}
		axes = append(axes, a)
	}
	return axes
}

// pixelRun is pixels of a row of the result that see the same taps: where they begin in the row, and in the source's row that the taps count from.
type pixelRun struct {
	to, stepTo, from, stepFrom, pixels int
	taps                               []windowTap
}

// pixelRow is a row of the result: where it begins, where the taps count from in the source, and its runs.
type pixelRow struct {
	to, from int
	runs     []pixelRun
}

// pixelRows lists the rows of the result of one image, along axes of its height and its width; the source is so many pixels wide.
func (w *Window) pixelRows(vertical, horizontal []axis, toWidth, fromWidth, channels int) (rows []pixelRow) {
	n := channels
	for _, v := range vertical {
		for _, vr := range v.runs() {
			var runs []pixelRun
			for _, h := range horizontal {
				stepFrom := 1
				if len(h.taps) > 0 {
					stepFrom = h.taps[0].step
				}
				for _, hr := range h.runs() {
					run := pixelRun{
						to: (h.first + hr.lo*h.step) * n, stepTo: h.step * n, from: hr.lo * stepFrom * n, stepFrom: stepFrom * n, pixels: hr.hi - hr.lo,
					}
					for _, y := range vr.taps {
						for _, x := range hr.taps {
							run.taps = append(run.taps, windowTap{(y.first*fromWidth + x.first) * n, (y.k*w.Kernel[2] + x.k) * n})
						}
					}
					// A tap is inside the image, which the pixel at the window's corner need not be.
					if len(run.taps) > 0 {
						run.from += countFrom(run.taps)
					}
					runs = append(runs, run)
				}
			}
			step := 1
			if len(v.taps) > 0 {
				step = v.taps[0].step
			}
			for i := vr.lo; i < vr.hi; i++ {
				rows = append(rows, pixelRow{(v.first + i*v.step) * toWidth * n, i * step * fromWidth * n, runs})
			}
		}
	}
	return rows
}

// forwardRows are the rows of what slides over the image.
func (w *Window) forwardRows(channels int) []pixelRow {
	return w.pixelRows([]axis{w.forward(1)}, []axis{w.forward(2)}, w.Out[2], w.In[2], channels)
}

// backwardRows are the rows of the image's gradient.
func (w *Window) backwardRows(channels int) []pixelRow {
	return w.pixelRows(w.backward(1), w.backward(2), w.In[2], w.Out[2], channels)
}
