package onnx

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"tandem/onnx/onnxpb"
	"tandem/onnx/tensor"
)

// Builder makes a model in Go, for tests and for programs without Python. Its methods return the builder, so that calls can be
// chained; mistakes are reported by Build, which checks the model as Load does.
type Builder struct {
	model *onnxpb.ModelProto
	errs  []error
}

// NewBuilder starts a model of the given name for a version of ai.onnx's operator set.
func NewBuilder(name string, opset int64) *Builder {
	return &Builder{model: &onnxpb.ModelProto{
		// Version 10 belongs to operator set 22; newer operator sets do not ask for a newer one as long as no newer feature is used.
		IrVersion:    proto.Int64(10),
		ProducerName: proto.String("tandem"),
		OpsetImport:  []*onnxpb.OperatorSetIdProto{{Domain: proto.String(""), Version: proto.Int64(opset)}},
		Graph:        &onnxpb.GraphProto{Name: proto.String(name)},
	}}
}

// Input declares an input of the graph; a negative dimension is unknown.
func (b *Builder) Input(name string, d tensor.DType, shape ...int) *Builder {
	b.model.Graph.Input = append(b.model.Graph.Input, valueProto(name, d, shape))
	return b
}

// Output declares an output of the graph; a negative dimension is unknown.
func (b *Builder) Output(name string, d tensor.DType, shape ...int) *Builder {
	b.model.Graph.Output = append(b.model.Graph.Output, valueProto(name, d, shape))
	return b
}

// Initializer adds a value; its data is copied by Build.
func (b *Builder) Initializer(name string, t *tensor.Tensor) *Builder {
	if t == nil {
		b.errs = append(b.errs, fmt.Errorf("initializer %q is nil", name))
		return b
	}
	p := tensorProto(name, t)
	p.RawData = append([]byte{}, t.Bytes()...) // empty, not nil: the data of an empty tensor is there
	b.model.Graph.Initializer = append(b.model.Graph.Initializer, p)
	return b
}

// Node adds a node of domain ai.onnx with attributes as NewAttributes takes them (nil for none). Its name will be the operator and
// its place, such as "Gemm_0".
func (b *Builder) Node(op string, inputs, outputs []string, attributes map[string]any) *Builder {
	b.model.Graph.Node = append(b.model.Graph.Node, &onnxpb.NodeProto{
		OpType: &op, Input: inputs, Output: outputs, Attribute: NewAttributes(attributes).protos(),
	})
	return b
}

// Metadata adds an entry to the model's metadata.
func (b *Builder) Metadata(key, value string) *Builder {
	b.model.MetadataProps = append(b.model.MetadataProps, &onnxpb.StringStringEntryProto{Key: &key, Value: &value})
	return b
}

// Manifest adds the manifest to the model's metadata.
func (b *Builder) Manifest(m *Manifest) *Builder {
	text, err := m.Encode()
	if err != nil {
		b.errs = append(b.errs, err)
		return b
	}
	return b.Metadata(ManifestKey, string(text))
}

// Build returns the checked model. The builder can go on to be used.
func (b *Builder) Build() (*Model, error) {
	if len(b.errs) > 0 {
		return nil, &Error{Reason: "the model cannot be built", Err: errors.Join(b.errs...), Kind: ErrInvalid}
	}
	m, err := fromProto(proto.CloneOf(b.model), nil)
	if err != nil {
		return nil, err
	}
	return m, nil
}

func valueProto(name string, d tensor.DType, shape []int) *onnxpb.ValueInfoProto {
	dims := make([]*onnxpb.TensorShapeProto_Dimension, len(shape))
	for i, n := range shape {
		dims[i] = &onnxpb.TensorShapeProto_Dimension{}
		if n >= 0 {
			dims[i].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: int64(n)}
		}
	}
	return &onnxpb.ValueInfoProto{Name: &name, Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_TensorType{TensorType: &onnxpb.TypeProto_Tensor{
		ElemType: proto.Int32(int32(protoOf[d])), Shape: &onnxpb.TensorShapeProto{Dim: dims},
	}}}}
}
