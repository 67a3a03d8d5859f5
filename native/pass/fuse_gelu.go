package pass

import (
	"slices"

	"tandem/native/ir"
)

// fuseGelu lets a product compute its GELU as well. The product stays the first result: the gradient is computed from it.
func fuseGelu(f *fusion, n *ir.Node) bool {
	if n.Op != "Gelu" {
		return false
	}
	h := n.Inputs[0]
	p := h.Producer
	if p == nil || p.Op != "Gemm" {
		return false
	}
	form, err := n.Attributes.String("approximate", "none")
	if err != nil {
		return false
	}
	y := n.Outputs[0]
	p.Op, p.Version = "tandem.Gemm", 0
	p.Attributes = p.Attributes.With("gelu", form)
	p.Outputs = []*ir.Value{h, y}
	y.Producer = p
	f.remove(n)
	return true
}

// fuseGeluGradient multiplies the gradient that a layer gives to a GELU before it with the GELU's derivative where it is computed.
func fuseGeluGradient(f *fusion, n *ir.Node) bool {
	if n.Op != "tandem.GeluGradient" {
		return false
	}
	dy, h := n.Inputs[0], n.Inputs[1]
	p := dy.Producer
	if p == nil || p.Op != "Gemm" || p.Input(2) != nil || !f.only(dy, n) || h == dy {
		return false
	}
	form, err := n.Attributes.String("approximate", "none")
	if err != nil {
		return false
	}
	n.Op, n.Version, n.Attributes = "tandem.Gemm", 0, p.Attributes.With("gelu_gradient", form)
	f.setInputs(n, p.Inputs[0], p.Inputs[1], nil, h)
	f.remove(p)
	return true
}

// fuseGeluAgain lets the product that ends with the gradient of a GELU compute the GELU a second time as well, where a node before it does so
// alone: the operand is in the cache, and both have the normal distribution in them. The product takes the place of that node.
func fuseGeluAgain(f *fusion, n *ir.Node) bool {
	if n.Op != "tandem.Gemm" || !n.Attributes.Has("gelu_gradient") || len(n.Outputs) > 1 {
		return false
	}
	form, err := n.Attributes.String("gelu_gradient", "none")
	if err != nil {
		return false
	}
	h := n.Input(3)
	at := slices.IndexFunc(f.readers[h], func(r *ir.Node) bool {
		other, err := r.Attributes.String("approximate", "none")
		return r.Op == "Gelu" && r.Origin.Phase == ir.Backward && err == nil && other == form
	})
	if at < 0 {
		return false
	}
	again := f.readers[h][at]
	for _, v := range n.Inputs {
		if v != nil && v.Producer != nil && f.position[v.Producer] > f.position[again] {
			return false
		}
	}
	y := again.Outputs[0]
	n.Outputs = append(n.Outputs, y)
	y.Producer = n
	f.remove(again)
	if f.position[again] < f.position[n] {
		f.move(n, again)
	}
	return true
}
