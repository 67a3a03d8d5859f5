package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// tandem.DropoutAdd is Dropout(x) + y, as a residual connection has it: the attributes are a Dropout's that drops, output 1 is its mask.
func init() {
	Register(Def{
		Name: "tandem.DropoutAdd", MinInputs: 2, MaxInputs: 2,
		Infer: func(n *ir.Node) error {
			if !equalShapes(n.Inputs[0].Shape, n.Inputs[1].Shape) {
				return fmt.Errorf("shapes %v and %v differ", n.Inputs[0].Shape, n.Inputs[1].Shape)
			}
			setOutput(n, 0, ir.Float, n.Inputs[0].Shape...)
			setOutput(n, 1, ir.Bool, n.Inputs[0].Shape...)
			return nil
		},
		Float32: bindDropoutAdd[float32], Float64: bindDropoutAdd[float64],
		NoGradient: "it is made after differentiation",
	})
}

// dropoutAddBlock is the number of elements that are dropped at a time, so that they are still in the first cache when they are added: as many as
// the kernels fetch ahead, so that what is added comes while the next block's mask is drawn.
const dropoutAddBlock = 1 << 9

func bindDropoutAdd[T kernel.Float](c *Context[T]) (func(), error) {
	x, added, y := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	d, err := newDropping[T](c.Node, "tandem_p", "tandem_site", c.Run)
	if err != nil {
		return nil, err
	}
	var mask []bool
	if len(c.Out) > 1 {
		mask = c.Out[1].Bool
	}
	if mask == nil {
		mask = make([]bool, len(y))
	}
	blocks := kernel.Workspace[T](c.Pool, 0, dropoutAddBlock)
	part := func(worker, lo, hi int) {
		for ; lo < hi; lo += dropoutAddBlock {
			end := min(lo+dropoutAddBlock, hi)
			dropped := blocks[worker][:end-lo]
			d.drop(dropped, x[lo:end], mask[lo:end], lo)
			kernel.Add(y[lo:end], dropped, added[lo:end], 1, 1)
		}
	}
	return func() { c.Pool.For(len(y), elementGrain, part) }, nil
}
