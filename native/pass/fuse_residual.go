package pass

import (
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
)

// fuseDropoutAdd adds a residual connection while what dropout leaves of the branch is in the cache.
func fuseDropoutAdd(f *fusion, n *ir.Node) bool {
	p, other := f.summand(n, func(p *ir.Node) bool { return p.Op == "Dropout" && op.Drops(p) })
	if p == nil {
		return false
	}
	y := n.Outputs[0]
	f.setInputs(n, p.Inputs[0], other)
	n.Op, n.Version, n.Attributes = "tandem.DropoutAdd", 0, p.Attributes
	n.Outputs = append([]*ir.Value{y}, p.Outputs[1:]...)
	for _, v := range n.Outputs[1:] {
		if v != nil {
			v.Producer = n
		}
	}
	f.remove(p)
	return true
}

// fuseLayerNormGradientAdd adds the gradient that comes past a normalization, along the residual connection, to the one through it.
func fuseLayerNormGradientAdd(f *fusion, n *ir.Node) bool {
	p, other := f.summand(n, func(p *ir.Node) bool {
		return p.Op == "tandem.LayerNormalizationGradient" && len(p.Inputs) == 5
	})
	if p == nil {
		return false
	}
	y := n.Outputs[0]
	f.setInputs(n, append(slices.Clone(p.Inputs), other)...)
	n.Op, n.Version, n.Attributes, n.Workspace = p.Op, p.Version, p.Attributes, p.Workspace
	n.Outputs = append([]*ir.Value{y}, p.Outputs[1:]...)
	for _, v := range n.Outputs[1:] {
		if v != nil {
			v.Producer = n
		}
	}
	f.remove(p)
	return true
}

// summand returns what computes an operand of a sum, if it is as wanted, nothing else needs that operand, and its further outputs are only read
// behind the sum; and the other operand. Nothing is broadcast.
func (f *fusion) summand(n *ir.Node, wanted func(p *ir.Node) bool) (p *ir.Node, other *ir.Value) {
	if n.Op != "Add" || len(n.Inputs) != 2 {
		return nil, nil
	}
	for i, v := range n.Inputs {
		p, other := v.Producer, n.Inputs[1-i]
		if p == nil || f.removed[p] || p.Outputs[0] != v || !wanted(p) || !f.only(v, n) || other == v ||
			!slices.Equal(v.Shape, n.Outputs[0].Shape) || !slices.Equal(other.Shape, v.Shape) {
			continue
		}
		late := func(out *ir.Value) bool {
			return out == nil || !slices.ContainsFunc(f.readers[out], func(r *ir.Node) bool { return f.position[r] < f.position[n] })
		}
		if !slices.ContainsFunc(p.Outputs[1:], func(out *ir.Value) bool { return !late(out) || other == out }) {
			return p, other
		}
	}
	return nil, nil
}
