package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/onnx"
)

// Gradient is where an operator's gradient rule works: it reads the node and the gradients of its outputs, adds nodes
// and sets the gradients of the inputs.
type Gradient struct {
	Node *ir.Node
	// Out holds the gradient of each output; nil where none flows.
	Out []*ir.Value

	graph *ir.Graph
	needs []bool
	in    []*ir.Value
	err   error
}

// NewGradient prepares the differentiation of one node. needs says which inputs' gradients are wanted.
func NewGradient(g *ir.Graph, n *ir.Node, out []*ir.Value, needs []bool) *Gradient {
	return &Gradient{Node: n, Out: out, graph: g, needs: needs, in: make([]*ir.Value, len(n.Inputs))}
}

// Needs reports whether the gradient of input i is wanted.
func (g *Gradient) Needs(i int) bool { return i < len(g.needs) && g.needs[i] }

// Set gives input i its gradient, which must have the input's shape.
func (g *Gradient) Set(i int, v *ir.Value) { g.in[i] = v }

// Add appends a node with one output and returns it. Errors are kept; Run returns the first.
func (g *Gradient) Add(operator string, attributes map[string]any, inputs ...*ir.Value) *ir.Value {
	return g.AddWith(operator, onnx.NewAttributes(attributes), inputs...)
}

// AddWith is Add with attributes taken over from a node.
func (g *Gradient) AddWith(operator string, attributes onnx.Attributes, inputs ...*ir.Value) *ir.Value {
	return g.AddOutputs(operator, attributes, []bool{true}, inputs...)[0]
}

// AddOutputs is AddWith for a node of several outputs: those that are not wanted are omitted, and nil here.
func (g *Gradient) AddOutputs(operator string, attributes onnx.Attributes, wanted []bool, inputs ...*ir.Value) []*ir.Value {
	out := make([]*ir.Value, len(wanted))
	if g.err == nil {
		var v []*ir.Value
		if v, g.err = appendNode(g.graph, operator, attributes, g.Node.Origin, ir.Backward, wanted, inputs...); g.err == nil {
			return v
		}
	}
	for i := range out {
		out[i] = &ir.Value{Name: "invalid", Type: ir.Float}
	}
	return out
}

// Run applies the operator's rule and returns the gradients of the inputs, nil where not wanted.
func (g *Gradient) Run() ([]*ir.Value, error) {
	d := registry[g.Node.Op]
	if d.Gradient == nil {
		return nil, &NodeError{g.Node, fmt.Errorf("its gradient is %w: %s", ErrUnsupported, d.NoGradient)}
	}
	err := d.Gradient(g)
	if err == nil {
		err = g.err
	}
	if err != nil {
		return nil, &NodeError{g.Node, err}
	}
	for i, v := range g.in {
		if v != nil && !equalShapes(v.Shape, g.Node.Inputs[i].Shape) {
			return nil, &NodeError{g.Node, fmt.Errorf("the gradient of input %d has shape %v", i, v.Shape)}
		}
		if v == nil && g.Needs(i) {
			return nil, &NodeError{g.Node, fmt.Errorf("the gradient with respect to input %d is %w", i, ErrUnsupported)}
		}
	}
	return g.in, nil
}

// Append adds a node with one output at the end of the graph, infers its shape and returns the output.
func Append(graph *ir.Graph, operator string, attributes map[string]any, origin ir.Origin, phase ir.Phase, inputs ...*ir.Value) (*ir.Value, error) {
	v, err := appendNode(graph, operator, onnx.NewAttributes(attributes), origin, phase, []bool{true}, inputs...)
	if err != nil {
		return nil, err
	}
	return v[0], nil
}

func appendNode(graph *ir.Graph, operator string, attributes onnx.Attributes, origin ir.Origin, phase ir.Phase, wanted []bool, inputs ...*ir.Value) ([]*ir.Value, error) {
	origin.Phase = phase
	n := &ir.Node{Op: operator, Attributes: attributes, Inputs: inputs, Origin: origin}
	for _, w := range wanted {
		var v *ir.Value
		if w {
			v = &ir.Value{Name: graph.UniqueName(origin.Node + "/" + operator), Role: ir.Intermediate, Producer: n}
		}
		n.Outputs = append(n.Outputs, v)
	}
	if err := Infer(n); err != nil {
		return nil, err
	}
	graph.Nodes = append(graph.Nodes, n)
	return n.Outputs, nil
}

func equalShapes(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
