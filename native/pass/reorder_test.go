package pass_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tandem/native/ir"
	"tandem/native/optim"
	"tandem/native/pass"
	"tandem/native/train"
	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/results/trace"
)

// productModel has every kind of product: a convolution and a grouped one, whose inner sum has one channel, a matrix for all samples, one of each sample with another, and layers with and without
// transposed weights.
func productModel(t *testing.T) *onnx.Model {
	t.Helper()
	random := rand.New(rand.NewPCG(5, 8))
	weights := func(shape ...int) *tensor.Tensor {
		w := tensor.New(tensor.Float32, shape...)
		for i := range tensor.View[float32](w) {
			tensor.View[float32](w)[i] = float32(random.NormFloat64() / 2)
		}
		return w
	}
	ints := func(v ...int64) *tensor.Tensor {
		w, err := tensor.Of(v, len(v))
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	m, err := onnx.NewBuilder("products", 20).
		Input("input", tensor.Float32, -1, 21).
		Initializer("to rows", ints(0, 3, 7)).Initializer("flat", ints(0, 9)).
		Initializer("w", weights(7, 5)).Initializer("v", weights(9, 6)).Initializer("b", weights(6)).Initializer("u", weights(4, 6)).Initializer("c", weights(4)).
		Node("Reshape", []string{"input", "to rows"}, []string{"rows"}, nil).
		Initializer("filters", weights(3, 3, 3)).Initializer("bias", weights(3)).Initializer("grouped filters", weights(3, 1, 3)).
		Node("Conv", []string{"rows", "filters", "bias"}, []string{"filtered"}, map[string]any{"pads": []int64{1, 1}}).
		Node("Conv", []string{"filtered", "grouped filters"}, []string{"channels"}, map[string]any{"pads": []int64{1, 1}, "group": int64(3)}).
		Node("MatMul", []string{"channels", "w"}, []string{"keys"}, nil).
		Node("Transpose", []string{"keys"}, []string{"turned"}, map[string]any{"perm": []int64{0, 2, 1}}).
		Node("MatMul", []string{"keys", "turned"}, []string{"scores"}, nil).
		Node("Reshape", []string{"scores", "flat"}, []string{"z"}, nil).
		Node("Gemm", []string{"z", "v", "b"}, []string{"h"}, map[string]any{"alpha": 0.5, "beta": 2.0}).
		Node("Tanh", []string{"h"}, []string{"a"}, nil).
		Node("Gemm", []string{"a", "u", "c"}, []string{"logits"}, map[string]any{"transB": 1}).
		Output("logits", tensor.Float32, -1, 4).
		Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// reordered computes loss and gradients of a fixed batch, with a reordering or without, and says how many products it changed.
func reordered[T float32 | float64](t *testing.T, m *onnx.Model, r pass.Reordering) (map[string]*tensor.Tensor, int) {
	t.Helper()
	o := train.Options{Loss: train.Loss{Kind: "cross_entropy", Reduction: "mean"}, Optimizer: optim.Config{Kind: "sgd", LearningRate: 0.1}}
	changed := 0
	if r != "" {
		o.Rewrite = func(g *ir.Graph) (err error) {
			changed, err = pass.Reorder(g, r)
			return err
		}
	}
	trainer, err := train.New[T](m, o)
	if err != nil {
		t.Fatal(err)
	}
	defer trainer.Close()
	b, err := trainer.GradientBatch(5, true)
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 1))
	for i := range b.Input("input") {
		b.Input("input")[i] = T(float32(random.NormFloat64()))
	}
	for i := range b.Targets() {
		b.Targets()[i] = int64(i % 4)
	}
	if _, err := trainer.Gradient(b); err != nil {
		t.Fatal(err)
	}
	out := b.Gradients()
	maps.Copy(out, b.Outputs())
	kept := b.Activations()
	for _, name := range []string{"filtered", "channels", "keys", "scores", "h"} {
		if kept[name] == nil {
			t.Fatalf("%s: the activation %q is gone", r, name)
		}
		out[name] = kept[name]
	}
	return out, changed
}

// distance is the largest norm-wise distance of a tensor from the one of the same name.
func distance(t *testing.T, got, want map[string]*tensor.Tensor) float64 {
	t.Helper()
	if !slices.Equal(slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want))) {
		t.Fatalf("tensors %v, want %v", slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)))
	}
	worst := 0.0
	for name, w := range want {
		if d := trace.Distance(got[name].Float64s(), w.Float64s()); !(d <= worst) {
			worst = d
		}
	}
	return worst
}

func TestReorder(t *testing.T) {
	m := productModel(t)
	double, _ := reordered[float64](t, m, "")
	single, _ := reordered[float32](t, m, "")
	for _, r := range pass.Reorderings() {
		t.Run(string(r), func(t *testing.T) {
			got, changed := reordered[float64](t, m, r)
			want := 6
			if strings.HasPrefix(string(r), "inner") {
				want-- // the grouped convolution's
			}
			if changed != want {
				t.Errorf("%d products were changed, want %d", changed, want)
			}
			// float64's unit roundoff is 1.1e-16; a wrong sum is off by more than a percent.
			if d := distance(t, got, double); !(d <= 1e-14) {
				t.Errorf("in float64 it is off by %g", d)
			}
			got, _ = reordered[float32](t, m, r)
			if d := distance(t, got, single); !(d > 0 && d <= 1e-5) {
				t.Errorf("in float32 it is off by %g; it should round differently, and round alone", d)
			}
		})
	}
	if _, err := pass.Reorder(graphOf(t, m), "inner=shuffled"); err == nil {
		t.Error("an unknown reordering was taken")
	}
}

func graphOf(t *testing.T, m *onnx.Model) *ir.Graph {
	t.Helper()
	g, err := pass.Import(m, map[string]int{"batch": 2})
	if err != nil {
		t.Fatal(err)
	}
	return g
}
