package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// ArgMax and ArgMin are the number of the largest and the smallest element along an axis; of equal ones the first, or with
// select_last_index the last.
func init() {
	arg := func(name string, float32s Bind[float32], float64s Bind[float64]) {
		Register(Def{
			Name: name, Since: 1, MinInputs: 1, MaxInputs: 1,
			Infer: func(n *ir.Node) error {
				if n.Inputs[0].Type == ir.Bool {
					return fmt.Errorf("input 0 is bool, must be a number")
				}
				in := n.Inputs[0].Shape
				at, err := axis(n, 0, len(in))
				if err != nil {
					return err
				}
				if in[at] == 0 {
					return fmt.Errorf("shape %v has no elements along axis %d", in, at)
				}
				keep, err := n.Attributes.Int("keepdims", 1)
				if err != nil {
					return err
				}
				if _, err := n.Attributes.Int("select_last_index", 0); err != nil {
					return err
				}
				shape := slices.Clone(in)
				shape[at] = 1
				if keep == 0 {
					shape = slices.Delete(shape, at, at+1)
				}
				setOutput(n, 0, ir.Int64, shape...)
				return nil
			},
			Float32: float32s, Float64: float64s, NoGradient: "a number of an element has no derivative",
		})
	}
	arg("ArgMax", bindArg[float32](false), bindArg[float64](false))
	arg("ArgMin", bindArg[float32](true), bindArg[float64](true))
}

func bindArg[T kernel.Float](smallest bool) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		at, err := axis(c.Node, 0, len(c.In[0].Shape))
		if err != nil {
			return nil, err
		}
		last, err := c.Node.Attributes.Int("select_last_index", 0)
		if err != nil {
			return nil, err
		}
		outer, n, inner := along(c.In[0].Shape, at)
		x, y := c.In[0], c.Out[0].Int
		if c.Node.Inputs[0].Type == ir.Int64 {
			return func() { kernel.ArgExtremum(y, x.Int, outer, n, inner, smallest, last != 0) }, nil
		}
		return func() { kernel.ArgExtremum(y, x.Float, outer, n, inner, smallest, last != 0) }, nil
	}
}
