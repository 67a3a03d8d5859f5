package trace

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
)

// The roles in trace.json.
const (
	roleReference = "reference"
	roleCandidate = "candidate"
)

const mainFile = "trace.json"

// header is trace.json around the trace itself.
type header struct {
	Schema string            `json:"schema"`
	Role   string            `json:"role"`
	Files  map[string]string `json:"files"` // SHA-256 by path
	Trace  json.RawMessage   `json:"trace"`
}

// WriteReference writes the trace to the folder dir, which is made. trace.json is written last: a folder without it
// is not a trace.
func WriteReference(dir string, r *Reference) error {
	if err := r.check(); err != nil {
		return fmt.Errorf("writing trace %s: %w", dir, err)
	}
	return write(dir, roleReference, r, r.files())
}

// WriteCandidate writes the trace to the folder dir, as WriteReference does.
func WriteCandidate(dir string, c *Candidate) error {
	if err := c.check(); err != nil {
		return fmt.Errorf("writing trace %s: %w", dir, err)
	}
	return write(dir, roleCandidate, c, c.files())
}

func write(dir, role string, t any, files []file) error {
	head := header{Schema: Schema, Role: role, Files: map[string]string{}}
	var err error
	if head.Trace, err = json.Marshal(t); err != nil {
		return fmt.Errorf("writing trace %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("writing trace: %w", err)
	}
	// An older trace.json must not stand beside new files if this is interrupted.
	if err := os.Remove(filepath.Join(dir, mainFile)); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("writing trace: %w", err)
	}
	for _, f := range files {
		tensors, metadata, err := f.content()
		if err != nil {
			return fmt.Errorf("writing trace %s: %s: %w", dir, f.path, err)
		}
		if len(tensors) == 0 {
			continue
		}
		var data bytes.Buffer
		if err := safetensors.Encode(&data, tensors, metadata); err != nil {
			return fmt.Errorf("writing trace %s: %s: %w", dir, f.path, err)
		}
		path := filepath.Join(dir, filepath.FromSlash(f.path))
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			return fmt.Errorf("writing trace: %w", err)
		}
		if err := os.WriteFile(path, data.Bytes(), 0o666); err != nil {
			return fmt.Errorf("writing trace: %w", err)
		}
		head.Files[f.path] = digest(data.Bytes())
	}
	text, err := json.MarshalIndent(head, "", " ")
	if err != nil {
		return fmt.Errorf("writing trace %s: %w", dir, err)
	}
	if err := os.WriteFile(filepath.Join(dir, mainFile), append(text, '\n'), 0o666); err != nil {
		return fmt.Errorf("writing trace: %w", err)
	}
	return nil
}

// content returns what a file holds. Empty tensors are kept: they have a shape.
func (f file) content() (Tensors, map[string]string, error) {
	switch {
	case f.losses != nil:
		out := Tensors{}
		for _, name := range f.names {
			v := *f.losses(name)
			t, err := tensor.Of(v, len(v))
			if err != nil {
				return nil, nil, err
			}
			out[name] = t
		}
		return out, nil, nil
	case f.whole != nil:
		return *f.whole, nil, f.checkNames(slices.Collect(maps.Keys(*f.whole)))
	}
	out, metadata := Tensors{}, map[string]string{}
	for name, s := range *f.set {
		shape, err := json.Marshal(append([]int{}, s.Shape...))
		if err != nil {
			return nil, nil, err
		}
		out[name], metadata[shapeKey+name] = s.Values, string(shape)
	}
	return out, metadata, f.checkNames(slices.Collect(maps.Keys(out)))
}

func (f file) checkNames(names []string) error {
	slices.Sort(names)
	for _, name := range names {
		if !hasPrefix(name, f.prefixes) {
			return fmt.Errorf("tensor %q does not belong here; names begin with %s", name, strings.Join(f.prefixes, ", "))
		}
	}
	return nil
}

// shapeKey precedes a tensor's name in a file's metadata.
const shapeKey = "shape/"

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
