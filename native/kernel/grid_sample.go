package kernel

import "math"

// GridSampling looks into images of Channels planes of Height x Width at places that a grid of Places pairs (x, y) for each image gives in
// [-1, 1]: torch.nn.functional.grid_sample, ONNX's GridSample.
type GridSampling struct {
	Channels, Height, Width, Places int
	// Nearest takes the nearest element (half to even) in place of the four around a place.
	Nearest bool
	// AlignCorners has -1 and 1 mean the middles of the outermost elements, not their edges.
	AlignCorners bool
	Padding      GridPadding
}

// GridPadding says what lies outside the image.
type GridPadding int

// What lies outside.
const (
	PadZeros GridPadding = iota
	PadBorder
	PadReflection
)

// place turns a coordinate of the grid into one of the image, and says how fast it moves with it.
func (g *GridSampling) place(x float64, size int) (at, slope float64) {
	n := float64(size)
	low, high := -0.5, n-0.5
	if g.AlignCorners {
		at, slope = (x+1)/2*(n-1), (n-1)/2
		low, high = 0, n-1
	} else {
		at, slope = ((x+1)*n-1)/2, n/2
	}
	if g.Padding == PadReflection {
		at, slope = reflected(at, slope, low, high)
	}
	if g.Padding != PadZeros {
		switch { // at the border itself the slope is 0, as PyTorch has it
		case !(at > 0):
			return 0, 0
		case at >= n-1:
			return n - 1, 0
		}
	}
	return at, slope
}

// reflected mirrors a coordinate at low and high until it is between them.
func reflected(at, slope, low, high float64) (float64, float64) {
	span := high - low
	if span == 0 {
		return 0, 0
	}
	at -= low
	if at < 0 {
		at, slope = -at, -slope
	}
	rest := math.Mod(at, span)
	if math.Mod(math.Floor(at/span), 2) == 0 {
		return rest + low, slope
	}
	return span - rest + low, -slope
}

// corner is one of the elements that a place is computed from: where it is in a plane, -1 outside, its weight, and how fast that changes
// with the place.
type corner struct {
	at                     int
	weight, byRow, byWidth float64
}

// around returns the elements that a place is computed from.
func (g *GridSampling) around(x, y float64) (corners [4]corner, count int) {
	column, byX := g.place(x, g.Width)
	row, byY := g.place(y, g.Height)
	inside := func(r, c float64) int {
		if r >= 0 && r < float64(g.Height) && c >= 0 && c < float64(g.Width) { // false for NaN
			return int(r)*g.Width + int(c)
		}
		return -1
	}
	if g.Nearest {
		corners[0] = corner{at: inside(math.RoundToEven(row), math.RoundToEven(column)), weight: 1}
		return corners, 1
	}
	top, left := math.Floor(row), math.Floor(column)
	down, right := row-top, column-left
	corners[0] = corner{inside(top, left), (1 - down) * (1 - right), -(1 - right) * byY, -(1 - down) * byX}
	corners[1] = corner{inside(top, left+1), (1 - down) * right, -right * byY, (1 - down) * byX}
	corners[2] = corner{inside(top+1, left), down * (1 - right), (1 - right) * byY, -down * byX}
	corners[3] = corner{inside(top+1, left+1), down * right, right * byY, down * byX}
	return corners, 4
}

// GridSample computes one image: y[c][p] is the element of plane c of x at place p.
func GridSample[T Float](y, x, grid []T, g *GridSampling) {
	area := g.Height * g.Width
	for p := range g.Places {
		corners, count := g.around(float64(grid[2*p]), float64(grid[2*p+1]))
		for c := range g.Channels {
			plane, sum := x[c*area:(c+1)*area], T(0)
			for _, k := range corners[:count] {
				if k.at >= 0 {
					sum += plane[k.at] * T(k.weight)
				}
			}
			y[c*g.Places+p] = sum
		}
	}
}

// GridSampleGradient computes both gradients of one image from that of the result; either may be nil.
func GridSampleGradient[T Float](dx, dgrid, dy, x, grid []T, g *GridSampling) {
	area := g.Height * g.Width
	clear(dx)
	for p := range g.Places {
		corners, count := g.around(float64(grid[2*p]), float64(grid[2*p+1]))
		var byX, byY T
		for c := range g.Channels {
			d := dy[c*g.Places+p]
			for _, k := range corners[:count] {
				if k.at < 0 {
					continue
				}
				if dx != nil {
					dx[c*area+k.at] += d * T(k.weight)
				}
				v := d * x[c*area+k.at]
				byX += v * T(k.byWidth)
				byY += v * T(k.byRow)
			}
		}
		if dgrid != nil {
			dgrid[2*p], dgrid[2*p+1] = byX, byY
		}
	}
}
