package engine

// Change is what the data file's tensor "augment" has for one position of the order: how the sample's image is moved and mirrored.
type Change struct {
	DY, DX int
	Flip   bool
}

// Augmented writes an image of a shape (channels, height, width), changed, to dst: the pixel (y, x) is the image's at (y+DY, x+DX) or, mirrored,
// at (y+DY, width-1-x+DX), and fill of its channel where the image has none. No element is rounded.
func Augmented[T float32 | float64](dst []T, image []float32, shape []int, fill []float32, c Change) {
	height, width := shape[1], shape[2]
	for plane := range shape[0] {
		black := T(fill[plane])
		for y := range height {
			out := dst[(plane*height+y)*width:][:width]
			from := y + c.DY
			if from < 0 || from >= height {
				for x := range out {
					out[x] = black
				}
				continue
			}
			row := image[(plane*height+from)*width:][:width]
			for x := range out {
				at := x + c.DX
				if c.Flip {
					at = width - 1 - x + c.DX
				}
				if at < 0 || at >= width {
					out[x] = black
				} else {
					out[x] = T(row[at])
				}
			}
		}
	}
}
