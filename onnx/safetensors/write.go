package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"tandem/onnx/atomicfile"
	"tandem/onnx/tensor"
)

// WriteFile writes tensors and metadata (nil for none) to path. The file appears whole or not at all.
//
// The bytes depend only on the content: tensors with wide elements come first, so that all data is aligned, and those of one type by
// name; the header is padded with spaces to a multiple of 8. This is the order of the reference implementation, so that it writes
// the same bytes (only several metadata entries, sorted here, may come in another order there).
func WriteFile(path string, tensors map[string]*tensor.Tensor, metadata map[string]string) error {
	header, order, err := makeHeader(tensors, metadata)
	if err != nil {
		err.File = path
		return err
	}
	return atomicfile.Write(path, func(w io.Writer) error {
		if err := write(w, header, order, tensors); err != nil {
			return &Error{File: path, Reason: "cannot be written", Err: pathCause(err)}
		}
		return nil
	})
}

// Encode writes what WriteFile would to w.
func Encode(w io.Writer, tensors map[string]*tensor.Tensor, metadata map[string]string) error {
	header, order, err := makeHeader(tensors, metadata)
	if err != nil {
		return err
	}
	return write(w, header, order, tensors)
}

func write(w io.Writer, header []byte, order []string, tensors map[string]*tensor.Tensor) error {
	if _, err := w.Write(header); err != nil {
		return err
	}
	for _, name := range order {
		if _, err := w.Write(tensors[name].Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// makeHeader returns the length prefix with the padded header, and the order of the tensors.
func makeHeader(tensors map[string]*tensor.Tensor, metadata map[string]string) ([]byte, []string, *Error) {
	order := slices.SortedFunc(maps.Keys(tensors), func(a, b string) int {
		// A nil tensor is reported below; it must not end the sort.
		if s, t := tensors[a], tensors[b]; s != nil && t != nil && s.DType() != t.DType() {
			return rank[t.DType()] - rank[s.DType()]
		}
		return strings.Compare(a, b)
	})
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	b.WriteByte('{')
	if metadata != nil {
		for key, value := range metadata {
			if !utf8.ValidString(key) || !utf8.ValidString(value) {
				return nil, nil, &Error{Reason: fmt.Sprintf("metadata %s is not UTF-8", quote(key))}
			}
		}
		fmt.Fprintf(&b, "%q:%s", metadataKey, marshal(metadata))
	}
	var at int
	for _, name := range order {
		t := tensors[name]
		switch {
		case t == nil:
			return nil, nil, &Error{Tensor: name, Reason: "is nil"}
		case name == metadataKey:
			return nil, nil, &Error{Tensor: name, Reason: "the format reserves this name"}
		case !utf8.ValidString(name):
			return nil, nil, &Error{Tensor: name, Reason: "its name is not UTF-8"}
		}
		if b.Len() > 9 {
			b.WriteByte(',')
		}
		end := at + len(t.Bytes())
		shape := t.Shape()
		if shape == nil {
			shape = []int{} // JSON null would not be a shape
		}
		fmt.Fprintf(&b, `%s:{"dtype":%q,"shape":%s,"data_offsets":[%d,%d]}`, marshal(name), types[rank[t.DType()]].name, marshal(shape), at, end)
		at = end
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	header := b.Bytes()
	if len(header)-8 > maxHeader {
		return nil, nil, &Error{Reason: fmt.Sprintf("the header of %d tensors takes %d bytes, more than the format allows (%d)", len(order), len(header)-8, maxHeader)}
	}
	binary.LittleEndian.PutUint64(header, uint64(len(header)-8))
	return header, order, nil
}

// marshal encodes strings, maps of strings (keys sorted) and integers, none of which can fail.
func marshal(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic("safetensors: " + err.Error())
	}
	return strings.TrimSuffix(b.String(), "\n")
}
