package onnx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"google.golang.org/protobuf/proto"

	"tandem/onnx/atomicfile"
	"tandem/onnx/onnxpb"
	"tandem/onnx/tensor"
)

// Model is a checked ONNX model. It is read-only: Save writes what was read, with the initializers of Graph, and ignores other
// changes to the fields.
type Model struct {
	Path            string // where it was loaded from; "" when it was built
	IRVersion       int64
	Opset           map[string]int64 // version of each operator set by domain; "" is ai.onnx
	Producer        string           // program that wrote the file, such as "pytorch"
	ProducerVersion string
	Graph           *Graph
	Metadata        map[string]string
	Manifest        *Manifest // nil when the model carries none

	// source is the model in protobuf's form as it was read, with unique names and without the data of the initializers. The tree of its messages takes about
	// ten times as much memory and is seldom wanted: see tree.
	source []byte
}

// Load reads and checks the model at path. External data is read from the same folder or one below it.
func Load(path string) (*Model, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, &Error{File: path, Reason: "the model cannot be opened", Err: pathCause(err)}
	}
	if !info.Mode().IsRegular() {
		return nil, &Error{File: path, Reason: "not an ONNX model: it is not a regular file", Fix: "give a .onnx file", Kind: ErrForeign}
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, &Error{File: path, Reason: "the model cannot be read", Err: pathCause(err)}
	}
	external := &folder{path: filepath.Dir(path)}
	defer external.close()
	return decode(data, path, external)
}

// Decode reads and checks a model in memory; path serves messages only. A model with external data needs Load.
//
// Every node of the result has a unique name: one without a name, or with the name of a node before it, is named after its
// operator and its place in the graph, such as "Relu_3". Save keeps these names.
func Decode(data []byte, path string) (*Model, error) { return decode(data, path, nil) }

func decode(data []byte, path string, external *folder) (*Model, error) {
	p := &onnxpb.ModelProto{}
	// ONNX nests deeply only in control flow, which is refused; the limit keeps hostile input from using up the stack.
	if err := (proto.UnmarshalOptions{RecursionLimit: 100}).Unmarshal(data, p); err != nil {
		return nil, at(path, foreign(data, err))
	}
	if p.Graph == nil && len(p.OpsetImport) == 0 {
		// Protobuf accepts much that was never meant as protobuf: without a graph there is no reason to believe that this was.
		return nil, at(path, foreign(data, errors.New("no graph in it")))
	}
	m, err := fromProto(p, external)
	if err != nil {
		return nil, at(path, err)
	}
	m.Path = path
	return m, nil
}

// oneFile is the number of bytes that protobuf allows a model's file.
var oneFile = math.MaxInt32

// Save writes the model to path, whole or not at all. All data goes into the file itself, unless it is more than one file may hold: then
// it is SaveExternal.
func (m *Model) Save(path string) error {
	if m.bytes() > oneFile {
		return m.SaveExternal(path)
	}
	data, err := m.Encode()
	if err != nil {
		return at(path, err)
	}
	err = atomicfile.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	if err != nil {
		return &Error{File: path, Reason: "the model cannot be written", Err: pathCause(err)}
	}
	return nil
}

// tree returns what the model was read from as messages that nobody else has.
func (m *Model) tree() *onnxpb.ModelProto {
	p := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(m.source, p); err != nil {
		panic("onnx: " + err.Error()) // keep wrote it
	}
	return p
}

// keep makes p what the model was read from.
func (m *Model) keep(p *onnxpb.ModelProto) (err error) {
	if m.source, err = proto.Marshal(p); err != nil {
		return &Error{Reason: "the model cannot be kept", Err: err, Kind: ErrInvalid}
	}
	return nil
}

// bytes is the size of the initializers and of all else.
func (m *Model) bytes() int {
	size := len(m.source)
	for _, init := range m.Graph.Initializers {
		size += len(init.Tensor.Bytes()) + 16 // and the field's own
	}
	return size
}

// Encode returns what Save writes into one file. The same model gives the same bytes.
func (m *Model) Encode() ([]byte, error) {
	p := m.tree()
	for i, init := range m.Graph.Initializers {
		p.Graph.Initializer[i].RawData = init.Tensor.Bytes()
		if init.Tensor.Len() == 0 {
			p.Graph.Initializer[i].RawData = []byte{}
		}
	}
	return marshal(p)
}

// WithInitializers returns a copy of the model in which the named initializers have the given values; the others stay. Each must
// exist and keep its element type and shape. The copy shares the tensors.
func (m *Model) WithInitializers(values map[string]*tensor.Tensor) (*Model, error) {
	for name, t := range values {
		old := m.Graph.Initializer(name)
		switch {
		case old == nil:
			return nil, &Error{File: m.Path, Value: name, Reason: "the model has no initializer of that name to replace", Kind: ErrInvalid}
		case t == nil:
			return nil, &Error{File: m.Path, Value: name, Reason: "the new value is nil", Kind: ErrInvalid}
		case t.DType() != old.DType() || !equalShapes(t.Shape(), old.Shape()):
			return nil, &Error{File: m.Path, Value: name, Reason: fmt.Sprintf("the initializer is %v and cannot become %v", old, t), Kind: ErrInvalid}
		}
	}
	c, g := *m, *m.Graph
	c.Graph = &g
	g.Initializers = make([]*Initializer, len(m.Graph.Initializers))
	g.initializers = make(map[string]*Initializer, len(g.Initializers))
	for i, init := range m.Graph.Initializers {
		if t, ok := values[init.Name]; ok {
			init = &Initializer{Name: init.Name, Tensor: t}
		}
		g.Initializers[i], g.initializers[init.Name] = init, init
	}
	return &c, nil
}

func equalShapes(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// pathCause drops the path that Error already shows.
func pathCause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}
