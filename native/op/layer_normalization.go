package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// LayerNormalization brings everything from one axis on to mean 0 and variance 1 and then scales and shifts it elementwise. Its outputs
// 1 and 2, the means and the inverse deviations, are what the gradient is computed from.
func init() {
	epsilon := map[string]any{"epsilon": 1e-3}
	Register(Def{
		Name: "LayerNormalization", Since: 17, MinInputs: 2, MaxInputs: 3, Saves: 3,
		Infer:   inferLayerNormalization,
		Float32: bindLayerNormalization[float32], Float64: bindLayerNormalization[float64],
		Again: func(n *ir.Node) *ir.Node {
			if len(n.Outputs) < 3 || n.Outputs[1] == nil || n.Outputs[2] == nil {
				return nil
			}
			inputs := []*ir.Value{n.Inputs[0], n.Inputs[1], n.Outputs[1], n.Outputs[2]}
			if shift := n.Input(2); shift != nil {
				inputs = append(inputs, shift)
			}
			return &ir.Node{Op: "tandem.LayerNormalizationAgain", Inputs: inputs}
		},
		Gradient: func(g *Gradient) error {
			if g.Out[0] == nil || g.Out[1] != nil || g.Out[2] != nil {
				return fmt.Errorf("a gradient through the mean or the deviation is %w", ErrUnsupported)
			}
			wanted := []bool{g.Needs(0), g.Needs(1), g.Needs(2)}
			x, scale := g.Node.Inputs[0], g.Node.Inputs[1]
			d := g.AddOutputs("tandem.LayerNormalizationGradient", g.Node.Attributes, wanted, g.Out[0], x, scale, g.Node.Outputs[1], g.Node.Outputs[2])
			for i, v := range d {
				if v != nil {
					g.Set(i, v)
				}
			}
			return nil
		},
		Cases: []Case{
			{Name: "last axis", Inputs: []CaseInput{{Shape: []int{3, 7}}, {Shape: []int{7}}, {Shape: []int{7}}}},
			{Name: "no shift", Inputs: []CaseInput{{Shape: []int{2, 3, 5}}, {Shape: []int{5}}}, Attributes: epsilon},
			{Name: "two axes", Inputs: []CaseInput{{Shape: []int{2, 3, 5}}, {Shape: []int{3, 5}}, {Shape: []int{3, 5}}}, Attributes: map[string]any{"axis": int64(1)}},
			{Name: "many rows", Inputs: []CaseInput{{Shape: []int{71, 2}}, {Shape: []int{2}}, {Shape: []int{2}}}, Attributes: map[string]any{"epsilon": 0.5}},
			{Name: "frozen scale", Inputs: []CaseInput{{Shape: []int{3, 4}}, {Shape: []int{4}, NoGrad: true, Const: true}, {Shape: []int{4}}}, Attributes: epsilon},
			{Name: "frozen input", Inputs: []CaseInput{{Shape: []int{3, 4}, NoGrad: true, Const: true}, {Shape: []int{4}}, {Shape: []int{4}}}, Attributes: epsilon},
		},
	})
	Register(Def{
		// x, scale, mean, inverse deviation and shift, which may be omitted: the result of LayerNormalization, of which these were kept.
		Name: "tandem.LayerNormalizationAgain", MinInputs: 4, MaxInputs: 5,
		Infer:   inferSame,
		Float32: bindLayerNormalizationAgain[float32], Float64: bindLayerNormalizationAgain[float64],
		NoGradient: "it is made after differentiation",
	})
	Register(Def{
		// dy, x, scale, mean, inverse deviation; and what the gradient of x is added to, where pass.Fuse has put the sum in.
		Name: "tandem.LayerNormalizationGradient", MinInputs: 5, MaxInputs: 6,
		Infer: func(n *ir.Node) error {
			if added := n.Input(5); added != nil && !equalShapes(added.Shape, n.Inputs[1].Shape) {
				return fmt.Errorf("shapes %v and %v differ", added.Shape, n.Inputs[1].Shape)
			}
			setOutput(n, 0, ir.Float, n.Inputs[1].Shape...)
			setOutput(n, 1, ir.Float, n.Inputs[2].Shape...)
			setOutput(n, 2, ir.Float, n.Inputs[2].Shape...)
			n.Workspace = 0
			for _, sum := range n.Outputs[1:] {
				if sum != nil {
					n.Workspace += layerNormParts(n.Inputs[1].Shape, n.Inputs[2].Shape) * n.Inputs[2].Len()
				}
			}
			return nil
		},
		Float32: bindLayerNormalizationGradient[float32], Float64: bindLayerNormalizationGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

func inferLayerNormalization(n *ir.Node) error {
	if err := wantFloat(n, 0, 1, 2); err != nil {
		return err
	}
	in := n.Inputs[0].Shape
	at, err := axis(n, -1, len(in))
	if err != nil {
		return err
	}
	for i := 1; i <= 2; i++ {
		if v := n.Input(i); v != nil && !equalShapes(v.Shape, in[at:]) {
			return fmt.Errorf("scale or shift (input %d) of shape %v for normalized dimensions %v is %w: they must be alike", i, v.Shape, in[at:], ErrUnsupported)
		}
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
	setOutput(n, 2, ir.Float, rows...)
	return nil
}

func bindLayerNormalization[T kernel.Float](c *Context[T]) (func(), error) {
	x, scale, y := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	var shift []T
	if len(c.In) > 2 {
		shift = c.In[2].Float
	}
	epsilon, err := c.Node.Attributes.Float("epsilon", 1e-5)
	if err != nil {
		return nil, err
	}
	columns := len(scale)
	rows := len(x) / columns
	kept := [2][]T{}
	for i := range kept {
		if i+1 < len(c.Out) {
			kept[i] = c.Out[i+1].Float
		}
		if kept[i] == nil {
			kept[i] = make([]T, rows)
		}
	}
	body := func(_, lo, hi int) { kernel.LayerNorm(y, kept[0], kept[1], x, scale, shift, columns, epsilon, lo, hi) }
	grain := max(1, elementGrain/columns)
	return func() { c.Pool.For(rows, grain, body) }, nil
}

func bindLayerNormalizationAgain[T kernel.Float](c *Context[T]) (func(), error) {
	x, scale, mean, inverse, y := c.In[0].Float, c.In[1].Float, c.In[2].Float, c.In[3].Float, c.Out[0].Float
	var shift []T
	if len(c.In) > 4 {
		shift = c.In[4].Float
	}
	columns := len(scale)
	body := func(_, lo, hi int) { kernel.LayerNormAgain(y, mean, inverse, x, scale, shift, columns, lo, hi) }
	grain := max(1, elementGrain/columns)
	return func() { c.Pool.For(len(x)/columns, grain, body) }, nil
}

// layerNormBlock is the number of rows whose part of a sum over rows is taken by itself: it bounds the rounding error, and which
// thread takes which blocks does not change a bit.
const layerNormBlock = 32

// layerNormParts is the number of such blocks.
func layerNormParts(x, scale []int) int {
	rows := elements(x) / elements(scale)
	return (rows + layerNormBlock - 1) / layerNormBlock
}

func bindLayerNormalizationGradient[T kernel.Float](c *Context[T]) (func(), error) {
	dy, x, scale, mean, inverse := c.In[0].Float, c.In[1].Float, c.In[2].Float, c.In[3].Float, c.In[4].Float
	dx, dScale, dShift := c.Out[0].Float, c.Out[1].Float, c.Out[2].Float
	var added []T
	if len(c.In) > 5 {
		added = c.In[5].Float
	}
	columns := len(scale)
	rows := len(x) / columns
	blocks, workspace := layerNormParts(c.In[1].Shape, c.In[2].Shape), c.Workspace
	part := func(sum []T) (parts []T) {
		if sum != nil {
			parts, workspace = workspace[:blocks*columns], workspace[blocks*columns:]
		}
		return parts
	}
	scaleParts, shiftParts := part(dScale), part(dShift)
	at := func(parts []T, b int) []T {
		if parts == nil {
			return nil
		}
		p := parts[b*columns : (b+1)*columns]
		clear(p)
		return p
	}
	body := func(_, lo, hi int) {
		for b := lo; b < hi; b++ {
			first, last := b*layerNormBlock, min((b+1)*layerNormBlock, rows)
			kernel.LayerNormGradient(dx, at(scaleParts, b), at(shiftParts, b), dy, x, mean, inverse, scale, added, columns, first, last)
		}
	}
	grain := max(1, elementGrain/(columns*layerNormBlock))
	return func() {
		c.Pool.For(blocks, grain, body)
		for _, sum := range [2]struct{ all, parts []T }{{dScale, scaleParts}, {dShift, shiftParts}} {
			if sum.all != nil {
				kernel.SumRows(sum.all, sum.parts, blocks, columns, 0, columns)
			}
		}
	}, nil
}
