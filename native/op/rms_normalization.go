package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// RMSNormalization divides everything from one axis on by the root of its mean square and scales it elementwise. Output 1, tandem's own, is
// one over that root, which the gradient is computed from.
func init() {
	epsilon := map[string]any{"epsilon": 1e-3}
	Register(Def{
		Name: "RMSNormalization", Since: 23, MinInputs: 2, MaxInputs: 2, Saves: 2,
		Infer:   inferRMSNormalization,
		Float32: bindRMSNormalization[float32], Float64: bindRMSNormalization[float64],
		Gradient: func(g *Gradient) error {
			d := g.AddOutputs("tandem.RMSNormalizationGradient", g.Node.Attributes, []bool{g.Needs(0), g.Needs(1)},
				g.Out[0], g.Node.Inputs[0], g.Node.Inputs[1], g.Node.Outputs[1])
			for i, v := range d {
				g.Set(i, v)
			}
			return nil
		},
		Cases: []Case{
			{Name: "last axis", Inputs: []CaseInput{{Shape: []int{3, 7}}, {Shape: []int{7}}}},
			{Name: "two axes", Inputs: []CaseInput{{Shape: []int{2, 3, 5}}, {Shape: []int{3, 5}}}, Attributes: map[string]any{"axis": int64(1)}},
			{Name: "many rows", Inputs: []CaseInput{{Shape: []int{71, 2}}, {Shape: []int{2}}}, Attributes: map[string]any{"epsilon": 0.5}},
			{Name: "frozen scale", Inputs: []CaseInput{{Shape: []int{3, 4}}, {Shape: []int{4}, NoGrad: true, Const: true}}, Attributes: epsilon},
			{Name: "frozen input", Inputs: []CaseInput{{Shape: []int{3, 4}, NoGrad: true, Const: true}, {Shape: []int{4}}}, Attributes: epsilon},
		},
	})
	Register(Def{
		Name: "tandem.RMSNormalizationGradient", MinInputs: 4, MaxInputs: 4, // dy, x, scale, inverse root
		Infer: func(n *ir.Node) error {
			setOutput(n, 0, ir.Float, n.Inputs[1].Shape...)
			setOutput(n, 1, ir.Float, n.Inputs[2].Shape...)
			return nil
		},
		Float32: bindRMSNormalizationGradient[float32], Float64: bindRMSNormalizationGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

func inferRMSNormalization(n *ir.Node) error {
	if err := wantFloat(n, 0, 1); err != nil {
		return err
	}
	in := n.Inputs[0].Shape
	at, err := axis(n, -1, len(in))
	if err != nil {
		return err
	}
	if !equalShapes(n.Inputs[1].Shape, in[at:]) {
		return fmt.Errorf("a scale of shape %v for normalized dimensions %v is %w: they must be alike", n.Inputs[1].Shape, in[at:], ErrUnsupported)
	}
	if elements(in[at:]) == 0 {
		return fmt.Errorf("shape %v has no elements from axis %d on", in, at)
	}
	single, err := n.Attributes.Int("stash_type", 1)
	if err != nil {
		return err
	}
	if single != 1 && single != 11 {
		return fmt.Errorf("stash_type = %d is %w: it may be 1 (float32) or 11 (float64)", single, ErrUnsupported)
	}
	if _, err := n.Attributes.Float("epsilon", 1e-5); err != nil {
		return err
	}
	setOutput(n, 0, ir.Float, in...)
	rows := append([]int{}, in...)
	for d := at; d < len(rows); d++ {
		rows[d] = 1
	}
	setOutput(n, 1, ir.Float, rows...)
	return nil
}

func bindRMSNormalization[T kernel.Float](c *Context[T]) (func(), error) {
	x, scale, y := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	epsilon, err := c.Node.Attributes.Float("epsilon", 1e-5)
	if err != nil {
		return nil, err
	}
	columns := len(scale)
	rows := len(x) / columns
	var inverse []T
	if len(c.Out) > 1 {
		inverse = c.Out[1].Float
	}
	if inverse == nil {
		inverse = make([]T, rows)
	}
	body := func(_, lo, hi int) { kernel.RMSNorm(y, inverse, x, scale, columns, epsilon, lo, hi) }
	grain := max(1, elementGrain/columns)
	return func() { c.Pool.For(rows, grain, body) }, nil
}

func bindRMSNormalizationGradient[T kernel.Float](c *Context[T]) (func(), error) {
	dy, x, scale, inverse := c.In[0].Float, c.In[1].Float, c.In[2].Float, c.In[3].Float
	dx, dScale := c.Out[0].Float, c.Out[1].Float
	columns := len(scale)
	rows := len(x) / columns
	blocks := (rows + layerNormBlock - 1) / layerNormBlock
	var parts []T
	if dScale != nil {
		parts = make([]T, blocks*columns)
	}
	body := func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			var part []T
			if parts != nil {
				part = parts[b*columns : (b+1)*columns]
				clear(part)
			}
			kernel.RMSNormGradient(dx, part, dy, x, inverse, scale, columns, b*layerNormBlock, min((b+1)*layerNormBlock, rows))
		}
	}
	grain := max(1, elementGrain/(columns*layerNormBlock))
	return func() {
		c.Pool.For(blocks, grain, body)
		if dScale != nil {
			kernel.SumRows(dScale, parts, blocks, columns, 0, columns)
		}
	}, nil
}
