package ir

import (
	"strings"
	"testing"

	"tandem/onnx/tensor"
)

// chain builds x -> A -> y -> B -> z, with z the output and w a parameter that B reads and C changes.
func chain() (g *Graph, a, b, c *Node) {
	g = NewGraph("chain")
	x := &Value{Name: "x", Type: Float, Shape: []int{2}, Role: Input}
	w := &Value{Name: "w", Type: Float, Shape: []int{2}, Role: Parameter}
	k := &Value{Name: "k", Type: Float, Role: Constant, Const: tensor.New(tensor.Float32)}
	a = &Node{Op: "A", Inputs: []*Value{x, nil, k}, Origin: Origin{Node: "first"}}
	y := &Value{Name: "y", Type: Float, Shape: []int{2}, Producer: a}
	a.Outputs = []*Value{y, nil}
	b = &Node{Op: "B", Inputs: []*Value{y, w}}
	z := &Value{Name: "z", Type: Float, Producer: b}
	b.Outputs = []*Value{z}
	c = &Node{Op: "C", Inputs: []*Value{w, y}, Writes: []*Value{w}}
	g.Inputs, g.Outputs, g.State, g.Nodes = []*Value{x}, []*Value{z}, []*Value{w}, []*Node{a, b, c}
	return g, a, b, c
}

func TestVerify(t *testing.T) {
	tests := []struct {
		name   string
		change func(g *Graph, a, b, c *Node)
		want   string // in the error; "" for none
	}{
		{"sound", func(*Graph, *Node, *Node, *Node) {}, ""},
		{"order", func(g *Graph, a, b, c *Node) { g.Nodes = []*Node{b, a, c} }, "B reads y (input 0) before it is computed"},
		{"never computed", func(g *Graph, a, b, c *Node) { g.Nodes = []*Node{b, c} }, "before it is computed"},
		{"read after change", func(g *Graph, a, b, c *Node) { g.Nodes = []*Node{a, c, b} }, "B reads w after C changed it"},
		{"constant without elements", func(g *Graph, a, b, c *Node) { a.Inputs[2].Const = nil }, "constant k has no elements"},
		{"change of an input", func(g *Graph, a, b, c *Node) { c.Writes = []*Value{g.Inputs[0]} }, "which is no persistent value"},
		{"change of an intermediate", func(g *Graph, a, b, c *Node) { c.Writes = []*Value{a.Outputs[0]} }, "which is no persistent value"},
		{"two changes", func(g *Graph, a, b, c *Node) {
			g.Nodes = append(g.Nodes, &Node{Op: "D", Writes: c.Writes})
		}, "both C and D change w"},
		{"computed twice", func(g *Graph, a, b, c *Node) { c.Outputs = []*Value{a.Outputs[0]} }, "C computes y (output 0), which is another node's"},
		{"same output twice", func(g *Graph, a, b, c *Node) { a.Outputs[1] = a.Outputs[0] }, "A (node \"first\") computes y (output 1), which is another node's"},
		{"wrong producer", func(g *Graph, a, b, c *Node) { a.Outputs[0].Producer = b }, "which is another node's"},
		{"no type", func(g *Graph, a, b, c *Node) { a.Outputs[0].Type = 0 }, "without a type or shape"},
		{"negative dimension", func(g *Graph, a, b, c *Node) { a.Outputs[0].Shape = []int{-1} }, "without a type or shape"},
		{"output not computed", func(g *Graph, a, b, c *Node) { g.Nodes = []*Node{a, c} }, "output z is never computed"},
		{"output of another role", func(g *Graph, a, b, c *Node) { g.Outputs = append(g.Outputs, g.State[0], g.Inputs[0]) }, ""},
	}
	for _, tt := range tests {
		g, a, b, c := chain()
		tt.change(g, a, b, c)
		err := g.Verify()
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%s: %v", tt.name, err)
		case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%s: the error is %v, want %q in it", tt.name, err, tt.want)
		}
	}
}

func TestUniqueName(t *testing.T) {
	g := NewGraph("names")
	seen := map[string]bool{}
	for _, name := range []string{"a", "a", "a.1", "a", "a.1", "b"} {
		got := g.UniqueName(name)
		if seen[got] {
			t.Errorf("UniqueName(%q) = %q a second time", name, got)
		}
		seen[got] = true
	}
	if !seen["a"] || !seen["b"] {
		t.Errorf("the first of a name must keep it: %v", seen)
	}
}

func TestStateValue(t *testing.T) {
	g, _, _, _ := chain()
	if v := g.StateValue(Parameter, "w"); v != g.State[0] {
		t.Errorf("StateValue(Parameter, w) = %v", v)
	}
	if v := g.StateValue(Buffer, "w"); v != nil {
		t.Errorf("StateValue(Buffer, w) = %v, there is none", v)
	}
}

func TestStrings(t *testing.T) {
	for r, want := range map[Role]string{Intermediate: "intermediate", Slot: "optimizer slot", Constant: "constant"} {
		if r.String() != want {
			t.Errorf("role %d is %q, want %q", r, r, want)
		}
	}
	for p, want := range map[Phase]string{Forward: "forward", Loss: "loss", Backward: "backward", Update: "update"} {
		if p.String() != want {
			t.Errorf("phase %d is %q, want %q", p, p, want)
		}
	}
	for typ, want := range map[Type]string{Float: "float", Int64: "int64", Bool: "bool", 0: "untyped"} {
		if typ.String() != want {
			t.Errorf("type %d is %q, want %q", typ, typ, want)
		}
	}
	v := &Value{Name: "x", Type: Float, Shape: []int{2, 3}}
	if v.String() != "x float[2 3]" || v.Len() != 6 {
		t.Errorf("%v of %d elements", v, v.Len())
	}
}
