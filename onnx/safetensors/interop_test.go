package safetensors_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
)

// The file was written by the Python package: see testdata/make.py.
const python = "testdata/python.safetensors"

func of[T tensor.Element](t testing.TB, data []T, shape ...int) *tensor.Tensor {
	t.Helper()
	x, err := tensor.Of(data, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func bits(t testing.TB, d tensor.DType, raw ...byte) *tensor.Tensor {
	t.Helper()
	x, err := tensor.FromBytes(d, []int{len(raw) / d.Size()}, raw)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestReadsPython(t *testing.T) {
	f, err := safetensors.ReadFile(python)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]*tensor.Tensor{
		"fc1.weight": of(t, []float32{1.5, -2, 0.1, float32(math.Inf(1)), 1e-45, float32(math.Copysign(0, -1))}, 2, 3),
		"step":       of(t, []int64{7}),
		"mask":       of(t, []bool{true, false, true}, 3),
		"double":     of(t, []float64{0.1}, 1),
		"half":       bits(t, tensor.Float16, 0x00, 0x3c, 0x00, 0xc1),
		"brain":      bits(t, tensor.BFloat16, 0x80, 0x3f, 0x20, 0xc0),
		"bytes":      of(t, []uint8{0, 255}, 2),
		"empty":      tensor.New(tensor.Float32, 0, 4),
		"näme":       of(t, []int32{-3}, 1),
	}
	if len(f.Tensors) != len(want) {
		t.Errorf("%d tensors, want %d", len(f.Tensors), len(want))
	}
	for name, w := range want {
		if got := f.Tensors[name]; got == nil || !got.Equal(w) {
			t.Errorf("%s: got %v, want %v, bit by bit", name, got, w)
		}
	}
	if f.Path != python || f.Metadata["made_by"] != "python" || f.Metadata["text"] != "quote \" and \n newline" || len(f.Metadata) != 2 {
		t.Errorf("path %q, metadata %q", f.Path, f.Metadata)
	}
}

// What Python wrote is written again byte for byte, so Python reads what this package writes.
func TestWritesAsPython(t *testing.T) {
	f, err := safetensors.ReadFile(python)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "go.safetensors")
	if err := safetensors.WriteFile(path, f.Tensors, f.Metadata); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(python)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("the files differ:\n got %q\nwant %q", got, want)
	}
}
