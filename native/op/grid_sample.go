package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// GridSample looks into images at the places of a grid, [batch, height, width, 2] numbers (x, y) from -1 to 1: by the nearest element, linear
// or cubic interpolation; or into volumes at [batch, depth, height, width, 3] numbers (x, y, z), by the first two. It is what a spatial
// transformer network ends with (Jaderberg and others, 2015).
func init() {
	x := CaseInput{Shape: []int{2, 2, 4, 5}}
	// Off all kinks: no place is at the middle of an element.
	grid := CaseInput{Shape: []int{2, 2, 2, 2}, Float: []float64{-0.93, -0.57, 0.31, 0.13, 0.77, -0.21, -0.11, 0.89, 0.03, 0.41, -1.31, 0.23, 0.57, 1.73, -2.69, -1.87}}
	fixed := grid
	fixed.NoGrad = true
	volume := CaseInput{Shape: []int{2, 2, 3, 2, 4}}
	places := CaseInput{Shape: []int{2, 1, 2, 2, 3}, Float: []float64{
		-0.93, -0.57, 0.31, 0.13, 0.77, -0.21, -0.11, 0.89, 0.03, 0.41, -1.31, 0.23, 0.57, 1.73, -2.69, -1.87, 0.15, 0.71, 0.37, -0.41, 0.83, -0.73, 0.19, -1.43,
	}}
	fixedPlaces := places
	fixedPlaces.NoGrad = true
	mode := func(mode, padding string, align int64) map[string]any {
		return map[string]any{"mode": mode, "padding_mode": padding, "align_corners": align}
	}
	Register(Def{
		Name: "GridSample", Since: 16, MinInputs: 2, MaxInputs: 2,
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0, 1); err != nil {
				return err
			}
			x, grid := n.Inputs[0].Shape, n.Inputs[1].Shape
			if axes := len(x) - 2; axes != 2 && axes != 3 || len(grid) != len(x) || grid[axes+1] != axes || grid[0] != x[0] {
				return fmt.Errorf("images %v and a grid %v, want [batch, channels, height, width] and [batch, rows, columns, 2], or the same of volumes", x, grid)
			}
			if elements(x) == 0 {
				return fmt.Errorf("an image of shape %v has nothing to look at", x)
			}
			g, err := newGridSampling(n)
			if err != nil {
				return err
			}
			if g.Cubic && len(x) == 5 {
				return fmt.Errorf("cubic interpolation in volumes, %v, is %w", x, ErrUnsupported)
			}
			setOutput(n, 0, ir.Float, append([]int{x[0], x[1]}, grid[1:len(grid)-1]...)...)
			return nil
		},
		Float32: bindGridSample[float32], Float64: bindGridSample[float64],
		Gradient: func(g *Gradient) error {
			d := g.AddOutputs("tandem.GridSampleGradient", g.Node.Attributes, []bool{g.Needs(0), g.Needs(1)}, g.Out[0], g.Node.Inputs[0], g.Node.Inputs[1])
			for i := range d {
				if g.Needs(i) {
					g.Set(i, d[i])
				}
			}
			return nil
		},
		Cases: []Case{
			{Name: "linear", Inputs: []CaseInput{x, grid}},
			{Name: "linear, corners", Inputs: []CaseInput{x, grid}, Attributes: mode("linear", "zeros", 1)},
			{Name: "border", Inputs: []CaseInput{x, grid}, Attributes: mode("bilinear", "border", 0)},
			{Name: "reflection", Inputs: []CaseInput{x, grid}, Attributes: mode("linear", "reflection", 0)},
			{Name: "reflection, corners", Inputs: []CaseInput{x, grid}, Attributes: mode("linear", "reflection", 1)},
			{Name: "nearest", Inputs: []CaseInput{x, fixed}, Attributes: mode("nearest", "zeros", 0)},
			{Name: "cubic", Inputs: []CaseInput{x, grid}, Attributes: mode("cubic", "zeros", 0)},
			{Name: "cubic, border", Inputs: []CaseInput{x, grid}, Attributes: mode("bicubic", "border", 1)},
			{Name: "cubic, reflection", Inputs: []CaseInput{x, grid}, Attributes: mode("cubic", "reflection", 0)},
			{Name: "volume", Inputs: []CaseInput{volume, places}},
			{Name: "volume, reflection, corners", Inputs: []CaseInput{volume, places}, Attributes: mode("linear", "reflection", 1)},
			{Name: "volume, nearest", Inputs: []CaseInput{volume, fixedPlaces}, Attributes: mode("nearest", "border", 0)},
			{Name: "nearest, border", Inputs: []CaseInput{x, fixed}, Attributes: mode("nearest", "border", 1)},
		},
	})
	Register(Def{
		Name: "tandem.GridSampleGradient", MinInputs: 3, MaxInputs: 3, // dy, x, grid
		Infer: func(n *ir.Node) error {
			for i := range n.Outputs {
				if n.Outputs[i] != nil {
					setOutput(n, i, ir.Float, n.Inputs[i+1].Shape...)
				}
			}
			return nil
		},
		Float32: bindGridSampleGradient[float32], Float64: bindGridSampleGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// newGridSampling reads a node's attributes.
func newGridSampling(n *ir.Node) (g kernel.GridSampling, err error) {
	mode, err := n.Attributes.String("mode", "linear")
	if err != nil {
		return g, err
	}
	switch mode {
	case "linear", "bilinear":
	case "nearest":
		g.Nearest = true
	case "cubic", "bicubic":
		g.Cubic = true
	default:
		return g, fmt.Errorf("mode %q is none of linear, nearest and cubic", mode)
	}
	padding, err := n.Attributes.String("padding_mode", "zeros")
	if err != nil {
		return g, err
	}
	switch padding {
	case "zeros":
	case "border":
		g.Padding = kernel.PadBorder
	case "reflection":
		g.Padding = kernel.PadReflection
	default:
		return g, fmt.Errorf("padding_mode %q is none of zeros, border and reflection", padding)
	}
	align, err := n.Attributes.Int("align_corners", 0)
	g.AlignCorners = align != 0
	return g, err
}

// sized adds the sizes of images and grid.
func sized(g kernel.GridSampling, x, grid []int) *kernel.GridSampling {
	g.Channels, g.Places = x[1], elements(grid[1:len(grid)-1])
	if len(x) == 5 {
		g.Depth, x = x[2], x[1:]
	}
	g.Height, g.Width = x[2], x[3]
	return &g
}

// image returns one image's part of a buffer; nil of none.
func image[T kernel.Float](all []T, number, images int) []T {
	size := len(all) / images
	return all[number*size : (number+1)*size]
}

func bindGridSample[T kernel.Float](c *Context[T]) (func(), error) {
	of, err := newGridSampling(c.Node)
	if err != nil {
		return nil, err
	}
	g, images := sized(of, c.In[0].Shape, c.In[1].Shape), c.In[0].Shape[0]
	y, x, grid := c.Out[0].Float, c.In[0].Float, c.In[1].Float
	work := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			kernel.GridSample(image(y, i, images), image(x, i, images), image(grid, i, images), g)
		}
	}
	return func() { c.Pool.For(images, 1, work) }, nil
}

func bindGridSampleGradient[T kernel.Float](c *Context[T]) (func(), error) {
	of, err := newGridSampling(c.Node)
	if err != nil {
		return nil, err
	}
	g, images := sized(of, c.In[1].Shape, c.In[2].Shape), c.In[1].Shape[0]
	dx, dgrid, dy, x, grid := c.Out[0].Float, c.Out[1].Float, c.In[0].Float, c.In[1].Float, c.In[2].Float
	part := func(all []T, i int) []T {
		if all == nil {
			return nil
		}
		return image(all, i, images)
	}
	work := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			kernel.GridSampleGradient(part(dx, i), part(dgrid, i), image(dy, i, images), image(x, i, images), image(grid, i, images), g)
		}
	}
	return func() { c.Pool.For(images, 1, work) }, nil
}
