package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// ReduceSum and ReduceMean sum and average over axes, given as an attribute (before operator sets 13 and 18) or as input 1, a
// constant. Without axes all are meant, unless noop_with_empty_axes says none. Integers can be summed too.
func init() {
	axes := func(v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: []int{len(v)}, Int: v, Const: true, NoGrad: true}
	}
	cases := []Case{
		{Name: "all", Inputs: []CaseInput{{Shape: []int{3, 4}}}},
		{Name: "rows", Inputs: []CaseInput{{Shape: []int{3, 4}}, axes(0)}, Attributes: map[string]any{"keepdims": int64(0)}},
		{Name: "last axis kept", Inputs: []CaseInput{{Shape: []int{3, 4}}, axes(-1)}},
		{Name: "middle and last", Inputs: []CaseInput{{Shape: []int{2, 3, 4}}, axes(1, 2)}, Attributes: map[string]any{"keepdims": int64(0)}},
		{Name: "first and last", Inputs: []CaseInput{{Shape: []int{2, 3, 4}}, axes(0, 2)}},
		{Name: "attribute", Inputs: []CaseInput{{Shape: []int{2, 3, 4}}}, Attributes: map[string]any{"axes": []int64{1}}},
		{Name: "none", Inputs: []CaseInput{{Shape: []int{2, 3}}}, Attributes: map[string]any{"noop_with_empty_axes": int64(1)}},
	}
	reduce := func(name string, float32s Bind[float32], float64s Bind[float64], factor func(in, out int) float64) {
		Register(Def{
			Name: name, Since: 1, MinInputs: 1, MaxInputs: 2, Settings: []int{1},
			Infer: func(n *ir.Node) error {
				if n.Inputs[0].Type != ir.Int64 || name != "ReduceSum" {
					if err := wantFloat(n, 0); err != nil {
						return err
					}
				}
				_, shape, err := reduction(n)
				if err != nil {
					return err
				}
				setOutput(n, 0, n.Inputs[0].Type, shape...)
				return nil
			},
			Float32: float32s, Float64: float64s,
			Gradient: func(g *Gradient) error {
				kept, _, err := reduction(g.Node)
				if err != nil {
					return err
				}
				in := g.Node.Inputs[0].Shape
				d := g.reshape(g.Out[0], kept)
				if f := factor(elements(in), elements(kept)); f != 1 {
					d = g.Add("tandem.Scale", map[string]any{"factor": f}, d)
				}
				g.Set(0, g.Add("tandem.Expand", map[string]any{"shape": toInt64s(in)}, d))
				return nil
			},
			Cases: cases,
		})
	}
	reduce("ReduceSum", bindReduce[float32](sumFactor), bindReduce[float64](sumFactor), sumFactor)
	reduce("ReduceMean", bindReduce[float32](meanFactor), bindReduce[float64](meanFactor), meanFactor)
}

// What a sum of in elements to out is multiplied with.
func sumFactor(in, out int) float64  { return 1 }
func meanFactor(in, out int) float64 { return float64(out) / float64(in) }

// reduction returns the output's shape with and without the dimensions that keepdims keeps as 1.
func reduction(n *ir.Node) (kept, shape []int, err error) {
	in := n.Inputs[0].Shape
	var given []int64
	if n.Input(1) != nil {
		given, err = constantInts(n, 1)
	} else {
		given, err = n.Attributes.Ints("axes", nil)
	}
	if err != nil {
		return nil, nil, err
	}
	axes, err := distinctAxes(given, len(in))
	if err != nil {
		return nil, nil, err
	}
	keep, err := n.Attributes.Int("keepdims", 1)
	if err != nil {
		return nil, nil, err
	}
	noop, err := n.Attributes.Int("noop_with_empty_axes", 0)
	if err != nil {
		return nil, nil, err
	}
	all := len(axes) == 0 && noop == 0
	kept = slices.Clone(in)
	for d := range kept {
		if all || slices.Contains(axes, d) {
			kept[d] = 1
		} else if keep == 0 {
			shape = append(shape, in[d])
		}
	}
	if keep != 0 {
		shape = kept
	}
	return kept, shape, nil
}

// ReducedAxes returns the dimensions that a ReduceSum or ReduceMean sums over, in their order.
func ReducedAxes(n *ir.Node) ([]int, error) {
	kept, _, err := reduction(n)
	if err != nil {
		return nil, err
	}
	var axes []int
	for d, size := range n.Inputs[0].Shape {
		if kept[d] != size {
			axes = append(axes, d)
		}
	}
	return axes, nil
}

func bindReduce[T kernel.Float](factor func(in, out int) float64) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		kept, _, err := reduction(c.Node)
		if err != nil {
			return nil, err
		}
		if c.Node.Inputs[0].Type == ir.Int64 {
			r, x, y := newReduction(c.In[0].Shape, kept), c.In[0].Int, c.Out[0].Int
			return func() { kernel.ReduceIntegers(y, x, r, 0, plus[int64]) }, nil
		}
		x, y := c.In[0].Float, c.Out[0].Float
		if len(x) == 0 && len(y) > 0 && factor(1, 2) != 1 {
			return nil, fmt.Errorf("the mean of no elements, of shape %v, is not a number", c.In[0].Shape)
		}
		c.Out[0].Shape = kept
		sum, err := bindSumTo(c)
		f := factor(len(x), len(y))
		if err != nil || f == 1 {
			return sum, err
		}
		return func() {
			sum()
			for i := range y {
				y[i] = T(float64(y[i]) * f)
			}
		}, nil
	}
}
