package optim

import (
	"fmt"
	"math"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
)

// Clipping by the global norm, as torch.nn.utils.clip_grad_norm_ (Pascanu, Mikolov, Bengio: "On the difficulty of training
// recurrent neural networks", 2013): with n the 2-norm of all gradients together,
//
//	scale = min(1, clip_norm / (n + 1e-6))
//
// One node computes the scale, the nodes of the optimizer multiply with it: the gradients themselves stay as they are, since one may
// be the gradient of two parameters.
const clipOperator = "tandem.ClipScale"

const (
	clipEpsilon = 1e-6 // torch's
	// clippedKey is the attribute of an optimizer's node whose last input is the scale.
	clippedKey = "clipped"
	// normBlock is the number of elements whose squares are summed before the sums are: the same for any number of threads, so
	// that the result is.
	normBlock = 1 << 14
	// scaleBlock is the number of elements of a gradient that are multiplied at a time, while they are in the first cache.
	scaleBlock = 1 << 11
)

func init() {
	op.Register(op.Def{
		Name: clipOperator, MinInputs: 1, MaxInputs: -1, // gradients
		Infer: func(n *ir.Node) error {
			for i, v := range n.Inputs {
				if v.Type != ir.Float {
					return fmt.Errorf("input %d is %v", i, v)
				}
			}
			n.Outputs[0].Type, n.Outputs[0].Shape = ir.Float, []int{}
			return nil
		},
		Float32: bindClip[float32], Float64: bindClip[float64],
		NoGradient: "an update is not differentiated",
	})
}

// ClipScale adds the node that computes what gradients are to be multiplied with, and returns its output.
func ClipScale(g *ir.Graph, c Config, gradients []*ir.Value) (*ir.Value, error) {
	return op.Append(g, clipOperator, map[string]any{"norm": c.ClipNorm}, ir.Origin{Node: "clip"}, ir.Update, gradients...)
}

// ScaleInput returns which input of an optimizer's node is the scale of its gradient, the input 1; false when it is no such node, or does not clip.
func ScaleInput(n *ir.Node) (int, bool) {
	if !isClipped(n) {
		return 0, false
	}
	return len(n.Inputs) - 1, true
}

// isClipped reports whether the last input of an optimizer's node is the scale of its gradient.
func isClipped(n *ir.Node) bool { return n.Attributes.Has(clippedKey) }

func bindClip[T kernel.Float](c *op.Context[T]) (func(), error) {
	limit, err := c.Node.Attributes.Float("norm", 0)
	if err != nil {
		return nil, err
	}
	var blocks [][]T
	for _, in := range c.In {
		for lo := 0; lo < len(in.Float); lo += normBlock {
			blocks = append(blocks, in.Float[lo:min(lo+normBlock, len(in.Float))])
		}
	}
	sums, out, pool := make([]float64, len(blocks)), c.Out[0].Float, c.Pool
	body := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			sums[i] = kernel.SumOfSquares(blocks[i])
		}
	}
	return func() {
		pool.For(len(blocks), 1, body)
		var total float64
		for _, s := range sums {
			total += s
		}
		out[0] = T(min(1, limit/(math.Sqrt(total)+clipEpsilon))) // NaN stays
	}, nil
}

// scaled returns the loop of an update that multiplies the gradient first. Each worker has memory of its own for the products, which the updates share.
func scaled[T kernel.Float](u Update[T], parameter, gradient []T, slots [][]T, scale []T, pool *kernel.Pool) func(worker, lo, hi int) {
	products := kernel.Workspace[T](pool, 0, scaleBlock)
	return func(worker, lo, hi int) {
		factor := scale[0]
		for ; lo < hi; lo += scaleBlock {
			end := min(lo+scaleBlock, hi)
			product := products[worker][:end-lo]
			kernel.Scale(product, gradient[lo:end], factor)
			u.Range(parameter, product, slots, lo, end)
		}
	}
}
