package trace

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
)

// ReadReference reads a trace from the root of fsys: os.DirFS of its folder, or a part of an embedded file system.
func ReadReference(fsys fs.FS) (*Reference, error) {
	r := &Reference{}
	listed, err := readMain(fsys, roleReference, r)
	if err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", mainFile, err)
	}
	if err := readFiles(fsys, listed, r.files(), r.Sample); err != nil {
		return nil, err
	}
	for i := range r.Steps {
		if s := &r.Steps[i]; s.State == nil && !s.InitialState {
			return nil, fmt.Errorf("reading trace: step %d has no state", s.Step)
		}
	}
	return r, nil
}

// ReadCandidate reads a trace from the root of fsys.
func ReadCandidate(fsys fs.FS) (*Candidate, error) {
	c := &Candidate{}
	listed, err := readMain(fsys, roleCandidate, c)
	if err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("reading %s: %w", mainFile, err)
	}
	if err := readFiles(fsys, listed, c.files(), c.Sample); err != nil {
		return nil, err
	}
	return c, nil
}

// readMain decodes trace.json into t and returns the listed files.
func readMain(fsys fs.FS, role string, t any) (map[string]string, error) {
	data, err := fs.ReadFile(fsys, mainFile)
	if err != nil {
		return nil, fmt.Errorf("reading trace: %w", err)
	}
	// The version first: another version's fields are no error of this one.
	var version struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &version); err != nil {
		return nil, fmt.Errorf("reading %s: %w", mainFile, err)
	}
	if version.Schema != Schema {
		return nil, fmt.Errorf("reading %s: schema %q, but this program reads %q; record the trace again", mainFile, version.Schema, Schema)
	}
	var head header
	if err := strict(data, &head); err != nil {
		return nil, fmt.Errorf("reading %s: %w", mainFile, err)
	}
	if head.Role != role {
		return nil, fmt.Errorf("reading %s: the trace is a %q's, not a %s's", mainFile, head.Role, role)
	}
	if len(head.Trace) == 0 {
		return nil, fmt.Errorf("reading %s: no trace", mainFile)
	}
	if err := strict(head.Trace, t); err != nil {
		return nil, fmt.Errorf("reading %s: %w", mainFile, err)
	}
	return head.Files, nil
}

func strict(data []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the JSON object")
	}
	return nil
}

// readFiles fills the fields of files from those that are listed. Paths come from files alone, so that a hostile
// list cannot name others.
func readFiles(fsys fs.FS, listed map[string]string, files []file, sample int) error {
	left := maps.Clone(listed)
	for _, f := range files {
		want, ok := listed[f.path]
		if !ok {
			continue
		}
		delete(left, f.path)
		data, err := fs.ReadFile(fsys, f.path)
		if err != nil {
			return fmt.Errorf("reading trace: %w", err)
		}
		if got := digest(data); got != want {
			return fmt.Errorf("reading trace: %s is not the file that %s lists: SHA-256 %s, want %q", f.path, mainFile, got, want)
		}
		content, err := safetensors.Decode(data)
		if err != nil {
			return fmt.Errorf("reading trace: %s: %w", f.path, err)
		}
		if err := f.fill(content, sample); err != nil {
			return fmt.Errorf("reading trace: %s: %w", f.path, err)
		}
	}
	if len(left) > 0 {
		return fmt.Errorf("reading %s: it lists %q, which no such trace has", mainFile, slices.Sorted(maps.Keys(left))[0])
	}
	return nil
}

func (f file) fill(content *safetensors.File, sample int) error {
	names := slices.Sorted(maps.Keys(content.Tensors))
	if f.losses != nil {
		for _, name := range names {
			t, into := content.Tensors[name], f.losses(name)
			if into == nil {
				return fmt.Errorf("losses %q are of no run in %s", name, mainFile)
			}
			if t.DType() != tensor.Float64 || len(t.Shape()) != 1 {
				return fmt.Errorf("losses %q are %v, not a float64 vector", name, t)
			}
			*into = t.Float64s()
		}
		for _, name := range f.names {
			if content.Tensors[name] == nil {
				return fmt.Errorf("losses %q are missing", name)
			}
		}
		return nil
	}
	if err := f.checkNames(names); err != nil {
		return err
	}
	if f.whole != nil {
		*f.whole = content.Tensors
		return nil
	}
	if len(content.Metadata) != len(names) {
		return fmt.Errorf("%d tensors with %d shapes", len(names), len(content.Metadata))
	}
	set := Set{}
	for _, name := range names {
		t := content.Tensors[name]
		text, ok := content.Metadata[shapeKey+name]
		if !ok {
			return fmt.Errorf("tensor %q has no shape", name)
		}
		var shape []int
		if err := strict([]byte(text), &shape); err != nil {
			return fmt.Errorf("the shape of tensor %q: %w", name, err)
		}
		n, err := tensor.Elements(shape)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", name, err)
		}
		if len(t.Shape()) != 1 || t.Len() != n && (!sampling(n, sample) || t.Len() != sample) {
			return fmt.Errorf("tensor %q is %v; of shape %v a vector of all %d elements or of a sample of %d was expected", name, t, shape, n, sample)
		}
		set[name] = Sampled{Shape: shape, Values: t}
	}
	*f.set = set
	return nil
}
