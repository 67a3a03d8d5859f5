package onnx

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/proto"

	"tandem/onnx/onnxpb"
)

// EvalMode returns the model as it is used for inference: Dropout passes its input through and BatchNormalization uses the running
// statistics. A model exported in training mode says the opposite in its graph.
//
// Dropout loses its input training_mode (absent means false); BatchNormalization gets training_mode 0 and loses its further outputs,
// and with them the outputs of the graph that they were. Initializers stay, used or not. The manifest keeps its parameters, buffers
// and constants, and loses its dropout sites and BatchNorm pairs, which no longer exist.
//
// It fails when another node reads the statistics that BatchNormalization no longer computes, when a node draws random numbers by
// itself (RandomNormal, ... and a Bernoulli that is no dropout site; one that is becomes its probability) and for operator sets before 7, where the modes were written differently.
func EvalMode(m *Model) (*Model, error) {
	p := m.tree()
	gone := map[string]bool{}
	for i, np := range p.Graph.Node {
		n := m.Graph.Nodes[i]
		if n.Domain != "" {
			continue
		}
		switch n.OpType {
		case "Dropout", "BatchNormalization":
			if m.Opset[""] < 7 {
				return nil, at(m.Path, n.errorf(ErrUnsupported, fmt.Sprintf("evaluation mode is not supported for operator set %d", m.Opset[""]), "export the model with operator set 20"))
			}
			if n.OpType == "Dropout" {
				np.Input = np.Input[:min(len(np.Input), 2)]
				break
			}
			for _, out := range np.Output[1:] {
				if out != "" {
					gone[out] = true
				}
			}
			np.Output = np.Output[:1]
			// The attribute exists from operator set 14 on; before that the number of outputs alone is the mode.
			np.Attribute = slices.DeleteFunc(np.Attribute, func(a *onnxpb.AttributeProto) bool { return a.GetName() == "training_mode" })
		case "Bernoulli":
			if m.Manifest == nil || !slices.ContainsFunc(m.Manifest.Dropout, func(d DropoutSite) bool { return d.Node == n.Name }) {
				return nil, at(m.Path, n.errorf(ErrUnsupported, "the operator draws random numbers in every mode, so the model has no evaluation mode", "export the PyTorch model once more after model.eval()"))
			}
			np.OpType, np.Attribute = proto.String("Identity"), nil // its probability, by which PyTorch divides what it drew
		case "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike":
			return nil, at(m.Path, n.errorf(ErrUnsupported, "the operator draws random numbers in every mode, so the model has no evaluation mode", "export the PyTorch model once more after model.eval()"))
		}
	}
	isGone := func(v *onnxpb.ValueInfoProto) bool { return gone[v.GetName()] }
	p.Graph.Output = slices.DeleteFunc(p.Graph.Output, isGone)
	p.Graph.ValueInfo = slices.DeleteFunc(p.Graph.ValueInfo, isGone)
	if m.Manifest != nil {
		manifest := *m.Manifest
		manifest.BatchNorm, manifest.Dropout = nil, nil
		text, err := manifest.Encode()
		if err != nil {
			return nil, &Error{File: m.Path, Reason: "the manifest cannot be encoded", Err: err}
		}
		for _, e := range p.MetadataProps {
			if e.GetKey() == ManifestKey {
				e.Value = proto.String(string(text))
			}
		}
	}
	return rebuild(m, p)
}

// rebuild checks a changed copy of m's protobuf form and gives it m's initializers.
func rebuild(m *Model, p *onnxpb.ModelProto) (*Model, error) {
	for i, init := range m.Graph.Initializers {
		p.Graph.Initializer[i].RawData = init.Tensor.Bytes()
	}
	c, err := fromProto(p, nil)
	if err != nil {
		return nil, at(m.Path, err)
	}
	c.Path = m.Path
	return c, nil
}
