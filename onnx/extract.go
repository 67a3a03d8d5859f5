package onnx

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	"tandem/onnx/onnxpb"
	"tandem/onnx/tensor"
)

// Extract returns a model of some of the nodes, in the graph's order, with the given values as its inputs and outputs. Nothing of
// the rest is kept: what the nodes read and none of them computes must be an input, initializers included. Shapes are those of the tensors.
func (m *Model) Extract(nodes []string, inputs, outputs map[string]*tensor.Tensor) (*Model, error) {
	wanted := map[string]bool{}
	for _, name := range nodes {
		if m.Graph.Node(name) == nil {
			return nil, &Error{File: m.Path, Node: name, Reason: "the model has no node of that name to extract", Kind: ErrInvalid}
		}
		wanted[name] = true
	}
	whole := m.tree()
	p := &onnxpb.ModelProto{
		IrVersion: whole.IrVersion, ProducerName: whole.ProducerName, ProducerVersion: whole.ProducerVersion, OpsetImport: whole.OpsetImport,
		Graph: &onnxpb.GraphProto{Name: proto.String(m.Graph.Name + " (extract)")},
	}
	declared := map[string]bool{}
	for i, n := range m.Graph.Nodes {
		if !wanted[n.Name] {
			continue
		}
		p.Graph.Node = append(p.Graph.Node, whole.Graph.Node[i])
		for _, name := range n.Inputs { // in the order in which the nodes read them
			if t := inputs[name]; t != nil && !declared[name] {
				declared[name] = true
				p.Graph.Input = append(p.Graph.Input, valueProto(name, t.DType(), t.Shape()))
			}
		}
		for _, name := range n.Outputs {
			if t := outputs[name]; t != nil {
				declared[name] = true
				p.Graph.Output = append(p.Graph.Output, valueProto(name, t.DType(), t.Shape()))
			}
		}
	}
	for _, given := range []map[string]*tensor.Tensor{inputs, outputs} {
		for name := range given {
			if !declared[name] {
				return nil, &Error{File: m.Path, Value: name, Reason: fmt.Sprintf("none of the %d extracted nodes reads or computes the value", len(nodes)), Kind: ErrInvalid}
			}
		}
	}
	out, err := fromProto(p, nil)
	if err != nil {
		return nil, at(m.Path, err)
	}
	return out, nil
}

// EncodeTensor returns a tensor as ONNX writes one to a file of its own: a TensorProto, as in ONNX's test data sets.
func EncodeTensor(name string, t *tensor.Tensor) ([]byte, error) {
	p := tensorProto(name, t)
	p.RawData = t.Bytes()
	if t.Len() == 0 {
		p.RawData = []byte{}
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		return nil, &Error{Value: name, Reason: "the tensor cannot be encoded", Err: err}
	}
	return data, nil
}
