//go:build cgo

package ort

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tandem/onnx"
	"tandem/onnx/tensor"
)

// library finds ONNX Runtime or skips, which TANDEM_REQUIRE=onnxruntime forbids. It looks where tandem's set-up puts the Python
// environment (the rule of the package pytorch, which this one does not import), then in the active environment.
func library(t *testing.T) string {
	t.Helper()
	environment := os.Getenv("TANDEM_ENV")
	if environment == "" {
		environment = filepath.Join("..", "..", ".tandem", "python")
	}
	path, err := Find(filepath.Join(environment, "venv"), os.Getenv("VIRTUAL_ENV"))
	if err == nil {
		return path
	}
	if slices.Contains(strings.Split(os.Getenv("TANDEM_REQUIRE"), ","), "onnxruntime") {
		t.Fatalf("TANDEM_REQUIRE asks for onnxruntime: %v", err)
	}
	t.Skipf("skipped, since it needs ONNX Runtime: %v", err)
	return ""
}

func of[T tensor.Element](t *testing.T, data []T, shape ...int) *tensor.Tensor {
	t.Helper()
	x, err := tensor.Of(data, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func save(t *testing.T, b *onnx.Builder) (*onnx.Model, string) {
	t.Helper()
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return m, saveModel(t, m)
}

func saveModel(t *testing.T, m *onnx.Model) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "model.onnx")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	return path
}

// gemm computes y = x W^T + b for two rows, by hand: W = [[1,2,3],[4,5,6]], b = [10,20].
func gemm(t *testing.T) *onnx.Builder {
	return onnx.NewBuilder("gemm", 20).Input("x", tensor.Float32, 2, 3).
		Initializer("w", of(t, []float32{1, 2, 3, 4, 5, 6}, 2, 3)).Initializer("b", of(t, []float32{10, 20}, 2)).
		Node("Gemm", []string{"x", "w", "b"}, []string{"y"}, map[string]any{"transB": 1}).
		Output("y", tensor.Float32, 2, 2)
}

func TestVersion(t *testing.T) {
	version, err := Version(library(t))
	if err != nil || !regexp.MustCompile(`^\d+\.\d+\.\d+$`).MatchString(version) {
		t.Errorf("Version = %q, %v", version, err)
	}
}

func TestRunKnownAnswer(t *testing.T) {
	lib := library(t)
	_, path := save(t, gemm(t))
	x := of(t, []float32{1, 0, -1, 2, 2, 2}, 2, 3)
	want := of(t, []float32{8, 18, 22, 50}, 2, 2) // small integers: exact in float32
	for _, threads := range []int{1, 2} {
		got, err := Run(lib, path, map[string]*tensor.Tensor{"x": x}, Threads(threads))
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got["y"] == nil || !got["y"].Equal(want) {
			t.Errorf("%d threads: got %v, want y = %v", threads, got, want)
		}
	}
}

func TestRunTypes(t *testing.T) {
	lib := library(t)
	for _, x := range []*tensor.Tensor{
		of(t, []float32{1.5, -2}, 2), of(t, []float64{math.Pi}, 1, 1), of(t, []int64{-3, 1 << 40}, 2), of(t, []int32{-3}, 1),
		of(t, []bool{true, false}, 2), of(t, []uint8{200}, 1), of(t, []int8{-100}, 1), of(t, []int16{-300}, 1), of(t, []uint16{60000}, 1),
		of(t, []uint32{1 << 31}, 1), of(t, []uint64{1 << 63}, 1), of(t, []float32{2.5}), of(t, []int64{7}), of(t, []float64{7}), of(t, []bool{true}),
		of(t, []int32{7}), tensor.New(tensor.Float32, 0, 3),
	} {
		t.Run(x.String(), func(t *testing.T) {
			_, path := save(t, onnx.NewBuilder("identity", 20).Input("x", x.DType(), x.Shape()...).
				Node("Identity", []string{"x"}, []string{"y"}, nil).Output("y", x.DType(), x.Shape()...))
			got, err := Run(lib, path, map[string]*tensor.Tensor{"x": x})
			if err != nil {
				t.Fatal(err)
			}
			if got["y"] == nil || !got["y"].Equal(x) {
				t.Errorf("Identity(%v) = %v", x, got["y"])
			}
		})
	}
}

// A half-precision input goes in through bytes and is read back as float32.
func TestRunHalfPrecision(t *testing.T) {
	lib := library(t)
	x, err := tensor.FromBytes(tensor.Float16, []int{2}, []byte{0x00, 0x3c, 0x00, 0xc1}) // 1, -2.5
	if err != nil {
		t.Fatal(err)
	}
	_, path := save(t, onnx.NewBuilder("cast", 20).Input("x", tensor.Float16, 2).
		Node("Cast", []string{"x"}, []string{"y"}, map[string]any{"to": 1}).Output("y", tensor.Float32, 2))
	got, err := Run(lib, path, map[string]*tensor.Tensor{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	if want := of(t, []float32{1, -2.5}, 2); got["y"] == nil || !got["y"].Equal(want) {
		t.Errorf("got %v, want %v", got["y"], want)
	}
	_, path = save(t, onnx.NewBuilder("half", 20).Input("x", tensor.Float16, 2).
		Node("Identity", []string{"x"}, []string{"y"}, nil).Output("y", tensor.Float16, 2))
	if _, err := Run(lib, path, map[string]*tensor.Tensor{"x": x}); err == nil || !strings.Contains(err.Error(), "not supported") {
		t.Errorf("a half-precision output, which the binding copies wrongly, must be refused: %v", err)
	}
}

// EvalMode and ONNX Runtime together: a graph in training mode gives the inference result.
func TestEvalModeRuns(t *testing.T) {
	lib := library(t)
	m, trainPath := save(t, onnx.NewBuilder("norm", 20).Input("x", tensor.Float32, 2, 2).
		Initializer("scale", of(t, []float32{1, 2}, 2)).Initializer("bias", of(t, []float32{0, 1}, 2)).
		Initializer("mean", of(t, []float32{1, 2}, 2)).Initializer("var", of(t, []float32{3.75, 15.75}, 2)).
		Initializer("ratio", of(t, []float32{0.5})).Initializer("on", of(t, []bool{true})).
		Node("BatchNormalization", []string{"x", "scale", "bias", "mean", "var"}, []string{"n", "new_mean", "new_var"},
			map[string]any{"training_mode": 1, "epsilon": 0.25, "momentum": 0.9}).
		Node("Dropout", []string{"n", "ratio", "on"}, []string{"y"}, nil).
		Output("y", tensor.Float32, 2, 2).Output("new_mean", tensor.Float32, 2))
	x := of(t, []float32{1, 2, 5, 10}, 2, 2)
	train, err := Run(lib, trainPath, map[string]*tensor.Tensor{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	// 0.9 * old + 0.1 * mean of the batch (3, 6); the tolerance is a few float32 roundings.
	if got := train["new_mean"].Float64s(); !(math.Abs(got[0]-1.2) <= 1e-6) || !(math.Abs(got[1]-2.4) <= 1e-6) {
		t.Errorf("training mode: new mean %v, want [1.2 2.4]", got)
	}
	eval, err := onnx.EvalMode(m)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Run(lib, saveModel(t, eval), map[string]*tensor.Tensor{"x": x})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got["y"] == nil {
		t.Fatalf("outputs %v, want y alone", got)
	}
	// (x - mean) / sqrt(var + 0.25) * scale + bias with square roots 2 and 4.
	want := []float64{0, 1, 2, 5}
	for i, v := range got["y"].Float64s() {
		if !(math.Abs(v-want[i]) <= 1e-6) { // a few float32 roundings
			t.Errorf("y[%d] = %v, want %v", i, v, want[i])
		}
	}
}

func TestRunErrors(t *testing.T) {
	lib := library(t)
	_, path := save(t, gemm(t))
	x := of(t, []float32{1, 0, -1, 2, 2, 2}, 2, 3)
	noInput := func() string {
		_, p := save(t, onnx.NewBuilder("constant", 20).Initializer("c", x).Node("Identity", []string{"c"}, []string{"y"}, nil).Output("y", tensor.Float32, 2, 3))
		return p
	}()
	text := filepath.Join(t.TempDir(), "x.onnx")
	if err := os.WriteFile(text, []byte("hello"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		label, model string
		inputs       map[string]*tensor.Tensor
		want         string
	}{
		{"missing input", path, nil, `"x"`},
		{"unknown input", path, map[string]*tensor.Tensor{"x": x, "z": x}, `"z"`},
		{"wrong element type", path, map[string]*tensor.Tensor{"x": of(t, make([]float64, 6), 2, 3)}, "float64[2 3]"},
		{"wrong shape", path, map[string]*tensor.Tensor{"x": of(t, make([]float32, 6), 3, 2)}, "x"},
		{"no inputs in the model", noInput, nil, "no input"},
		{"foreign file", text, nil, text},
		{"no such file", filepath.Join(t.TempDir(), "none.onnx"), nil, "none.onnx"},
	} {
		t.Run(test.label, func(t *testing.T) {
			out, err := Run(lib, test.model, test.inputs)
			if err == nil || out != nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("Run = %v, %v; want an error that contains %q", out, err, test.want)
			}
			if errors.Is(err, ErrUnavailable) {
				t.Errorf("%v: the library is there, the model is at fault", err)
			}
		})
	}
}

func TestNoLibrary(t *testing.T) {
	dir := t.TempDir()
	notALibrary := touch(t, dir, "libonnxruntime.so.0")
	for _, path := range []string{filepath.Join(dir, "none.so"), notALibrary} {
		if _, err := Version(path); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), path) {
			t.Errorf("Version(%s): %v, want ErrUnavailable with the path", path, err)
		}
		if _, err := Run(path, "x.onnx", nil); !errors.Is(err, ErrUnavailable) {
			t.Errorf("Run(%s): %v, want ErrUnavailable", path, err)
		}
	}
}
