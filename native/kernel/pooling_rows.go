package kernel

import "math"

// poolingPasses are a path's passes of pooling over pixels side by side, for at least a vector of channels.
type poolingPasses struct {
	// maxPoolPixels writes the largest of what the taps see of x, whose pixels are stepX bytes apart, to pixels of y one behind the other, and to index, if not nil, which element that is:
	// number is that of x, order the numbers from 0 on.
	maxPoolPixels func(y *float32, index *int64, x *float32, stepX uintptr, taps *int, count, number int, order *int64, channels, pixels int)
}

// order is the numbers of a vector's elements.
var order = [16]int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

// PrepareMaxPoolRows returns the call of max-pooling for images with channels last, (N, H, W, C): index, if not nil, gets the number of the element in x of the first one that is largest, or is
// NaN. Where a window sees nothing but pads the result is negative infinity and the number -1.
func PrepareMaxPoolRows[T Float](pool *Pool, w Window, images, channels int, y []T, index []int64, x []T) func() {
	rows := w.forwardRows(channels)
	if images == 0 || channels == 0 || len(rows) == 0 {
		return func() {}
	}
	in, out := w.InLen()*channels, w.OutLen()*channels
	k := vectorised[T]().forChannels(channels, false)
	if in > math.MaxInt32 {
		k = nil // its numbers of elements are of 32 bits
	}
	run := func(r *pixelRun, to, from, pixels int) {
		if k == nil || len(r.taps) == 0 {
			var numbers []int64
			if index != nil {
				numbers = index[to:]
			}
			maxPoolPixels(y[to:], numbers, x, from, r.stepFrom, r.taps, channels, pixels)
			return
		}
		var numbers *int64
		if index != nil {
			numbers = &index[to]
		}
		k.maxPoolPixels(address(y, to), numbers, address(x, from), uintptr(r.stepFrom)*elementBytes, firstTap(r.taps), len(r.taps), from, &order[0], channels, pixels)
	}
	body := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			image, row := i/len(rows), &rows[i%len(rows)]
			for j := range row.runs {
				r := &row.runs[j]
				most := max(1, elementsPerCall/max(1, channels*len(r.taps)))
				for p := 0; p < r.pixels; p += most {
					run(r, image*out+row.to+r.to+p*channels, image*in+row.from+r.from+p*r.stepFrom, min(most, r.pixels-p))
				}
			}
		}
	}
	grain := max(1, elementsPerCall/max(1, out/len(rows)*w.KernelLen()))
	return func() { pool.For(images*len(rows), grain, body) }
}

// maxPoolPixels is the pass of its name; x is all of it, and from where the first pixel lies.
func maxPoolPixels[T Float](y []T, index []int64, x []T, from, stepX int, taps []windowTap, channels, pixels int) {
	for p := range pixels {
		largest := y[p*channels:][:channels]
		var numbers []int64
		if index != nil {
			numbers = index[p*channels:][:channels]
		}
		for c := range largest {
			best, number := T(math.Inf(-1)), -1
			for i, t := range taps {
				at := from + p*stepX + t.image + c
				if v := x[at]; i == 0 || v > best || v != v && best == best {
					best, number = v, at
				}
			}
			largest[c] = best
			if numbers != nil {
				numbers[c] = int64(number)
			}
		}
	}
}
