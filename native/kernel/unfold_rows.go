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

// WeightsToRows writes the filters lo ... hi, multiples of eight or the end, of weights (filters, channels, positions) as columns: element (m, c, i) goes to
// rows[(i*channels+c)*filters+m]. scratch has 8*channels*positions elements.
func WeightsToRows[T Float](rows, weights, scratch []T, filters, channels, positions, lo, hi int) {
	depth := channels * positions
	for m := lo; m < hi; m += 8 {
		n := min(8, hi-m)
		eight := transposeEight(scratch, weights[m*depth:], depth, n)
		for c := range channels {
			for i := range positions {
				copy(rows[(i*channels+c)*filters+m:][:n], eight[(c*positions+i)*8:])
			}
		}
	}
}

// transposeEight writes n <= 8 rows of depth elements as depth rows of eight.
func transposeEight[T Float](to, from []T, depth, n int) []T {
	to = to[:8*depth]
	done := 0
	if k := vectorised[T](); k != nil && n == 8 && depth >= 8 {
		done = depth &^ 7
		k.transpose8(address(to, 0), 8*elementBytes, address(from, 0), uintptr(depth)*elementBytes, done/8)
	}
	for i := done; i < depth; i++ {
		for r := range n {
			to[i*8+r] = from[r*depth+i]
		}
	}
	return to
}

// RowsToWeights is the reverse of WeightsToRows.
func RowsToWeights[T Float](weights, rows, scratch []T, filters, channels, positions, lo, hi int) {
	depth := channels * positions
	eight := scratch[:8*depth]
	k := vectorised[T]()
	for m := lo; m < hi; m += 8 {
		n := min(8, hi-m)
		for c := range channels {
			for i := range positions {
				copy(eight[(c*positions+i)*8:][:n], rows[(i*channels+c)*filters+m:])
			}
		}
		done := 0
		if k != nil && n == 8 {
			for ; done+8 <= depth; done += 8 {
				k.transpose8(address(weights, m*depth+done), uintptr(depth)*elementBytes, address(eight, done*8), 8*elementBytes, 1)
			}
		}
		for i := done; i < depth; i++ {
			for r := range n {
				weights[(m+r)*depth+i] = eight[i*8+r]
			}
		}
	}
}
