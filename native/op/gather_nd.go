package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// GatherND takes from its first input the elements or blocks that tuples of indices point to: the last dimension of the second input; batch_dims
// dimensions in front are common to both. It is how x[i, j] is exported. An index outside its dimension stops the program with a panic.
func init() {
	index := func(shape []int, v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: shape, Int: v, NoGrad: true}
	}
	Register(Def{
		Name: "GatherND", Since: 11, MinInputs: 2, MaxInputs: 2,
		Infer: func(n *ir.Node) error {
			_, shape, err := newTuples(n, n.Inputs[0].Shape)
			if err != nil {
				return err
			}
			setOutput(n, 0, n.Inputs[0].Type, shape...)
			return nil
		},
		Float32: bindGatherND[float32], Float64: bindGatherND[float64],
		Gradient: func(g *Gradient) error {
			g.Set(0, g.AddWith("tandem.GatherNDGradient", g.Node.Attributes.With("shape", toInt64s(g.Node.Inputs[0].Shape)), g.Out[0], g.Node.Inputs[1]))
			return nil
		},
		Cases: []Case{
			{Name: "elements", Inputs: []CaseInput{{Shape: []int{3, 2}}, index([]int{4, 2}, 0, 1, 2, 0, -1, -1, 0, 1)}},
			{Name: "rows", Inputs: []CaseInput{{Shape: []int{3, 2, 2}}, index([]int{2, 1, 1}, 2, 0)}},
			{Name: "batch", Inputs: []CaseInput{{Shape: []int{2, 3, 2}}, index([]int{2, 2, 1}, 1, 2, 0, 0)}, Attributes: map[string]any{"batch_dims": int64(1)}},
		},
	})
	// Attribute shape is the shape of the gradient.
	Register(Def{
		Name: "tandem.GatherNDGradient", MinInputs: 2, MaxInputs: 2, // dy, indices
		Infer: func(n *ir.Node) error {
			shape, err := n.Attributes.Ints("shape", nil)
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, toInts(shape)...)
			return nil
		},
		Float32: bindGatherNDGradient[float32], Float64: bindGatherNDGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// newTuples reads the tuples of input 1 for an array of that shape, and says what shape they give.
func newTuples(n *ir.Node, in []int) (t *kernel.Tuples, shape []int, err error) {
	index := n.Inputs[1]
	b, err := n.Attributes.Int("batch_dims", 0)
	if err != nil {
		return nil, nil, err
	}
	batch, rank := int(b), len(index.Shape)
	if index.Type != ir.Int64 || batch < 0 || rank <= batch || len(in) <= batch || index.Shape[rank-1] > len(in)-batch || !equalShapes(index.Shape[:batch], in[:batch]) {
		return nil, nil, fmt.Errorf("indices %v%v do not point into shape %v with batch_dims %d", index.Type, index.Shape, in, batch)
	}
	length := index.Shape[rank-1]
	t = &kernel.Tuples{Sizes: in[batch : batch+length], Strides: denseStrides(in)[batch : batch+length], Block: elements(in[batch+length:])}
	if index.Const != nil && length > 0 {
		for i, v := range index.Const.Float64s() {
			if size := float64(t.Sizes[i%length]); v < -size || v >= size {
				return nil, nil, fmt.Errorf("index %g is outside a dimension of %g", v, size)
			}
		}
	}
	size := elements(in[batch:])
	for i := range elements(in[:batch]) {
		t.Base = append(t.Base, i*size)
	}
	t.PerBase = max(1, elements(index.Shape[batch:rank-1]))
	return t, slices.Concat(index.Shape[:rank-1], in[batch+length:]), nil
}

// count is the number of tuples.
func count(index []int) int { return elements(index[:len(index)-1]) }

func bindGatherND[T kernel.Float](c *Context[T]) (func(), error) {
	t, _, err := newTuples(c.Node, c.In[0].Shape)
	if err != nil {
		return nil, err
	}
	x, index, y, n := c.In[0], c.In[1].Int, c.Out[0], count(c.In[1].Shape)
	switch c.Node.Inputs[0].Type {
	case ir.Int64:
		return func() { kernel.GatherND(y.Int, x.Int, index, n, t) }, nil
	case ir.Bool:
		return func() { kernel.GatherND(y.Bool, x.Bool, index, n, t) }, nil
	}
	return func() { kernel.GatherND(y.Float, x.Float, index, n, t) }, nil
}

func bindGatherNDGradient[T kernel.Float](c *Context[T]) (func(), error) {
	t, _, err := newTuples(c.Node, c.Out[0].Shape)
	if err != nil {
		return nil, err
	}
	dy, index, dx, n := c.In[0].Float, c.In[1].Int, c.Out[0].Float, count(c.In[1].Shape)
	return func() {
		clear(dx)
		kernel.ScatterND(dx, dy, index, n, t, plus[T])
	}, nil
}
