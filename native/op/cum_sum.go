package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx"
)

// CumSum adds up along the axis that input 1, a constant, names: each element with those before it (reverse = 1: after it), itself
// left out if exclusive = 1.
func init() {
	at := func(axis int64) CaseInput {
		return CaseInput{Type: ir.Int64, Int: []int64{axis}, Const: true, NoGrad: true}
	}
	Register(Def{
		Name: "CumSum", Since: 11, MinInputs: 2, MaxInputs: 2, Settings: []int{1},
		Infer: func(n *ir.Node) error {
			if _, err := readCumSum(n); err != nil {
				return err
			}
			if n.Inputs[0].Type == ir.Bool {
				return fmt.Errorf("input 0 is bool, must be a number")
			}
			setOutput(n, 0, n.Inputs[0].Type, n.Inputs[0].Shape...)
			return nil
		},
		Float32: bindCumSum[float32], Float64: bindCumSum[float64],
		Gradient: func(g *Gradient) error {
			c, err := readCumSum(g.Node)
			if err != nil {
				return err
			}
			back := onnx.NewAttributes(map[string]any{"exclusive": flag(c.exclusive), "reverse": flag(!c.reverse)})
			g.Set(0, g.AddWith("CumSum", back, g.Out[0], g.Node.Inputs[1]))
			return nil
		},
		Cases: []Case{
			{Name: "last axis", Inputs: []CaseInput{{Shape: []int{3, 4}}, at(-1)}},
			{Name: "first axis backwards", Inputs: []CaseInput{{Shape: []int{3, 4}}, at(0)}, Attributes: map[string]any{"reverse": int64(1)}},
			{Name: "exclusive", Inputs: []CaseInput{{Shape: []int{2, 3, 2}}, at(1)}, Attributes: map[string]any{"exclusive": int64(1)}},
		},
	})
}

type cumSum struct {
	axis               int
	exclusive, reverse bool
}

func readCumSum(n *ir.Node) (c cumSum, err error) {
	exclusive, err := n.Attributes.Int("exclusive", 0)
	if err != nil {
		return c, err
	}
	reverse, err := n.Attributes.Int("reverse", 0)
	if err != nil {
		return c, err
	}
	axes, err := constantAxes(n, 1, len(n.Inputs[0].Shape))
	if err != nil {
		return c, err
	}
	if len(axes) != 1 {
		return c, fmt.Errorf("input 1 names %d axes, must name one", len(axes))
	}
	return cumSum{axes[0], exclusive != 0, reverse != 0}, nil
}

func bindCumSum[T kernel.Float](c *Context[T]) (func(), error) {
	s, err := readCumSum(c.Node)
	if err != nil {
		return nil, err
	}
	outer, n, inner := along(c.In[0].Shape, s.axis)
	x, y := c.In[0], c.Out[0]
	if c.Node.Inputs[0].Type == ir.Int64 {
		return func() { kernel.CumulativeSum(y.Int, x.Int, outer, n, inner, s.exclusive, s.reverse) }, nil
	}
	return func() { kernel.CumulativeSum(y.Float, x.Float, outer, n, inner, s.exclusive, s.reverse) }, nil
}
