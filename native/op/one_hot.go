package op

import (
	"fmt"
	"math"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// OneHot gives each number of its first input a vector along a new axis: the second of the values in input 2 at that number, the first
// elsewhere. A number outside -depth ... depth-1 gives a vector of the first value alone. The depth, input 1, is a constant.
func init() {
	Register(Def{
		Name: "OneHot", Since: 9, MinInputs: 3, MaxInputs: 3, Settings: []int{1, 2},
		Infer: func(n *ir.Node) error {
			_, shape, err := newOneHot(n)
			if err != nil {
				return err
			}
			if n.Inputs[0].Type == ir.Bool || !equalShapes(n.Inputs[2].Shape, []int{2}) {
				return fmt.Errorf("the inputs are %v, want numbers, a depth and two values", n.Inputs)
			}
			setOutput(n, 0, n.Inputs[2].Type, shape...)
			return nil
		},
		Float32: bindOneHot[float32], Float64: bindOneHot[float64],
		NoGradient: "it depends on whole numbers",
		Cases: []Case{{
			Name: "first axis", Attributes: map[string]any{"axis": int64(0)},
			Inputs: []CaseInput{
				{Type: ir.Int64, Shape: []int{2, 2}, Int: []int64{0, -1, 2, 7}},
				{Type: ir.Int64, Int: []int64{3}, Const: true},
				{Shape: []int{2}, Float: []float64{0.5, 2}, Const: true},
			},
		}},
	})
}

func newOneHot(n *ir.Node) (at int, shape []int, err error) {
	depth := n.Inputs[1]
	if depth.Const == nil || depth.Len() != 1 || depth.Type == ir.Bool {
		return 0, nil, fmt.Errorf("a depth (%v) that is not one constant number is %w", depth, ErrUnsupported)
	}
	count := depth.Const.Float64s()[0]
	if !(count >= 0 && count < 1<<31) {
		return 0, nil, fmt.Errorf("the depth %g is no size", count)
	}
	in := n.Inputs[0].Shape
	if at, err = axis(n, -1, len(in)+1); err != nil {
		return 0, nil, err
	}
	return at, slices.Insert(slices.Clone(in), at, int(count)), nil
}

func bindOneHot[T kernel.Float](c *Context[T]) (func(), error) {
	at, shape, err := newOneHot(c.Node)
	if err != nil {
		return nil, err
	}
	outer, depth, inner := along(shape, at)
	numbers, values, y := c.In[0], c.In[2], c.Out[0]
	number := func(i int) int64 { return numbers.Int[i] }
	if c.Node.Inputs[0].Type == ir.Float {
		number = func(i int) int64 { return int64(math.Trunc(float64(numbers.Float[i]))) }
	}
	switch c.Node.Inputs[2].Type {
	case ir.Int64:
		return func() { kernel.OneHot(y.Int, values.Int, number, outer, depth, inner) }, nil
	case ir.Bool:
		return func() { kernel.OneHot(y.Bool, values.Bool, number, outer, depth, inner) }, nil
	}
	return func() { kernel.OneHot(y.Float, values.Float, number, outer, depth, inner) }, nil
}
