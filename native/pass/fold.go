package pass

import (
	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/onnx/tensor"
)

// foldLimit is the number of elements above which a value is not worth keeping for the whole run.
const foldLimit = 1 << 16

// fold computes a node at import when it can and turns its outputs into constants. It does so for integers and truth values alone:
// the arithmetic by which a model with an open batch computes shapes (Shape, Gather, Mul, Concat, ...), which other operators want to know when
// the graph is built. Floating-point values are left in the graph, so that they are computed in the trainer's own precision; parameters are
// never constants, and no random operator gives an integer.
//
// The operator's own kernel does the computing. A CastLike of a constant that changes nothing is taken away whatever the type: PyTorch's exporter
// writes one around most numbers, and it would make them look as if they depended on the parameters.
func fold(n *ir.Node) (bool, error) {
	if n.Op == "CastLike" && n.Inputs[0].Role == ir.Constant && n.Inputs[0].Type == n.Outputs[0].Type {
		become(n.Outputs[0], n.Inputs[0].Const)
		return true, nil
	}
	for _, v := range n.Outputs {
		if v != nil && (v.Type == ir.Float || v.Len() > foldLimit) {
			return false, nil
		}
	}
	c := &op.Context[float64]{Node: n, Run: &op.Run{}}
	for _, v := range n.Inputs {
		switch {
		case v == nil:
			c.In = append(c.In, op.Buffer[float64]{})
		case v.Role == ir.Constant:
			b, err := constantElements[float64](v)
			if err != nil {
				return false, err
			}
			if b.Shape == nil {
				b.Shape = []int{}
			}
			c.In = append(c.In, b)
		case n.Op == "Shape" || n.Op == "Size": // what the input holds does not matter
			c.In = append(c.In, op.Buffer[float64]{Shape: v.Shape})
		default:
			return false, nil
		}
	}
	if op.Lookup(n.Op).View {
		t, err := n.Inputs[0].Const.Reshape(n.Outputs[0].Shape...)
		if err != nil {
			return false, err
		}
		become(n.Outputs[0], t)
		return true, nil
	}
	out := make([]*tensor.Tensor, len(n.Outputs))
	for i, v := range n.Outputs {
		b := op.Buffer[float64]{}
		switch {
		case v == nil:
		case v.Type == ir.Int64:
			out[i] = tensor.New(tensor.Int64, v.Shape...)
			b = op.Buffer[float64]{Shape: out[i].Shape(), Int: tensor.View[int64](out[i])}
		default:
			out[i] = tensor.New(tensor.Bool, v.Shape...)
			b = op.Buffer[float64]{Shape: out[i].Shape(), Bool: tensor.View[bool](out[i])}
		}
		if v != nil && b.Shape == nil {
			b.Shape = []int{}
		}
		c.Out = append(c.Out, b)
	}
	c.Pool = kernel.NewPool(1)
	call, err := op.Lookup(n.Op).Float64(c)
	if err != nil {
		return false, &op.NodeError{Node: n, Err: err}
	}
	call()
	for i, v := range n.Outputs {
		if v != nil {
			become(v, out[i])
		}
	}
	return true, nil
}

// become makes a constant of a node's output.
func become(v *ir.Value, t *tensor.Tensor) {
	v.Role, v.Const, v.Producer = ir.Constant, t, nil
}
