package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"tandem/native/op"
	"tandem/native/pass"
	"tandem/native/train"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// inspection is what "tandem inspect" finds out; its JSON is the command's result.
type inspection struct {
	Schema    string           `json:"schema"` // "tandem.inspection/1"
	File      string           `json:"file"`   // or the experiment's name
	Trainable bool             `json:"trainable"`
	Problems  []problem        `json:"problems"` // why not
	Notes     []string         `json:"notes,omitempty"`
	Producer  string           `json:"producer"`
	IRVersion int64            `json:"ir_version"`
	Opset     map[string]int64 `json:"opset"` // by domain; "" is ai.onnx
	Inputs    []graphValue     `json:"inputs"`
	Outputs   []graphValue     `json:"outputs"`

	Parameters []parameterInfo `json:"parameters"`
	Elements   int             `json:"elements"` // numbers in all parameters
	// Guessed says that the file does not name its parameters.
	Guessed   bool           `json:"parameters_guessed,omitempty"`
	Buffers   []string       `json:"buffers"`
	Dropout   []dropoutInfo  `json:"dropout"`
	Operators []operatorInfo `json:"operators"`
	Exporter  *onnx.Exporter `json:"exporter,omitempty"`
	Checks    []string       `json:"checks,omitempty"` // what the exporter says it verified
	Memory    *memoryInfo    `json:"memory,omitempty"`
}

// problem is a reason why the native trainer cannot train the model.
type problem struct {
	Operator string `json:"operator,omitempty"`
	Node     string `json:"node,omitempty"`
	Module   string `json:"module,omitempty"` // PyTorch's path
	Source   string `json:"source,omitempty"` // the line of Python
	Problem  string `json:"problem"`
	Advice   string `json:"advice,omitempty"`
}

type graphValue struct {
	Name  string   `json:"name"`
	DType string   `json:"dtype"`
	Shape []string `json:"shape"` // a number, a symbol or "?"
}

type parameterInfo struct {
	Name     string   `json:"name"`
	Shape    []int    `json:"shape"`
	Elements int      `json:"elements"`
	Frozen   bool     `json:"frozen,omitempty"`
	Aliases  []string `json:"aliases,omitempty"`
}

type dropoutInfo struct {
	Site   int     `json:"site"`
	Node   string  `json:"node"`
	P      float64 `json:"p"`
	Module string  `json:"module,omitempty"`
}

type operatorInfo struct {
	Operator  string `json:"operator"`
	Count     int    `json:"count"`
	Supported bool   `json:"supported"`
}

// memoryInfo is what the native trainer plans for one training step in float32.
type memoryInfo struct {
	Batch       int `json:"batch"`
	ValuesBytes int `json:"values_bytes"` // intermediate values of forward, backward and update
	StateBytes  int `json:"state_bytes"`  // parameters, buffers and the optimizer's moments
}

// inspectModel looks at a model before it is trained. name is what the user called it.
func inspectModel(name string, m *onnx.Model, o train.Options, batch int) *inspection {
	s := &inspection{
		Schema: "tandem.inspection/1", File: name, Problems: []problem{}, Buffers: []string{}, Dropout: []dropoutInfo{},
		Producer: strings.TrimSpace(m.Producer + " " + m.ProducerVersion), IRVersion: m.IRVersion, Opset: m.Opset,
		Inputs: graphValues(m.Graph.Inputs), Outputs: graphValues(m.Graph.Outputs),
	}
	s.parameters(m)
	s.operators(m)
	s.compile(m, o, batch)
	s.Trainable = len(s.Problems) == 0
	return s
}

func graphValues(values []onnx.ValueInfo) []graphValue {
	out := []graphValue{}
	for _, v := range values {
		g := graphValue{Name: v.Name, DType: v.DType.String(), Shape: []string{}}
		for _, d := range v.Shape {
			g.Shape = append(g.Shape, d.String())
		}
		out = append(out, g)
	}
	return out
}

// parameters lists what the manifest says or, without one, what the native trainer takes for parameters.
func (s *inspection) parameters(m *onnx.Model) {
	s.Parameters = []parameterInfo{}
	add := func(name string, t *tensor.Tensor, frozen bool, aliases []string) {
		if t == nil {
			return
		}
		s.Parameters = append(s.Parameters, parameterInfo{Name: name, Shape: t.Shape(), Elements: t.Len(), Frozen: frozen, Aliases: aliases})
		s.Elements += t.Len()
	}
	d := m.Manifest
	if d == nil {
		s.Guessed = true
		s.Notes = append(s.Notes, "The file has no manifest, so tandem's exporter did not write it. To be sure that nothing was folded, merged or left out, run an experiment whose model is the PyTorch module.")
		var err error
		if d, err = pass.Describe(m); err == nil {
			s.Notes = append(s.Notes, d.Checks...)
		} else { // what cannot be imported is found again where the step is compiled
			d = pass.Initializers(m)
		}
	} else {
		s.Exporter, s.Checks = &d.Exporter, d.Checks
	}
	for _, p := range d.Parameters {
		add(p.Name, m.Graph.Initializer(p.Name), !p.RequiresGrad, p.Aliases)
	}
	trained := slices.Clone(d.Buffers)
	for _, p := range d.Parameters {
		trained = append(trained, p.Name)
	}
	var refused *onnx.Error
	if _, err := m.WithFloat32(trained); errors.As(err, &refused) {
		s.Problems = append(s.Problems, problem{Operator: refused.Op, Node: refused.Node, Problem: refused.Value + ": " + refused.Reason})
	}
	s.Buffers = append(s.Buffers, d.Buffers...)
	for _, site := range d.Dropout {
		s.Dropout = append(s.Dropout, dropoutInfo{Site: site.Site, Node: site.Node, P: site.P, Module: site.Module})
	}
}

// operators counts the operators and notes each node whose operator the native trainer lacks.
func (s *inspection) operators(m *onnx.Model) {
	index := map[string]int{}
	for _, n := range m.Graph.Nodes {
		name := operatorName(n)
		i, seen := index[name]
		if !seen {
			i = len(s.Operators)
			index[name] = i
			s.Operators = append(s.Operators, operatorInfo{Operator: name, Supported: supported(name, m.Opset[n.Domain])})
		}
		s.Operators[i].Count++
		if s.Operators[i].Supported {
			continue
		}
		p := problem{Operator: name, Node: n.Name, Module: n.ModulePath, Source: n.Source}
		if d := op.Lookup(name); d != nil {
			p.Problem = fmt.Sprintf("its meaning is implemented from operator set %d on, the file has %d", d.Since, m.Opset[n.Domain])
			p.Advice = "export with a newer operator set (model.opset in the experiment)"
		} else {
			p.Problem = "the native trainer does not have this operator"
			p.Advice = "write " + orThis(p.Module) + " with supported operators, or add the operator to tandem: one file in native/op"
		}
		s.Problems = append(s.Problems, p)
	}
	slices.SortFunc(s.Operators, func(a, b operatorInfo) int { return strings.Compare(a.Operator, b.Operator) })
}

func operatorName(n *onnx.Node) string {
	if n.Domain != "" {
		return n.Domain + "." + n.OpType
	}
	return n.OpType
}

func supported(name string, opset int64) bool {
	if name == "Constant" {
		return true // becomes a constant when the file is imported
	}
	d := op.Lookup(name)
	return d != nil && d.Since > 0 && opset >= d.Since
}

// compile has the native trainer compile the training step, which finds what the operators' names do not tell: attributes,
// shapes, missing gradients.
func (s *inspection) compile(m *onnx.Model, o train.Options, batch int) {
	t, err := train.New[float32](m, o)
	if err == nil {
		defer t.Close()
		var b *train.Batch[float32]
		if b, err = t.TrainingBatch(batch); err == nil {
			s.Memory = &memoryInfo{Batch: batch, ValuesBytes: b.Bytes()}
			for _, v := range t.State() {
				if v.DType() == tensor.Float32 { // all but the step counter
					s.Memory.StateBytes += 4 * v.Len()
				}
			}
			return
		}
	}
	var node *op.NodeError
	if !errors.As(err, &node) {
		s.Problems = append(s.Problems, problem{Problem: err.Error()})
		return
	}
	origin := node.Node.Origin
	for _, p := range s.Problems {
		if p.Node == origin.Node {
			return // the operator itself is missing: said already
		}
	}
	p := problem{
		Operator: node.Node.Op, Node: origin.Node, Module: origin.ModulePath, Source: origin.Source, Problem: node.Err.Error(),
	}
	if errors.Is(err, op.ErrUnsupported) {
		p.Advice = fmt.Sprintf("write %s another way, or add this case of %s to tandem: one file in native/op", orThis(p.Module), p.Operator)
	}
	s.Problems = append(s.Problems, p)
}

// orThis names the module that something is wrong in, where it is known.
func orThis(module string) string {
	if module == "" {
		return "this part of the model"
	}
	return module
}
