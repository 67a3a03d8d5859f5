package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// ScatterND is its first input with the elements or blocks that tuples of indices point to, as in GatherND, replaced by those of the third, or
// combined with them as in ScatterElements.
func init() {
	index := func(shape []int, v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: shape, Int: v, NoGrad: true}
	}
	Register(Def{
		Name: "ScatterND", Since: 11, MinInputs: 3, MaxInputs: 3,
		Infer: func(n *ir.Node) error {
			x, updates := n.Inputs[0], n.Inputs[2]
			_, shape, err := newTuples(n, x.Shape)
			if err != nil {
				return err
			}
			if updates.Type != x.Type || !equalShapes(updates.Shape, shape) {
				return fmt.Errorf("updates are %v%v, must be %v%v", updates.Type, updates.Shape, x.Type, shape)
			}
			if err := wantScatterReduction(n); err != nil {
				return err
			}
			setOutput(n, 0, x.Type, x.Shape...)
			return nil
		},
		Float32: bindScatterND[float32], Float64: bindScatterND[float64],
		Gradient: func(g *Gradient) error { return gradientScatter(g, "ScatterND", "GatherND") },
		Cases: []Case{
			{Name: "elements", Inputs: []CaseInput{{Shape: []int{3, 2}}, index([]int{3, 2}, 0, 1, 2, 0, -1, -1), {Shape: []int{3}}}},
			{Name: "rows, added", Inputs: []CaseInput{{Shape: []int{3, 2}}, index([]int{3, 1}, 2, 0, 2), {Shape: []int{3, 2}}}, Attributes: map[string]any{"reduction": "add"}},
		},
	})
}

func bindScatterND[T kernel.Float](c *Context[T]) (func(), error) {
	t, _, err := newTuples(c.Node, c.In[0].Shape)
	if err != nil {
		return nil, err
	}
	x, index, updates, y, n := c.In[0], c.In[1].Int, c.In[2], c.Out[0], count(c.In[1].Shape)
	switch c.Node.Inputs[0].Type {
	case ir.Int64:
		combine := combination[int64](c.Node)
		return func() { copy(y.Int, x.Int); kernel.ScatterND(y.Int, updates.Int, index, n, t, combine) }, nil
	case ir.Bool:
		return func() { copy(y.Bool, x.Bool); kernel.ScatterND(y.Bool, updates.Bool, index, n, t, nil) }, nil
	}
	combine := combination[T](c.Node)
	return func() { copy(y.Float, x.Float); kernel.ScatterND(y.Float, updates.Float, index, n, t, combine) }, nil
}
