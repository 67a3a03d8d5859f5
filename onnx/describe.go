package onnx

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"tandem/onnx/onnxpb"
	"tandem/onnx/tensor"
)

// WithManifest returns a copy of the model with the manifest in its metadata, in the place of one that it has. The graph stays; its nodes
// get the names that Decode gave them, since the manifest refers to these.
func (m *Model) WithManifest(manifest *Manifest) (*Model, error) {
	text, err := manifest.Encode()
	if err != nil {
		return nil, &Error{File: m.Path, Reason: "the manifest cannot be encoded", Err: err}
	}
	p := m.tree()
	for _, e := range p.MetadataProps {
		if e.GetKey() == ManifestKey {
			e.Value = proto.String(string(text))
			return rebuild(m, p)
		}
	}
	p.MetadataProps = append(p.MetadataProps, &onnxpb.StringStringEntryProto{Key: proto.String(ManifestKey), Value: proto.String(string(text))})
	return rebuild(m, p)
}

// WithOpenBatch returns a copy of the model whose inputs take any number of rows: the first dimension of each becomes symbolic, under the
// given name. What the file says of the shapes of other values is dropped, since it may name the old number. A node that fixes the number
// itself, such as a Reshape to it, stays, and fails when it is run with another: whoever uses the copy has to try it.
func (m *Model) WithOpenBatch(name string) (*Model, error) {
	p := m.tree()
	open := func(values []*onnxpb.ValueInfoProto) {
		for _, v := range values {
			if dims := v.GetType().GetTensorType().GetShape().GetDim(); len(dims) > 0 {
				dims[0].Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: name}
			}
		}
	}
	initializers := map[string]bool{}
	for _, i := range p.Graph.Initializer {
		initializers[i.GetName()] = true
	}
	for _, v := range p.Graph.Input {
		if !initializers[v.GetName()] { // older files list their initializers too
			open([]*onnxpb.ValueInfoProto{v})
		}
	}
	open(p.Graph.Output)
	p.Graph.ValueInfo = nil
	return rebuild(m, p)
}

// WithFloat32 returns a copy of the model whose named initializers are float32, whatever floating-point type the file stores them in: weights that are
// trained have to be what the training computes in. A node that reads one of another type must be a Cast or CastLike, which then has nothing to do; a
// graph that computes in the other type is refused.
func (m *Model) WithFloat32(names []string) (*Model, error) {
	wanted := map[string]bool{}
	for _, name := range names {
		if t := m.Graph.Initializer(name); t != nil && t.DType() != tensor.Float32 {
			wanted[name] = true
		}
	}
	if len(wanted) == 0 {
		return m, nil
	}
	for _, n := range m.Graph.Nodes {
		for i, in := range n.Inputs {
			if wanted[in] && !(i == 0 && (n.OpType == "Cast" || n.OpType == "CastLike")) {
				return nil, &Error{File: m.Path, Node: n.Name, Op: n.OpType, Value: in, Kind: ErrUnsupported, Reason: fmt.Sprintf(
					"it computes in %v, and training is in float32: export the model in float32, or give the node a Cast", m.Graph.Initializer(in).DType())}
			}
		}
	}
	c, g := *m, *m.Graph
	c.Graph = &g
	p := m.tree()
	g.Initializers = make([]*Initializer, len(m.Graph.Initializers))
	g.initializers = make(map[string]*Initializer, len(g.Initializers))
	for i, init := range m.Graph.Initializers {
		if wanted[init.Name] {
			t, err := init.Tensor.Convert(tensor.Float32)
			if err != nil {
				return nil, &Error{File: m.Path, Value: init.Name, Reason: "the initializer cannot be used", Kind: ErrUnsupported, Err: err}
			}
			init = &Initializer{Name: init.Name, Tensor: t}
			p.Graph.Initializer[i].DataType = proto.Int32(int32(onnxpb.TensorProto_FLOAT))
		}
		g.Initializers[i], g.initializers[init.Name] = init, init
	}
	for _, v := range p.Graph.Input { // older files list their initializers too
		if t := v.GetType().GetTensorType(); t != nil && wanted[v.GetName()] {
			t.ElemType = proto.Int32(int32(onnxpb.TensorProto_FLOAT))
		}
	}
	if err := c.keep(p); err != nil {
		return nil, err
	}
	return &c, nil
}
