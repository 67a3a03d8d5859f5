package op

import (
	"tandem/native/ir"
	"tandem/native/kernel"
)

// Expand broadcasts its input with a shape, which must be a constant. tandem.Expand has the shape as an attribute.
func init() {
	shape := func(v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: []int{len(v)}, Int: v, Const: true, NoGrad: true}
	}
	Register(Def{
		Name: "Expand", Since: 8, MinInputs: 2, MaxInputs: 2, Settings: []int{1},
		Infer: func(n *ir.Node) error {
			want, err := constantInts(n, 1)
			if err != nil {
				return err
			}
			return inferExpand(n, want)
		},
		Float32: bindExpand[float32], Float64: bindExpand[float64],
		Gradient: func(g *Gradient) error { g.Set(0, g.sumTo(g.Out[0], g.Node.Inputs[0].Shape)); return nil },
		Cases: []Case{
			{Name: "rows", Inputs: []CaseInput{{Shape: []int{3}}, shape(2, 3)}},
			{Name: "columns", Inputs: []CaseInput{{Shape: []int{2, 3, 1}}, shape(1, 3, 4)}},
			{Name: "scalar", Inputs: []CaseInput{{}, shape(2, 2)}},
		},
	})
	Register(Def{
		Name: "tandem.Expand", MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			want, err := n.Attributes.Ints("shape", nil)
			if err != nil {
				return err
			}
			return inferExpand(n, want)
		},
		Float32: bindExpand[float32], Float64: bindExpand[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

func inferExpand(n *ir.Node, want []int64) error {
	for _, w := range want {
		if w < 0 {
			return errNoShape(want)
		}
	}
	shape, err := broadcast(n.Inputs[0].Shape, toInts(want))
	if err != nil {
		return err
	}
	setOutput(n, 0, n.Inputs[0].Type, shape...)
	return nil
}

func bindExpand[T kernel.Float](c *Context[T]) (func(), error) {
	return copyWalk(c, newWalk(c.In[0].Shape, c.Out[0].Shape)), nil
}
