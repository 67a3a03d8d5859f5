package safetensors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
)

// raw makes a file of a header and n bytes of data.
func raw(header string, n int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, n)...)
}

func TestDecodeRefuses(t *testing.T) {
	entry := `{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, test := range []struct {
		label  string
		data   []byte
		want   string // in the message
		tensor string // the error's field
		reason string
	}{
		{"empty file", nil, "0 bytes", "", "an interrupted copy"},
		{"seven bytes", make([]byte, 7), "7 bytes", "", "shorter than the length prefix"},
		{"header of 2^63", append(binary.LittleEndian.AppendUint64(nil, 1<<63), "{}"...), "more than the format allows", "", "must not be allocated"},
		{"header past the end", append(binary.LittleEndian.AppendUint64(nil, 1000), "{}"...), "only 2 follow", "", "truncated"},
		{"no header", raw("", 0), "does not start with '{'", "", "an empty header is no JSON object"},
		{"leading space", raw(" {}", 0), "does not start with '{'", "", "the format forbids it"},
		{"not UTF-8", raw("{\"\xff\":1}", 0), "not UTF-8", "", "JSON is UTF-8"},
		{"broken JSON", raw(`{"a"`, 0), "bad entry", "a", "truncated inside the header"},
		{"comma at the end", raw(`{"a":`+entry+`,}`, 8), "damaged", "", "not JSON"},
		{"text after", raw(`{} x`, 0), "text after", "", "only padding may follow"},
		{"two objects", raw(`{}{}`, 0), "text after", "", "only padding may follow"},
		{"array for an entry", raw(`{"a":[]}`, 0), "bad entry", "a", "an entry is an object"},
		{"duplicate name", raw(`{"a":`+entry+`,"a":`+entry+`}`, 8), "twice", "a", "encoding/json would take the last"},
		{"duplicate key", raw(`{"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,8]}}`, 8), "twice", "a", "the same"},
		{"duplicate metadata", raw(`{"__metadata__":{"k":"1","k":"2"}}`, 0), `"k" appears twice`, "", "the same"},
		{"metadata of a number", raw(`{"__metadata__":{"k":1}}`, 0), "where a string belongs", "", "metadata is text"},
		{"unknown key", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1}}`, 8), `"x"`, "a", "nothing is skipped in silence"},
		{"no dtype", raw(`{"a":{"shape":[2],"data_offsets":[0,8]}}`, 8), `no "dtype"`, "a", "required"},
		{"no shape", raw(`{"a":{"dtype":"F32","data_offsets":[0,8]}}`, 8), `no "shape"`, "a", "required"},
		{"no offsets", raw(`{"a":{"dtype":"F32","shape":[2]}}`, 8), `no "data_offsets"`, "a", "required"},
		{"unknown dtype", raw(`{"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}}`, 8), "F8_E4M3", "a", "tandem has no such type"},
		{"one offset", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0]}}`, 8), "1 data_offsets", "a", "two belong there"},
		{"three offsets", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}`, 8), "more than 2", "a", "two belong there"},
		{"negative offset", raw(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}`, 8), "non-negative", "a", "before the data"},
		{"fractional dimension", raw(`{"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}}`, 8), "integer", "a", "dimensions are integers"},
		{"negative dimension", raw(`{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}`, 8), "non-negative", "a", "no such shape"},
		{"dimension past int64", raw(`{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}`, 8), "64-bit", "a", "no such shape"},
		{"overflowing shape", raw(`{"a":{"dtype":"F32","shape":[4294967296,4294967296,2],"data_offsets":[0,8]}}`, 8), "too large", "a", "the product wraps to 0"},
		{"rank 65", raw(`{"a":{"dtype":"F32","shape":[`+strings.Repeat("1,", 64)+`2],"data_offsets":[0,8]}}`, 8), "more than 64", "a", "no framework makes it"},
		{"shape against offsets", raw(`{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}`, 8), "12 bytes", "a", "sizes disagree"},
		{"offsets past the data", raw(`{"a":`+entry+`}`, 7), "outside the 7 bytes", "a", "truncated data"},
		{"trailing data", raw(`{"a":`+entry+`}`, 9), "1 bytes follow", "", "nothing may follow"},
		{"gap", raw(`{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`, 8), "gap", "a", "the reference implementation refuses holes"},
		{"overlap", raw(`{"a":`+entry+`,"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12), "overlaps", "b", "two tensors share bytes"},
		{"aliased", raw(`{"a":`+entry+`,"b":`+entry+`}`, 8), "overlaps", "b", "two tensors share bytes"},
		{"reversed offsets", raw(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,-4]}}`, 0), "non-negative", "b", "end before begin"},
		{"bool of 2", append(raw(`{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]}}`, 0), 2), "neither 0 nor 1", "a", "Go would misbehave on such a bool"},
	} {
		t.Run(test.label, func(t *testing.T) {
			f, err := safetensors.Decode(test.data)
			var e *safetensors.Error
			if f != nil || !errors.As(err, &e) {
				t.Fatalf("Decode = %v, %v; want an *Error: %s", f, err, test.reason)
			}
			if !strings.Contains(err.Error(), test.want) || e.Tensor != test.tensor {
				t.Errorf("error %q of tensor %q; want %q of tensor %q: %s", err, e.Tensor, test.want, test.tensor, test.reason)
			}
		})
	}
}

func TestDecodeAccepts(t *testing.T) {
	for _, test := range []struct {
		label string
		data  []byte
		n     int
	}{
		{"no tensors", raw(`{}`, 0), 0},
		{"padding", raw(`{}      `, 0), 0},
		{"scalar", raw(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}`, 4), 1},
		{"header in another order than the data", raw(`{"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]},"a":{"data_offsets":[0,1],"shape":[1],"dtype":"U8"}}`, 2), 2},
		{"empty tensors between", raw(`{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"c":{"dtype":"F32","shape":[2,0],"data_offsets":[4,4]}}`, 4), 3},
	} {
		t.Run(test.label, func(t *testing.T) {
			f, err := safetensors.Decode(test.data)
			if err != nil {
				t.Fatal(err)
			}
			if len(f.Tensors) != test.n {
				t.Errorf("%d tensors, want %d", len(f.Tensors), test.n)
			}
		})
	}
}

func TestReadFileNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.safetensors")
	if err := os.WriteFile(path, []byte("PK\x03\x04 a zip archive"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, filepath.Join(dir, "none"), dir} {
		_, err := safetensors.ReadFile(p)
		var e *safetensors.Error
		if !errors.As(err, &e) || e.File != p || !strings.Contains(err.Error(), p) {
			t.Errorf("ReadFile(%s): %v, want an *Error with the path", p, err)
		}
		if strings.Count(fmt.Sprint(err), p) != 1 {
			t.Errorf("%v: the path should stand there once", err)
		}
	}
	if _, err := safetensors.ReadFile(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v is not fs.ErrNotExist", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	x := tensor.New(tensor.Float32, 1)
	for _, test := range []struct {
		label    string
		tensors  map[string]*tensor.Tensor
		metadata map[string]string
		want     string
	}{
		{"nil tensor", map[string]*tensor.Tensor{"a": x, "b": nil}, nil, `"b"`},
		{"reserved name", map[string]*tensor.Tensor{"__metadata__": x}, nil, "reserves"},
		{"name not UTF-8", map[string]*tensor.Tensor{"\xff": x}, nil, "UTF-8"},
		{"metadata not UTF-8", nil, map[string]string{"k": "\xff"}, "UTF-8"},
	} {
		t.Run(test.label, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "x.safetensors")
			err := safetensors.WriteFile(path, test.tensors, test.metadata)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want %q and the path", err, test.want)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 0 {
				t.Errorf("%v is left behind", left)
			}
		})
	}
}

// The same tensors give the same bytes however the map is walked, and aligned ones.
func TestWriteIsDeterministic(t *testing.T) {
	tensors := map[string]*tensor.Tensor{}
	for i := range 40 {
		tensors[fmt.Sprintf("t%02d", i)] = tensor.New([]tensor.DType{tensor.Uint8, tensor.Float64, tensor.Float32}[i%3], i)
	}
	var first []byte
	for range 5 {
		var b bytes.Buffer
		if err := safetensors.Encode(&b, tensors, map[string]string{"b": "2", "a": "1"}); err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = b.Bytes()
		}
		if !bytes.Equal(first, b.Bytes()) {
			t.Fatal("the bytes differ between two writes")
		}
	}
	if binary.LittleEndian.Uint64(first)%8 != 0 {
		t.Error("the header's length is no multiple of 8")
	}
}

func FuzzDecode(f *testing.F) {
	file, err := os.ReadFile(python)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add(file[:len(file)-1])
	f.Add(raw(`{}`, 0))
	f.Add(raw(`{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0))
	f.Add(raw(`{"a":{"dtype":"BOOL","shape":[1],"data_offsets":[0,1]},"__metadata__":{"k":"v"}}`, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := safetensors.Decode(data)
		if err != nil {
			var e *safetensors.Error
			if !errors.As(err, &e) {
				t.Fatalf("%T is not an *Error", err)
			}
			return
		}
		var b bytes.Buffer
		if err := safetensors.Encode(&b, file.Tensors, file.Metadata); err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := safetensors.Decode(b.Bytes())
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		if len(again.Tensors) != len(file.Tensors) || len(again.Metadata) != len(file.Metadata) {
			t.Fatal("tensors or metadata were lost")
		}
		for name, x := range file.Tensors {
			if y := again.Tensors[name]; y == nil || !y.Equal(x) {
				t.Fatalf("%q: %v became %v", name, x, y)
			}
		}
	})
}

// TestEach reads a file tensor by tensor: the same ones as at once, in the order of their bytes, until the caller has had enough.
func TestEach(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.safetensors")
	tensors := map[string]*tensor.Tensor{}
	for name, n := range map[string]int{"a": 3, "b": 0, "c": 5} {
		tensors[name] = tensor.New(tensor.Float32, n)
	}
	if err := safetensors.WriteFile(path, tensors, nil); err != nil {
		t.Fatal(err)
	}
	var names []string
	err := safetensors.Each(path, func(name string, v *tensor.Tensor) error {
		names = append(names, name)
		if !v.Equal(tensors[name]) {
			t.Errorf("%s is %v, want %v", name, v, tensors[name])
		}
		return nil
	})
	if err != nil || !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("%v, %v", names, err)
	}
	enough := errors.New("enough")
	if err := safetensors.Each(path, func(string, *tensor.Tensor) error { return enough }); err != enough {
		t.Errorf("%v, want the caller's own error", err)
	}
	if err := os.Truncate(path, 100); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{path, path + ".absent"} {
		if err := safetensors.Each(name, func(string, *tensor.Tensor) error { return nil }); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want an error that names %s", err, name)
		}
	}
}
