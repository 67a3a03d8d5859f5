package onnx

import (
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"google.golang.org/protobuf/proto"

	"tandem/onnx/atomicfile"
	"tandem/onnx/onnxpb"
)

// Initializers of fewer bytes stay in the model's own file, as in the onnx package's default; the others begin at multiples of a cache line.
const (
	externalFrom  = 1024
	externalAlign = 64
)

// SaveExternal writes the model to path with the data of its larger initializers in a second file beside it, named like it with .data
// appended: a model of more than 2 GiB cannot be one file. Load reads both. The second file is written first, each whole or not at all.
func (m *Model) SaveExternal(path string) error {
	p := m.tree()
	location := filepath.Base(path) + ".data"
	type part struct {
		offset int64
		data   []byte
	}
	var parts []part
	end := int64(0)
	for i, init := range m.Graph.Initializers {
		to, data := p.Graph.Initializer[i], init.Tensor.Bytes()
		if len(data) < externalFrom {
			to.RawData = append([]byte{}, data...)
			continue
		}
		end = (end + externalAlign - 1) / externalAlign * externalAlign
		to.RawData, to.DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum()
		entry := func(key, value string) {
			to.ExternalData = append(to.ExternalData, &onnxpb.StringStringEntryProto{Key: &key, Value: &value})
		}
		entry("location", location)
		entry("offset", strconv.FormatInt(end, 10))
		entry("length", strconv.Itoa(len(data)))
		parts = append(parts, part{end, data})
		end += int64(len(data))
	}
	graph, err := marshal(p)
	if err != nil {
		return at(path, err)
	}
	err = atomicfile.Write(path+".data", func(w io.Writer) error {
		written := int64(0)
		for _, part := range parts {
			for _, bytes := range [][]byte{make([]byte, part.offset-written), part.data} {
				n, err := w.Write(bytes)
				written += int64(n)
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return &Error{File: path + ".data", Reason: "the model's data cannot be written", Err: pathCause(err)}
	}
	if err := atomicfile.WriteBytes(path, graph); err != nil {
		return &Error{File: path, Reason: "the model cannot be written", Err: pathCause(err)}
	}
	return nil
}

// marshal encodes a model that fits one file.
func marshal(p *onnxpb.ModelProto) ([]byte, error) {
	if size := proto.Size(p); size > oneFile {
		return nil, &Error{
			Reason: fmt.Sprintf("the model takes %d bytes, more than the 2 GiB that one ONNX file may have", size), Kind: ErrUnsupported,
			Fix: "save it with external data",
		}
	}
	data, err := proto.MarshalOptions{Deterministic: true}.Marshal(p)
	if err != nil {
		return nil, &Error{Reason: "the model cannot be encoded", Err: err}
	}
	return data, nil
}
