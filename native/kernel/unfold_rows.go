package kernel

// Images with channels last, (height, width, channels) of two spatial dimensions, unfold into rows: one for each position of the window with what it sees, kernel
// position by kernel position and in each channel by channel. A convolution is the product of these rows and the weights in the same order.

// UnfoldRows writes the rows lo ... hi of an image, KernelLen*channels elements each, zeros outside the image.
func UnfoldRows[T Float](rows, image []T, w *Window, channels, lo, hi int) {
	depth := w.KernelLen() * channels
	for o := lo; o < hi; o++ {
		row := rows[(o-lo)*depth:][:depth]
		w.runs(o, func(k, n, pixel int) {
			part := row[k*channels:][:n*channels]
			if pixel < 0 {
				clear(part)
			} else {
				copy(part, image[pixel*channels:])
			}
		})
	}
}

// FoldRows adds the rows of all positions to an image: the transpose of UnfoldRows.
func FoldRows[T Float](image, rows []T, w *Window, channels int) {
	depth := w.KernelLen() * channels
	for o := range w.OutLen() {
		row := rows[o*depth:][:depth]
		w.runs(o, func(k, n, pixel int) {
			if pixel >= 0 {
				Accumulate(image[pixel*channels:][:n*channels], row[k*channels:][:n*channels])
			}
		})
	}
}

// runs divides the kernel positions at output o into runs that lie side by side in the image: n of them from k on read the pixels from pixel on, or none if
// that is negative.
func (w *Window) runs(o int, body func(k, n, pixel int)) {
	width := w.Kernel[2]
	top, left := o/w.Out[2]*w.Stride[1]-w.Pad[1], o%w.Out[2]*w.Stride[2]-w.Pad[2]
	for k1 := range w.Kernel[1] {
		first := k1 * width
		y := top + k1*w.Dilation[1]
		if y < 0 || y >= w.In[1] {
			body(first, width, -1)
			continue
		}
		pixel := y*w.In[2] + left
		if w.Dilation[2] == 1 {
			lo := min(max(0, -left), width)
			hi := max(lo, min(width, w.In[2]-left))
			if lo > 0 {
				body(first, lo, -1)
			}
			if hi > lo {
				body(first+lo, hi-lo, pixel+lo)
			}
			if hi < width {
				body(first+hi, width-hi, -1)
			}
			continue
		}
		for k2 := range width {
			if x := left + k2*w.Dilation[2]; x >= 0 && x < w.In[2] {
				body(first+k2, 1, y*w.In[2]+x)
			} else {
				body(first+k2, 1, -1)
			}
		}
	}
}

// filtersAtOnce is the number of filters that are transposed together: a cache line of float32.
const filtersAtOnce = 16

// PrepareWeightsToRows returns the call that writes weights (filters, channels, positions) as the columns that unfolded rows are multiplied with: element (m, c, i) goes to
// rows[(i*channels+c)*filters+m].
func PrepareWeightsToRows[T Float](pool *Pool, rows, weights []T, filters, channels, positions int) func() {
	depth := channels * positions
	return prepareFilters(pool, filters, depth, func(some []T, m, n int) {
		transposeFilters(some, weights[m*depth:], depth, n)
		for c := range channels {
			for i := range positions {
				copy(rows[(i*channels+c)*filters+m:][:n], some[(c*positions+i)*filtersAtOnce:])
			}
		}
	})
}

// PrepareRowsToWeights is the reverse of PrepareWeightsToRows.
func PrepareRowsToWeights[T Float](pool *Pool, weights, rows []T, filters, channels, positions int) func() {
	depth := channels * positions
	return prepareFilters(pool, filters, depth, func(some []T, m, n int) {
		for c := range channels {
			for i := range positions {
				copy(some[(c*positions+i)*filtersAtOnce:][:n], rows[(i*channels+c)*filters+m:])
			}
		}
		untransposeFilters(weights[m*depth:], some, depth, n)
	})
}

// prepareFilters makes the loop over n <= filtersAtOnce filters from m on, with memory for as many of depth elements.
func prepareFilters[T Float](pool *Pool, filters, depth int, body func(some []T, m, n int)) func() {
	scratch := newThreadScratch[T](pool, filtersAtOnce*depth)
	part := func(worker, lo, hi int) {
		for i := lo; i < hi; i++ {
			m := i * filtersAtOnce
			body(scratch.of(worker), m, min(filtersAtOnce, filters-m))
		}
	}
	groups, grain := (filters+filtersAtOnce-1)/filtersAtOnce, max(1, elementsPerCall/max(1, filtersAtOnce*depth))
	return func() { pool.For(groups, grain, part) }
}

// transposeFilters writes n rows of depth elements as columns of depth rows, filtersAtOnce elements each.
func transposeFilters[T Float](to, from []T, depth, n int) {
	k := vectorised[T]()
	for r := 0; r < n; r += 8 {
		done := 0
		if k != nil && r+8 <= n && depth >= 8 {
			done = depth &^ 7
			k.transpose8(address(to, r), filtersAtOnce*elementBytes, address(from, r*depth), uintptr(depth)*elementBytes, done/8)
		}
		for i := done; i < depth; i++ {
			for m := r; m < min(r+8, n); m++ {
				to[i*filtersAtOnce+m] = from[m*depth+i]
			}
		}
	}
}

// untransposeFilters is the reverse of transposeFilters.
func untransposeFilters[T Float](to, from []T, depth, n int) {
	k := vectorised[T]()
	for r := 0; r < n; r += 8 {
		done := 0
		if k != nil && r+8 <= n {
			for ; done+8 <= depth; done += 8 {
				k.transpose8(address(to, r*depth+done), uintptr(depth)*elementBytes, address(from, done*filtersAtOnce+r), filtersAtOnce*elementBytes, 1)
			}
		}
		for i := done; i < depth; i++ {
			for m := r; m < min(r+8, n); m++ {
				to[m*depth+i] = from[i*filtersAtOnce+m]
			}
		}
	}
}
