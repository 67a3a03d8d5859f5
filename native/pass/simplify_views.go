package pass

import (
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
)

// A linear layer on sequences leaves a view between its product, a matrix of rows, and what follows. What works element by element, or row by row, does
// as well on the matrix: the view is moved behind it, so that the product and its user are neighbours and can be computed together.

// viewLast moves the view of a matrix from an operand of a node to its result.
func viewLast(w *rewriter, n *ir.Node) (*ir.Value, error) {
	operands := 1
	switch n.Op {
	case "Relu", "Gelu", "Dropout", "LayerNormalization":
	case "Add", "Sub", "Mul":
		operands = 2
	default:
		return nil, nil
	}
	if slices.ContainsFunc(n.Outputs[1:], func(v *ir.Value) bool { return v != nil && w.uses[v] > 0 }) {
		return nil, nil
	}
	y := n.Outputs[0]
	var matrix *ir.Value
	for _, v := range n.Inputs[:operands] {
		if m := matrixOf(v); m != nil && slices.Equal(v.Shape, y.Shape) {
			matrix = m
		}
	}
	if matrix == nil {
		return nil, nil
	}
	inputs := slices.Clone(n.Inputs)
	for i, v := range n.Inputs[:operands] {
		switch m := matrixOf(v); {
		case m != nil && slices.Equal(v.Shape, y.Shape):
			inputs[i] = m
		case slices.Equal(v.Shape, y.Shape):
			var err error
			if inputs[i], err = w.reshape(v, matrix.Shape, n.Origin); err != nil {
				return nil, err
			}
		case len(v.Shape) > 1 || v.Len() != 1 && v.Shape[0] != matrix.Shape[1]: // neither a number nor a row
			return nil, nil
		}
	}
	if n.Op == "LayerNormalization" {
		if axis, err := n.Attributes.Int("axis", -1); err != nil || axis != -1 && axis != int64(len(y.Shape)-1) {
			return nil, err
		}
	}
	moved := &ir.Node{Op: n.Op, Attributes: n.Attributes.With("axis", int64(-1)), Inputs: inputs, Origin: n.Origin, Version: n.Version}
	if n.Op != "LayerNormalization" {
		moved.Attributes = n.Attributes
	}
	for _, v := range n.Outputs {
		if v != nil {
			v = &ir.Value{Name: w.graph.UniqueName(v.Name), Producer: moved}
		}
		moved.Outputs = append(moved.Outputs, v)
	}
	if err := op.Infer(moved); err != nil {
		return nil, err
	}
	w.graph.Nodes = append(w.graph.Nodes, moved)
	return w.reshape(moved.Outputs[0], y.Shape, n.Origin)
}

// matrixOf returns the matrix that v is a view of, of the same rows, or nil.
func matrixOf(v *ir.Value) *ir.Value {
	n := v.Producer
	if n == nil || !op.Lookup(n.Op).View || len(v.Shape) < 3 {
		return nil
	}
	if m := n.Inputs[0]; m.Role == ir.Intermediate && len(m.Shape) == 2 && m.Shape[1] == v.Shape[len(v.Shape)-1] {
		return m
	}
	return nil
}

// reshape returns v with another shape; v itself when it has it, and what v is a view of when that has it.
func (w *rewriter) reshape(v *ir.Value, shape []int, origin ir.Origin) (*ir.Value, error) {
	if slices.Equal(v.Shape, shape) {
		return v, nil
	}
	if n := v.Producer; n != nil && op.Lookup(n.Op).View && slices.Equal(n.Inputs[0].Shape, shape) {
		return n.Inputs[0], nil
	}
	sizes := make([]int64, len(shape))
	for i, s := range shape {
		sizes[i] = int64(s)
	}
	return op.Append(w.graph, "tandem.ReshapeTo", map[string]any{"shape": sizes}, origin, origin.Phase, v)
}

// readThroughViews lets nodes read what a chain of views comes back to: the value that had the same shape before.
func readThroughViews(g *ir.Graph) {
	for _, n := range g.Nodes {
		for i, v := range n.Inputs {
			for from := v; from != nil && from.Producer != nil && op.Lookup(from.Producer.Op).View && from.Producer.Outputs[0] == from; {
				from = from.Producer.Inputs[0]
				if slices.Equal(from.Shape, v.Shape) {
					n.Inputs[i] = from
				}
			}
		}
	}
}
