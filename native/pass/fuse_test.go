package pass_test

import (
	"slices"
	"testing"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/native/optim"
	"tandem/native/pass"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// perceptron builds two layers with a rectifier and, if dropout is set, a dropout between; trained, with its optimizer, if update is.
func perceptron(t *testing.T, dropout, update bool) (g *ir.Graph, gradients map[*ir.Value]*ir.Value) {
	t.Helper()
	ratio, _ := tensor.Of([]float32{0.25})
	yes, _ := tensor.Of([]bool{true})
	b := onnx.NewBuilder("perceptron", 20).
		Input("x", tensor.Float32, -1, 6).
		Initializer("w1", tensor.New(tensor.Float32, 5, 6)).Initializer("b1", tensor.New(tensor.Float32, 5)).
		Initializer("w2", tensor.New(tensor.Float32, 3, 5)).
		Initializer("ratio", ratio).Initializer("yes", yes).
		Node("Gemm", []string{"x", "w1", "b1"}, []string{"h"}, map[string]any{"transB": 1}).
		Node("Relu", []string{"h"}, []string{"r"}, nil)
	hidden := "r"
	if dropout {
		b.Node("Dropout", []string{"r", "ratio", "yes"}, []string{"d"}, nil)
		hidden = "d"
	}
	m, err := b.Node("Gemm", []string{hidden, "w2"}, []string{"y"}, map[string]any{"transB": 1}).Output("y", tensor.Float32, -1, 3).Build()
	if err != nil {
		t.Fatal(err)
	}
	if g, err = pass.Import(m, map[string]int{"batch": 4}); err != nil {
		t.Fatal(err)
	}
	loss, err := pass.Loss(g, pass.LossConfig{Kind: "cross_entropy", Reduction: "mean"})
	if err != nil {
		t.Fatal(err)
	}
	if gradients, err = pass.Differentiate(g, loss); err != nil {
		t.Fatal(err)
	}
	g.Outputs = []*ir.Value{loss}
	if update {
		c := optim.Config{Kind: "adam", LearningRate: 1e-3, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8}
		if err := pass.Update(g, gradients, c); err != nil {
			t.Fatal(err)
		}
	}
	return g, gradients
}

// operators fuses a graph and returns its operators, after a check that each node is one that its operator accepts.
func operators(t *testing.T, g *ir.Graph) (names []string) {
	t.Helper()
	if err := pass.Prune(g); err != nil {
		t.Fatal(err)
	}
	if err := pass.Fuse(g); err != nil {
		t.Fatal(err)
	}
	for _, n := range g.Nodes {
		names = append(names, n.Op)
		if err := op.Infer(n); err != nil {
			t.Error(err)
		}
	}
	return names
}

const loss, lossGradient = "SoftmaxCrossEntropyLoss", "tandem.SoftmaxCrossEntropyLossGradient"

func TestFuse(t *testing.T) {
	for _, c := range []struct {
		name            string
		dropout, update bool
		keep            func(g *ir.Graph, gradients map[*ir.Value]*ir.Value) []*ir.Value // further outputs
		want            []string
	}{
		{"training", true, true, nil, []string{
			"tandem.Gemm", "Gemm", loss, lossGradient, "tandem.Gemm", "tandem.optim.adam.product", "tandem.SumTo", "tandem.optim.adam", "tandem.optim.adam.product",
		}},
		{"no dropout", false, true, nil, []string{
			"tandem.Gemm", "Gemm", loss, lossGradient, "tandem.Gemm", "tandem.optim.adam.product", "tandem.SumTo", "tandem.optim.adam", "tandem.optim.adam.product",
		}},
		{"gradients are kept", true, false, func(g *ir.Graph, gradients map[*ir.Value]*ir.Value) (out []*ir.Value) {
			for _, v := range g.State {
				if gradients[v] != nil {
					out = append(out, gradients[v])
				}
			}
			return out
		}, []string{"tandem.Gemm", "Gemm", loss, lossGradient, "tandem.Gemm", "Gemm", "Gemm", "tandem.SumTo"}},
		{"all values are kept", true, false, func(g *ir.Graph, gradients map[*ir.Value]*ir.Value) (out []*ir.Value) {
			for _, n := range g.Nodes {
				out = append(out, n.Outputs...)
			}
			return out
		}, []string{
			"Gemm", "Relu", "Dropout", "Gemm", loss, lossGradient, "Gemm", "Gemm", "tandem.DropoutGradient", "tandem.ReluGradient", "Gemm", "tandem.SumTo",
		}},
		{"a rectifier's result is kept", true, false, func(g *ir.Graph, _ map[*ir.Value]*ir.Value) []*ir.Value { return []*ir.Value{g.Nodes[1].Outputs[0]} }, []string{
			"tandem.Gemm", "Dropout", "Gemm", loss,
		}},
		{"the sums below a rectifier are kept", true, false, func(g *ir.Graph, _ map[*ir.Value]*ir.Value) []*ir.Value { return []*ir.Value{g.Nodes[0].Outputs[0]} }, []string{
			"Gemm", "Relu", "Dropout", "Gemm", loss,
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g, gradients := perceptron(t, c.dropout, c.update)
			if c.keep != nil {
				g.Outputs = append(g.Outputs, c.keep(g, gradients)...)
			}
			if got := operators(t, g); !slices.Equal(got, c.want) {
				t.Errorf("the graph is now\n%q, want\n%q", got, c.want)
			}
		})
	}
}
