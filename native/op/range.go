package op

import (
	"fmt"
	"math"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Range counts from start, input 0, in steps of delta, input 2, up to but not including limit, input 1; all three are constants. Integers
// are folded at import.
func init() {
	Register(Def{
		Name: "Range", Since: 11, MinInputs: 3, MaxInputs: 3, Settings: []int{0, 1, 2},
		Infer: func(n *ir.Node) error {
			count, _, _, err := countSteps(n)
			if err != nil {
				return err
			}
			setOutput(n, 0, n.Inputs[0].Type, count)
			return nil
		},
		Float32: bindRange[float32], Float64: bindRange[float64],
		NoGradient: "how many numbers there are depends on its inputs",
	})
}

func countSteps(n *ir.Node) (count int, start, delta float64, err error) {
	var v [3]float64
	for i, in := range n.Inputs {
		if in.Const == nil || in.Const.Len() != 1 || in.Type == ir.Bool || in.Type != n.Inputs[0].Type {
			return 0, 0, 0, fmt.Errorf("input %d (%s) is %w: start, limit and delta must be one constant number each, of one type", i, in.Name, ErrUnsupported)
		}
		v[i] = in.Const.Float64s()[0] // exact for integers up to 2^53, far more than a tensor has elements
	}
	steps := math.Ceil((v[1] - v[0]) / v[2])
	if v[2] == 0 || !(steps < 1<<31) {
		return 0, 0, 0, fmt.Errorf("from %g to %g in steps of %g are too many numbers", v[0], v[1], v[2])
	}
	return int(max(steps, 0)), v[0], v[2], nil
}

func bindRange[T kernel.Float](c *Context[T]) (func(), error) {
	_, start, delta, err := countSteps(c.Node)
	if err != nil {
		return nil, err
	}
	y := c.Out[0]
	return func() {
		for i := range y.Int {
			y.Int[i] = int64(start) + int64(i)*int64(delta)
		}
		for i := range y.Float {
			y.Float[i] = T(start) + T(i)*T(delta)
		}
	}, nil
}
