package pass

import (
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/native/optim"
	"tandem/onnx"
)

// fusionRules are tried on each node in this order; each reports whether it changed the graph. All give the bits of the nodes that they
// replace.
var fusionRules = []struct {
	name string
	try  func(f *fusion, n *ir.Node) bool
}{
	// y = Relu(Gemm(A, B, C)): the part of the product that is in the cache is rectified there.
	{"Gemm, Relu", fuseRelu},
	// y = Dropout(Relu(Gemm(A, B, C))), and its gradients: those of both follow from y alone, which is positive where the mask kept and
	// the rectifier passed. Neither the mask nor the rectifier's result is kept.
	{"Gemm, Relu, Dropout", fuseDropout},
	// dx = ReluGradient(Gemm(A, B), y): the gradient that a layer gives to the one before.
	{"Gemm, gradient of the activation", fuseActivationGradient},
	// y = Gelu(h), h = Gemm(A, B, C), and dx = GeluGradient(Gemm(A, B), h).
	{"Gemm, Gelu", fuseGelu},
	{"Gemm, gradient of Gelu", fuseGeluGradient},
	// The same with y, which Recompute wants a second time, in the place of h.
	{"Gemm, gradient of Gelu, Gelu", fuseGeluAgain},
	// y = Dropout(x) + z, and LayerNormalizationGradient(dy, x, ...) + dz.
	{"Dropout, residual", fuseDropoutAdd},
	{"gradient of LayerNormalization, residual", fuseLayerNormGradientAdd},
	// Optimizer(parameter, Gemm(A, B)): each part of the gradient of a weight updates it at once and is not kept.
	{"Gemm, optimizer", fuseUpdate},
}

// Fuse puts nodes together that one kernel can compute, so that what passes between them stays in a near cache. What the graph's outputs need
// stays as it is.
func Fuse(g *ir.Graph) error {
	for _, rule := range fusionRules {
		f := newFusion(g)
		for _, n := range slices.Clone(g.Nodes) {
			if !f.removed[n] {
				rule.try(f, n)
			}
		}
		g.Nodes = slices.DeleteFunc(g.Nodes, func(n *ir.Node) bool { return f.removed[n] })
	}
	lastUpdate(g)
	return g.Verify()
}

// fusion knows who reads a value of the graph.
type fusion struct {
	graph    *ir.Graph
	readers  map[*ir.Value][]*ir.Node
	outputs  map[*ir.Value]bool
	position map[*ir.Node]int // before the rule began
	removed  map[*ir.Node]bool
}

func newFusion(g *ir.Graph) *fusion {
	f := &fusion{
		graph: g, readers: map[*ir.Value][]*ir.Node{}, outputs: map[*ir.Value]bool{}, position: map[*ir.Node]int{}, removed: map[*ir.Node]bool{},
	}
	for i, n := range g.Nodes {
		f.position[n] = i
		for _, v := range n.Inputs {
			if v != nil {
				f.readers[v] = append(f.readers[v], n)
			}
		}
	}
	for _, v := range g.Outputs {
		f.outputs[v] = true
	}
	return f
}

// only reports whether the value has one use, as an input of the node.
func (f *fusion) only(v *ir.Value, n *ir.Node) bool {
	return !f.outputs[v] && len(f.readers[v]) == 1 && f.readers[v][0] == n
}

// setInputs gives a node other inputs.
func (f *fusion) setInputs(n *ir.Node, inputs ...*ir.Value) {
	f.forget(n)
	n.Inputs = inputs
	for _, v := range inputs {
		if v != nil {
			f.readers[v] = append(f.readers[v], n)
		}
	}
}

// forget takes a node from the readers of its inputs.
func (f *fusion) forget(n *ir.Node) {
	for _, v := range n.Inputs {
		f.readers[v] = slices.DeleteFunc(f.readers[v], func(r *ir.Node) bool { return r == n })
	}
}

// replace lets node n compute v, an output of the node old, in the place of its own output 0, and takes old away.
func (f *fusion) replace(n, old *ir.Node, v *ir.Value) {
	n.Outputs = []*ir.Value{v}
	v.Producer = n
	f.remove(old)
}

func (f *fusion) remove(n *ir.Node) {
	f.forget(n)
	f.removed[n] = true
}

// move puts a node in the place of an earlier one.
func (f *fusion) move(n, earlier *ir.Node) {
	at, from := slices.Index(f.graph.Nodes, earlier), slices.Index(f.graph.Nodes, n)
	f.graph.Nodes[at] = n
	f.graph.Nodes = slices.Delete(f.graph.Nodes, from, from+1)
	f.position[n] = f.position[earlier]
}

func fuseRelu(f *fusion, n *ir.Node) bool {
	if n.Op != "Relu" {
		return false
	}
	p := n.Inputs[0].Producer
	if p == nil || p.Op != "Gemm" || !f.only(n.Inputs[0], n) {
		return false
	}
	p.Op, p.Version = "tandem.Gemm", 0
	p.Attributes = p.Attributes.With("relu", int64(1))
	f.replace(p, n, n.Outputs[0])
	return true
}

func fuseDropout(f *fusion, n *ir.Node) bool {
	if n.Op != "Dropout" || !op.Drops(n) {
		return false
	}
	r := n.Inputs[0]
	p := r.Producer
	if p == nil || p.Op != "tandem.Gemm" || !p.Attributes.Has("relu") || p.Attributes.Has("site") || f.outputs[r] {
		return false
	}
	// Of the mask, gradients of the dropout are made, each for a gradient of the rectifier; nothing else may read it or r.
	var masked, rectified []*ir.Node
	if len(n.Outputs) > 1 && n.Outputs[1] != nil {
		if f.outputs[n.Outputs[1]] {
			return false
		}
		masked = f.readers[n.Outputs[1]]
	}
	for _, d := range masked {
		if d.Op != "tandem.DropoutGradient" || len(f.readers[d.Outputs[0]]) != 1 {
			return false
		}
		g := f.readers[d.Outputs[0]][0]
		if g.Op != "tandem.ReluGradient" || !f.only(d.Outputs[0], g) || g.Inputs[0] != d.Outputs[0] || g.Inputs[1] != r {
			return false
		}
		rectified = append(rectified, g)
	}
	for _, reader := range f.readers[r] {
		if reader != n && !slices.Contains(rectified, reader) {
			return false
		}
	}
	ratio, err := n.Attributes.Float("tandem_p", 0)
	if err != nil {
		return false
	}
	site, err := n.Attributes.Int("tandem_site", 0)
	if err != nil {
		return false
	}
	y := n.Outputs[0]
	for i, d := range slices.Clone(masked) {
		g := rectified[i]
		g.Op, g.Attributes = "tandem.ActivationGradient", onnx.NewAttributes(map[string]any{"gate": ratio})
		f.setInputs(g, d.Inputs[0], y)
		f.remove(d)
	}
	p.Attributes = p.Attributes.With("p", ratio).With("site", site)
	f.replace(p, n, y)
	return true
}

func fuseActivationGradient(f *fusion, n *ir.Node) bool {
	if n.Op != "tandem.ReluGradient" && n.Op != "tandem.ActivationGradient" {
		return false
	}
	p := n.Inputs[0].Producer
	if p == nil || p.Op != "Gemm" || p.Input(2) != nil || !f.only(n.Inputs[0], n) || n.Inputs[1] == n.Inputs[0] {
		return false
	}
	ratio := 0.0
	if n.Op == "tandem.ActivationGradient" {
		var err error
		if ratio, err = n.Attributes.Float("gate", 0); err != nil {
			return false
		}
	}
	y := n.Inputs[1]
	n.Op, n.Attributes = "tandem.Gemm", p.Attributes.With("gate", ratio)
	f.setInputs(n, p.Inputs[0], p.Inputs[1], nil, y)
	f.remove(p)
	if y.Producer == nil || f.position[y.Producer] < f.position[p] {
		f.move(n, p)
	}
	return true
}

func fuseUpdate(f *fusion, n *ir.Node) bool {
	if n.Origin.Phase != ir.Update || len(n.Writes) == 0 || len(n.Inputs) < 2 {
		return false
	}
	gradient := n.Inputs[1]
	p := gradient.Producer
	if p == nil || p.Op != "Gemm" || p.Input(2) != nil || !f.only(gradient, n) {
		return false
	}
	for _, v := range p.Inputs[:2] {
		if f.root(v).Role.Persistent() {
			return false // another update may come between
		}
	}
	parameter := n.Inputs[0]
	inputs := slices.Clone(n.Inputs)
	if !optim.FuseProduct(n, p) {
		return false
	}
	fused := n.Inputs
	n.Inputs = inputs
	f.setInputs(n, fused...)
	// Where all have read the parameter by then, it is updated in the place of the product, from what was just computed.
	early := !slices.ContainsFunc(f.readers[parameter], func(r *ir.Node) bool {
		return r != n && (f.position[r] > f.position[p] || op.Lookup(r.Op).View)
	})
	f.remove(p)
	if early {
		f.move(n, p)
	}
	return true
}

// root returns the value whose elements v shares through views.
func (f *fusion) root(v *ir.Value) *ir.Value {
	for v.Producer != nil && op.Lookup(v.Producer.Op).View && v == v.Producer.Outputs[0] {
		v = v.Producer.Inputs[0]
	}
	return v
}
