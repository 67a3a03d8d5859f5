package pass

import "tandem/native/ir"

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
