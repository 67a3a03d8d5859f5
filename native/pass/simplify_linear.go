package pass

import (
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
)

// A linear layer on more than two dimensions is exported as MatMul(x, Transpose(weight)) + bias. As one Gemm on the rows of x its weight is
// read as it lies, the bias is where the sums begin, and the weight's gradient comes out in the weight's own layout.

// linearWithBias replaces the addition of a bias to such a product.
func linearWithBias(w *rewriter, n *ir.Node) (*ir.Value, error) {
	if n.Op != "Add" {
		return nil, nil
	}
	for i, v := range n.Inputs {
		product, bias := w.only(v, "MatMul"), n.Inputs[1-i]
		if product != nil && bias.Type == ir.Float && len(bias.Shape) == 1 && bias.Shape[0] == v.Shape[len(v.Shape)-1] {
			return w.gemm(product, bias, n.Origin)
		}
	}
	return nil, nil
}

// linear replaces such a product alone.
func linear(w *rewriter, n *ir.Node) (*ir.Value, error) {
	if n.Op != "MatMul" || len(n.Inputs[0].Shape) == 2 && transposed(n.Inputs[1]) == nil {
		return nil, nil
	}
	return w.gemm(n, nil, n.Origin)
}

// gemm adds the product of a MatMul, whose right factor must be a matrix, plus the bias.
func (w *rewriter) gemm(product *ir.Node, bias *ir.Value, origin ir.Origin) (*ir.Value, error) {
	x, weight := product.Inputs[0], product.Inputs[1]
	if len(x.Shape) < 2 || len(weight.Shape) != 2 {
		return nil, nil
	}
	attributes := map[string]any{}
	if t := transposed(weight); t != nil {
		weight, attributes["transB"] = t, int64(1)
	}
	y := product.Outputs[0]
	depth, rows := x.Shape[len(x.Shape)-1], 1
	for _, s := range x.Shape[:len(x.Shape)-1] {
		rows *= s
	}
	matrix, err := w.reshape(x, []int{rows, depth}, origin)
	if err != nil {
		return nil, err
	}
	inputs := []*ir.Value{matrix, weight}
	if bias != nil {
		inputs = append(inputs, bias)
	}
	result, err := op.Append(w.graph, "Gemm", attributes, origin, origin.Phase, inputs...)
	if err != nil {
		return nil, err
	}
	return w.reshape(result, y.Shape, origin)
}

// transposed returns the matrix that v is the transpose of, or nil.
func transposed(v *ir.Value) *ir.Value {
	if v.Producer == nil || v.Producer.Op != "Transpose" || len(v.Shape) != 2 {
		return nil
	}
	perm, err := v.Producer.Attributes.Ints("perm", []int64{1, 0})
	if err != nil || !slices.Equal(perm, []int64{1, 0}) {
		return nil
	}
	return v.Producer.Inputs[0]
}
