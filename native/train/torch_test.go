package train

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"

	"tandem/native/kernel"
	"tandem/native/optim"
	"tandem/onnx"
	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
)

// TestGradientsAgreeWithTorch trains nothing: it compares the gradients of PyTorch models of many operators, exported with an open batch,
// with those that PyTorch computed in float64 (testdata/record.py and record_convolutional.py).
func TestGradientsAgreeWithTorch(t *testing.T) {
	for model, gradients := range map[string]int{"torch": 9, "convolutional": 12} {
		t.Run(model+" in float64", func(t *testing.T) { gradientsAgreeWithTorch[float64](t, model, gradients, 1e-12) })
		// About thirty operators deep, each with some roundings of 6e-8.
		t.Run(model+" in float32", func(t *testing.T) { gradientsAgreeWithTorch[float32](t, model, gradients, 3e-6) })
	}
}

func gradientsAgreeWithTorch[T kernel.Float](t *testing.T, model string, gradients int, limit float64) {
	m, err := onnx.Load("testdata/" + model + ".onnx")
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := safetensors.ReadFile("testdata/" + model + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	tr := newTrainer[T](t, m, optim.Config{Kind: "sgd"}, 2)
	b, err := tr.GradientBatch(recorded.Tensors["target"].Len(), false)
	if err != nil {
		t.Fatal(err)
	}
	for i, x := range recorded.Tensors["x"].Float64s() {
		b.Input("x")[i] = T(x)
	}
	if kind := recorded.Tensors["kind"]; kind != nil {
		copy(b.IntInput("kind"), tensor.View[int64](kind))
	}
	copy(b.Targets(), tensor.View[int64](recorded.Tensors["target"]))
	loss, err := tr.Gradient(b)
	if err != nil {
		t.Fatal(err)
	}
	if want := recorded.Tensors["loss"].Float64s()[0]; !(math.Abs(float64(loss)-want) <= limit*want) {
		t.Errorf("the loss is %.17g, PyTorch's %.17g", loss, want)
	}
	got, compared := b.Gradients(), 0
	for _, key := range slices.Sorted(maps.Keys(recorded.Tensors)) {
		name, ok := strings.CutPrefix(key, "gradients/")
		if !ok {
			continue
		}
		compared++
		want := recorded.Tensors[key]
		if got[name] == nil || !slices.Equal(got[name].Shape(), want.Shape()) {
			t.Errorf("the gradient of %s is %v, want %v", name, got[name], want)
			continue
		}
		var diff, norm float64
		g := got[name].Float64s()
		for i, w := range want.Float64s() {
			diff, norm = math.Hypot(diff, g[i]-w), math.Hypot(norm, w)
		}
		if !(diff <= limit*norm) || norm == 0 {
			t.Errorf("the gradient of %s is off by %g of %g", name, diff, norm)
		}
	}
	if compared != gradients || len(got) != compared {
		t.Errorf("%d gradients were recorded, there are %d, want %d of each", compared, len(got), gradients)
	}
}
