package onnx_test

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"tandem/onnx"
	"tandem/onnx/onnxpb"
	"tandem/onnx/tensor"
)

// external writes a model whose initializer "w" has its data elsewhere, as the entries say, and returns its path.
func external(t *testing.T, dir string, entries ...string) string {
	t.Helper()
	data := edited(t, func(p *onnxpb.ModelProto) {
		w := p.Graph.Initializer[0]
		w.RawData, w.DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum()
		for i := 0; i < len(entries); i += 2 {
			w.ExternalData = append(w.ExternalData, &onnxpb.StringStringEntryProto{Key: proto.String(entries[i]), Value: proto.String(entries[i+1])})
		}
	})
	path := filepath.Join(dir, "model.onnx")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// dataFolder is a folder with w.bin (4 bytes, then the floats 5 to 8), the same in sub/, and a secret beside the folder.
func dataFolder(t *testing.T) string {
	t.Helper()
	outer := t.TempDir()
	dir := filepath.Join(outer, "model")
	if err := os.MkdirAll(filepath.Join(dir, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	bin := []byte("skip")
	for _, v := range []float32{5, 6, 7, 8} {
		bin = binary.LittleEndian.AppendUint32(bin, math.Float32bits(v))
	}
	for _, name := range []string{"model/w.bin", "model/sub/w.bin", "secret.bin"} {
		if err := os.WriteFile(filepath.Join(outer, name), bin, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestExternalData(t *testing.T) {
	dir := dataFolder(t)
	for _, entries := range [][]string{
		{"location", "w.bin", "offset", "4", "length", "16"},
		{"location", "w.bin", "offset", "4"},
		{"location", "sub/w.bin", "offset", "4", "length", "16", "checksum", "not read"},
	} {
		m, err := onnx.Load(external(t, dir, entries...))
		if err != nil {
			t.Errorf("%v: %v", entries, err)
			continue
		}
		if got := m.Graph.Initializer("w").Float64s(); got[0] != 5 || got[3] != 8 {
			t.Errorf("%v: %v, want 5 to 8", entries, got)
		}
		// A saved model carries all its data.
		alone := filepath.Join(t.TempDir(), "alone.onnx")
		if err := m.Save(alone); err != nil {
			t.Fatal(err)
		}
		again, err := onnx.Load(alone)
		if err != nil || !again.Graph.Initializer("w").Equal(m.Graph.Initializer("w")) {
			t.Errorf("saved alone: %v", err)
		}
	}
}

func TestExternalDataRefused(t *testing.T) {
	dir := dataFolder(t)
	links := true
	if err := os.Symlink(filepath.Join("..", "secret.bin"), filepath.Join(dir, "link.bin")); err != nil {
		links = false
		t.Logf("no symbolic links here: %v", err)
	}
	for _, test := range []struct {
		label   string
		entries []string
		want    string
	}{
		{"parent folder", []string{"location", "../secret.bin", "offset", "4"}, "not inside the model's folder"},
		{"by a detour", []string{"location", "sub/../../secret.bin", "offset", "4"}, "not inside the model's folder"},
		{"absolute path", []string{"location", filepath.Join(filepath.Dir(dir), "secret.bin"), "offset", "4"}, "not inside the model's folder"},
		{"symbolic link out", []string{"location", "link.bin", "offset", "4"}, "link.bin"},
		{"no location", nil, "not inside the model's folder"},
		{"zero byte", []string{"location", "w.bin\x00x"}, "not inside the model's folder"},
		{"no such file", []string{"location", "none.bin"}, "none.bin"},
		{"a folder", []string{"location", "sub"}, "not a regular file"},
		{"too short", []string{"location", "w.bin", "offset", "8"}, "too short"},
		{"offset past int64", []string{"location", "w.bin", "offset", "9223372036854775807"}, "too short"},
		{"negative offset", []string{"location", "w.bin", "offset", "-4"}, `"-4"`},
		{"offset in words", []string{"location", "w.bin", "offset", "four"}, `"four"`},
		{"wrong length", []string{"location", "w.bin", "offset", "4", "length", "12"}, "12"},
		{"two locations", []string{"location", "w.bin", "location", "sub/w.bin"}, "twice"},
	} {
		if test.label == "symbolic link out" && !links {
			continue
		}
		t.Run(test.label, func(t *testing.T) {
			path := external(t, dir, test.entries...)
			_, err := onnx.Load(path)
			var e *onnx.Error
			if !errors.As(err, &e) || e.File != path || e.Value != "w" || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v; want an error on w that contains %q", err, test.want)
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none.onnx")} {
		_, err := onnx.Load(path)
		var e *onnx.Error
		if !errors.As(err, &e) || e.File != path {
			t.Errorf("Load(%s): %v", path, err)
		}
	}
	if _, err := onnx.Load(filepath.Join(dir, "none.onnx")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v is not os.ErrNotExist", err)
	}
}

func TestSaveErrors(t *testing.T) {
	m, err := small(t).Build()
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "no", "folder.onnx")
	var e *onnx.Error
	if err := m.Save(path); !errors.As(err, &e) || e.File != path {
		t.Errorf("Save: %v", err)
	}
}

// TestSaveExternal writes a model of two files and reads it again; Save does the same with a model that is too large for one.
func TestSaveExternal(t *testing.T) {
	large, small := tensor.New(tensor.Float32, 40, 33), tensor.New(tensor.Float32, 3)
	for i := range tensor.View[float32](large) {
		tensor.View[float32](large)[i] = float32(i)
	}
	other := tensor.New(tensor.BFloat16, 40, 33)
	copy(other.Bytes(), large.Bytes())
	copy(tensor.View[float32](small), []float32{1, 2, 3})
	m, err := onnx.NewBuilder("large", 20).Input("x", tensor.Float32, 33).
		Initializer("large", large).Initializer("small", small).Initializer("half", other).Initializer("empty", tensor.New(tensor.Int64, 0)).
		Node("Add", []string{"x", "large"}, []string{"y"}, nil).Output("y", tensor.Float32, 40, 33).Build()
	if err != nil {
		t.Fatal(err)
	}
	for _, how := range []string{"SaveExternal", "Save"} {
		t.Run(how, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "model.onnx")
			save := m.SaveExternal
			if how == "Save" {
				onnx.LimitOneFile(t, 2000)
				save = m.Save
				if _, err := m.Encode(); err == nil || !strings.Contains(err.Error(), "external data") {
					t.Errorf("Encode of a model that is too large: %v", err)
				}
			}
			if err := save(path); err != nil {
				t.Fatal(err)
			}
			if info, err := os.Stat(path); err != nil || info.Size() > 1000 {
				t.Errorf("the model's own file: %v, %v", info, err)
			}
			// The second one begins at the next multiple of 64 bytes.
			if info, err := os.Stat(path + ".data"); err != nil || info.Size() != 5312+40*33*2 {
				t.Errorf("the data's file: %v, %v", info, err)
			}
			again, err := onnx.Load(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, init := range m.Graph.Initializers {
				if got := again.Graph.Initializer(init.Name); got == nil || !got.Equal(init.Tensor) {
					t.Errorf("%s is %v, want %v", init.Name, got, init.Tensor)
				}
			}
			alone := filepath.Join(t.TempDir(), "alone.onnx")
			if how == "SaveExternal" {
				if err := again.Save(alone); err != nil {
					t.Fatal(err)
				}
				if one, err := onnx.Load(alone); err != nil || !one.Graph.Initializer("large").Equal(large) {
					t.Errorf("saved as one file: %v", err)
				}
			}
			if err := m.SaveExternal(filepath.Join(path, "no", "folder.onnx")); err == nil {
				t.Error("a model was saved below a file")
			}
		})
	}
}
