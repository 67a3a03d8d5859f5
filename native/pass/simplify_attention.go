package pass

import (
	"math"
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx"
)

// Attention, MatMul(Dropout(Softmax(mask(scale * MatMul(Q, K')))), V), becomes one node that reads queries, keys and values where they lie
// in what they were split and transposed from, and writes its result where a transpose after it would.

// attentionMerged replaces an attention whose heads are brought together by a Transpose and a view.
func attentionMerged(w *rewriter, n *ir.Node) (*ir.Value, error) {
	if op.Lookup(n.Op).View {
		if t := w.only(n.Inputs[0], "Transpose"); t != nil {
			return w.transposedAttention(t, n)
		}
	}
	return nil, nil
}

// attentionTransposed replaces one that is followed by a Transpose alone.
func attentionTransposed(w *rewriter, n *ir.Node) (*ir.Value, error) {
	if n.Op != "Transpose" {
		return nil, nil
	}
	return w.transposedAttention(n, n)
}

// attentionPlain replaces one by itself.
func attentionPlain(w *rewriter, n *ir.Node) (*ir.Value, error) {
	if n.Op != "MatMul" {
		return nil, nil
	}
	return w.attention(n, denseStrides(n.Outputs[0].Shape), n)
}

// transposedAttention finds an attention in front of a Transpose; last computes the result from that by keeping its elements in order.
func (w *rewriter) transposedAttention(transpose, last *ir.Node) (*ir.Value, error) {
	product := w.only(transpose.Inputs[0], "MatMul")
	perm, err := transpose.Attributes.Ints("perm", nil)
	if product == nil || err != nil || len(perm) != len(product.Outputs[0].Shape) {
		return nil, err
	}
	strides := make([]int, len(perm))
	for i, s := range denseStrides(transpose.Outputs[0].Shape) {
		strides[perm[i]] = s
	}
	return w.attention(product, strides, last)
}

// attention replaces last by an attention that ends in the given product, whose elements lie in the result with the given strides.
func (w *rewriter) attention(product *ir.Node, strides []int, last *ir.Node) (*ir.Value, error) {
	result := product.Outputs[0]
	a := op.Attention{Scale: 1, Fill: math.Inf(-1), Shape: last.Outputs[0].Shape}
	s := &scores{rewriter: w, Attention: &a}
	if !s.find(product.Inputs[0]) {
		return nil, nil
	}
	rank := len(s.first.Outputs[0].Shape)
	q, k, v := whereItLies(s.first.Inputs[0]), whereItLies(s.first.Inputs[1]), whereItLies(product.Inputs[1])
	if rank < 2 || len(q.shape) != rank || len(k.shape) != rank || len(v.shape) != rank || len(result.Shape) != rank {
		return nil, nil
	}
	a.Heads = q.shape[:rank-2]
	if !slices.Equal(k.shape[:rank-2], a.Heads) || !slices.Equal(v.shape[:rank-2], a.Heads) || result.Len() == 0 {
		return nil, nil
	}
	a.Rows, a.Width, a.Columns, a.ValueWidth = q.shape[rank-2], q.shape[rank-1], k.shape[rank-1], v.shape[rank-1]
	if a.Width == 0 || a.Columns == 0 {
		return nil, nil
	}
	// The keys come transposed.
	k.shape, k.strides = slices.Clone(k.shape), slices.Clone(k.strides)
	k.shape[rank-2], k.shape[rank-1], k.strides[rank-2], k.strides[rank-1] = k.shape[rank-1], k.shape[rank-2], k.strides[rank-1], k.strides[rank-2]
	var roots []*ir.Value
	for _, part := range []struct {
		strided
		view *op.View
	}{{q, &a.Query}, {k, &a.Key}, {v, &a.Value}} {
		row, column := part.strides[rank-2], part.strides[rank-1]
		if column != 1 || row < part.shape[rank-1] {
			return nil, nil
		}
		i := slices.Index(roots, part.root)
		if i < 0 {
			i = len(roots)
			roots = append(roots, part.root)
		}
		*part.view = op.View{Root: i, Offset: part.offset, Heads: part.strides[:rank-2], Row: row, Column: column}
	}
	if strides[rank-1] != 1 || strides[rank-2] < a.ValueWidth {
		return nil, nil
	}
	a.Result = op.View{Heads: strides[:rank-2], Row: strides[rank-2], Column: 1}
	// Each gradient is written where its operand lies, so that no two may lie at the same place.
	for _, root := range roots {
		if overlap(slices.DeleteFunc([]strided{q, k, v}, func(s strided) bool { return s.root != root })) {
			return nil, nil
		}
	}
	a.Roots = len(roots)
	inputs := roots
	if s.mask != nil {
		inputs = append(inputs, s.mask)
	}
	node := &ir.Node{Op: "tandem.Attention", Attributes: onnx.NewAttributes(a.Attributes()), Inputs: inputs, Origin: product.Origin}
	for _, name := range []string{"", "/softmax", "/kept"} {
		node.Outputs = append(node.Outputs, &ir.Value{Name: w.graph.UniqueName(result.Name + name), Producer: node})
	}
	if err := op.Infer(node); err != nil {
		return nil, err
	}
	w.graph.Nodes = append(w.graph.Nodes, node)
	return node.Outputs[0], nil
}

// scores is the part of an attention from the first product to what the second one weighs the values with.
type scores struct {
	*rewriter
	*op.Attention
	first *ir.Node // computes the scores
	mask  *ir.Value
}

// find goes from the weights back to the first product.
func (s *scores) find(weights *ir.Value) bool {
	n := s.only(weights, "Softmax", "Dropout", "Identity")
	if n != nil && n.Op != "Softmax" {
		if n.Op == "Dropout" && op.Drops(n) {
			if len(n.Outputs) > 1 && s.uses[n.Outputs[1]] > 0 {
				return false
			}
			p, err := n.Attributes.Float("tandem_p", 0)
			site, err2 := n.Attributes.Int("tandem_site", 0)
			if err != nil || err2 != nil {
				return false
			}
			s.Drop, s.Site = p, int(site)
		}
		n = s.only(n.Inputs[0], "Softmax")
	}
	if n == nil {
		return false
	}
	v := n.Inputs[0]
	axis, err := n.Attributes.Int("axis", -1)
	if err != nil || axis != -1 && axis != int64(len(v.Shape)-1) {
		return false
	}
	if masked := s.only(v, "Where", "Add"); masked != nil {
		if v = s.masked(masked); v == nil {
			return false
		}
	}
	if scaled := s.only(v, "Mul", "Div"); scaled != nil {
		if v = s.scaled(scaled); v == nil {
			return false
		}
	}
	s.first = s.only(v, "MatMul")
	return s.first != nil && slices.Equal(v.Shape, weights.Shape)
}

// masked reads the mask and returns the scores before it, or nil.
func (s *scores) masked(n *ir.Node) *ir.Value {
	if n.Op == "Add" {
		for i, v := range n.Inputs {
			if s.only(v, "MatMul", "Mul", "Div") != nil && !s.learns[n.Inputs[1-i]] {
				s.mask = n.Inputs[1-i]
				return v
			}
		}
		return nil
	}
	s.mask = n.Inputs[0]
	if fill, ok := number(n.Inputs[2]); ok {
		s.Fill = fill
		return n.Inputs[1]
	}
	if fill, ok := number(n.Inputs[1]); ok {
		s.Fill, s.Hides = fill, true
		return n.Inputs[2]
	}
	return nil
}

// scaled reads the factor and returns the scores before it, or nil.
func (s *scores) scaled(n *ir.Node) *ir.Value {
	factor, ok := number(n.Inputs[1])
	if n.Op == "Div" {
		s.Scale = 1 / factor
		if !ok || math.IsInf(s.Scale, 0) {
			return nil
		}
		return n.Inputs[0]
	}
	if ok {
		s.Scale = factor
		return n.Inputs[0]
	}
	if factor, ok = number(n.Inputs[0]); ok {
		s.Scale = factor
		return n.Inputs[1]
	}
	return nil
}
