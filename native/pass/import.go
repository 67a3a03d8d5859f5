package pass

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// Import reads an ONNX graph into a new ir.Graph whose shapes are static: dims gives the symbolic dimensions their
// sizes, such as "batch": 32; an open first dimension of another name is taken to be the batch. Shapes are inferred from the inputs on; what the file says of values inside the graph
// is not used. Integers that the file computes from constants and shapes become constants (see fold).
//
// Which initializers are parameters the model's manifest says. A model without one (another exporter's) has none of
// this: Describe says what is taken for what then.
func Import(m *onnx.Model, dims map[string]int) (*ir.Graph, error) {
	im := &importer{model: m, graph: ir.NewGraph(m.Graph.Name), values: map[string]*ir.Value{}}
	if err := im.initializers(); err != nil {
		return nil, err
	}
	for _, in := range m.Graph.Inputs {
		if err := im.input(in, dims); err != nil {
			return nil, err
		}
	}
	for _, n := range m.Graph.Nodes {
		if err := im.node(n); err != nil {
			return nil, err
		}
	}
	for _, out := range m.Graph.Outputs {
		v := im.values[out.Name]
		if v == nil {
			return nil, &onnx.Error{File: m.Path, Value: out.Name, Reason: "the output is never computed", Kind: onnx.ErrInvalid}
		}
		im.graph.Outputs = append(im.graph.Outputs, v)
	}
	return im.graph, im.graph.Verify()
}

type importer struct {
	model  *onnx.Model
	graph  *ir.Graph
	values map[string]*ir.Value
	sites  int
}

func (im *importer) initializers() error {
	roles := map[string]ir.Role{}
	frozen := map[string]bool{}
	exact := map[string]float64{}
	m := im.model.Manifest
	if m != nil {
		for _, s := range m.Scalars {
			exact[s.Value] = s.Number
		}
		for _, p := range m.Parameters {
			roles[p.Name], frozen[p.Name] = ir.Parameter, !p.RequiresGrad
		}
		for _, b := range m.Buffers {
			roles[b] = ir.Buffer
		}
	} else {
		roles = guessRoles(im.model.Graph)
	}
	for _, init := range im.model.Graph.Initializers {
		role, ok := roles[init.Name]
		if !ok {
			role = ir.Constant
		}
		t, err := irType(init.Tensor.DType())
		if err != nil {
			return &onnx.Error{File: im.model.Path, Value: init.Name, Reason: "the initializer cannot be used", Kind: onnx.ErrUnsupported, Err: err}
		}
		if role == ir.Parameter && t != ir.Float {
			return &onnx.Error{File: im.model.Path, Value: init.Name, Reason: fmt.Sprintf("a parameter of type %v", init.Tensor.DType()), Kind: onnx.ErrUnsupported, Err: op.ErrUnsupported}
		}
		content := init.Tensor
		if number, known := exact[init.Name]; known {
			if content, err = tensor.Of([]float64{number}, content.Shape()...); err != nil {
				return fmt.Errorf("%s: %w", init.Name, err)
			}
		}
		v := &ir.Value{Name: im.graph.UniqueName(init.Name), Type: t, Shape: init.Tensor.Shape(), Role: role, Const: content, Frozen: frozen[init.Name]}
		im.values[init.Name] = v
		if role.Persistent() {
			im.graph.State = append(im.graph.State, v)
		}
	}
	return nil
}

func irType(d tensor.DType) (ir.Type, error) {
	switch d {
	case tensor.Float32, tensor.Float64, tensor.Float16, tensor.BFloat16:
		return ir.Float, nil
	case tensor.Int64, tensor.Int32:
		return ir.Int64, nil
	case tensor.Bool:
		return ir.Bool, nil
	}
	return 0, fmt.Errorf("element type %v is %w", d, op.ErrUnsupported)
}

func (im *importer) input(in onnx.ValueInfo, dims map[string]int) error {
	fail := func(err error) error {
		return &onnx.Error{File: im.model.Path, Value: in.Name, Reason: "the input cannot be used", Kind: onnx.ErrUnsupported, Err: err}
	}
	t, err := irType(in.DType)
	if err != nil {
		return fail(err)
	}
	if !in.HasShape {
		return fail(fmt.Errorf("an unknown rank is %w; export with example inputs", op.ErrUnsupported))
	}
	shape := make([]int, len(in.Shape))
	for i, d := range in.Shape {
		size, ok := dims[d.Param]
		if !ok && i == 0 {
			size, ok = dims["batch"]
		}
		switch {
		case d.Value >= 0:
			shape[i] = int(d.Value)
		case ok:
			shape[i] = size
		default:
			return fail(fmt.Errorf("dimension %d, %v, of unknown size is %w; only the batch may be left open", i, d, op.ErrUnsupported))
		}
	}
	v := &ir.Value{Name: im.graph.UniqueName(in.Name), Type: t, Shape: shape, Role: ir.Input}
	im.values[in.Name] = v
	im.graph.Inputs = append(im.graph.Inputs, v)
	return nil
}

func (im *importer) node(n *onnx.Node) error {
	if n.OpType == "Constant" && n.Domain == "" {
		return im.constant(n)
	}
	name := n.OpType
	if n.Domain != "" {
		name = n.Domain + "." + n.OpType // never registered: refused below with its full name
	}
	node := &ir.Node{
		Op: name, Attributes: n.Attributes, Version: im.model.Opset[n.Domain],
		Origin: ir.Origin{File: im.model.Path, Node: n.Name, ModulePath: n.ModulePath, Source: n.Source},
	}
	for _, in := range n.Inputs {
		var v *ir.Value
		if in != "" {
			if v = im.values[in]; v == nil {
				return &onnx.Error{File: im.model.Path, Node: n.Name, Op: n.OpType, Value: in, Reason: "the value is not defined before it is read", Kind: onnx.ErrInvalid}
			}
		}
		node.Inputs = append(node.Inputs, v)
	}
	for _, out := range n.Outputs {
		im.output(node, out)
	}
	if d := op.Lookup(name); d != nil {
		for i := range d.Saves {
			if i == len(node.Outputs) {
				node.Outputs = append(node.Outputs, nil)
			}
			if node.Outputs[i] == nil {
				node.Outputs[i] = &ir.Value{Name: im.graph.UniqueName(n.Name + ".saved"), Role: ir.Intermediate, Producer: node}
			}
		}
	}
	if n.OpType == "Dropout" || n.OpType == "Bernoulli" {
		if err := im.dropout(n, node); err != nil {
			return err
		}
	}
	if n.OpType == "BatchNormalization" {
		im.batchNormalization(n, node)
	}
	if m := im.model.Manifest; m != nil && n.OpType == "Gather" {
		for _, p := range m.EmbeddingPadding {
			if p.Weight == n.Input(0) {
				node.Attributes = node.Attributes.With("tandem_padding", int64(p.Row))
			}
		}
	}
	if name == "Attention" {
		if done, err := im.attention(node); err != nil || done {
			return err
		}
	}
	if err := op.Infer(node); err != nil {
		return err
	}
	if folded, err := fold(node); err != nil || folded {
		return err
	}
	im.graph.Nodes = append(im.graph.Nodes, node)
	return nil
}

// attention puts other nodes in the place of an Attention that its kernels do not compute.
func (im *importer) attention(node *ir.Node) (bool, error) {
	expands, err := expandsAttention(node)
	if err != nil {
		return false, &op.NodeError{Node: node, Err: err}
	}
	if !expands {
		return false, nil
	}
	results, err := expandAttention(im.graph, node)
	if err != nil {
		return false, err
	}
	for i, v := range node.Outputs {
		if v == nil {
			continue
		}
		name := v.Name
		last, err := op.Append(im.graph, "Identity", nil, node.Origin, node.Origin.Phase, results[i]) // the result may be an input or have two names
		if err != nil {
			return false, err
		}
		last.Name = name
		for given, known := range im.values {
			if known == v {
				im.values[given] = last
			}
		}
	}
	return true, nil
}

// output adds an output to a node; the empty name is an omitted one.
func (im *importer) output(node *ir.Node, name string) {
	if name == "" {
		node.Outputs = append(node.Outputs, nil)
		return
	}
	v := &ir.Value{Name: im.graph.UniqueName(name), Role: ir.Intermediate, Producer: node}
	im.values[name] = v
	node.Outputs = append(node.Outputs, v)
}

func (im *importer) constant(n *onnx.Node) error {
	t, err := constantNode(n)
	if err != nil {
		return &onnx.Error{File: im.model.Path, Node: n.Name, Op: n.OpType, Reason: "the constant cannot be used", Kind: onnx.ErrUnsupported, Err: err}
	}
	kind, err := irType(t.DType())
	if err != nil {
		return &onnx.Error{File: im.model.Path, Node: n.Name, Op: n.OpType, Reason: "the constant cannot be used", Kind: onnx.ErrUnsupported, Err: err}
	}
	im.values[n.Outputs[0]] = &ir.Value{Name: im.graph.UniqueName(n.Outputs[0]), Type: kind, Shape: t.Shape(), Role: ir.Constant, Const: t}
	return nil
}

// dropout gives a Dropout or Bernoulli node its site, the number of such nodes before it, and the probability of dropping: the manifest's
// float64 where there is one, else that of the input, a float32 whose shortest decimal is taken to be what its author wrote. A Bernoulli
// whose probability is not known gets none, and is refused.
func (im *importer) dropout(n *onnx.Node, node *ir.Node) error {
	site, p := im.sites, 0.5 // Dropout's default ratio
	im.sites++
	known := true
	if n.OpType == "Bernoulli" {
		v := node.Input(0)
		if known = v != nil && v.Const != nil && v.Const.Len() == 1; known {
			p = 1 - widenConstant(v.Const)[0]
		}
	} else if v := node.Input(1); v != nil {
		if v.Const == nil || v.Const.Len() != 1 {
			return &op.NodeError{Node: node, Err: fmt.Errorf("a ratio that is not a constant is %w", op.ErrUnsupported)}
		}
		p = widenConstant(v.Const)[0]
	}
	if m := im.model.Manifest; m != nil {
		if i := slices.IndexFunc(m.Dropout, func(d onnx.DropoutSite) bool { return d.Node == n.Name }); i >= 0 {
			site, p, known = m.Dropout[i].Site, m.Dropout[i].P, true
		}
	}
	node.Attributes = node.Attributes.With("tandem_site", int64(site))
	if known {
		node.Attributes = node.Attributes.With("tandem_p", p)
	}
	return nil
}

// batchNormalization tells a BatchNormalization node of PyTorch's that the new running variance is the unbiased one, and PyTorch's momentum in
// float64.
func (im *importer) batchNormalization(n *onnx.Node, node *ir.Node) {
	m := im.model.Manifest
	if m == nil {
		return
	}
	if i := slices.IndexFunc(m.BatchNorm, func(b onnx.BatchNorm) bool { return b.Node == n.Name }); i >= 0 {
		node.Attributes = node.Attributes.With("tandem_unbiased", int64(1)).With("tandem_momentum", m.BatchNorm[i].Momentum)
	}
}
