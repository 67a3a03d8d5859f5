package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Gather takes rows of its first input along one axis, by the numbers in the second; negative ones count from the end. It is how an
// embedding is exported. A number outside the axis is refused where it is a
// constant, and else stops the program with a panic.
func init() {
	index := func(shape []int, v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: shape, Int: v, NoGrad: true}
	}
	Register(Def{
		Name: "Gather", Since: 1, MinInputs: 2, MaxInputs: 2, Picks: true,
		Infer: func(n *ir.Node) error {
			in := n.Inputs[0].Shape
			at, err := axis(n, 0, len(in))
			if err != nil {
				return err
			}
			if n.Inputs[1].Type != ir.Int64 {
				return fmt.Errorf("indices are %v, must be int64", n.Inputs[1].Type)
			}
			if index := n.Inputs[1].Const; index != nil {
				for _, i := range index.Float64s() { // exact up to 2^53, far beyond any axis
					if i < -float64(in[at]) || i >= float64(in[at]) {
						return fmt.Errorf("index %g is outside axis %d of shape %v", i, at, in)
					}
				}
			}
			setOutput(n, 0, n.Inputs[0].Type, slices.Concat(in[:at], n.Inputs[1].Shape, in[at+1:])...)
			return nil
		},
		Float32: bindGather[float32], Float64: bindGather[float64],
		Gradient: func(g *Gradient) error {
			at, err := axis(g.Node, 0, len(g.Node.Inputs[0].Shape))
			if err != nil {
				return err
			}
			padding, err := g.Node.Attributes.Int("tandem_padding", -1)
			if err != nil {
				return err
			}
			g.Set(0, g.Add("tandem.GatherGradient", map[string]any{"axis": at, "padding": padding, "shape": toInt64s(g.Node.Inputs[0].Shape)}, g.Out[0], g.Node.Inputs[1]))
			return nil
		},
		Cases: []Case{
			{Name: "rows", Inputs: []CaseInput{{Shape: []int{4, 3}}, index([]int{2, 3}, 0, 3, 3, -1, 1, 0)}},
			{Name: "columns", Inputs: []CaseInput{{Shape: []int{2, 4, 3}}, index([]int{2}, 3, 1)}, Attributes: map[string]any{"axis": int64(1)}},
			{Name: "scalar", Inputs: []CaseInput{{Shape: []int{4, 3}}, index(nil, 2)}, Attributes: map[string]any{"axis": int64(-1)}},
		},
	})
	Register(Def{
		Name: "tandem.GatherGradient", MinInputs: 2, MaxInputs: 2, // dy, indices
		Infer: func(n *ir.Node) error {
			shape, err := n.Attributes.Ints("shape", nil)
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, toInts(shape)...)
			return nil
		},
		Float32: bindGatherGradient[float32], Float64: bindGatherGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

func bindGather[T kernel.Float](c *Context[T]) (func(), error) {
	at, err := axis(c.Node, 0, len(c.In[0].Shape))
	if err != nil {
		return nil, err
	}
	outer, n, inner := along(c.In[0].Shape, at)
	x, index, y := c.In[0], c.In[1].Int, c.Out[0]
	switch c.Node.Inputs[0].Type {
	case ir.Int64:
		return func() { kernel.Gather(y.Int, x.Int, index, outer, n, inner) }, nil
	case ir.Bool:
		return func() { kernel.Gather(y.Bool, x.Bool, index, outer, n, inner) }, nil
	}
	return func() { kernel.Gather(y.Float, x.Float, index, outer, n, inner) }, nil
}

func bindGatherGradient[T kernel.Float](c *Context[T]) (func(), error) {
	at, err := axis(c.Node, 0, len(c.Out[0].Shape))
	if err != nil {
		return nil, err
	}
	outer, n, inner := along(c.Out[0].Shape, at)
	padding, err := c.Node.Attributes.Int("padding", -1)
	if err != nil {
		return nil, err
	}
	dy, index, dx := c.In[0].Float, c.In[1].Int, c.Out[0].Float
	return func() { kernel.GatherGradient(dx, dy, index, outer, n, inner, int(padding)) }, nil
}
