package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx"
)

// ConvTranspose turns images (N, C, spatial ...) into larger ones with weights (C, M/group, kernel ...), plus a bias (M): it is the gradient of a
// convolution with respect to its images, from (N, C, ...) to (N, M, ...), and is computed as that. Its own gradients are that convolution and the
// gradient of the same with respect to its weights.
func init() {
	x := func(shape ...int) CaseInput { return CaseInput{Shape: shape} }
	Register(Def{
		Name: "ConvTranspose", Since: 1, MinInputs: 2, MaxInputs: 3,
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0, 1, 2); err != nil {
				return err
			}
			inner, err := transposedConv(n)
			if err != nil {
				return err
			}
			out := inner.Outputs[0].Shape
			if b := n.Input(2); b != nil && !equalShapes(b.Shape, out[1:2]) {
				return fmt.Errorf("the bias has shape %v, want [%d]", b.Shape, out[1])
			}
			setOutput(n, 0, ir.Float, out...)
			n.Workspace = inner.Workspace
			return nil
		},
		Float32: bindConvTranspose[float32], Float64: bindConvTranspose[float64],
		Operations: func(n *ir.Node) float64 { return convOperations(n.Inputs[0], n.Inputs[1]) },
		Gradient: func(g *Gradient) error {
			n := g.Node
			a, _, err := convTransposeWindow(n)
			if err != nil {
				return err
			}
			if g.Needs(0) {
				g.Set(0, g.AddWith("Conv", a, g.Out[0], n.Inputs[1]))
			}
			if g.Needs(1) {
				g.Set(1, g.AddWith("tandem.ConvWeights", a.With("weights", toInt64s(n.Inputs[1].Shape)), n.Inputs[0], g.Out[0]))
			}
			if g.Needs(2) {
				channels := []int{n.Inputs[2].Len()}
				for range len(n.Inputs[0].Shape) - 2 {
					channels = append(channels, 1)
				}
				g.Set(2, g.reshape(g.sumTo(g.Out[0], channels), n.Inputs[2].Shape))
			}
			return nil
		},
		Cases: []Case{
			{Name: "4x4 stride 2", Inputs: []CaseInput{x(2, 3, 2, 3), x(3, 2, 4, 4), x(2)}, Attributes: map[string]any{"strides": []int64{2, 2}, "pads": []int64{1, 1, 1, 1}}},
			{Name: "2x2 stride 2", Inputs: []CaseInput{x(1, 2, 3, 3), x(2, 1, 2, 2), x(1)}, Attributes: map[string]any{"strides": []int64{2, 2}}},
			{Name: "output padding", Inputs: []CaseInput{x(1, 2, 3, 2), x(2, 2, 3, 3)}, Attributes: map[string]any{"strides": []int64{2, 3}, "output_padding": []int64{1, 2}, "pads": []int64{1, 0, 1, 2}}},
			{Name: "two groups, dilated", Inputs: []CaseInput{x(2, 4, 3, 3), x(4, 3, 2, 2), x(6)}, Attributes: map[string]any{"group": int64(2), "dilations": []int64{2, 1}}},
			{Name: "depthwise", Inputs: []CaseInput{x(2, 3, 3, 3), x(3, 1, 3, 3)}, Attributes: map[string]any{"group": int64(3), "strides": []int64{2, 2}}},
			{Name: "output shape", Inputs: []CaseInput{x(1, 1, 3, 3), x(1, 2, 3, 3)}, Attributes: map[string]any{"strides": []int64{3, 2}, "output_shape": []int64{10, 8}}},
			{Name: "one dimension", Inputs: []CaseInput{x(2, 2, 4), x(2, 3, 3), x(3)}, Attributes: map[string]any{"strides": []int64{2}, "pads": []int64{1, 1}}},
			{Name: "three dimensions", Inputs: []CaseInput{x(1, 1, 2, 2, 2), x(1, 2, 2, 2, 2)}},
		},
	})
}

// convTransposeWindow returns the attributes of the convolution that a node is the gradient of, and the shape of the node's result.
func convTransposeWindow(n *ir.Node) (a onnx.Attributes, out []int, err error) {
	image, weights := n.Inputs[0].Shape, n.Inputs[1].Shape
	rank := len(image) - 2
	if rank < 1 || len(weights) != len(image) || image[1] != weights[0] {
		return a, nil, fmt.Errorf("images of shape %v and weights of shape %v do not fit", image, weights)
	}
	read := func(name string, count int, fallback int64) ([]int64, error) {
		def := make([]int64, count)
		for i := range def {
			def[i] = fallback
		}
		v, err := n.Attributes.Ints(name, def)
		if err == nil && len(v) != count {
			err = fmt.Errorf("%s %v must have %d numbers for images of shape %v", name, v, count, image)
		}
		return v, err
	}
	window, err := read("kernel_shape", rank, 0)
	if err == nil && n.Attributes.Has("kernel_shape") && !equalShapes(toInts(window), weights[2:]) {
		err = fmt.Errorf("kernel_shape %v does not fit weights of shape %v", window, weights)
	}
	if err != nil {
		return a, nil, err
	}
	strides, err := read("strides", rank, 1)
	if err != nil {
		return a, nil, err
	}
	dilations, err := read("dilations", rank, 1)
	if err != nil {
		return a, nil, err
	}
	more, err := read("output_padding", rank, 0)
	if err != nil {
		return a, nil, err
	}
	given, err := read("pads", 2*rank, 0)
	if err != nil {
		return a, nil, err
	}
	wanted, err := n.Attributes.Ints("output_shape", nil)
	if err != nil {
		return a, nil, err
	}
	if len(wanted) == rank+2 {
		wanted = wanted[2:]
	}
	if len(wanted) != 0 && len(wanted) != rank {
		return a, nil, fmt.Errorf("output_shape %v must have %d numbers for images of shape %v", wanted, rank, image)
	}
	auto, err := n.Attributes.String("auto_pad", "NOTSET")
	if err != nil {
		return a, nil, err
	}
	group, err := n.Attributes.Int("group", 1)
	if err != nil {
		return a, nil, err
	}
	pads := append([]int64{}, given...)
	out = []int{image[0], weights[1] * int(group)}
	for d := range rank {
		if strides[d] < 1 || dilations[d] < 1 || more[d] < 0 {
			return a, nil, fmt.Errorf("strides %v and dilations %v must be positive, output_padding %v not negative", strides, dilations, more)
		}
		if more[d] >= max(strides[d], dilations[d]) {
			return a, nil, fmt.Errorf("output_padding %v must be smaller than strides %v or dilations %v", more, strides, dilations)
		}
		full := int64(image[2+d]-1)*strides[d] + int64(weights[2+d]-1)*dilations[d] + 1 + more[d]
		size := full - pads[d] - pads[rank+d]
		if len(wanted) > 0 {
			size = wanted[d]
		} else if auto == "SAME_UPPER" || auto == "SAME_LOWER" {
			size = int64(image[2+d]) * strides[d]
		}
		switch {
		case auto == "VALID":
			pads[d], pads[rank+d] = 0, 0
			size = full
		case len(wanted) > 0 || auto != "NOTSET": // ONNX shares what is left over between the two sides
			total := full - size
			half := total >> 1 // rounded down
			pads[d], pads[rank+d] = half, total-half
			if auto == "SAME_UPPER" {
				break
			}
			if auto != "SAME_LOWER" && auto != "NOTSET" {
				return a, nil, fmt.Errorf("auto_pad %q is %w", auto, ErrUnsupported)
			}
			pads[d], pads[rank+d] = total-half, half
		}
		if size < 1 {
			return a, nil, fmt.Errorf("images of shape %v and weights of shape %v leave nothing with pads %v", image, weights, pads)
		}
		if pads[rank+d] < 0 { // larger than what the convolution reads: as if padded after
			if -pads[rank+d] >= strides[d] {
				return a, nil, fmt.Errorf("output_shape %v is %w: it is larger than the images and weights fill", wanted, ErrUnsupported)
			}
			pads[rank+d] = 0
		}
		if pads[d] < 0 {
			return a, nil, fmt.Errorf("output_shape %v is %w: it is larger than the images and weights fill", wanted, ErrUnsupported)
		}
		out = append(out, int(size))
	}
	return onnx.NewAttributes(map[string]any{"strides": strides, "dilations": dilations, "pads": pads, "group": group}), out, nil
}

// transposedConv returns the gradient node that computes a ConvTranspose but for its bias, with its shape inferred.
func transposedConv(n *ir.Node) (*ir.Node, error) {
	a, out, err := convTransposeWindow(n)
	if err != nil {
		return nil, err
	}
	inner := &ir.Node{Op: "tandem.ConvData", Attributes: a.With("image", toInt64s(out)), Inputs: n.Inputs[:2], Origin: n.Origin}
	inner.Outputs = []*ir.Value{{Name: n.Outputs[0].Name, Producer: inner}}
	if err := Lookup(inner.Op).Infer(inner); err != nil {
		return nil, err
	}
	positions := []int{n.Inputs[0].Shape[0], n.Inputs[1].Shape[0]}
	w, rank, err := readWindow(inner, out, n.Inputs[1].Shape[2:])
	if err == nil && !equalShapes(windowShape(&w, rank, positions[0], positions[1]), n.Inputs[0].Shape) {
		err = fmt.Errorf("images of shape %v are not what a convolution of %v gives", n.Inputs[0].Shape, out)
	}
	return inner, err
}

func bindConvTranspose[T kernel.Float](c *Context[T]) (func(), error) {
	inner, err := transposedConv(c.Node)
	if err != nil {
		return nil, err
	}
	part := *c
	part.Node, part.In = inner, c.In[:2]
	d := Lookup(inner.Op)
	call, err := ofType[Bind[T]](d.Float32, d.Float64)(&part)
	if err != nil || len(c.In) < 3 || c.In[2].Shape == nil {
		return call, err
	}
	y, bias := c.Out[0].Float, c.In[2].Float
	size := elements(c.Out[0].Shape[2:])
	body := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			b := bias[i%len(bias)]
			row := y[i*size : (i+1)*size]
			for j := range row {
				row[j] += b
			}
		}
	}
	planes, grain := elements(c.Out[0].Shape[:2]), max(1, elementGrain/max(1, size))
	return func() {
		call()
		c.Pool.For(planes, grain, body)
	}, nil
}
