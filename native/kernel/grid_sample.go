package kernel

import "math"

// GridSampling looks into images of Channels planes of Height x Width, or volumes of Depth of these, at places that a grid of Places pairs (x, y) or
// triples (x, y, z) for each image gives in [-1, 1]: torch.nn.functional.grid_sample, ONNX's GridSample.
type GridSampling struct {
	// Depth is 0 for images.
	Channels, Depth, Height, Width, Places int
	// Nearest takes the nearest element (half to even) in place of the two along each axis around a place, Cubic the four, which is for images alone.
	Nearest, Cubic bool
	// AlignCorners has -1 and 1 mean the middles of the outermost elements, not their edges.
	AlignCorners bool
	Padding      GridPadding
}

// Axes is the length of a place.
func (g *GridSampling) Axes() int {
	if g.Depth > 0 {
		return 3
	}
	return 2
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
	if g.AlignCorners {
		return (x + 1) / 2 * (n - 1), (n - 1) / 2
	}
	return ((x+1)*n - 1) / 2, n / 2
}

// padded moves a coordinate into the image as the padding says.
func (g *GridSampling) padded(at, slope float64, size int) (float64, float64) {
	n := float64(size)
	if g.Padding == PadReflection {
		low, high := -0.5, n-0.5
		if g.AlignCorners {
			low, high = 0, n-1
		}
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

// tap is an element along one axis that a place is computed from: -1 outside, its weight, and how fast that changes with the place.
type tap struct {
	at            int
	weight, slope float64
}

// taps writes the elements along an axis and returns how many they are.
func (g *GridSampling) taps(taps *[4]tap, x float64, size int) int {
	inside := func(at float64) int {
		if at >= 0 && at < float64(size) { // false for NaN
			return int(at)
		}
		return -1
	}
	at, slope := g.place(x, size)
	if g.Cubic {
		first := math.Floor(at) - 1
		for i := range taps {
			element, _ := g.padded(first+float64(i), 0, size)
			weight, change := cubic(at - first - float64(i))
			taps[i] = tap{inside(element), weight, change * slope}
		}
		return 4
	}
	at, slope = g.padded(at, slope, size)
	if g.Nearest {
		taps[0] = tap{inside(math.RoundToEven(at)), 1, 0}
		return 1
	}
	first := math.Floor(at)
	taps[0] = tap{inside(first), 1 - (at - first), -slope}
	taps[1] = tap{inside(first + 1), at - first, slope}
	return 2
}

// cubic is Keys' kernel with the parameter -0.75, and its derivative (R. Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981).
func cubic(x float64) (value, slope float64) {
	const a = -0.75
	sign := 1.0
	if x < 0 {
		x, sign = -x, -1
	}
	if x <= 1 {
		return ((a+2)*x-(a+3))*x*x + 1, sign * (3*(a+2)*x - 2*(a+3)) * x
	}
	return ((a*x-5*a)*x+8*a)*x - 4*a, sign * ((3*a*x-10*a)*x + 8*a)
}

// corner is one of the elements that a place is computed from: where it is in a plane or volume, -1 outside, its weight, and how fast that changes
// with the place's coordinates.
type corner struct {
	at     int
	weight float64
	by     [3]float64
}

// around writes the elements that a place is computed from and returns how many they are.
func (g *GridSampling) around(corners *[16]corner, x, y, z float64) (count int) {
	if g.Depth == 0 && !g.Cubic {
		return g.inImage(corners, x, y)
	}
	place, size := [3]float64{x, y, z}, [3]int{g.Width, g.Height, g.Depth}
	corners[0], count = corner{weight: 1}, 1
	for axis := g.Axes() - 1; axis >= 0; axis-- {
		var taps [4]tap
		n := g.taps(&taps, place[axis], size[axis])
		for i := count - 1; i >= 0; i-- { // backwards, since the new ones take the places of the old
			old := corners[i]
			for k := n - 1; k >= 0; k-- {
				t, c := taps[k], corner{at: -1, weight: old.weight * taps[k].weight}
				if old.at >= 0 && t.at >= 0 {
					c.at = old.at*size[axis] + t.at
				}
				for j := range c.by {
					c.by[j] = old.by[j] * t.weight
				}
				c.by[axis] = old.weight * t.slope
				corners[i*n+k] = c
			}
		}
		count *= n
	}
	return count
}

// inImage is around for what is usual, two or three times as fast: the nearest element of an image or the four around a place.
func (g *GridSampling) inImage(corners *[16]corner, x, y float64) (count int) {
	column, byX := g.place(x, g.Width)
	column, byX = g.padded(column, byX, g.Width)
	row, byY := g.place(y, g.Height)
	row, byY = g.padded(row, byY, g.Height)
	inside := func(r, c float64) int {
		if r >= 0 && r < float64(g.Height) && c >= 0 && c < float64(g.Width) { // false for NaN
			return int(r)*g.Width + int(c)
		}
		return -1
	}
	set := func(k *corner, at int, weight, byX, byY float64) {
		k.at, k.weight, k.by[0], k.by[1] = at, weight, byX, byY
	}
	if g.Nearest {
		set(&corners[0], inside(math.RoundToEven(row), math.RoundToEven(column)), 1, 0, 0)
		return 1
	}
	top, left := math.Floor(row), math.Floor(column)
	down, right := row-top, column-left
	set(&corners[0], inside(top, left), (1-down)*(1-right), -(1-down)*byX, -(1-right)*byY)
	set(&corners[1], inside(top, left+1), (1-down)*right, (1-down)*byX, -right*byY)
	set(&corners[2], inside(top+1, left), down*(1-right), -down*byX, (1-right)*byY)
	set(&corners[3], inside(top+1, left+1), down*right, down*byX, right*byY)
	return 4
}

// gridPlace returns the coordinates of a place of the grid.
func gridPlace[T Float](grid []T, p, axes int) (x, y, z float64) {
	x, y = float64(grid[axes*p]), float64(grid[axes*p+1])
	if axes == 3 {
		z = float64(grid[axes*p+2])
	}
	return x, y, z
}

// GridSample computes one image: y[c][p] is the element of plane c of x at place p.
func GridSample[T Float](y, x, grid []T, g *GridSampling) {
	area, axes := max(g.Depth, 1)*g.Height*g.Width, g.Axes()
	var corners [16]corner
	for p := range g.Places {
		px, py, pz := gridPlace(grid, p, axes)
		count := g.around(&corners, px, py, pz)
		for c := range g.Channels {
			plane, sum := x[c*area:(c+1)*area], T(0)
			for i := range corners[:count] {
				if k := &corners[i]; k.at >= 0 {
					sum += plane[k.at] * T(k.weight)
				}
			}
			y[c*g.Places+p] = sum
		}
	}
}

// GridSampleGradient computes both gradients of one image from that of the result; either may be nil.
func GridSampleGradient[T Float](dx, dgrid, dy, x, grid []T, g *GridSampling) {
	area, axes := max(g.Depth, 1)*g.Height*g.Width, g.Axes()
	clear(dx)
	var corners [16]corner
	for p := range g.Places {
		px, py, pz := gridPlace(grid, p, axes)
		count := g.around(&corners, px, py, pz)
		var byX, byY, byZ T
		for c := range g.Channels {
			d := dy[c*g.Places+p]
			for i := range corners[:count] {
				k := &corners[i]
				if k.at < 0 {
					continue
				}
				if dx != nil {
					dx[c*area+k.at] += d * T(k.weight)
				}
				v := d * x[c*area+k.at]
				byX += v * T(k.by[0])
				byY += v * T(k.by[1])
				if axes == 3 {
					byZ += v * T(k.by[2])
				}
			}
		}
		if dgrid != nil {
			dgrid[axes*p], dgrid[axes*p+1] = byX, byY
			if axes == 3 {
				dgrid[axes*p+2] = byZ
			}
		}
	}
}
