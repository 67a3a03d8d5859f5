package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// tandem.Assign copies its first input into its second, a persistent value that it changes in place. It has no output.
func init() {
	Register(Def{
		Name: "tandem.Assign", MinInputs: 2, MaxInputs: 2,
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0, 1); err != nil {
				return err
			}
			if !equalShapes(n.Inputs[0].Shape, n.Inputs[1].Shape) {
				return fmt.Errorf("shape %v cannot be copied into shape %v", n.Inputs[0].Shape, n.Inputs[1].Shape)
			}
			return nil
		},
		Float32: bindAssign[float32], Float64: bindAssign[float64],
		NoGradient: "it is part of the update",
	})
}

func bindAssign[T kernel.Float](c *Context[T]) (func(), error) {
	from, to := c.In[0].Float, c.In[1].Float
	return func() { copy(to, from) }, nil
}
