package safetensors_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
)

// TestOpen: a file of which parts are read has the elements and the digests of one that is read whole.
func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	floats := make([]float32, 50_000) // several parts of a digest
	for i := range floats {
		floats[i] = float32(i) / 3
	}
	whole := map[string]*tensor.Tensor{
		"floats": of(t, floats, 500, 100), "ints": of(t, []int64{1, -2, 1 << 60}, 3), "empty": tensor.New(tensor.Float32, 0, 4), "scalar": of(t, []float64{0.1}),
	}
	if err := safetensors.WriteFile(path, whole, map[string]string{"k": "v"}); err != nil {
		t.Fatal(err)
	}
	r, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if r.Metadata["k"] != "v" || len(r.Tensors) != len(whole) {
		t.Errorf("%d tensors and the metadata %v", len(r.Tensors), r.Metadata)
	}
	for name, w := range whole {
		s := r.Tensors[name]
		if s == nil || s.DType != w.DType() || !slices.Equal(s.Shape, w.Shape()) || s.Len() != w.Len() || s.String() != w.String() {
			t.Fatalf("%s is %v, want %v", name, s, w)
		}
		seen := 0
		digest, err := s.SHA256(func(part []byte) error { seen += len(part); return nil })
		if err != nil || digest != w.SHA256() || seen != len(w.Bytes()) {
			t.Errorf("%s has the digest %s of %d bytes (%v), want %s of %d", name, digest, seen, err, w.SHA256(), len(w.Bytes()))
		}
	}
	for _, test := range []struct{ at, n int }{{0, 1}, {0, 50_000}, {12_345, 100}, {49_999, 1}, {50_000, 0}} {
		got := make([]float32, test.n)
		if err := safetensors.ReadElements(r.Tensors["floats"], got, test.at); err != nil || !slices.Equal(got, floats[test.at:test.at+test.n]) {
			t.Errorf("%d elements from %d on: %v, or others than were written", test.n, test.at, err)
		}
	}
	ints := make([]int64, 2)
	if err := safetensors.ReadElements(r.Tensors["ints"], ints, 1); err != nil || ints[0] != -2 || ints[1] != 1<<60 {
		t.Errorf("read %v, %v", ints, err)
	}
	if n := testing.AllocsPerRun(100, func() { _ = safetensors.ReadElements(r.Tensors["ints"], ints, 1) }); n != 0 {
		t.Errorf("reading allocates %v times", n)
	}
	for _, mistake := range []func(){
		func() { _ = safetensors.ReadElements(r.Tensors["ints"], ints, 2) },
		func() { _ = safetensors.ReadElements(r.Tensors["ints"], ints, -1) },
		func() { _ = safetensors.ReadElements(r.Tensors["ints"], make([]float64, 1), 0) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("reading elements that are not there does not panic")
				}
			}()
			mistake()
		}()
	}
}

// TestOpenRefuses: the file is held to what ReadFile demands, and one that shrinks later is an error that names it.
func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	for _, data := range [][]byte{nil, []byte("PK\x03\x04 a zip archive"), raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 7)} {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		var e *safetensors.Error
		if r, err := safetensors.Open(path); r != nil || !errors.As(err, &e) || e.File != path {
			t.Errorf("Open = %v, %v; want an *Error with the path", r, err)
		}
	}
	if err := os.WriteFile(path, raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8), 0o666); err != nil {
		t.Fatal(err)
	}
	r, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 4); err != nil {
		t.Fatal(err)
	}
	_, digestErr := r.Tensors["a"].SHA256(nil)
	for _, err := range []error{safetensors.ReadElements(r.Tensors["a"], make([]float32, 2), 0), digestErr} {
		if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), `"a"`) {
			t.Errorf("the file is cut off: %v", err)
		}
	}
	if err := r.Close(); err != nil {
		t.Error(err)
	}
}
