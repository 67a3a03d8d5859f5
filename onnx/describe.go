package onnx

import (
	"google.golang.org/protobuf/proto"

	"tandem/onnx/onnxpb"
)

// WithManifest returns a copy of the model with the manifest in its metadata, in the place of one that it has. The graph stays; its nodes
// get the names that Decode gave them, since the manifest refers to these.
func (m *Model) WithManifest(manifest *Manifest) (*Model, error) {
	text, err := manifest.Encode()
	if err != nil {
		return nil, &Error{File: m.Path, Reason: "the manifest cannot be encoded", Err: err}
	}
	p := proto.CloneOf(m.proto)
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
	p := proto.CloneOf(m.proto)
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
