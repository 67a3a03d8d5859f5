package onnx

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tandem/onnx/tensor"
)

// Graph is a checked graph: nodes stand in topological order and every value has one definition.
type Graph struct {
	Name         string
	Inputs       []ValueInfo // what the caller feeds, without the initializers that old models list here too
	Outputs      []ValueInfo
	Nodes        []*Node
	Initializers []*Initializer
	ValueInfo    map[string]ValueInfo // what the file says of values inside the graph; often nothing

	initializers map[string]*Initializer
}

// Initializer is a value that the file holds: a weight, a statistic or a constant.
type Initializer struct {
	Name   string
	Tensor *tensor.Tensor // shared by models made from this one: not to be changed
}

// Initializer returns the tensor of that name, or nil when there is none.
func (g *Graph) Initializer(name string) *tensor.Tensor {
	if i := g.initializers[name]; i != nil {
		return i.Tensor
	}
	return nil
}

// Node returns the node of that name, or nil when there is none.
func (g *Graph) Node(name string) *Node {
	for _, n := range g.Nodes {
		if n.Name == name {
			return n
		}
	}
	return nil
}

// OutputIndex returns the position of the output that a name or, where no output has it, a position from 0 stands for; "" is the first.
func OutputIndex(outputs []string, wanted string) (int, error) {
	if len(outputs) == 0 {
		return 0, errors.New("the model has no output")
	}
	if wanted == "" {
		return 0, nil
	}
	if i := slices.Index(outputs, wanted); i >= 0 {
		return i, nil
	}
	if i, err := strconv.Atoi(wanted); err == nil && i >= 0 && i < len(outputs) {
		return i, nil
	}
	return 0, fmt.Errorf("the model has no output %q: it may be one of %s, or a position from 0 to %d", wanted, strings.Join(outputs, ", "), len(outputs)-1)
}

// FixedBatch returns the number of rows that every batch must have, which is the first dimension of the first input; 0 where it is open.
func (g *Graph) FixedBatch() int {
	if len(g.Inputs) == 0 || len(g.Inputs[0].Shape) == 0 {
		return 0
	}
	return int(max(g.Inputs[0].Shape[0].Value, 0))
}

// OutputNames returns the names of the graph's outputs in their order.
func (g *Graph) OutputNames() []string {
	names := make([]string, len(g.Outputs))
	for i, out := range g.Outputs {
		names[i] = out.Name
	}
	return names
}

// ValueInfo is the declared type of a value.
type ValueInfo struct {
	Name     string
	DType    tensor.DType // Invalid when the file does not say, or says a type that tandem lacks; never so for inputs and outputs
	Shape    []Dim        // nil when HasShape is false
	HasShape bool         // false: not even the rank is known; true with no Shape: a scalar
}

// Dim is one dimension of a declared shape.
type Dim struct {
	Value int64  // -1 when it is symbolic or unknown
	Param string // the symbol, such as "batch"; "" when the value is given or nothing is known
}

// String prints the dimension as its number, its symbol or "?".
func (d Dim) String() string {
	switch {
	case d.Param != "":
		return d.Param
	case d.Value < 0:
		return "?"
	}
	return strconv.FormatInt(d.Value, 10)
}

// String prints the value such as "x float32[batch 784]".
func (v ValueInfo) String() string {
	if !v.HasShape {
		return v.Name + " " + v.DType.String() + "[...]"
	}
	dims := make([]string, len(v.Shape))
	for i, d := range v.Shape {
		dims[i] = d.String()
	}
	return v.Name + " " + v.DType.String() + "[" + strings.Join(dims, " ") + "]"
}

// Node is one operation.
type Node struct {
	Name       string // unique in the graph and never empty: see Decode
	OpType     string // such as "Gemm"
	Domain     string // "" for ai.onnx
	Inputs     []string
	Outputs    []string // like Inputs: "" stands for one that is omitted; trailing omitted ones are dropped
	Attributes Attributes

	// ModulePath is the path of the PyTorch module that the node comes from, such as "layer1.0.conv1"; "" for the outermost
	// module and where the exporter did not say.
	ModulePath string
	// Source is the line of the user's Python file that the node comes from, such as "model.py:12: x = self.fc1(x)"; "" where
	// the exporter did not say.
	Source string
}

// Input returns the name of input i, "" when it is omitted or past the end.
func (n *Node) Input(i int) string { return element(n.Inputs, i) }

// Output returns the name of output i, "" when it is omitted or past the end.
func (n *Node) Output(i int) string { return element(n.Outputs, i) }

func element(names []string, i int) string {
	if i < len(names) {
		return names[i]
	}
	return ""
}

// op is the operator's full name for messages.
func (n *Node) op() string {
	if n.Domain == "" {
		return n.OpType
	}
	return n.Domain + "." + n.OpType
}

func (n *Node) errorf(kind error, reason, fix string) *Error {
	return &Error{Node: n.Name, Op: n.op(), Reason: reason, Fix: fix, Kind: kind}
}
