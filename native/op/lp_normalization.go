package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// LpNormalization divides by the norm along an axis: p = 1 is the sum of absolute values, 2 the root of the sum of squares.
func init() {
	p := func(p int64, axis int64) map[string]any { return map[string]any{"p": p, "axis": axis} }
	infer := func(n *ir.Node) error {
		if _, err := axis(n, -1, len(n.Inputs[0].Shape)); err != nil {
			return err
		}
		if p, err := n.Attributes.Int("p", 2); err != nil || p != 1 && p != 2 {
			return fmt.Errorf("p = %d is %w: it may be 1 or 2", p, ErrUnsupported)
		}
		return inferSame(n)
	}
	Register(Def{
		Name: "LpNormalization", Since: 1, MinInputs: 1, MaxInputs: 1, Infer: infer,
		Float32: bindLpNormalization(kernel.LpNormalize[float32]), Float64: bindLpNormalization(kernel.LpNormalize[float64]),
		Gradient: func(g *Gradient) error {
			g.Set(0, g.AddWith("tandem.LpNormalizationGradient", g.Node.Attributes, g.Out[0], g.Node.Inputs[0]))
			return nil
		},
		Cases: []Case{
			{Name: "p 2", Inputs: []CaseInput{{Shape: []int{3, 5}}}},
			{Name: "p 1, first axis", Inputs: []CaseInput{{Shape: []int{3, 5}, Away: 0.05}}, Attributes: p(1, 0)},
			{Name: "p 2, middle axis", Inputs: []CaseInput{{Shape: []int{2, 4, 3}}}, Attributes: p(2, 1)},
		},
	})
	Register(Def{
		Name: "tandem.LpNormalizationGradient", MinInputs: 2, MaxInputs: 2, Infer: infer, // dy, x
		Float32: bindLpNormalizationGradient[float32], Float64: bindLpNormalizationGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

func bindLpNormalization[T kernel.Float](f func(y, x []T, n, inner, lo, hi int, absolute bool)) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		p, err := c.Node.Attributes.Int("p", 2)
		if err != nil {
			return nil, err
		}
		return bindAlong(func(y, x []T, n, inner, lo, hi int) { f(y, x, n, inner, lo, hi, p == 1) })(c)
	}
}

func bindLpNormalizationGradient[T kernel.Float](c *Context[T]) (func(), error) {
	p, err := c.Node.Attributes.Int("p", 2)
	if err != nil {
		return nil, err
	}
	return bindAlongGradient(func(dx, dy, x []T, n, inner, lo, hi int) {
		kernel.LpNormalizeGradient(dx, dy, x, n, inner, lo, hi, p == 1)
	})(c)
}
