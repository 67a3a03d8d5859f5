package op

import (
	"tandem/native/ir"
	"tandem/native/kernel"
)

// Shape is the shape of its input, or the part of it from start to end, and Size the number of its elements. Since all shapes are static,
// pass.Import replaces both by constants.
func init() {
	const none = "a shape does not depend on what it holds"
	Register(Def{
		Name: "Shape", Since: 1, MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			part, err := shapePart(n)
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Int64, len(part))
			return nil
		},
		Float32: bindShape[float32], Float64: bindShape[float64], NoGradient: none,
	})
	Register(Def{
		Name: "Size", Since: 1, MinInputs: 1, MaxInputs: 1,
		Infer:   func(n *ir.Node) error { setOutput(n, 0, ir.Int64); return nil },
		Float32: bindSize[float32], Float64: bindSize[float64], NoGradient: none,
	})
}

// shapePart holds start and end inside the shape, as ONNX says.
func shapePart(n *ir.Node) ([]int, error) {
	in := n.Inputs[0].Shape
	rank := int64(len(in))
	start, err := n.Attributes.Int("start", 0)
	if err != nil {
		return nil, err
	}
	end, err := n.Attributes.Int("end", rank)
	if err != nil {
		return nil, err
	}
	for _, at := range []*int64{&start, &end} {
		if *at < 0 {
			*at += rank
		}
		*at = max(0, min(rank, *at))
	}
	return in[start:max(start, end)], nil
}

func bindShape[T kernel.Float](c *Context[T]) (func(), error) {
	part, err := shapePart(c.Node)
	if err != nil {
		return nil, err
	}
	y, shape := c.Out[0].Int, toInt64s(part)
	return func() { copy(y, shape) }, nil
}

func bindSize[T kernel.Float](c *Context[T]) (func(), error) {
	y, size := c.Out[0].Int, int64(c.Node.Inputs[0].Len())
	return func() { y[0] = size }, nil
}
