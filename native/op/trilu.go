package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Trilu keeps the upper (upper = 1, the default) or the lower triangle of the last two dimensions and sets the rest to zero. Input 1, a
// constant, moves the diagonal, which is part of both, that many columns to the right.
func init() {
	Register(Def{
		Name: "Trilu", Since: 14, MinInputs: 1, MaxInputs: 2, Settings: []int{1},
		Infer: func(n *ir.Node) error {
			if rank := len(n.Inputs[0].Shape); rank < 2 {
				return fmt.Errorf("shape %v has no last two dimensions", n.Inputs[0].Shape)
			}
			if _, _, err := triangle(n); err != nil {
				return err
			}
			setOutput(n, 0, n.Inputs[0].Type, n.Inputs[0].Shape...)
			return nil
		},
		Float32: bindTrilu[float32], Float64: bindTrilu[float64],
		Gradient: func(g *Gradient) error {
			g.Set(0, g.AddWith("Trilu", g.Node.Attributes, append([]*ir.Value{g.Out[0]}, g.Node.Inputs[1:]...)...))
			return nil
		},
		Cases: []Case{
			{Name: "upper", Inputs: []CaseInput{{Shape: []int{3, 4}}}},
			{Name: "lower", Inputs: []CaseInput{{Shape: []int{2, 4, 3}}}, Attributes: map[string]any{"upper": int64(0)}},
			{Name: "moved", Inputs: []CaseInput{{Shape: []int{4, 4}}, {Type: ir.Int64, Int: []int64{-2}, Const: true, NoGrad: true}}},
			{Name: "moved beyond", Inputs: []CaseInput{{Shape: []int{2, 3}}, {Type: ir.Int64, Int: []int64{9}, Const: true, NoGrad: true}}, Attributes: map[string]any{"upper": int64(0)}},
		},
	})
}

func triangle(n *ir.Node) (upper bool, diagonal int, err error) {
	u, err := n.Attributes.Int("upper", 1)
	if err != nil || n.Input(1) == nil {
		return u != 0, 0, err
	}
	k, err := constantInts(n, 1)
	if err != nil {
		return false, 0, err
	}
	if len(k) != 1 {
		return false, 0, fmt.Errorf("input 1 has %d elements, must have one", len(k))
	}
	limit := int64(n.Inputs[0].Len() + 1) // beyond the matrix on either side nothing changes any more
	return u != 0, int(max(-limit, min(limit, k[0]))), nil
}

func bindTrilu[T kernel.Float](c *Context[T]) (func(), error) {
	upper, diagonal, err := triangle(c.Node)
	if err != nil {
		return nil, err
	}
	shape := c.In[0].Shape
	rows, columns := shape[len(shape)-2], shape[len(shape)-1]
	x, y := c.In[0], c.Out[0]
	switch c.Node.Inputs[0].Type {
	case ir.Int64:
		return func() { kernel.Triangle(y.Int, x.Int, rows, columns, diagonal, upper) }, nil
	case ir.Bool:
		return func() { kernel.Triangle(y.Bool, x.Bool, rows, columns, diagonal, upper) }, nil
	}
	return func() { kernel.Triangle(y.Float, x.Float, rows, columns, diagonal, upper) }, nil
}
