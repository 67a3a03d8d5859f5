package tensor

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"unsafe"
)

// Element is a Go type that can stand for a tensor's elements as they are. The half-precision types have none: read
// them with Float64s.
type Element interface {
	float32 | float64 | int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | bool
}

// Tensor is a dense row-major array. A shape of length 0 is a scalar with one element.
type Tensor struct {
	dtype DType
	shape []int
	raw   []byte // little-endian, aligned to 8 bytes or to an element's size
}

// New returns a tensor of zeros. It panics on an invalid type or a negative dimension: those are the caller's bugs;
// sizes read from a file are checked with Elements first.
func New(d DType, shape ...int) *Tensor {
	n, err := Elements(shape)
	if err != nil || d.Size() == 0 {
		panic(fmt.Sprintf("tensor: New(%v, %v)", d, shape))
	}
	return &Tensor{dtype: d, shape: slices.Clone(shape), raw: alignedBytes(n * d.Size())}
}

// Of copies data into a new tensor. The number of elements must be that of the shape.
func Of[T Element](data []T, shape ...int) (*Tensor, error) {
	n, err := Elements(shape)
	if err != nil {
		return nil, err
	}
	if n != len(data) {
		return nil, fmt.Errorf("tensor: %d elements do not fill shape %v (%d elements)", len(data), shape, n)
	}
	t := New(TypeOf[T](), shape...)
	copy(View[T](t), data)
	return t, nil
}

// Wrap makes a tensor of data that shares its memory: whatever changes the one changes the other. The number of elements must be that
// of the shape.
func Wrap[T Element](data []T, shape ...int) (*Tensor, error) {
	n, err := Elements(shape)
	if err != nil {
		return nil, err
	}
	if n != len(data) {
		return nil, fmt.Errorf("tensor: %d elements do not fill shape %v (%d elements)", len(data), shape, n)
	}
	t := &Tensor{dtype: TypeOf[T](), shape: slices.Clone(shape)}
	if n > 0 {
		t.raw = unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(data))), n*t.dtype.Size())
	}
	return t, nil
}

// FromBytes makes a tensor of little-endian bytes, which are copied.
func FromBytes(d DType, shape []int, raw []byte) (*Tensor, error) {
	n, err := Elements(shape)
	if err != nil {
		return nil, err
	}
	if d.Size() == 0 {
		return nil, fmt.Errorf("tensor: invalid element type %v", d)
	}
	if n > math.MaxInt/d.Size() || n*d.Size() != len(raw) {
		return nil, fmt.Errorf("tensor: %d bytes do not fill shape %v of %v (%d elements)", len(raw), shape, d, n)
	}
	return Read(bytes.NewReader(raw), d, shape...)
}

// Read makes a tensor of the little-endian bytes that it reads from r. The caller has checked that the shape is one that the
// input can fill: all its memory is allocated first. It fails when r ends early, and on a bool that is neither 0 nor 1, which a
// View could not represent.
func Read(r io.Reader, d DType, shape ...int) (*Tensor, error) {
	if _, err := Elements(shape); err != nil {
		return nil, err
	}
	if d.Size() == 0 {
		return nil, fmt.Errorf("tensor: invalid element type %v", d)
	}
	t := New(d, shape...)
	if _, err := io.ReadFull(r, t.raw); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	if d == Bool {
		for i, b := range t.raw {
			if b > 1 {
				return nil, fmt.Errorf("tensor: element %d of a bool tensor is the byte %d, neither 0 nor 1", i, b)
			}
		}
	}
	return t, nil
}

// Elements returns the number of elements of a shape, or an error when a dimension is negative or the product does
// not fit an int.
func Elements(shape []int) (int, error) {
	n := 1
	for _, s := range shape {
		if s < 0 {
			return 0, fmt.Errorf("tensor: negative dimension in shape %v", shape)
		}
		if s > 0 && n > math.MaxInt/16/s {
			return 0, fmt.Errorf("tensor: shape %v is too large", shape)
		}
		n *= s
	}
	return n, nil
}

// View returns the elements without copying; writing to them writes to the tensor. It panics when T is not the
// tensor's type; ask DType first for a tensor that came from outside.
func View[T Element](t *Tensor) []T {
	if TypeOf[T]() != t.dtype {
		panic(fmt.Sprintf("tensor: View[%v] of a %v tensor", TypeOf[T](), t.dtype))
	}
	if len(t.raw) == 0 {
		return nil
	}
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(t.raw))), len(t.raw)/t.dtype.Size())
}

// DType returns the element type.
func (t *Tensor) DType() DType { return t.dtype }

// Shape returns the dimensions; the caller must not change them.
func (t *Tensor) Shape() []int { return t.shape }

// Len returns the number of elements.
func (t *Tensor) Len() int { return len(t.raw) / t.dtype.Size() }

// Bytes returns the elements as little-endian bytes without copying.
func (t *Tensor) Bytes() []byte { return t.raw }

// Clone returns a copy that shares nothing with t.
func (t *Tensor) Clone() *Tensor {
	c := New(t.dtype, t.shape...)
	copy(c.raw, t.raw)
	return c
}

// Reshape returns a view of the same elements with another shape.
func (t *Tensor) Reshape(shape ...int) (*Tensor, error) {
	n, err := Elements(shape)
	if err != nil {
		return nil, err
	}
	if n != t.Len() {
		return nil, fmt.Errorf("tensor: shape %v cannot become %v", t.shape, shape)
	}
	return &Tensor{dtype: t.dtype, shape: slices.Clone(shape), raw: t.raw}, nil
}

// SHA256 returns the digest of the elements' bytes in hexadecimal. Shape and type are not part of it: PyTorch and
// NumPy compute the same digest with hashlib.sha256(array.tobytes()).
func (t *Tensor) SHA256() string {
	sum := sha256.Sum256(t.raw)
	return hex.EncodeToString(sum[:])
}

// Equal reports whether two tensors have the same type, shape and bits.
func (t *Tensor) Equal(u *Tensor) bool {
	return t.dtype == u.dtype && slices.Equal(t.shape, u.shape) && string(t.raw) == string(u.raw)
}

// String describes the tensor without its elements, such as "float32[128 784]".
func (t *Tensor) String() string { return fmt.Sprintf("%v%v", t.dtype, t.shape) }

// alignedBytes returns n zero bytes that start at a multiple of 8, so that View may hand them out as any Element.
func alignedBytes(n int) []byte {
	if n == 0 {
		return nil
	}
	words := make([]uint64, (n+7)/8)
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), n)
}

// TypeOf returns the element type that the Go type stands for.
func TypeOf[T Element]() DType {
	var zero T
	switch any(zero).(type) {
	case float32:
		return Float32
	case float64:
		return Float64
	case int8:
		return Int8
	case int16:
		return Int16
	case int32:
		return Int32
	case int64:
		return Int64
	case uint8:
		return Uint8
	case uint16:
		return Uint16
	case uint32:
		return Uint32
	case uint64:
		return Uint64
	case bool:
		return Bool
	}
	return Invalid
}
