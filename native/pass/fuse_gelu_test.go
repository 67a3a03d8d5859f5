package pass_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/pass"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// TestFuseGelu holds the fused products to the operators and the bits of the single nodes, on every path.
func TestFuseGelu(t *testing.T) {
	for _, form := range []string{"none", "tanh"} {
		for _, path := range kernel.Paths() {
			t.Run(form+"/"+path, func(t *testing.T) {
				was := kernel.Path()
				if err := kernel.Use(path); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = kernel.Use(was) })
				single, names := geluLayers(t, form, false)
				if want := []string{"Gemm", "Gelu", "Gemm", loss, lossGradient, "Gemm", "Gemm", "tandem.GeluGradient", "Gemm", "tandem.SumTo"}; !slices.Equal(names, want) {
					t.Fatalf("the graph is %q, want %q", names, want)
				}
				fused, names := geluLayers(t, form, true)
				if want := []string{"tandem.Gemm", "Gemm", loss, lossGradient, "Gemm", "tandem.Gemm", "Gemm", "tandem.SumTo"}; !slices.Equal(names, want) {
					t.Errorf("the graph is %q, want %q", names, want)
				}
				for name, want := range single {
					got := fused[name]
					if len(want) == 0 || !slices.EqualFunc(got, want, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
						t.Errorf("%s is %v, want %v", name, got, want)
					}
				}
			})
		}
	}
}

// geluLayers computes the loss and the gradients of two layers with a GELU between.
func geluLayers(t *testing.T, form string, fuse bool) (results map[string][]float32, names []string) {
	t.Helper()
	m := build(t, onnx.NewBuilder("m", 20).Input("x", tensor.Float32, -1, 37).
		Initializer("w1", drawn(t, 1, 45, 37)).Initializer("b1", drawn(t, 2, 45)).Initializer("w2", drawn(t, 3, 3, 45)).
		Node("Gemm", []string{"x", "w1", "b1"}, []string{"h"}, map[string]any{"transB": 1}).
		Node("Gelu", []string{"h"}, []string{"g"}, map[string]any{"approximate": form}).
		Node("Gemm", []string{"g", "w2"}, []string{"y"}, map[string]any{"transB": 1}).Output("y", tensor.Float32))
	g, err := pass.Import(m, map[string]int{"batch": 19})
	if err != nil {
		t.Fatal(err)
	}
	value, err := pass.Loss(g, pass.LossConfig{Kind: "cross_entropy", Reduction: "mean"})
	if err != nil {
		t.Fatal(err)
	}
	gradients, err := pass.Differentiate(g, value)
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]*ir.Value{"loss": value}
	g.Outputs = []*ir.Value{value}
	for _, p := range g.State {
		kept[p.Name] = gradients[p]
		g.Outputs = append(g.Outputs, gradients[p])
	}
	if fuse {
		names = operators(t, g)
	} else {
		if err := pass.Prune(g); err != nil {
			t.Fatal(err)
		}
		for _, n := range g.Nodes {
			names = append(names, n.Op)
		}
	}
	plan, err := pass.NewPlan(g)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(2)
	defer pool.Close()
	p, err := pass.Bind(g, plan, &op.Run{}, pool, func(v *ir.Value) []float32 { return tensor.View[float32](v.Const) })
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(6, 6))
	for _, v := range g.Inputs {
		b, err := p.Buffer(v)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Float {
			b.Float[i] = float32(rng.NormFloat64())
		}
		for i := range b.Int {
			b.Int[i] = rng.Int64N(3)
		}
	}
	for _, call := range p.Calls {
		call()
	}
	results = map[string][]float32{}
	for name, v := range kept {
		b, err := p.Buffer(v)
		if err != nil {
			t.Fatal(err)
		}
		results[name] = slices.Clone(b.Float)
	}
	return results, names
}
