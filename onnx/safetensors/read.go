package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"

	"tandem/onnx/tensor"
)

// File is the content of a safetensors file.
type File struct {
	Path     string // "" when decoded from memory
	Tensors  map[string]*tensor.Tensor
	Metadata map[string]string // free text under "__metadata__"; nil when the file has none
}

// maxHeader is the limit that the reference implementation sets.
const maxHeader = 100_000_000

// ReadFile reads a whole file. Errors are of type *Error and name the file.
func ReadFile(path string) (*File, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() // only read
	file, err := decode(f, size)
	if err != nil {
		return nil, named(err, path)
	}
	file.Path = path
	return file, nil
}

// Each reads a file one tensor after the other, in the order of its bytes, and calls f with each: memory for the largest is enough. An error of f
// ends it and is returned as it is; others are as ReadFile's.
func Each(path string, f func(name string, t *tensor.Tensor) error) error {
	file, size, err := openRegular(path)
	if err != nil {
		return err
	}
	defer file.Close() // only read
	entries, _, _, err := readHeader(file, size)
	if err != nil {
		return named(err, path)
	}
	for _, e := range entries {
		t, err := e.read(file)
		if err != nil {
			return named(err, path)
		}
		if err := f(e.name, t); err != nil {
			return err
		}
	}
	return nil
}

// read reads the entry's tensor where r stands.
func (e entry) read(r io.Reader) (*tensor.Tensor, error) {
	t, err := tensor.Read(r, e.dtype, e.shape...)
	if err != nil {
		return nil, &Error{Tensor: e.name, Reason: "its data cannot be read", Err: pathCause(err)}
	}
	return t, nil
}

// openRegular opens a file and returns its size.
func openRegular(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, &Error{File: path, Reason: "cannot be opened", Err: pathCause(err)}
	}
	info, err := f.Stat()
	switch {
	case err != nil:
		err = &Error{File: path, Err: pathCause(err)}
	case !info.Mode().IsRegular():
		err = &Error{File: path, Reason: "is not a regular file"}
	default:
		return f, info.Size(), nil
	}
	f.Close() // only read
	return nil, 0, err
}

// named adds the file's name to an error.
func named(err error, path string) error {
	var e *Error
	if errors.As(err, &e) {
		e.File = path
	}
	return err
}

// Decode reads a file's content from memory. The tensors do not share data's memory.
func Decode(data []byte) (*File, error) {
	return decode(bytes.NewReader(data), int64(len(data)))
}

// decode reads size bytes from r.
func decode(r io.Reader, size int64) (*File, error) {
	entries, metadata, _, err := readHeader(r, size)
	if err != nil {
		return nil, err
	}
	file := &File{Tensors: make(map[string]*tensor.Tensor, len(entries)), Metadata: metadata}
	for _, e := range entries {
		t, err := e.read(r)
		if err != nil {
			return nil, err
		}
		file.Tensors[e.name] = t
	}
	return file, nil
}

// readHeader reads the header of size bytes of r. The entries are in the order of their data, which begins at the byte start.
func readHeader(r io.Reader, size int64) (entries []entry, metadata map[string]string, start int64, err error) {
	var prefix [8]byte
	if size < int64(len(prefix)) {
		return nil, nil, 0, &Error{Reason: fmt.Sprintf("%d bytes are too few for a safetensors file: it is empty or truncated", size)}
	}
	if _, err := io.ReadFull(r, prefix[:]); err != nil {
		return nil, nil, 0, &Error{Reason: "cannot be read", Err: pathCause(err)}
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	rest := size - int64(len(prefix))
	switch {
	case n > maxHeader:
		return nil, nil, 0, &Error{Reason: fmt.Sprintf("its header claims %d bytes, more than the format allows (%d): it is not a safetensors file", n, maxHeader)}
	case int64(n) > rest:
		return nil, nil, 0, &Error{Reason: fmt.Sprintf("its header claims %d bytes but only %d follow: it is truncated or not a safetensors file", n, rest)}
	}
	header := make([]byte, n)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, nil, 0, &Error{Reason: "its header cannot be read", Err: pathCause(err)}
	}
	if entries, metadata, err = parseHeader(header); err != nil {
		return nil, nil, 0, err
	}
	if err := checkLayout(entries, rest-int64(n)); err != nil {
		return nil, nil, 0, err
	}
	return entries, metadata, int64(len(prefix)) + int64(n), nil
}

// checkLayout sorts the entries by position and demands that they cover the data exactly, each with the bytes of its shape.
func checkLayout(entries []entry, size int64) error {
	sort.SliceStable(entries, func(i, j int) bool {
		a, b := entries[i], entries[j]
		if a.begin != b.begin {
			return a.begin < b.begin
		}
		return a.end < b.end
	})
	var at int64
	for _, e := range entries {
		count, err := tensor.Elements(e.shape)
		if err != nil {
			return &Error{Tensor: e.name, Err: err}
		}
		if e.begin != at {
			what := "overlaps the tensor before it"
			if e.begin > at {
				what = "leaves a gap before it"
			}
			return &Error{Tensor: e.name, Reason: fmt.Sprintf("its data at bytes [%d, %d) %s, which ends at %d", e.begin, e.end, what, at)}
		}
		if e.end < e.begin || e.end > size {
			return &Error{Tensor: e.name, Reason: fmt.Sprintf("its data at bytes [%d, %d) lies outside the %d bytes that the file has: it is truncated or damaged", e.begin, e.end, size)}
		}
		// Elements leaves a factor of 16, so this product cannot overflow.
		if want := int64(count) * int64(e.dtype.Size()); e.end-e.begin != want {
			return &Error{Tensor: e.name, Reason: fmt.Sprintf("%v%v takes %d bytes, but its offsets hold %d", e.dtype, e.shape, want, e.end-e.begin)}
		}
		at = e.end
	}
	if at != size {
		return &Error{Reason: fmt.Sprintf("%d bytes follow the last tensor: the file is damaged", size-at)}
	}
	return nil
}

// pathCause drops the path that Error already shows.
func pathCause(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
