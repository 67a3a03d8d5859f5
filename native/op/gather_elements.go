package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// GatherElements takes for each element of its second input, which are numbers along one axis, the element of the first with that number and else
// the same indices: torch.gather. A number outside the axis stops the program with a panic, or is refused where it is a constant.
func init() {
	index := func(shape []int, v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: shape, Int: v, NoGrad: true}
	}
	Register(Def{
		Name: "GatherElements", Since: 11, MinInputs: 2, MaxInputs: 2,
		Infer: func(n *ir.Node) error {
			at, err := axis(n, 0, len(n.Inputs[0].Shape))
			if err != nil {
				return err
			}
			if err := wantAlong(n, n.Inputs[0].Shape, n.Inputs[1], at); err != nil {
				return err
			}
			setOutput(n, 0, n.Inputs[0].Type, n.Inputs[1].Shape...)
			return nil
		},
		Float32: bindGatherElements[float32], Float64: bindGatherElements[float64],
		Gradient: func(g *Gradient) error {
			at, err := axis(g.Node, 0, len(g.Node.Inputs[0].Shape))
			if err != nil {
				return err
			}
			g.Set(0, g.Add("tandem.GatherElementsGradient", map[string]any{"axis": at, "shape": toInt64s(g.Node.Inputs[0].Shape)}, g.Out[0], g.Node.Inputs[1]))
			return nil
		},
		Cases: []Case{
			{Name: "rows", Inputs: []CaseInput{{Shape: []int{3, 2}}, index([]int{2, 2}, 0, 2, -1, 2)}},
			{Name: "columns", Inputs: []CaseInput{{Shape: []int{2, 4}}, index([]int{2, 3}, 1, 1, 3, 0, -4, 2)}, Attributes: map[string]any{"axis": int64(1)}},
			{Name: "middle, fewer elsewhere", Inputs: []CaseInput{{Shape: []int{2, 3, 3}}, index([]int{1, 2, 2}, 2, 0, 1, 1)}, Attributes: map[string]any{"axis": int64(-2)}},
		},
	})
	// Attribute shape is the shape of the gradient.
	Register(Def{
		Name: "tandem.GatherElementsGradient", MinInputs: 2, MaxInputs: 2, // dy, indices
		Infer: func(n *ir.Node) error {
			shape, err := n.Attributes.Ints("shape", nil)
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, toInts(shape)...)
			return nil
		},
		Float32: bindGatherElementsGradient[float32], Float64: bindGatherElementsGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// wantAlong checks numbers of elements along an axis of a shape.
func wantAlong(n *ir.Node, shape []int, index *ir.Value, axis int) error {
	if index.Type != ir.Int64 || len(index.Shape) != len(shape) {
		return fmt.Errorf("indices are %v%v, must be int64 with as many dimensions as %v", index.Type, index.Shape, shape)
	}
	for d, size := range index.Shape {
		if d != axis && size > shape[d] {
			return fmt.Errorf("indices of shape %v are larger than %v beside axis %d", index.Shape, shape, axis)
		}
	}
	return wantInside(index, shape[axis])
}

// wantInside refuses constant indices outside a dimension of that size.
func wantInside(index *ir.Value, size int) error {
	if index.Const == nil {
		return nil
	}
	for _, i := range index.Const.Float64s() { // exact up to 2^53, far beyond any axis
		if i < -float64(size) || i >= float64(size) {
			return fmt.Errorf("index %g is outside a dimension of %d", i, size)
		}
	}
	return nil
}

// newAlong is where indices of a shape choose in an array of another one.
func newAlong(in, index []int, axis int) *kernel.Along {
	strides := denseStrides(in)
	a := &kernel.Along{N: in[axis], Stride: strides[axis], Width: 1}
	strides[axis] = 0
	w := stridedWalk(index, strides, 0)
	a.Offset, a.Step, a.Width = w.offset, w.step, max(1, index[len(index)-1])
	return a
}

func bindGatherElements[T kernel.Float](c *Context[T]) (func(), error) {
	at, err := axis(c.Node, 0, len(c.In[0].Shape))
	if err != nil {
		return nil, err
	}
	a := newAlong(c.In[0].Shape, c.In[1].Shape, at)
	x, index, y := c.In[0], c.In[1].Int, c.Out[0]
	switch c.Node.Inputs[0].Type {
	case ir.Int64:
		return func() { kernel.GatherElements(y.Int, x.Int, index, a) }, nil
	case ir.Bool:
		return func() { kernel.GatherElements(y.Bool, x.Bool, index, a) }, nil
	}
	return func() { kernel.GatherElements(y.Float, x.Float, index, a) }, nil
}

func bindGatherElementsGradient[T kernel.Float](c *Context[T]) (func(), error) {
	at, err := axis(c.Node, 0, len(c.Out[0].Shape))
	if err != nil {
		return nil, err
	}
	a := newAlong(c.Out[0].Shape, c.In[1].Shape, at)
	dy, index, dx := c.In[0].Float, c.In[1].Int, c.Out[0].Float
	return func() {
		clear(dx)
		kernel.ScatterElements(dx, dy, index, a, plus[T])
	}, nil
}

func plus[E kernel.Ordered](a, b E) E { return a + b }
