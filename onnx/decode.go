package onnx

import (
	"fmt"
	"math"
	"unicode/utf8"

	"tandem/onnx/onnxpb"
	"tandem/onnx/tensor"
)

// fromProto converts and checks a model. It takes p over: names are made unique in it and the initializers' data is removed.
func fromProto(p *onnxpb.ModelProto, external *folder) (*Model, error) {
	m := &Model{
		IRVersion:       p.GetIrVersion(),
		Opset:           map[string]int64{},
		Producer:        p.GetProducerName(),
		ProducerVersion: p.GetProducerVersion(),
		Metadata:        map[string]string{},
	}
	if err := readHeader(m, p); err != nil {
		return nil, err
	}
	g, err := readGraph(p.GetGraph(), external)
	if err != nil {
		return nil, err
	}
	m.Graph = g
	if err := check(m); err != nil {
		return nil, err
	}
	if text, ok := m.Metadata[ManifestKey]; ok {
		m.Manifest, err = ParseManifest([]byte(text))
		if err != nil {
			return nil, err
		}
		if err := m.Manifest.check(g); err != nil {
			return nil, err
		}
	}
	if err := m.keep(p); err != nil {
		return nil, err
	}
	return m, nil
}

func readHeader(m *Model, p *onnxpb.ModelProto) error {
	const again = "the file is damaged or was written by a faulty program: export the model again"
	switch newest := int64(onnxpb.Version_IR_VERSION); {
	case p.GetGraph() == nil:
		return &Error{Reason: "the model has no graph", Fix: again, Kind: ErrInvalid}
	case m.IRVersion < 1:
		return &Error{Reason: "the model states no IR version", Fix: again, Kind: ErrInvalid}
	case m.IRVersion > newest:
		return &Error{
			Reason: fmt.Sprintf("the model has IR version %d, but the newest known is %d", m.IRVersion, newest), Kind: ErrUnsupported,
			Fix: "export it with an older opset",
		}
	case len(p.GetOpsetImport()) == 0:
		return &Error{Reason: "the model states no operator set", Fix: again, Kind: ErrInvalid}
	case len(p.GetFunctions()) > 0:
		return &Error{
			Reason: fmt.Sprintf("the model defines functions of its own (%d, the first is %s), which are not supported", len(p.GetFunctions()), quote(p.GetFunctions()[0].GetName())),
			Fix:    "inline them first, for instance with onnx.inliner.inline_local_functions", Kind: ErrUnsupported,
		}
	}
	for _, o := range p.GetOpsetImport() {
		domain := domain(o.GetDomain())
		if v, ok := m.Opset[domain]; ok {
			return &Error{Reason: fmt.Sprintf("the operator set of domain %s is stated twice, versions %d and %d", quote(o.GetDomain()), v, o.GetVersion()), Fix: again, Kind: ErrInvalid}
		}
		if o.GetVersion() < 1 {
			return &Error{Reason: fmt.Sprintf("the operator set of domain %s has version %d", quote(o.GetDomain()), o.GetVersion()), Fix: again, Kind: ErrInvalid}
		}
		m.Opset[domain] = o.GetVersion()
	}
	for _, e := range p.GetMetadataProps() {
		if _, ok := m.Metadata[e.GetKey()]; ok {
			return &Error{Reason: fmt.Sprintf("the metadata key %s appears twice", quote(e.GetKey())), Fix: again, Kind: ErrInvalid}
		}
		m.Metadata[e.GetKey()] = e.GetValue()
	}
	return nil
}

// domain maps the two spellings of the default domain to one.
func domain(name string) string {
	if name == "ai.onnx" {
		return ""
	}
	return name
}

func readGraph(p *onnxpb.GraphProto, external *folder) (*Graph, error) {
	g := &Graph{
		Name:         p.GetName(),
		Nodes:        make([]*Node, 0, len(p.GetNode())),
		Initializers: make([]*Initializer, 0, len(p.GetInitializer())),
		ValueInfo:    make(map[string]ValueInfo, len(p.GetValueInfo())),
		initializers: make(map[string]*Initializer, len(p.GetInitializer())),
	}
	if s := p.GetSparseInitializer(); len(s) > 0 {
		return nil, &Error{Value: s[0].GetValues().GetName(), Reason: "sparse initializers are not supported", Fix: "export the model with dense weights", Kind: ErrUnsupported}
	}
	for _, tp := range p.GetInitializer() {
		name := tp.GetName()
		if err := checkName(name, "an initializer"); err != nil {
			return nil, err
		}
		if g.initializers[name] != nil {
			return nil, &Error{Value: name, Reason: "the initializer is defined twice", Kind: ErrInvalid}
		}
		t, bad := readTensor(tp, external)
		if bad != nil {
			bad.Value = name
			return nil, bad
		}
		dropData(tp)
		init := &Initializer{Name: name, Tensor: t}
		g.Initializers = append(g.Initializers, init)
		g.initializers[name] = init
	}
	for _, v := range p.GetInput() {
		if g.initializers[v.GetName()] != nil {
			continue // IR versions before 4 list the initializers as inputs too
		}
		info, err := readBoundary(v, "an input")
		if err != nil {
			return nil, err
		}
		g.Inputs = append(g.Inputs, info)
	}
	for _, v := range p.GetOutput() {
		info, err := readBoundary(v, "an output")
		if err != nil {
			return nil, err
		}
		g.Outputs = append(g.Outputs, info)
	}
	for _, v := range p.GetValueInfo() {
		if info, ok := readValueInfo(v); ok {
			g.ValueInfo[info.Name] = info
		}
	}
	nameNodes(p.GetNode())
	for _, np := range p.GetNode() {
		n, err := readNode(np)
		if err != nil {
			return nil, err
		}
		g.Nodes = append(g.Nodes, n)
	}
	return g, nil
}

func readNode(p *onnxpb.NodeProto) (*Node, error) {
	n := &Node{
		Name:    p.GetName(),
		OpType:  p.GetOpType(),
		Domain:  domain(p.GetDomain()),
		Inputs:  trim(p.GetInput()),
		Outputs: trim(p.GetOutput()),
	}
	n.ModulePath, n.Source = provenance(p)
	a, err := readAttributes(p.GetAttribute())
	if err != nil {
		err.Node, err.Op = n.Name, n.op()
		return nil, err
	}
	n.Attributes = a
	return n, nil
}

// trim drops trailing omitted names: "Dropout(x, ratio, )" is "Dropout(x, ratio)".
func trim(names []string) []string {
	for len(names) > 0 && names[len(names)-1] == "" {
		names = names[:len(names)-1]
	}
	return append([]string(nil), names...)
}

// readBoundary reads the type of a graph's input or output, which must be a tensor of a known element type.
func readBoundary(p *onnxpb.ValueInfoProto, role string) (ValueInfo, error) {
	if err := checkName(p.GetName(), role); err != nil {
		return ValueInfo{}, err
	}
	info, ok := readValueInfo(p)
	switch {
	case p.GetType() == nil:
		return info, &Error{Value: p.GetName(), Reason: role + " of the graph has no type", Fix: "export the model again", Kind: ErrInvalid}
	case !ok:
		return info, &Error{Value: p.GetName(), Reason: role + " of the graph is not a tensor", Fix: "let the model take and return tensors only", Kind: ErrUnsupported}
	case info.DType == tensor.Invalid:
		code := onnxpb.TensorProto_DataType(p.GetType().GetTensorType().GetElemType())
		return info, &Error{Value: p.GetName(), Reason: fmt.Sprintf("%s of the graph has elements of type %v, which are not supported", role, code), Fix: "let the model take and return numbers", Kind: ErrUnsupported}
	}
	return info, nil
}

// readValueInfo reads a declared type; ok is false when it is not that of a tensor.
func readValueInfo(p *onnxpb.ValueInfoProto) (info ValueInfo, ok bool) {
	info.Name = p.GetName()
	t := p.GetType().GetTensorType()
	if t == nil {
		return info, false
	}
	info.DType = dtypeOf[onnxpb.TensorProto_DataType(t.GetElemType())]
	if t.GetShape() == nil {
		return info, true
	}
	info.HasShape = true
	for _, d := range t.GetShape().GetDim() {
		dim := Dim{Value: -1}
		switch v := d.GetValue().(type) {
		case *onnxpb.TensorShapeProto_Dimension_DimValue:
			if v.DimValue >= 0 && v.DimValue <= math.MaxInt {
				dim.Value = v.DimValue // some exporters write -1 for unknown
			}
		case *onnxpb.TensorShapeProto_Dimension_DimParam:
			dim.Param = v.DimParam
		}
		info.Shape = append(info.Shape, dim)
	}
	return info, true
}

// checkName demands a name that can be printed and written to JSON.
func checkName(name, role string) error {
	switch {
	case name == "":
		return &Error{Reason: role + " of the graph has no name", Fix: "export the model again", Kind: ErrInvalid}
	case !utf8.ValidString(name):
		return &Error{Value: name, Reason: "the name of " + role + " is not UTF-8", Fix: "the file is damaged: export the model again", Kind: ErrInvalid}
	}
	return nil
}

// dropData removes a tensor's data, which now lives in a tensor.Tensor; Encode puts it back as raw data.
func dropData(p *onnxpb.TensorProto) {
	p.RawData, p.FloatData, p.Int32Data, p.Int64Data, p.DoubleData, p.Uint64Data = nil, nil, nil, nil, nil, nil
	p.ExternalData, p.DataLocation = nil, nil
}
