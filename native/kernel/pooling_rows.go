package kernel

import "math"

// MaxPoolRows is MaxPool for an image with channels last, at the positions lo ... hi: index, if not nil, gets the number of the element in the image plus base.
func MaxPoolRows[T Float](y []T, index []int64, image []T, w *Window, channels, base, lo, hi int) {
	for o := lo; o < hi; o++ {
		largest := y[o*channels:][:channels]
		first := true
		var numbers []int64
		if index != nil {
			numbers = index[o*channels:][:channels]
		}
		w.runs(o, func(_, n, pixel int) {
			for ; pixel >= 0 && n > 0; n, pixel = n-1, pixel+1 {
				values := image[pixel*channels:][:len(largest)]
				number := int64(base + pixel*channels)
				for c, x := range values {
					if was := largest[c]; first || x > was || x != x && was == was {
						largest[c] = x
						if numbers != nil {
							numbers[c] = number + int64(c)
						}
					}
				}
				first = false
			}
		})
		if first { // a window that sees nothing but pads
			for c := range largest {
				largest[c] = T(math.Inf(-1))
				if numbers != nil {
					numbers[c] = -1
				}
			}
		}
	}
}
