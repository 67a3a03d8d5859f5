package safetensors

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"tandem/onnx/tensor"
)

// metadataKey is the one key of the header that is not a tensor's name.
const metadataKey = "__metadata__"

// maxRank bounds a shape's length; no framework makes longer ones (NumPy and PyTorch stop at 64).
const maxRank = 64

// entry is what the header says of one tensor.
type entry struct {
	name       string
	dtype      tensor.DType
	shape      []int
	begin, end int64 // bytes from the start of the data
}

// parseHeader reads the JSON token by token, because encoding/json would let a repeated key pass.
func parseHeader(header []byte) ([]entry, map[string]string, error) {
	if !utf8.Valid(header) {
		return nil, nil, &Error{Reason: "its header is not UTF-8: it is not a safetensors file"}
	}
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, &Error{Reason: "its header does not start with '{': it is not a safetensors file"}
	}
	p := parser{json.NewDecoder(bytes.NewReader(header))}
	p.dec.UseNumber()
	var entries []entry
	var metadata map[string]string
	seen := map[string]bool{}
	err := p.object(func(key string) error {
		if seen[key] {
			return &Error{Tensor: key, Reason: "appears twice in the header"}
		}
		seen[key] = true
		if key == metadataKey {
			var err error
			metadata, err = p.metadata()
			return err
		}
		e, err := p.entry(key)
		if err != nil {
			var typed *Error
			if errors.As(err, &typed) {
				return err
			}
			return &Error{Tensor: key, Reason: "bad entry in the header", Err: err}
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil {
		var typed *Error
		if errors.As(err, &typed) {
			return nil, nil, err
		}
		return nil, nil, &Error{Reason: "its header is damaged", Err: err}
	}
	if _, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, nil, &Error{Reason: "its header has text after the JSON object"}
	}
	return entries, metadata, nil
}

type parser struct{ dec *json.Decoder }

// object reads an object and calls each for every key; each must read the value.
func (p parser) object(each func(key string) error) error {
	if err := p.delim('{'); err != nil {
		return err
	}
	for p.dec.More() {
		key, err := p.text()
		if err != nil {
			return err
		}
		if err := each(key); err != nil {
			return err
		}
	}
	return p.delim('}')
}

func (p parser) metadata() (map[string]string, error) {
	m := map[string]string{}
	err := p.object(func(key string) error {
		if _, ok := m[key]; ok {
			return fmt.Errorf("metadata key %s appears twice", quote(key))
		}
		value, err := p.text()
		m[key] = value
		return err
	})
	return m, err
}

func (p parser) entry(name string) (entry, error) {
	e := entry{name: name}
	seen := map[string]bool{}
	err := p.object(func(key string) error {
		if seen[key] {
			return fmt.Errorf("key %s appears twice", quote(key))
		}
		seen[key] = true
		switch key {
		case "dtype":
			s, err := p.text()
			if err != nil {
				return err
			}
			d, ok := dtypes[s]
			if !ok {
				return fmt.Errorf("element type %s is not supported", quote(s))
			}
			e.dtype = d
		case "shape":
			dims, err := p.integers(maxRank)
			if err != nil {
				return err
			}
			for _, d := range dims {
				if d > int64(^uint(0)>>1) {
					return fmt.Errorf("dimension %d is too large", d)
				}
				e.shape = append(e.shape, int(d))
			}
		case "data_offsets":
			offsets, err := p.integers(2)
			if err != nil {
				return err
			}
			if len(offsets) != 2 {
				return fmt.Errorf("%d data_offsets instead of 2", len(offsets))
			}
			e.begin, e.end = offsets[0], offsets[1]
		default:
			return fmt.Errorf("unknown key %s", quote(key))
		}
		return nil
	})
	if err != nil {
		return entry{}, err
	}
	for _, key := range []string{"dtype", "shape", "data_offsets"} {
		if !seen[key] {
			return entry{}, fmt.Errorf("no %q", key)
		}
	}
	return e, nil
}

// integers reads an array of at most most non-negative integers.
func (p parser) integers(most int) ([]int64, error) {
	if err := p.delim('['); err != nil {
		return nil, err
	}
	var out []int64
	for p.dec.More() {
		if len(out) == most {
			return nil, fmt.Errorf("more than %d numbers in an array", most)
		}
		token, err := p.token()
		if err != nil {
			return nil, err
		}
		number, ok := token.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%v where a number belongs", token)
		}
		v, err := strconv.ParseInt(number.String(), 10, 64)
		if err != nil || v < 0 {
			return nil, fmt.Errorf("%s is not a non-negative 64-bit integer", quote(number.String()))
		}
		out = append(out, v)
	}
	return out, p.delim(']')
}

func (p parser) text() (string, error) {
	token, err := p.token()
	if err != nil {
		return "", err
	}
	s, ok := token.(string)
	if !ok {
		return "", fmt.Errorf("%v where a string belongs", token)
	}
	return s, nil
}

func (p parser) delim(want json.Delim) error {
	token, err := p.token()
	if err != nil {
		return err
	}
	if token != want {
		return fmt.Errorf("%v where %v belongs", token, want)
	}
	return nil
}

func (p parser) token() (json.Token, error) {
	token, err := p.dec.Token()
	if errors.Is(err, io.EOF) {
		return nil, io.ErrUnexpectedEOF
	}
	return token, err
}
