package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// GlobalAveragePool is the mean over all spatial dimensions of images (N, C, spatial ...), which stay as sizes of 1.
func init() {
	Register(Def{
		Name: "GlobalAveragePool", Since: 1, MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0); err != nil {
				return err
			}
			shape := slices.Clone(n.Inputs[0].Shape)
			if len(shape) < 3 {
				return fmt.Errorf("an image of shape %v must have (N, C) and spatial dimensions", shape)
			}
			if elements(shape[2:]) == 0 {
				return fmt.Errorf("the mean of no elements, of shape %v, is not a number", shape)
			}
			for d := 2; d < len(shape); d++ {
				shape[d] = 1
			}
			setOutput(n, 0, ir.Float, shape...)
			return nil
		},
		Float32: bindGlobalAveragePool[float32], Float64: bindGlobalAveragePool[float64],
		Gradient: func(g *Gradient) error {
			shape := g.Node.Inputs[0].Shape
			d := g.Add("tandem.Scale", map[string]any{"factor": 1 / float64(elements(shape[2:]))}, g.Out[0])
			g.Set(0, g.Add("tandem.Expand", map[string]any{"shape": toInt64s(shape)}, d))
			return nil
		},
		Cases: []Case{
			{Name: "images", Inputs: []CaseInput{{Shape: []int{2, 3, 4, 3}}}},
			{Name: "one dimension", Inputs: []CaseInput{{Shape: []int{2, 2, 5}}}},
		},
	})
}

func bindGlobalAveragePool[T kernel.Float](c *Context[T]) (func(), error) {
	x, y := c.In[0].Float, c.Out[0].Float
	size := elements(c.In[0].Shape[2:])
	body := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			y[i] = kernel.Sum(x[i*size:(i+1)*size]) / T(size)
		}
	}
	return func() { c.Pool.For(len(y), max(1, elementGrain/size), body) }, nil
}
