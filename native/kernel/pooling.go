package kernel

import "math"

// MaxPool is the largest element that the window reads of an image, at each of its positions; NaN counts as largest. Of equal ones the first counts, as
// in PyTorch. index, if not nil, gets its number in the image plus base.
func MaxPool[T Float](y []T, index []int64, image []T, w *Window, base int) {
	for i := range y[:w.OutLen()] {
		y[i] = T(math.Inf(-1))
	}
	if index != nil {
		for i := range index[:w.OutLen()] {
			index[i] = -1
		}
	}
	for k := range w.KernelLen() { // row by row: the first of equal ones is the first in the image
		w.rows(k, func(out, in, n, step int) {
			for i := range n {
				x := image[in+i*step]
				if was := y[out+i]; x > was || x != x && was == was || index != nil && index[out+i] < 0 {
					y[out+i] = x
					if index != nil {
						index[out+i] = int64(base + in + i*step)
					}
				}
			}
		})
	}
}

// MaxPoolGradient adds each element of dy to the element of dx that MaxPool chose; dx begins at the number base.
func MaxPoolGradient[T Float](dx, dy []T, index []int64, base int) {
	for i, d := range dy {
		dx[index[i]-int64(base)] += d
	}
}

// AveragePool is the mean of what the window reads of an image, at each of its positions: the sum times scale, one number a position.
func AveragePool[T Float](y, scale, image []T, w *Window) {
	clear(y[:w.OutLen()])
	for k := range w.KernelLen() {
		w.rows(k, func(out, in, n, step int) {
			for i := range n {
				y[out+i] += image[in+i*step]
			}
		})
	}
	for i := range y[:w.OutLen()] {
		y[i] *= scale[i]
	}
}

// AveragePoolGradient sets dx to the gradient of an image through AveragePool.
func AveragePoolGradient[T Float](dx, scale, dy []T, w *Window) {
	clear(dx[:w.InLen()])
	for k := range w.KernelLen() {
		w.rows(k, func(out, in, n, step int) {
			for i := range n {
				dx[in+i*step] += scale[out+i] * dy[out+i]
			}
		})
	}
}
