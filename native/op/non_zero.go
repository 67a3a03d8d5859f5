package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// NonZero lists the indices of the elements that are not zero, a column for each. How many there are decides the shape, so that the
// input must be a constant.
func init() {
	Register(Def{
		Name: "NonZero", Since: 9, MinInputs: 1, MaxInputs: 1, Settings: []int{0},
		Infer: func(n *ir.Node) error {
			x := n.Inputs[0]
			if x.Const == nil {
				return fmt.Errorf("an input (%s) that is not a constant is %w: its elements decide the shape of the result", x.Name, ErrUnsupported)
			}
			count := 0
			for _, v := range x.Const.Float64s() {
				if v != 0 {
					count++
				}
			}
			setOutput(n, 0, ir.Int64, max(1, len(x.Shape)), count)
			return nil
		},
		Float32: bindNonZero[float32], Float64: bindNonZero[float64],
		NoGradient: "an index has no derivative",
	})
}

func bindNonZero[T kernel.Float](c *Context[T]) (func(), error) {
	x, y := c.Node.Inputs[0], c.Out[0].Int
	var numbers []int64
	for i, v := range x.Const.Float64s() {
		if v != 0 {
			numbers = append(numbers, int64(i))
		}
	}
	strides := denseStrides(x.Shape)
	if len(strides) == 0 {
		strides = []int{1}
	}
	return func() {
		for d, stride := range strides {
			size := 1
			if d < len(x.Shape) {
				size = x.Shape[d]
			}
			for i, n := range numbers {
				y[d*len(numbers)+i] = n / int64(stride) % int64(size)
			}
		}
	}, nil
}
