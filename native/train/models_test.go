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

// TestModelsAgreeWithTorch compares loss and gradients of small models, made of the operators that recurrent, image and indexing models have,
// with what PyTorch computed in float64 (testdata/models.py and record_models.py), and takes a step.
func TestModelsAgreeWithTorch(t *testing.T) {
	for _, name := range []string{"recurrent", "images", "indexing", "newest"} {
		t.Run(name, func(t *testing.T) {
			t.Run("float64", func(t *testing.T) { modelAgreesWithTorch[float64](t, name, 1e-12) })
			// Some tens of operators deep, each with some roundings of 6e-8.
			t.Run("float32", func(t *testing.T) { modelAgreesWithTorch[float32](t, name, 5e-6) })
		})
	}
}

func modelAgreesWithTorch[T kernel.Float](t *testing.T, name string, limit float64) {
	m, err := onnx.Load("testdata/" + name + ".onnx")
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := safetensors.ReadFile("testdata/" + name + ".safetensors")
	if err != nil {
		t.Fatal(err)
	}
	tr := newTrainer[T](t, m, optim.Config{Kind: "sgd", LearningRate: 0.01}, 2)
	target := recorded.Tensors["target"]
	b, err := tr.GradientBatch(target.Len(), false)
	if err != nil {
		t.Fatal(err)
	}
	for key, v := range recorded.Tensors {
		input, ok := strings.CutPrefix(key, "inputs/")
		switch {
		case !ok:
		case v.DType() == tensor.Int64:
			copy(b.IntInput(input), tensor.View[int64](v))
		default:
			for i, x := range v.Float64s() {
				b.Input(input)[i] = T(x)
			}
		}
	}
	copy(b.Targets(), tensor.View[int64](target))
	loss, err := tr.Gradient(b)
	if err != nil {
		t.Fatal(err)
	}
	if want := recorded.Tensors["loss"].Float64s()[0]; !(math.Abs(float64(loss)-want) <= limit*want) {
		t.Errorf("the loss is %.17g, PyTorch's %.17g", loss, want)
	}
	got, compared := b.Gradients(), 0
	for _, key := range slices.Sorted(maps.Keys(recorded.Tensors)) {
		parameter, ok := strings.CutPrefix(key, "gradients/")
		if !ok {
			continue
		}
		compared++
		want := recorded.Tensors[key]
		if got[parameter] == nil || !slices.Equal(got[parameter].Shape(), want.Shape()) {
			t.Errorf("the gradient of %s is %v, want %v", parameter, got[parameter], want)
			continue
		}
		var diff, norm float64
		g := got[parameter].Float64s()
		for i, w := range want.Float64s() {
			diff, norm = math.Hypot(diff, g[i]-w), math.Hypot(norm, w)
		}
		if !(diff <= limit*norm) || norm == 0 {
			t.Errorf("the gradient of %s is off by %g of %g", parameter, diff, norm)
		}
	}
	if compared == 0 || len(got) != compared {
		t.Errorf("%d gradients were recorded, there are %d", compared, len(got))
	}
}
