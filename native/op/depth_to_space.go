package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// DepthToSpace makes images (N, C, H, W) larger by taking blocks of pixels out of the channels, SpaceToDepth is its reverse. Mode DCR
// counts the pixel of a block before the channel, CRD after it: PyTorch's PixelShuffle. ONNX's SpaceToDepth has the first alone, as
// the gradient of the other it takes the mode too.
func init() {
	x := func(shape ...int) []CaseInput { return []CaseInput{{Shape: shape}} }
	register := func(name, reverse string, infer func(n *ir.Node) ([]int, error), float32s Bind[float32], float64s Bind[float64], cases ...Case) {
		Register(Def{
			Name: name, Since: 1, MinInputs: 1, MaxInputs: 1,
			Infer: func(n *ir.Node) error {
				if len(n.Inputs[0].Shape) != 4 {
					return fmt.Errorf("shape %v is not (N, C, H, W)", n.Inputs[0].Shape)
				}
				shape, err := infer(n)
				if err != nil {
					return err
				}
				setOutput(n, 0, n.Inputs[0].Type, shape...)
				return nil
			},
			Float32: float32s, Float64: float64s,
			Gradient: func(g *Gradient) error { g.Set(0, g.AddWith(reverse, g.Node.Attributes, g.Out[0])); return nil },
			Cases:    cases,
		})
	}
	block := func(size int64, mode string) map[string]any {
		a := map[string]any{"blocksize": size}
		if mode != "" {
			a["mode"] = mode
		}
		return a
	}
	register("DepthToSpace", "SpaceToDepth", func(n *ir.Node) ([]int, error) {
		s := n.Inputs[0].Shape
		b, _, err := pixelBlock(n)
		if err == nil && s[1]%(b*b) != 0 {
			err = fmt.Errorf("%d channels do not divide into blocks of %d x %d", s[1], b, b)
		}
		if err != nil {
			return nil, err
		}
		return []int{s[0], s[1] / (b * b), s[2] * b, s[3] * b}, nil
	}, bindDepthToSpace[float32], bindDepthToSpace[float64],
		Case{Name: "DCR", Inputs: x(2, 8, 2, 3), Attributes: block(2, "")},
		Case{Name: "CRD", Inputs: x(1, 9, 2, 1), Attributes: block(3, "CRD")},
		Case{Name: "CRD, two channels", Inputs: x(1, 8, 2, 3), Attributes: block(2, "CRD")})
	register("SpaceToDepth", "DepthToSpace", func(n *ir.Node) ([]int, error) {
		s := n.Inputs[0].Shape
		b, _, err := pixelBlock(n)
		if err == nil && (s[2]%b != 0 || s[3]%b != 0) {
			err = fmt.Errorf("images of shape %v do not divide into blocks of %d x %d", s, b, b)
		}
		if err != nil {
			return nil, err
		}
		return []int{s[0], s[1] * b * b, s[2] / b, s[3] / b}, nil
	}, bindSpaceToDepth[float32], bindSpaceToDepth[float64],
		Case{Name: "blocks of 2", Inputs: x(2, 2, 4, 6), Attributes: block(2, "")})
}

func pixelBlock(n *ir.Node) (size int, channelFirst bool, err error) {
	b, err := n.Attributes.Int("blocksize", 0)
	if err != nil {
		return 0, false, err
	}
	if b < 1 || b > 1<<15 {
		return 0, false, fmt.Errorf("blocksize %d is none", b)
	}
	mode, err := n.Attributes.String("mode", "DCR")
	if err == nil && mode != "DCR" && mode != "CRD" {
		err = fmt.Errorf("mode %q is %w: it may be DCR or CRD", mode, ErrUnsupported)
	}
	return int(b), mode == "CRD", err
}

// pixels are the strides of the dimensions N, C, H, row of the block, W, column of the block in images of the shape (N, C*b*b, H, W).
func pixels(deep []int, b int, channelFirst bool) []int {
	plane := deep[2] * deep[3]
	image, channels := deep[1]*plane, deep[1]/(b*b)
	if channelFirst {
		return []int{image, b * b * plane, deep[3], b * plane, 1, plane}
	}
	return []int{image, plane, deep[3], b * channels * plane, 1, channels * plane}
}

func bindDepthToSpace[T kernel.Float](c *Context[T]) (func(), error) {
	b, channelFirst, err := pixelBlock(c.Node)
	if err != nil {
		return nil, err
	}
	in, out := c.In[0].Shape, c.Out[0].Shape
	part, six := *c, []int{out[0], out[1], in[2], b, in[3], b}
	part.Out = []Buffer[T]{c.Out[0]}
	part.Out[0].Shape = six
	return copyWalk(&part, stridedWalk(six, pixels(in, b, channelFirst), 0)), nil
}

func bindSpaceToDepth[T kernel.Float](c *Context[T]) (func(), error) {
	b, channelFirst, err := pixelBlock(c.Node)
	if err != nil {
		return nil, err
	}
	in, out := c.In[0].Shape, c.Out[0].Shape
	// The dimensions of the result in its order, and their strides in the input, which is (N, C, H, row, W, column).
	from := denseStrides([]int{in[0], in[1], out[2], b, out[3], b})
	six, order := []int{out[0], b, b, in[1], out[2], out[3]}, []int{0, 3, 5, 1, 2, 4}
	if channelFirst {
		six, order = []int{out[0], in[1], b, b, out[2], out[3]}, []int{0, 1, 3, 5, 2, 4}
	}
	strides := make([]int, len(order))
	for i, d := range order {
		strides[i] = from[d]
	}
	part := *c
	part.Out = []Buffer[T]{c.Out[0]}
	part.Out[0].Shape = six
	return copyWalk(&part, stridedWalk(six, strides, 0)), nil
}
