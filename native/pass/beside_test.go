package pass

import (
	"slices"
	"testing"

	"tandem/native/ir"
	"tandem/onnx"
)

// TestLastUpdate tells which update is put last, and what runs beside it.
func TestLastUpdate(t *testing.T) {
	value := func(shape ...int) *ir.Value {
		return &ir.Value{Name: "v", Type: ir.Float, Shape: shape, Role: ir.Intermediate}
	}
	// What a node of the program below reads and writes; its first letter is its kind.
	node := func(name string) *ir.Node {
		n := &ir.Node{Origin: ir.Origin{Node: name, Phase: ir.Update}}
		large := map[byte]int{'W': 784, 'M': 500}[name[0]]
		switch name[0] {
		case 'W', 'M', 'w': // an update with the product of a large, a middle or a small layer
			p := value(128, max(large, 16))
			n.Op, n.Attributes = "tandem.optim.adam.product", onnx.NewAttributes(map[string]any{"transA": int64(1)})
			n.Inputs, n.Writes = []*ir.Value{value(32, 128), value(32, p.Shape[1]), p, p, p}, []*ir.Value{p}
		case 'u': // an update of a bias
			p := value(128)
			n.Op, n.Inputs, n.Writes = "tandem.optim.adam", []*ir.Value{p, value(128), p, p}, []*ir.Value{p}
		case 's': // a bias's gradient
			n.Op, n.Inputs, n.Outputs, n.Origin.Phase = "tandem.SumTo", []*ir.Value{value(32, 128)}, []*ir.Value{value(128)}, ir.Backward
		case 'g': // a product of the backward pass
			n.Op, n.Inputs, n.Outputs, n.Origin.Phase = "Gemm", []*ir.Value{value(32, 16), value(16, 128)}, []*ir.Value{value(32, 128)}, ir.Backward
		case 'f': // one of the forward pass
			n.Op, n.Inputs, n.Outputs, n.Origin.Phase = "Gemm", []*ir.Value{value(32, 16), value(16, 128)}, []*ir.Value{value(32, 128)}, ir.Forward
		}
		return n
	}
	for _, c := range []struct {
		name          string
		program, want []string
		beside        int
	}{
		{"a perceptron", []string{"f", "w3", "g", "w2", "s2", "W1", "s1", "u1", "u2"}, []string{"f", "w3", "g", "w2", "s2", "s1", "u1", "u2", "W1"}, 5},
		{"nothing beside", []string{"f", "g", "W1"}, []string{"f", "g", "W1"}, 0},
		{"the forward pass behind", []string{"w2", "W1", "f"}, []string{"w2", "W1", "f"}, 0},
		{"much behind", []string{"W2", "u1", "w1", "M3"}, []string{"W2", "u1", "w1", "M3"}, 2},
		{"too much beside", []string{"M2", "u1", "W1"}, []string{"M2", "u1", "W1"}, 1},
		{"no update with a product", []string{"f", "g", "s1", "u1"}, []string{"f", "g", "s1", "u1"}, 0},
		{"nothing", nil, nil, 0},
	} {
		g := ir.NewGraph("g")
		for _, name := range c.program {
			g.Nodes = append(g.Nodes, node(name))
		}
		lastUpdate(g)
		var got []string
		for _, n := range g.Nodes {
			got = append(got, n.Origin.Node)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		n, share := beside(g.Nodes)
		if n != c.beside || !(share >= 0 && share <= besideShare) || (n > 0) != (share > 0) {
			t.Errorf("%s: %d nodes beside the last, with %g of its work; want %d", c.name, n, share, c.beside)
		}
	}
}
