package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx/tensor"
)

// ScatterElements is its first input with the elements that the second one names along one axis, as in GatherElements, replaced by those of the
// third, or combined with them: reduction may be none, add, mul, min or max. Only the first two have a gradient. With none, no element
// should be named twice.
func init() {
	index := func(shape []int, v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: shape, Int: v, NoGrad: true}
	}
	Register(Def{
		Name: "ScatterElements", Since: 11, MinInputs: 3, MaxInputs: 3,
		Infer: func(n *ir.Node) error {
			x, updates := n.Inputs[0], n.Inputs[2]
			at, err := axis(n, 0, len(x.Shape))
			if err != nil {
				return err
			}
			if err := wantAlong(n, x.Shape, n.Inputs[1], at); err != nil {
				return err
			}
			if updates.Type != x.Type || !equalShapes(updates.Shape, n.Inputs[1].Shape) {
				return fmt.Errorf("updates are %v%v, must be %v%v", updates.Type, updates.Shape, x.Type, n.Inputs[1].Shape)
			}
			if err := wantScatterReduction(n); err != nil {
				return err
			}
			setOutput(n, 0, x.Type, x.Shape...)
			return nil
		},
		Float32: bindScatterElements[float32], Float64: bindScatterElements[float64],
		Gradient: func(g *Gradient) error { return gradientScatter(g, "ScatterElements", "GatherElements") },
		Cases: []Case{
			{Name: "rows", Inputs: []CaseInput{{Shape: []int{3, 2}}, index([]int{2, 2}, 0, 2, -1, 1), {Shape: []int{2, 2}}}},
			{Name: "columns, added", Inputs: []CaseInput{{Shape: []int{2, 4}}, index([]int{2, 3}, 1, 1, 3, 0, -4, 2), {Shape: []int{2, 3}}}, Attributes: map[string]any{"axis": int64(1), "reduction": "add"}},
		},
	})
}

func wantScatterReduction(n *ir.Node) error {
	reduction, err := n.Attributes.String("reduction", "none")
	if err != nil {
		return err
	}
	switch reduction {
	case "none":
		return nil
	case "add", "mul", "min", "max":
		if n.Inputs[0].Type != ir.Bool {
			return nil
		}
	}
	return fmt.Errorf("reduction %q of %v is %w", reduction, n.Inputs[0].Type, ErrUnsupported)
}

// combination returns what a reduction does with an element and its update; nil where the update replaces it.
func combination[E kernel.Ordered](n *ir.Node) func(y, x E) E {
	switch reduction, _ := n.Attributes.String("reduction", "none"); reduction {
	case "add":
		return plus[E]
	case "mul":
		return func(y, x E) E { return y * x }
	case "min":
		return func(y, x E) E { return min(y, x) }
	case "max":
		return func(y, x E) E { return max(y, x) }
	}
	return nil
}

// gradientScatter is the rule of ScatterElements and ScatterND: what was replaced has no part in the result, and the updates' gradient is gathered
// where they went.
func gradientScatter(g *Gradient, scatter, gather string) error {
	reduction, err := g.Node.Attributes.String("reduction", "none")
	if err != nil {
		return err
	}
	dy, index := g.Out[0], g.Node.Inputs[1]
	switch reduction {
	case "add":
		g.Set(0, dy)
	case "none":
		if g.Needs(0) {
			shape := g.Node.Inputs[2].Shape
			zero := &ir.Value{Name: "zeros", Type: ir.Float, Shape: shape, Role: ir.Constant, Const: tensor.New(tensor.Float32, shape...)}
			g.Set(0, g.AddWith(scatter, g.Node.Attributes, dy, index, zero))
		}
	default:
		return fmt.Errorf("the gradient of reduction %q is %w", reduction, ErrUnsupported)
	}
	if g.Needs(2) {
		g.Set(2, g.AddWith(gather, g.Node.Attributes, dy, index))
	}
	return nil
}

func bindScatterElements[T kernel.Float](c *Context[T]) (func(), error) {
	at, err := axis(c.Node, 0, len(c.In[0].Shape))
	if err != nil {
		return nil, err
	}
	a := newAlong(c.In[0].Shape, c.In[1].Shape, at)
	x, index, updates, y := c.In[0], c.In[1].Int, c.In[2], c.Out[0]
	switch c.Node.Inputs[0].Type {
	case ir.Int64:
		combine := combination[int64](c.Node)
		return func() { copy(y.Int, x.Int); kernel.ScatterElements(y.Int, updates.Int, index, a, combine) }, nil
	case ir.Bool:
		return func() { copy(y.Bool, x.Bool); kernel.ScatterElements(y.Bool, updates.Bool, index, a, nil) }, nil
	}
	combine := combination[T](c.Node)
	return func() { copy(y.Float, x.Float); kernel.ScatterElements(y.Float, updates.Float, index, a, combine) }, nil
}
