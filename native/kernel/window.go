package kernel

// Window says which elements of an image a sliding window reads, as convolutions and pooling need it. There are three spatial
// dimensions; an image of fewer has sizes of 1 in front. Output o and kernel position k of a dimension read the input
// o*Stride + k*Dilation - Pad, which may be outside the image: then it counts as zero, or not at all.
type Window struct {
	In, Out, Kernel, Stride, Dilation, Pad [3]int
}

// InLen returns the number of elements of an image of one channel.
func (w *Window) InLen() int { return w.In[0] * w.In[1] * w.In[2] }

// OutLen returns the number of positions of the window.
func (w *Window) OutLen() int { return w.Out[0] * w.Out[1] * w.Out[2] }

// KernelLen returns the number of elements that the window sees at once.
func (w *Window) KernelLen() int { return w.Kernel[0] * w.Kernel[1] * w.Kernel[2] }

// position returns the three coordinates of kernel position k, which counts row by row.
func (w *Window) position(k int) (k0, k1, k2 int) {
	return k / (w.Kernel[1] * w.Kernel[2]), k / w.Kernel[2] % w.Kernel[1], k % w.Kernel[2]
}

// inside returns the outputs lo ... hi of dimension d for which kernel coordinate k is inside the image, and the input that lo reads.
func (w *Window) inside(d, k int) (lo, hi, first int) {
	shift := k*w.Dilation[d] - w.Pad[d]
	if shift < 0 {
		lo = (-shift + w.Stride[d] - 1) / w.Stride[d]
	}
	if last := w.In[d] - 1 - shift; last >= 0 {
		hi = min(last/w.Stride[d]+1, w.Out[d])
	}
	lo = min(lo, hi)
	return lo, hi, lo*w.Stride[d] + shift
}

// rows calls body for every row of outputs for which kernel position k is inside the image: outputs out ... out+n read the inputs
// in, in+step, ...
func (w *Window) rows(k int, body func(out, in, n, step int)) {
	k0, k1, k2 := w.position(k)
	lo0, hi0, in0 := w.inside(0, k0)
	lo1, hi1, in1 := w.inside(1, k1)
	lo2, hi2, in2 := w.inside(2, k2)
	if lo2 == hi2 {
		return
	}
	for o0 := lo0; o0 < hi0; o0++ {
		for o1 := lo1; o1 < hi1; o1++ {
			in := ((in0+(o0-lo0)*w.Stride[0])*w.In[1]+in1+(o1-lo1)*w.Stride[1])*w.In[2] + in2
			body((o0*w.Out[1]+o1)*w.Out[2]+lo2, in, hi2-lo2, w.Stride[2])
		}
	}
}

// Unfold writes what kernel position k reads of an image, OutLen elements, zeros outside. The rows that it gives for all positions and channels
// are the matrix of a convolution as a product (Chellapilla, Puri and Simard, "High Performance Convolutional Neural
// Networks for Document Processing", 2006).
func Unfold[T Float](row, image []T, w *Window, k int) {
	clear(row[:w.OutLen()])
	w.rows(k, func(out, in, n, step int) {
		if step == 1 {
			copy(row[out:out+n], image[in:in+n])
			return
		}
		for i := range n {
			row[out+i] = image[in+i*step]
		}
	})
}

// Fold adds to an image what kernel position k reads: the transpose of Unfold.
func Fold[T Float](image, row []T, w *Window, k int) {
	w.rows(k, func(out, in, n, step int) {
		if step == 1 {
			Accumulate(image[in:in+n], row[out:out+n])
			return
		}
		for i := range n {
			image[in+i*step] += row[out+i]
		}
	})
}

// Depthwise adds the convolution of one channel with one kernel to y, OutLen elements.
func Depthwise[T Float](y, image, weights []T, w *Window) {
	for k, f := range weights[:w.KernelLen()] {
		w.rows(k, func(out, in, n, step int) {
			row := y[out : out+n]
			for i := range row {
				row[i] += f * image[in+i*step]
			}
		})
	}
}

// DepthwiseData adds to dx, an image, its gradient through Depthwise.
func DepthwiseData[T Float](dx, dy, weights []T, w *Window) {
	for k, f := range weights[:w.KernelLen()] {
		w.rows(k, func(out, in, n, step int) {
			for i, d := range dy[out : out+n] {
				dx[in+i*step] += f * d
			}
		})
	}
}

// DepthwiseWeights adds to dw, one kernel, its gradient through Depthwise. Rows are summed one by one before they are added up, which
// bounds the rounding error.
func DepthwiseWeights[T Float](dw, dy, image []T, w *Window) {
	for k := range w.KernelLen() {
		var sum T
		w.rows(k, func(out, in, n, step int) {
			var s T
			for i, d := range dy[out : out+n] {
				s += d * image[in+i*step]
			}
			sum += s
		})
		dw[k] += sum
	}
}
