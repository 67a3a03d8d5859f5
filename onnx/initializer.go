package onnx

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"tandem/onnx/onnxpb"
	"tandem/onnx/tensor"
)

var dtypeOf = map[onnxpb.TensorProto_DataType]tensor.DType{
	onnxpb.TensorProto_FLOAT:    tensor.Float32,
	onnxpb.TensorProto_DOUBLE:   tensor.Float64,
	onnxpb.TensorProto_FLOAT16:  tensor.Float16,
	onnxpb.TensorProto_BFLOAT16: tensor.BFloat16,
	onnxpb.TensorProto_INT8:     tensor.Int8,
	onnxpb.TensorProto_INT16:    tensor.Int16,
	onnxpb.TensorProto_INT32:    tensor.Int32,
	onnxpb.TensorProto_INT64:    tensor.Int64,
	onnxpb.TensorProto_UINT8:    tensor.Uint8,
	onnxpb.TensorProto_UINT16:   tensor.Uint16,
	onnxpb.TensorProto_UINT32:   tensor.Uint32,
	onnxpb.TensorProto_UINT64:   tensor.Uint64,
	onnxpb.TensorProto_BOOL:     tensor.Bool,
}

var protoOf = func() map[tensor.DType]onnxpb.TensorProto_DataType {
	m := make(map[tensor.DType]onnxpb.TensorProto_DataType, len(dtypeOf))
	for p, d := range dtypeOf {
		m[d] = p
	}
	return m
}()

// DTypeOfCode returns the element type for ONNX's number of it (TensorProto.DataType), as in the attribute "to" of Cast.
func DTypeOfCode(code int64) (tensor.DType, error) {
	if code >= 0 && code <= math.MaxInt32 {
		if d, ok := dtypeOf[onnxpb.TensorProto_DataType(code)]; ok {
			return d, nil
		}
		return tensor.Invalid, fmt.Errorf("element type %v is not supported", onnxpb.TensorProto_DataType(code))
	}
	return tensor.Invalid, fmt.Errorf("%d is not an ONNX element type", code)
}

// CodeOfDType is the inverse of DTypeOfCode; 0 (undefined) for tensor.Invalid.
func CodeOfDType(d tensor.DType) int64 { return int64(protoOf[d]) }

// maxRank bounds a shape's length; no framework makes longer ones (NumPy and PyTorch stop at 64).
const maxRank = 64

// readTensor converts a tensor. external gives access to the model's folder; nil where external data is not allowed. The caller
// adds node, value and file to the error.
func readTensor(p *onnxpb.TensorProto, external *folder) (*tensor.Tensor, *Error) {
	invalid := func(format string, args ...any) *Error {
		return &Error{Reason: fmt.Sprintf(format, args...), Kind: ErrInvalid, Fix: "the file is damaged or was written by a faulty program: export the model again"}
	}
	code := onnxpb.TensorProto_DataType(p.GetDataType())
	d, ok := dtypeOf[code]
	if !ok {
		if code == onnxpb.TensorProto_UNDEFINED {
			return nil, invalid("the tensor has no element type")
		}
		return nil, &Error{
			Reason: fmt.Sprintf("elements of type %v are not supported", code), Kind: ErrUnsupported,
			Fix: "convert the model to float32 or float64 before exporting it",
		}
	}
	if len(p.GetDims()) > maxRank {
		return nil, invalid("the tensor has %d dimensions", len(p.GetDims()))
	}
	shape := make([]int, len(p.GetDims()))
	for i, n := range p.GetDims() {
		if n < 0 || n > math.MaxInt {
			return nil, invalid("the tensor has the impossible shape %v", p.GetDims())
		}
		shape[i] = int(n)
	}
	count, err := tensor.Elements(shape)
	if err != nil {
		return nil, invalid("the tensor has the impossible shape %v", p.GetDims())
	}
	if p.GetSegment() != nil {
		return nil, &Error{Reason: "tensors split into segments are not supported", Kind: ErrUnsupported, Fix: "save the model again with a current version of onnx"}
	}
	stated := len(p.GetFloatData()) + len(p.GetInt32Data()) + len(p.GetInt64Data()) + len(p.GetDoubleData()) + len(p.GetUint64Data()) + len(p.GetStringData())
	size := count * d.Size() // Elements leaves room for this product
	switch {
	case p.GetDataLocation() == onnxpb.TensorProto_EXTERNAL:
		if stated > 0 || len(p.GetRawData()) > 0 {
			return nil, invalid("the tensor has data both inside the file and outside")
		}
		return external.read(p, d, shape, size)
	case len(p.GetExternalData()) > 0:
		return nil, invalid("the tensor names an external file but is not marked as external")
	case p.RawData != nil && (len(p.GetRawData()) > 0 || stated == 0):
		if stated > 0 {
			return nil, invalid("the tensor has its data twice, raw and typed")
		}
		if len(p.GetRawData()) != size {
			return nil, invalid("%v%v takes %d bytes, but the file holds %d", d, shape, size, len(p.GetRawData()))
		}
		t, err := tensor.FromBytes(d, shape, p.GetRawData())
		if err != nil {
			return nil, invalid("%v", err)
		}
		return t, nil
	}
	t, found, bad := typedData(p, d, shape, count)
	switch {
	case bad != "":
		return nil, invalid("%s", bad)
	case t == nil:
		return nil, invalid("%v%v has %d elements, but the file holds %d", d, shape, count, found)
	case stated != found:
		return nil, invalid("%d numbers of %d are stored under another element type than %v", stated-found, stated, d)
	}
	return t, nil
}

// typedData reads the fields for numbers in protobuf's own encoding. It returns a nil tensor when their number is not count.
func typedData(p *onnxpb.TensorProto, d tensor.DType, shape []int, count int) (t *tensor.Tensor, found int, bad string) {
	switch d {
	case tensor.Float32:
		t, found = copied(p.GetFloatData(), d, shape, count)
	case tensor.Float64:
		t, found = copied(p.GetDoubleData(), d, shape, count)
	case tensor.Int32:
		t, found = copied(p.GetInt32Data(), d, shape, count)
	case tensor.Int64:
		t, found = copied(p.GetInt64Data(), d, shape, count)
	case tensor.Uint64:
		t, found = copied(p.GetUint64Data(), d, shape, count)
	case tensor.Uint32:
		if found = len(p.GetUint64Data()); found != count {
			return nil, found, ""
		}
		t = tensor.New(d, shape...)
		for i, v := range p.GetUint64Data() {
			if v > math.MaxUint32 {
				return nil, found, fmt.Sprintf("element %d is %d, which is no uint32", i, v)
			}
			binary.LittleEndian.PutUint32(t.Bytes()[4*i:], uint32(v))
		}
	default: // everything of 8 and 16 bits is stored as int32, half precision as its bit pattern
		if found = len(p.GetInt32Data()); found != count {
			return nil, found, ""
		}
		low, high := narrowRange(d)
		t = tensor.New(d, shape...)
		for i, v := range p.GetInt32Data() {
			if v < low || v > high {
				return nil, found, fmt.Sprintf("element %d is %d, which is no %v", i, v, d)
			}
			if d.Size() == 1 {
				t.Bytes()[i] = byte(v)
			} else {
				binary.LittleEndian.PutUint16(t.Bytes()[2*i:], uint16(v))
			}
		}
	}
	return t, found, ""
}

func copied[T tensor.Element](data []T, d tensor.DType, shape []int, count int) (*tensor.Tensor, int) {
	if len(data) != count {
		return nil, len(data)
	}
	t := tensor.New(d, shape...)
	copy(tensor.View[T](t), data)
	return t, count
}

func narrowRange(d tensor.DType) (low, high int32) {
	switch d {
	case tensor.Bool:
		return 0, 1
	case tensor.Int8:
		return math.MinInt8, math.MaxInt8
	case tensor.Uint8:
		return 0, math.MaxUint8
	case tensor.Int16:
		return math.MinInt16, math.MaxInt16
	}
	return 0, math.MaxUint16 // uint16, float16, bfloat16
}

// folder is where a model's external data may lie.
type folder struct {
	path string
	root *os.Root // opened at the first use; refuses every way out of the folder, symbolic links too
}

func (f *folder) close() {
	if f != nil && f.root != nil {
		_ = f.root.Close() // only read
	}
}

// read reads a tensor's external data: size bytes at the stated offset.
func (f *folder) read(p *onnxpb.TensorProto, d tensor.DType, shape []int, size int) (*tensor.Tensor, *Error) {
	if f == nil {
		return nil, &Error{
			Reason: "its data lies in another file, which cannot be read here", Kind: ErrUnsupported,
			Fix: "load the model by its path, or export it with external_data=False",
		}
	}
	fail := func(format string, args ...any) *Error {
		return &Error{Reason: fmt.Sprintf(format, args...), Kind: ErrInvalid, Fix: "keep the data file beside the model, or export it with external_data=False"}
	}
	location, offset, length := "", int64(0), int64(size)
	seen := map[string]bool{}
	for _, e := range p.GetExternalData() {
		if seen[e.GetKey()] {
			return nil, fail("external data states %s twice", quote(e.GetKey()))
		}
		seen[e.GetKey()] = true
		var err error
		switch e.GetKey() {
		case "location":
			location = e.GetValue()
		case "offset":
			offset, err = strconv.ParseInt(e.GetValue(), 10, 64)
		case "length":
			length, err = strconv.ParseInt(e.GetValue(), 10, 64)
		}
		if err != nil || offset < 0 {
			return nil, fail("external data has the %s %s", shorten(e.GetKey()), quote(e.GetValue()))
		}
	}
	name := filepath.FromSlash(location)
	if !filepath.IsLocal(name) || strings.ContainsRune(location, 0) {
		return nil, fail("its data file %s is not inside the model's folder, which is refused", quote(location))
	}
	if length != int64(size) {
		return nil, fail("%v%v takes %d bytes, but external data of %d bytes is stated", d, shape, size, length)
	}
	if f.root == nil {
		root, err := os.OpenRoot(f.path)
		if err != nil {
			return nil, fail("the model's folder cannot be opened: %v", err)
		}
		f.root = root
	}
	// Stat before Open: opening a named pipe would block.
	info, err := f.root.Stat(name)
	if err != nil {
		var pe *fs.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		return nil, fail("its data file %s cannot be opened: %v", quote(location), err)
	}
	if !info.Mode().IsRegular() {
		return nil, fail("its data file %s is not a regular file", quote(location))
	}
	if offset > info.Size() || int64(size) > info.Size()-offset {
		return nil, fail("its data file %s is too short: %d bytes at offset %d of %d", quote(location), size, offset, info.Size())
	}
	file, err := f.root.Open(name)
	if err != nil {
		return nil, fail("its data file %s cannot be opened: %v", quote(location), err)
	}
	defer file.Close() // only read
	t, err := tensor.Read(io.NewSectionReader(file, offset, int64(size)), d, shape...)
	if err != nil {
		return nil, fail("its data file %s cannot be read: %v", quote(location), err)
	}
	return t, nil
}

// tensorProto describes a tensor without its data.
func tensorProto(name string, t *tensor.Tensor) *onnxpb.TensorProto {
	code := int32(protoOf[t.DType()])
	p := &onnxpb.TensorProto{DataType: &code}
	if name != "" {
		p.Name = &name
	}
	for _, n := range t.Shape() {
		p.Dims = append(p.Dims, int64(n))
	}
	return p
}
