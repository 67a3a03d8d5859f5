package pass_test

import (
	"slices"
	"testing"

	"tandem/native/ir"
	"tandem/native/pass"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// TestRecompute tells which values are computed a second time, and that this takes less memory. That no bit changes is a test of package train.
func TestRecompute(t *testing.T) {
	parameters := func(t *testing.T) *onnx.Builder {
		return onnx.NewBuilder("m", 20).Input("x", tensor.Float32, -1, 37).
			Initializer("w1", drawn(t, 1, 64, 37)).Initializer("w2", drawn(t, 2, 64, 64)).Initializer("w3", drawn(t, 3, 3, 64)).Initializer("s", drawn(t, 4, 64))
	}
	linear := func(b *onnx.Builder, in, weight, out string) {
		b.Node("Gemm", []string{in, weight}, []string{out}, map[string]any{"transB": 1})
	}
	for _, c := range []struct {
		name  string
		build func(b *onnx.Builder)
		want  []string
	}{
		{"GELUs and a normalization between products", func(b *onnx.Builder) {
			linear(b, "x", "w1", "a")
			b.Node("Gelu", []string{"a"}, []string{"b"}, nil)
			linear(b, "b", "w2", "c")
			b.Node("LayerNormalization", []string{"c", "s"}, []string{"d"}, nil)
			linear(b, "d", "w3", "y")
		}, []string{"tandem.LayerNormalizationAgain", "Gelu"}},
		{"behind views", func(b *onnx.Builder) {
			linear(b, "x", "w1", "a")
			b.Node("Gelu", []string{"a"}, []string{"b"}, nil).Node("Identity", []string{"b"}, []string{"b1"}, nil).
				Node("Identity", []string{"b1"}, []string{"b2"}, nil)
			linear(b, "b2", "w2", "c")
			linear(b, "c", "w3", "y")
		}, []string{"Gelu"}},
		{"of what is itself computed again", func(b *onnx.Builder) {
			linear(b, "x", "w1", "a")
			b.Node("LayerNormalization", []string{"a", "s"}, []string{"b"}, nil).Node("Gelu", []string{"b"}, []string{"c"}, nil)
			linear(b, "c", "w3", "y")
		}, []string{"tandem.LayerNormalizationAgain"}},
		{"an output of the graph", func(b *onnx.Builder) {
			linear(b, "x", "w1", "a")
			b.Node("Gelu", []string{"a"}, []string{"b"}, nil)
			linear(b, "b", "w3", "y")
			b.Output("b", tensor.Float32)
		}, nil},
		{"whose gradient wants the result", func(b *onnx.Builder) {
			linear(b, "x", "w1", "a")
			b.Node("Relu", []string{"a"}, []string{"b"}, nil)
			linear(b, "b", "w3", "y")
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := parameters(t)
			c.build(b)
			g, err := pass.Import(build(t, b.Output("y", tensor.Float32)), map[string]int{"batch": 19})
			if err != nil {
				t.Fatal(err)
			}
			outputs := slices.Clone(g.Outputs[:len(g.Outputs)-1])
			g.Outputs = g.Outputs[len(g.Outputs)-1:]
			loss, err := pass.Loss(g, pass.LossConfig{Kind: "cross_entropy", Reduction: "mean"})
			if err != nil {
				t.Fatal(err)
			}
			gradients, err := pass.Differentiate(g, loss)
			if err != nil {
				t.Fatal(err)
			}
			g.Outputs = append(outputs, loss)
			for _, p := range g.State {
				if gradients[p] != nil {
					g.Outputs = append(g.Outputs, gradients[p])
				}
			}
			if err := pass.Prune(g); err != nil {
				t.Fatal(err)
			}
			known := map[*ir.Node]bool{}
			for _, n := range g.Nodes {
				known[n] = true
			}
			if err := pass.Recompute(g); err != nil {
				t.Fatal(err)
			}
			var again []string
			for _, n := range g.Nodes {
				if !known[n] && n.Op != "Identity" {
					again = append(again, n.Op)
				}
			}
			if !slices.Equal(again, c.want) {
				t.Errorf("computed again: %q, want %q", again, c.want)
			}
		})
	}
}

// TestOverwrites: what a product puts in the place of its operand has its memory, unless that is still wanted.
func TestOverwrites(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		value := func(name string, role ir.Role) *ir.Value {
			return &ir.Value{Name: name, Type: ir.Float, Shape: []int{16, 16}, Role: role}
		}
		x, w := value("x", ir.Input), value("w", ir.Input)
		h, d, y := value("h", ir.Intermediate), value("d", ir.Intermediate), value("y", ir.Intermediate)
		product := &ir.Node{Op: "Gemm", Inputs: []*ir.Value{x, w}, Outputs: []*ir.Value{h}}
		both := &ir.Node{
			Op: "tandem.Gemm", Inputs: []*ir.Value{x, w, nil, h}, Outputs: []*ir.Value{d, y},
			Attributes: onnx.NewAttributes(map[string]any{"gelu_gradient": "none"}),
		}
		h.Producer, d.Producer, y.Producer = product, both, both
		g := ir.NewGraph("g")
		g.Inputs, g.Outputs, g.Nodes = []*ir.Value{x, w}, []*ir.Value{d, y}, []*ir.Node{product, both}
		if wanted {
			g.Outputs = append(g.Outputs, h)
		}
		plan, err := pass.NewPlan(g)
		if err != nil {
			t.Fatal(err)
		}
		if got := plan.Root(y) == h; got == wanted {
			t.Errorf("the operand is wanted: %v; it is overwritten: %v", wanted, got)
		}
	}
}
