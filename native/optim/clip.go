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

// squaresOperator sums the squares of one gradient in blocks, where it has just been computed and is near. Its result is those sums, each the bits of a
// float64 whatever the trainer computes in, in the place of the gradient as an input of the clipping node, which then gives the same bits.
const squaresOperator = "tandem.SquareSums"

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
		Name: clipOperator, MinInputs: 1, MaxInputs: -1, // gradients, or the sums of their squares
		Infer: func(n *ir.Node) error {
			for i, v := range n.Inputs {
				if v.Type != ir.Float && v.Type != ir.Int64 {
					return fmt.Errorf("input %d is %v", i, v)
				}
			}
			n.Outputs[0].Type, n.Outputs[0].Shape = ir.Float, []int{}
			return nil
		},
		Float32: bindClip[float32], Float64: bindClip[float64],
		NoGradient: "an update is not differentiated",
	})
	op.Register(op.Def{
		Name: squaresOperator, MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			if n.Inputs[0].Type != ir.Float {
				return fmt.Errorf("the input is %v", n.Inputs[0])
			}
			n.Outputs[0].Type, n.Outputs[0].Shape = ir.Int64, []int{(n.Inputs[0].Len() + normBlock - 1) / normBlock}
			return nil
		},
		Float32: bindSquares[float32], Float64: bindSquares[float64],
		NoGradient: "an update is not differentiated",
	})
}

// SquaresEarly lets a clipping node, if n is one, have the sums of squares of its input of that number from another node, which it returns; nil where it is none.
// The node may have any place behind the gradient's producer.
func SquaresEarly(g *ir.Graph, n *ir.Node, input int) (*ir.Node, error) {
	if n.Op != clipOperator || n.Inputs[input].Type != ir.Float {
		return nil, nil
	}
	sums := &ir.Value{Name: g.UniqueName(n.Inputs[input].Name + "/squares"), Role: ir.Intermediate}
	early := &ir.Node{Op: squaresOperator, Inputs: []*ir.Value{n.Inputs[input]}, Outputs: []*ir.Value{sums}, Origin: n.Origin}
	sums.Producer = early
	if err := op.Infer(early); err != nil {
		return nil, err
	}
	n.Inputs[input] = sums
	return early, nil
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
	var early [][]int64 // the sums of an input that come from another node, behind so many blocks
	var behind []int
	for _, in := range c.In {
		if in.Int != nil {
			early, behind = append(early, in.Int), append(behind, len(blocks))
		}
		blocks = append(blocks, normBlocks(in.Float)...)
	}
	sums, out, pool := make([]float64, len(blocks)), c.Out[0].Float, c.Pool
	body := sumSquares(sums, blocks)
	return func() {
		pool.For(len(blocks), 1, body)
		var total float64
		next := 0
		for i, at := range behind {
			for ; next < at; next++ {
				total += sums[next]
			}
			for _, bits := range early[i] {
				total += math.Float64frombits(uint64(bits))
			}
		}
		for ; next < len(sums); next++ {
			total += sums[next]
		}
		out[0] = T(min(1, limit/(math.Sqrt(total)+clipEpsilon))) // NaN stays
	}, nil
}

func bindSquares[T kernel.Float](c *op.Context[T]) (func(), error) {
	blocks, out, pool := normBlocks(c.In[0].Float), c.Out[0].Int, c.Pool
	sums := make([]float64, len(blocks))
	body := sumSquares(sums, blocks)
	return func() {
		pool.For(len(blocks), 1, body)
		for i, s := range sums {
			out[i] = int64(math.Float64bits(s))
		}
	}, nil
}

func normBlocks[T kernel.Float](x []T) (blocks [][]T) {
	for lo := 0; lo < len(x); lo += normBlock {
		blocks = append(blocks, x[lo:min(lo+normBlock, len(x))])
	}
	return blocks
}

// sumSquares returns the loop that sums the squares of each block.
func sumSquares[T kernel.Float](sums []float64, blocks [][]T) func(worker, lo, hi int) {
	return func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			sums[i] = kernel.SumOfSquares(blocks[i])
		}
	}
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
