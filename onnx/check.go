package onnx

import (
	"fmt"
)

// check demands what the ONNX specification asks of a graph (https://onnx.ai/onnx/repo-docs/IR.html#graphs): static single
// assignment, topological order, no undefined value, and an operator set for every domain that a node uses.
func check(m *Model) error {
	g := m.Graph
	defined := make(map[string]string, len(g.Inputs)+len(g.Initializers)+len(g.Nodes)) // value -> what defines it
	for _, in := range g.Inputs {
		if defined[in.Name] != "" {
			return &Error{Value: in.Name, Reason: "two inputs of the graph have this name", Kind: ErrInvalid}
		}
		defined[in.Name] = "an input of the graph"
	}
	for _, init := range g.Initializers {
		defined[init.Name] = "an initializer" // cannot be an input too: those are taken out of the inputs
	}
	producer := make(map[string]*Node, len(g.Nodes))
	for _, n := range g.Nodes {
		for _, out := range n.Outputs {
			if out != "" && producer[out] == nil {
				producer[out] = n
			}
		}
	}
	for _, n := range g.Nodes {
		if n.OpType == "" {
			return n.errorf(ErrInvalid, "the node has no operator", "export the model again")
		}
		if _, ok := m.Opset[n.Domain]; !ok {
			return n.errorf(ErrInvalid, fmt.Sprintf("the model states no operator set for the domain %s", quote(n.Domain)), "export the model again")
		}
		for _, in := range n.Inputs {
			if in == "" || defined[in] != "" {
				continue
			}
			e := n.errorf(ErrInvalid, "the input is defined nowhere", "the file is damaged or was written by a faulty program: export the model again")
			e.Value = in
			if later := producer[in]; later != nil {
				e.Reason = fmt.Sprintf("the input is defined by a later node, %s (%s): nodes must stand in topological order", quote(later.Name), later.op())
			}
			return e
		}
		if len(n.Outputs) == 0 {
			return n.errorf(ErrInvalid, "the node has no output", "export the model again")
		}
		for _, out := range n.Outputs {
			if out == "" {
				continue
			}
			if err := checkName(out, "an output of a node"); err != nil {
				return err
			}
			if by := defined[out]; by != "" {
				e := n.errorf(ErrInvalid, fmt.Sprintf("the output is defined twice: it is %s already", by), "export the model again")
				e.Value = out
				return e
			}
			defined[out] = fmt.Sprintf("an output of node %s (%s)", quote(n.Name), shorten(n.op()))
		}
	}
	if len(g.Outputs) == 0 {
		return &Error{Reason: "the graph has no output", Fix: "export the model again", Kind: ErrInvalid}
	}
	for _, out := range g.Outputs {
		if defined[out.Name] == "" {
			return &Error{Value: out.Name, Reason: "the output of the graph is defined nowhere", Fix: "export the model again", Kind: ErrInvalid}
		}
	}
	return nil
}
