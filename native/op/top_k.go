package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// TopK is the k largest elements along an axis, or the smallest (largest = 0), in that order, and their numbers; k, input 1, is a
// constant. Of equal elements the first comes first.
func init() {
	k := func(k int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: []int{1}, Int: []int64{k}, Const: true, NoGrad: true}
	}
	Register(Def{
		Name: "TopK", Since: 10, MinInputs: 2, MaxInputs: 2, Settings: []int{1}, Saves: 2,
		Infer: func(n *ir.Node) error {
			if n.Inputs[0].Type == ir.Bool {
				return fmt.Errorf("input 0 is bool, must be a number")
			}
			at, err := axis(n, -1, len(n.Inputs[0].Shape))
			if err != nil {
				return err
			}
			count, err := constantInts(n, 1)
			if err != nil {
				return err
			}
			shape := slices.Clone(n.Inputs[0].Shape)
			if len(count) != 1 || count[0] < 0 || count[0] > int64(shape[at]) {
				return fmt.Errorf("k = %v along axis %d of shape %v is not possible", count, at, shape)
			}
			if _, err := n.Attributes.Int("largest", 1); err != nil {
				return err
			}
			shape[at] = int(count[0])
			setOutput(n, 0, n.Inputs[0].Type, shape...)
			setOutput(n, 1, ir.Int64, shape...)
			return nil
		},
		Float32: bindTopK[float32], Float64: bindTopK[float64],
		Gradient: func(g *Gradient) error {
			at, err := axis(g.Node, -1, len(g.Node.Inputs[0].Shape))
			if err != nil {
				return err
			}
			g.Set(0, g.Add("tandem.GatherElementsGradient", map[string]any{"axis": at, "shape": toInt64s(g.Node.Inputs[0].Shape)}, g.Out[0], g.Node.Outputs[1]))
			return nil
		},
		Cases: []Case{
			{Name: "largest", Inputs: []CaseInput{{Shape: []int{3, 5}}, k(2)}},
			{Name: "smallest, first axis", Inputs: []CaseInput{{Shape: []int{4, 3}}, k(3)}, Attributes: map[string]any{"axis": int64(0), "largest": int64(0)}},
			{Name: "middle axis", Inputs: []CaseInput{{Shape: []int{2, 4, 2}}, k(1)}, Attributes: map[string]any{"axis": int64(1)}},
		},
	})
}

func bindTopK[T kernel.Float](c *Context[T]) (func(), error) {
	at, err := axis(c.Node, -1, len(c.In[0].Shape))
	if err != nil {
		return nil, err
	}
	largest, err := c.Node.Attributes.Int("largest", 1)
	if err != nil {
		return nil, err
	}
	outer, n, inner := along(c.In[0].Shape, at)
	k, order := c.Out[0].Shape[at], make([]int, n)
	x, y := c.In[0], c.Out[0]
	var numbers []int64
	if len(c.Out) > 1 {
		numbers = c.Out[1].Int
	}
	if numbers == nil {
		numbers = make([]int64, elements(y.Shape))
	}
	if c.Node.Inputs[0].Type == ir.Int64 {
		return func() { kernel.TopK(y.Int, numbers, x.Int, order, k, outer, n, inner, largest == 0) }, nil
	}
	return func() { kernel.TopK(y.Float, numbers, x.Float, order, k, outer, n, inner, largest == 0) }, nil
}
