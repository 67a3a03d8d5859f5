package ir

import (
	"fmt"
	"slices"

	"tandem/onnx"
	"tandem/onnx/tensor"
)

// Type is what a value's elements are. A graph is typed before it is known whether it will run in float32 or
// float64, so there is one floating-point type.
type Type uint8

// The types of elements.
const (
	Float Type = iota + 1 // the trainer's float32 or float64
	Int64
	Bool
)

func (t Type) String() string {
	switch t {
	case Float:
		return "float"
	case Int64:
		return "int64"
	case Bool:
		return "bool"
	}
	return "untyped"
}

// Role says where a value's elements come from and how long they live.
type Role uint8

// The roles of values.
const (
	Intermediate Role = iota // computed by a node, gone after its last use
	Input                    // filled in by the caller before each run
	Parameter                // persistent, changed by an optimizer update
	Buffer                   // persistent, changed by the forward pass (BatchNorm statistics)
	Slot                     // persistent, an optimizer's moment
	Constant                 // fixed at load
)

func (r Role) String() string {
	return [...]string{"intermediate", "input", "parameter", "buffer", "optimizer slot", "constant"}[r]
}

// Persistent reports whether values of this role keep their elements from one run to the next.
func (r Role) Persistent() bool { return r == Parameter || r == Buffer || r == Slot }

// Value is one tensor of the graph.
type Value struct {
	Name  string
	Type  Type
	Shape []int
	Role  Role
	// Const holds a constant's elements; nil for other roles.
	Const *tensor.Tensor
	// Frozen says that a parameter is not trained.
	Frozen bool
	// Producer is the node that computes the value; nil unless the role is Intermediate.
	Producer *Node
}

// Len returns the number of elements.
func (v *Value) Len() int {
	n := 1
	for _, s := range v.Shape {
		n *= s
	}
	return n
}

func (v *Value) String() string { return fmt.Sprintf("%s %v%v", v.Name, v.Type, v.Shape) }

// Phase is the part of a step that a node belongs to.
type Phase uint8

// The phases of a step.
const (
	Forward Phase = iota
	Loss
	Backward
	Update
)

func (p Phase) String() string { return [...]string{"forward", "loss", "backward", "update"}[p] }

// Origin tells where a node comes from, for messages and profiles.
type Origin struct {
	File       string // the ONNX file
	Node       string // the ONNX node's name; for a gradient, that of the node it differentiates
	ModulePath string // PyTorch's module path, where the exporter wrote it
	Source     string // the line of Python, where the exporter wrote it
	Phase      Phase
}

// Node applies an operator.
type Node struct {
	Op         string // the operator's key in package op, such as "Gemm" or "tandem.ReluGradient"
	Attributes onnx.Attributes
	Inputs     []*Value // nil where an optional one is omitted
	Outputs    []*Value
	// Writes lists the persistent values that the node changes in place; it must run after all their readers.
	Writes []*Value
	Origin Origin
	// Workspace is the number of floating-point elements that the node needs besides its outputs while it runs; shape inference sets it.
	Workspace int
	// Version is the ONNX operator set version that the node was written for; 0 for tandem's own operators.
	Version int64
}

// Input returns input i, or nil when it is omitted.
func (n *Node) Input(i int) *Value {
	if i < len(n.Inputs) {
		return n.Inputs[i]
	}
	return nil
}

// Graph is a program before memory is given to it. Nodes are in an order in which they can run.
type Graph struct {
	Name    string
	Inputs  []*Value
	Outputs []*Value
	Nodes   []*Node
	// Persistent values in the order of the ONNX file, slots after their parameters.
	State []*Value

	names map[string]int
}

// NewGraph returns an empty graph.
func NewGraph(name string) *Graph { return &Graph{Name: name, names: map[string]int{}} }

// UniqueName returns name, or name with a number appended when the graph has handed it out before.
func (g *Graph) UniqueName(name string) string {
	n := g.names[name]
	g.names[name]++
	if n == 0 {
		return name
	}
	return g.UniqueName(fmt.Sprintf("%s.%d", name, n))
}

// StateValue returns the persistent value of that role and name, or nil.
func (g *Graph) StateValue(role Role, name string) *Value {
	for _, v := range g.State {
		if v.Role == role && v.Name == name {
			return v
		}
	}
	return nil
}

// Verify checks what every pass must leave true: each value that is read was computed before or needs no computing,
// each is computed once, each output has a type and a shape of positive rank or scalar, and a node that changes a persistent
// value comes after all readers of it.
func (g *Graph) Verify() error {
	defined := map[*Value]bool{}
	written := map[*Value]*Node{}
	for _, n := range g.Nodes {
		for i, v := range n.Inputs {
			if v == nil {
				continue
			}
			if v.Role == Intermediate && !defined[v] {
				return fmt.Errorf("ir: %s reads %s (input %d) before it is computed", n, v.Name, i)
			}
			if w := written[v]; w != nil {
				return fmt.Errorf("ir: %s reads %s after %s changed it", n, v.Name, w)
			}
			if v.Role == Constant && v.Const == nil {
				return fmt.Errorf("ir: constant %s has no elements", v.Name)
			}
		}
		for _, v := range n.Writes {
			if !v.Role.Persistent() {
				return fmt.Errorf("ir: %s changes %s in place, which is no persistent value", n, v.Name)
			}
			if written[v] != nil {
				return fmt.Errorf("ir: both %s and %s change %s", written[v], n, v.Name)
			}
			written[v] = n
		}
		for i, v := range n.Outputs {
			if v == nil {
				continue
			}
			if defined[v] || v.Producer != n {
				return fmt.Errorf("ir: %s computes %s (output %d), which is another node's", n, v.Name, i)
			}
			if v.Type == 0 || slices.ContainsFunc(v.Shape, func(s int) bool { return s < 0 }) {
				return fmt.Errorf("ir: %s leaves its output %s without a type or shape", n, v.Name)
			}
			defined[v] = true
		}
	}
	for _, v := range g.Outputs {
		if v.Role == Intermediate && !defined[v] {
			return fmt.Errorf("ir: output %s is never computed", v.Name)
		}
	}
	return nil
}

func (n *Node) String() string {
	if n.Origin.Node == "" {
		return n.Op
	}
	return fmt.Sprintf("%s (node %q)", n.Op, n.Origin.Node)
}
