package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// GlobalMaxPool is the largest element over all spatial dimensions of images (N, C, spatial ...), which stay as sizes of 1. Output 1,
// tandem's own, is its number in the plane. Of equal elements the first gets the gradient, as in PyTorch.
func init() {
	Register(Def{
		Name: "GlobalMaxPool", Since: 1, MinInputs: 1, MaxInputs: 1, Saves: 2,
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0); err != nil {
				return err
			}
			in := n.Inputs[0].Shape
			if len(in) < 3 || elements(in[2:]) == 0 {
				return fmt.Errorf("an image of shape %v must have (N, C) and spatial dimensions with elements", in)
			}
			shape := append([]int{}, in...)
			for d := 2; d < len(shape); d++ {
				shape[d] = 1
			}
			setOutput(n, 0, ir.Float, shape...)
			setOutput(n, 1, ir.Int64, in[0], in[1], 1)
			return nil
		},
		Float32: bindGlobalMaxPool[float32], Float64: bindGlobalMaxPool[float64],
		Gradient: func(g *Gradient) error {
			in := g.Node.Inputs[0].Shape
			planes := []int64{int64(in[0]), int64(in[1]), int64(elements(in[2:]))}
			dy := g.reshape(g.Out[0], []int{in[0], in[1], 1})
			dx := g.Add("tandem.GatherElementsGradient", map[string]any{"axis": 2, "shape": planes}, dy, g.Node.Outputs[1])
			g.Set(0, g.reshape(dx, in))
			return nil
		},
		Cases: []Case{
			{Name: "images", Inputs: []CaseInput{{Shape: []int{2, 3, 4, 3}}}},
			{Name: "one dimension", Inputs: []CaseInput{{Shape: []int{2, 2, 5}}}},
		},
	})
}

func bindGlobalMaxPool[T kernel.Float](c *Context[T]) (func(), error) {
	x, y := c.In[0].Float, c.Out[0].Float
	size := elements(c.In[0].Shape[2:])
	numbers := make([]int64, len(y))
	if len(c.Out) > 1 && c.Out[1].Int != nil {
		numbers = c.Out[1].Int
	}
	body := func(_, lo, hi int) {
		kernel.ArgExtremum(numbers[lo:hi], x[lo*size:hi*size], hi-lo, size, 1, false, false)
		for i := lo; i < hi; i++ {
			y[i] = x[i*size+int(numbers[i])]
		}
	}
	return func() { c.Pool.For(len(y), max(1, elementGrain/size), body) }, nil
}
