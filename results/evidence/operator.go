package evidence

import (
	"slices"

	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/results/trace"
)

// operator writes the diverging node as a model of its own. It reports false where a value that the node reads was not kept whole.
func (w *writing) operator() (bool, error) {
	op := w.out.Operator
	if op == nil || w.Material.Model == nil {
		return false, nil
	}
	ours, theirs := w.r.Float32, w.c.Float32
	if w.double {
		ours, theirs = w.r.Float64, w.c.Float64
	}
	expected, ok := whole(ours, w.out.Tensor)
	candidate, there := whole(theirs, w.out.Tensor)
	if !ok || !there || !slices.Equal(expected.Shape(), candidate.Shape()) {
		return false, nil
	}
	g := w.Material.Model.Graph
	names := append(slices.Clone(op.Among), op.Node)
	made := map[string]bool{}
	for _, name := range names {
		for _, v := range g.Node(name).Outputs {
			made[v] = true
		}
	}
	inputs := map[string]*tensor.Tensor{}
	for _, n := range g.Nodes {
		if !slices.Contains(names, n.Name) {
			continue
		}
		for _, v := range n.Inputs {
			if v == "" || made[v] || inputs[v] != nil {
				continue
			}
			t := w.value(ours, v)
			if t == nil {
				return false, nil
			}
			inputs[v] = t
		}
		w.out.Random = w.out.Random || w.random(n)
	}
	value := valueName(w.out.Tensor)
	m, err := w.Material.Model.Extract(names, inputs, map[string]*tensor.Tensor{value: expected})
	if err != nil {
		return false, err
	}
	w.out.Kind = "operator"
	for _, in := range m.Graph.Inputs {
		if err := w.input(in.Name, inputs[in.Name]); err != nil {
			return false, err
		}
	}
	if err := w.output(value, expected, candidate); err != nil {
		return false, err
	}
	data, err := m.Encode()
	if err != nil {
		return false, err
	}
	if err := w.file("model.onnx", data); err != nil {
		return false, err
	}
	return w.finish()
}

// valueName is the graph's name of a tensor of a trace.
func valueName(tensor string) string {
	for i := range tensor {
		if tensor[i] == '/' {
			return tensor[i+1:]
		}
	}
	return tensor
}

func whole(s trace.Set, name string) (*tensor.Tensor, bool) {
	v, ok := s[name]
	if !ok {
		return nil, false
	}
	t, err := v.Whole()
	return t, err == nil
}

// value returns the reference's whole tensor for a value of the graph at the step, in the type that the failure is shown in; nil where there
// is none.
func (w *writing) value(set trace.Set, name string) *tensor.Tensor {
	for _, prefix := range []string{"activations/", "outputs/"} {
		if t, ok := whole(set, prefix+name); ok {
			return t
		}
	}
	t := w.state(name)
	if t == nil && w.Material.Data != nil {
		t = w.Material.Data.Input(name, w.out.Step)
	}
	if t == nil || !w.double || t.DType() != tensor.Float32 {
		return t
	}
	double, err := t.Convert(tensor.Float64)
	if err != nil {
		return nil
	}
	return double
}

// state returns a parameter, buffer or constant as it was before the step.
func (w *writing) state(name string) *tensor.Tensor {
	for _, prefix := range []string{"parameters/", "buffers/"} {
		if t := w.r.State[prefix+name]; t != nil {
			return t
		}
	}
	if t := w.Material.Model.Graph.Initializer(name); t != nil && (w.r.InitialState || w.r.State != nil) {
		return t
	}
	return nil
}

func (w *writing) random(n *onnx.Node) bool {
	if m := w.Material.Model.Manifest; m != nil {
		return slices.ContainsFunc(m.Dropout, func(s onnx.DropoutSite) bool { return s.Node == n.Name })
	}
	return n.OpType == "Dropout"
}
