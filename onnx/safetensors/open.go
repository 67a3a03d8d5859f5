package safetensors

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"unsafe"

	"tandem/onnx/tensor"
)

// Reader is an open file of which parts are read when they are asked for. Close it after use.
type Reader struct {
	Path     string
	Tensors  map[string]*Stored
	Metadata map[string]string // as in File

	file *os.File
}

// Stored is a tensor in a file.
type Stored struct {
	Name  string
	DType tensor.DType
	Shape []int

	reader *Reader
	start  int64 // byte of the file
	size   int64 // bytes
}

// Open reads a file's header alone. Errors are of type *Error and name the file.
func Open(path string) (*Reader, error) {
	f, size, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	entries, metadata, start, err := readHeader(f, size)
	if err != nil {
		f.Close() // only read
		return nil, named(err, path)
	}
	r := &Reader{Path: path, Tensors: make(map[string]*Stored, len(entries)), Metadata: metadata, file: f}
	for _, e := range entries {
		r.Tensors[e.name] = &Stored{Name: e.name, DType: e.dtype, Shape: e.shape, reader: r, start: start + e.begin, size: e.end - e.begin}
	}
	return r, nil
}

// Close closes the file; nothing can be read from its tensors after that.
func (r *Reader) Close() error { return r.file.Close() }

// Len returns the number of elements.
func (s *Stored) Len() int { return int(s.size) / s.DType.Size() }

// ReadElements fills dst with the elements of s from number at on, in row-major order; it allocates nothing. T must be the tensor's
// type, and the elements must exist: anything else is a caller's bug and panics.
func ReadElements[T float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64](s *Stored, dst []T, at int) error {
	var zero T
	if tensor.TypeOf[T]() != s.DType || at < 0 || at > s.Len()-len(dst) {
		panic("safetensors: ReadElements of another type or beyond the end")
	}
	if len(dst) == 0 {
		return nil
	}
	size := int(unsafe.Sizeof(zero))
	return s.readAt(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), len(dst)*size), int64(at*size))
}

// readAt fills dst with the bytes of s from at on.
func (s *Stored) readAt(dst []byte, at int64) error {
	if _, err := s.reader.file.ReadAt(dst, s.start+at); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF // the file was as long as its header says when it was opened
		}
		return &Error{File: s.reader.Path, Tensor: s.Name, Reason: "its data cannot be read", Err: pathCause(err)}
	}
	return nil
}

// SHA256 returns the digest that [tensor.Tensor.SHA256] would return, reading the elements part by part. each, if not nil, is shown every
// part; parts hold whole elements.
func (s *Stored) SHA256(each func(part []byte) error) (string, error) {
	sum := sha256.New()
	buffer := make([]byte, min(s.size, 64<<10))
	for at := int64(0); at < s.size; at += int64(len(buffer)) {
		buffer = buffer[:min(s.size-at, int64(len(buffer)))]
		if err := s.readAt(buffer, at); err != nil {
			return "", err
		}
		sum.Write(buffer) // never fails
		if each != nil {
			if err := each(buffer); err != nil {
				return "", err
			}
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// String describes the tensor without its elements, such as "float32[128 784]".
func (s *Stored) String() string { return fmt.Sprintf("%v%v", s.DType, s.Shape) }
