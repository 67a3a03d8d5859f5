package engine

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/native/train"
	"tandem/onnx"
	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// TestAugmentedBatches compares the batches of a data file with crops and flips with what the protocol says of them, in float32 and float64.
func TestAugmentedBatches(t *testing.T) {
	const rows, channels, height, width = 5, 2, 3, 4
	size := channels * height * width
	tensors := map[string]*tensor.Tensor{}
	put := func(name string, of *tensor.Tensor, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		tensors[name] = of
	}
	images := make([]float32, rows*size)
	for i := range images {
		images[i] = float32(i) + 0.5
	}
	order := []int64{4, 0, 2, 1, 3, 0}
	changes := []int8{0, 0, 0, 1, -1, 1, -2, 3, 0, 0, 0, 1, 5, 0, 0, -1, -1, 1}
	fill := []float32{-1, -2}
	for _, split := range []string{"train", "test"} {
		of, err := tensor.Of(images, rows, channels, height, width)
		put(split+"/input", of, err)
		of, err = tensor.Of(make([]int64, rows), rows)
		put(split+"/target", of, err)
	}
	of, err := tensor.Of(order, len(order))
	put("order", of, err)
	of, err = tensor.Of([]int64{0, 4, 6}, 3)
	put("offsets", of, err)
	of, err = tensor.Of(changes, len(order), 3)
	put("augment", of, err)
	of, err = tensor.Of(fill, len(fill))
	put("fill", of, err)

	b := onnx.NewBuilder("images", 20).Input("input", tensor.Float32, -1, channels, height, width)
	weight := tensor.New(tensor.Float32, 2, size)
	shape, err := tensor.Of([]int64{-1, int64(size)}, 2)
	if err != nil {
		t.Fatal(err)
	}
	m, err := b.Initializer("weight", weight).Initializer("shape", shape).
		Node("Reshape", []string{"input", "shape"}, []string{"flat"}, nil).
		Node("Gemm", []string{"flat", "weight"}, []string{"logits"}, map[string]any{"transB": 1}).
		Output("logits", tensor.Float32, -1, 2).Build()
	if err != nil {
		t.Fatal(err)
	}
	open := func(change func()) (*data, error) {
		t.Helper()
		change()
		file := filepath.Join(t.TempDir(), "data.safetensors")
		if err := safetensors.WriteFile(file, tensors, nil); err != nil {
			t.Fatal(err)
		}
		d, err := openData(file, m, []string{"input"}, train.Loss{Kind: "cross_entropy"})
		if err == nil {
			t.Cleanup(d.close)
		}
		return d, err
	}
	d, err := open(func() {})
	if err != nil {
		t.Fatal(err)
	}
	o := train.Options{Loss: train.Loss{Kind: "cross_entropy", Reduction: "mean"}, Threads: 1}
	o.Optimizer.Kind, o.Optimizer.LearningRate = "sgd", 0.1
	single, err := train.New[float32](m, o)
	if err != nil {
		t.Fatal(err)
	}
	defer single.Close()
	double, err := train.New[float64](m, o)
	if err != nil {
		t.Fatal(err)
	}
	defer double.Close()
	for step, from := range []int{0, 4, 0} {
		batch, err := d.batch(int64(step))
		if err != nil {
			t.Fatal(err)
		}
		var want []float32
		for i := range batch.rows {
			c := changes[3*(from+i):]
			out := make([]float32, size)
			engine.Augmented(out, images[int(order[from+i])*size:], []int{channels, height, width}, fill, engine.Change{DY: int(c[0]), DX: int(c[1]), Flip: c[2] == 1})
			want = append(want, out...)
		}
		got32 := filled(t, d, d.train, single, batch)
		if !slices.Equal(got32, want) {
			t.Errorf("step %d: got %v, want %v", step, got32, want)
		}
		for i, x := range filled(t, d, d.train, double, batch) {
			if x != float64(want[i]) {
				t.Errorf("step %d, float64: element %d is %v, want %v", step, i, x, want[i])
				break
			}
		}
		// What is evaluated stays as it is.
		plain := filled(t, d, d.train, single, samples{rows: batch.rows})
		if first := int(batch.rows[0]) * size; !slices.Equal(plain[:size], images[first:first+size]) {
			t.Errorf("step %d: an evaluated image is changed", step)
		}
	}
	for label, c := range map[string]struct {
		change func()
		want   string
	}{
		"another length":    {func() { tensors["augment"] = tensor.New(tensor.Int8, 5, 3) }, "must be int8 of shape [6 3]"},
		"half mirrored":     {func() { tensor.View[int8](tensors["augment"])[5] = 2 }, "augment[1] says 2 of mirroring"},
		"no fill":           {func() { delete(tensors, "fill") }, `and "fill" a vector of float32`},
		"other channels":    {func() { tensors["fill"] = tensor.New(tensor.Float32, 3) }, "and no input of the model is that"},
		"fill of no floats": {func() { tensors["fill"] = tensor.New(tensor.Int64, 2) }, `and "fill" a vector of float32`},
	} {
		augment, fill := tensors["augment"], tensors["fill"]
		if _, err := open(c.change); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", label, err, c.want)
		}
		tensors["augment"], tensors["fill"] = augment, fill
		tensor.View[int8](augment)[5] = changes[5]
	}
}

// filled returns the input of a batch as it was filled.
func filled[T float32 | float64](t *testing.T, d *data, s *split, trainer *train.Trainer[T], of samples) []T {
	t.Helper()
	b, err := trainer.GradientBatch(len(of.rows), false)
	if err != nil {
		t.Fatal(err)
	}
	if err := fill(d, s, b, of); err != nil {
		t.Fatal(err)
	}
	return slices.Clone(b.Input("input"))
}
