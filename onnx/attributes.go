package onnx

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"tandem/onnx/onnxpb"
	"tandem/onnx/tensor"
)

// Attributes are a node's attributes. Presence is explicit: each getter takes what to answer when the attribute is absent, and an
// attribute that is there with another type is an error, never the fallback. The zero value has no attributes.
//
// ONNX stores floating-point attributes as float32. They are widened through their shortest decimal, so that the float32 nearest
// to 0.2 reads as the float64 0.2 and not as 0.200000002980232: the author of the model meant the decimal, PyTorch computes with
// it as a double, and comparisons in float64 at 1e-10 would see the difference.
type Attributes struct {
	values map[string]any // int64, float64, string, []int64, []float64, []string, *tensor.Tensor or unread
}

// unread marks an attribute of a type that no operator of tandem uses.
type unread struct{ kind string }

// NewAttributes makes attributes of Go values: int, int64 and bool become an integer; float32 and float64 a float; string;
// []int and []int64 integers; []float64; []string; *tensor.Tensor. It panics on any other type, which is a bug of the caller.
func NewAttributes(values map[string]any) Attributes {
	a := Attributes{make(map[string]any, len(values))}
	for name, v := range values {
		a.values[name] = attributeValue(name, v)
	}
	return a
}

// With returns the attributes with one more, or with another value for one; a stays as it is. The value is as for NewAttributes.
func (a Attributes) With(name string, value any) Attributes {
	b := Attributes{make(map[string]any, len(a.values)+1)}
	maps.Copy(b.values, a.values)
	b.values[name] = attributeValue(name, value)
	return b
}

func attributeValue(name string, v any) any {
	switch v := v.(type) {
	case int:
		return int64(v)
	case bool:
		if v {
			return int64(1)
		}
		return int64(0)
	case float32:
		return Widen(v)
	case []int:
		ints := make([]int64, len(v))
		for i, x := range v {
			ints[i] = int64(x)
		}
		return ints
	case int64, float64, string, *tensor.Tensor:
		return v
	case []int64:
		return slices.Clone(v)
	case []float64:
		return slices.Clone(v)
	case []string:
		return slices.Clone(v)
	}
	panic(fmt.Sprintf("onnx: attribute %q of Go type %T", name, v))
}

// Has reports whether the attribute is present.
func (a Attributes) Has(name string) bool {
	_, ok := a.values[name]
	return ok
}

// Names returns the names of the attributes, sorted.
func (a Attributes) Names() []string { return slices.Sorted(maps.Keys(a.values)) }

// Int returns an integer attribute.
func (a Attributes) Int(name string, fallback int64) (int64, error) { return get(a, name, fallback) }

// Float returns a floating-point attribute, widened as described at Attributes.
func (a Attributes) Float(name string, fallback float64) (float64, error) {
	return get(a, name, fallback)
}

// String returns a string attribute.
func (a Attributes) String(name, fallback string) (string, error) { return get(a, name, fallback) }

// Ints returns a list of integers; the caller must not change it.
func (a Attributes) Ints(name string, fallback []int64) ([]int64, error) {
	return get(a, name, fallback)
}

// Floats returns a list of floating-point numbers; the caller must not change it.
func (a Attributes) Floats(name string, fallback []float64) ([]float64, error) {
	return get(a, name, fallback)
}

// Strings returns a list of strings; the caller must not change it.
func (a Attributes) Strings(name string, fallback []string) ([]string, error) {
	return get(a, name, fallback)
}

// Tensor returns a tensor attribute, nil when it is absent.
func (a Attributes) Tensor(name string) (*tensor.Tensor, error) {
	return get[*tensor.Tensor](a, name, nil)
}

func get[T any](a Attributes, name string, fallback T) (T, error) {
	v, ok := a.values[name]
	if !ok {
		return fallback, nil
	}
	t, ok := v.(T)
	if !ok {
		return fallback, fmt.Errorf("attribute %q is of type %s, not %s", shorten(name), kindOf(v), kindOf(fallback))
	}
	return t, nil
}

func kindOf(v any) string {
	switch v := v.(type) {
	case int64:
		return "INT"
	case float64:
		return "FLOAT"
	case string:
		return "STRING"
	case []int64:
		return "INTS"
	case []float64:
		return "FLOATS"
	case []string:
		return "STRINGS"
	case *tensor.Tensor:
		return "TENSOR"
	case unread:
		return v.kind
	}
	return fmt.Sprintf("%T", v)
}

// Widen returns the float64 nearest to the shortest decimal that reads back as f: what Attributes does with every float. It serves
// for the other places where ONNX forces a double into a float32, such as the ratio of Dropout.
func Widen(f float32) float64 {
	v, err := strconv.ParseFloat(strconv.FormatFloat(float64(f), 'g', -1, 32), 64)
	if err != nil {
		return float64(f)
	}
	return v
}

// readAttributes converts a node's attributes; the caller adds node and file to the error.
func readAttributes(protos []*onnxpb.AttributeProto) (Attributes, *Error) {
	if len(protos) == 0 {
		return Attributes{}, nil
	}
	a := Attributes{make(map[string]any, len(protos))}
	for _, p := range protos {
		name := p.GetName()
		if name == "" {
			return a, &Error{Reason: "an attribute has no name", Kind: ErrInvalid}
		}
		if a.Has(name) {
			return a, &Error{Reason: fmt.Sprintf("attribute %s appears twice", quote(name)), Kind: ErrInvalid}
		}
		if p.GetRefAttrName() != "" {
			return a, &Error{Reason: fmt.Sprintf("attribute %s refers to a function's attribute outside of a function", quote(name)), Kind: ErrInvalid}
		}
		v, err := readAttribute(p)
		if err != nil {
			return a, err
		}
		a.values[name] = v
	}
	return a, nil
}

func readAttribute(p *onnxpb.AttributeProto) (any, *Error) {
	switch kind := attributeType(p); kind {
	case onnxpb.AttributeProto_INT:
		return p.GetI(), nil
	case onnxpb.AttributeProto_FLOAT:
		return Widen(p.GetF()), nil
	case onnxpb.AttributeProto_STRING:
		return string(p.GetS()), nil
	case onnxpb.AttributeProto_INTS:
		return slices.Clone(p.GetInts()), nil
	case onnxpb.AttributeProto_FLOATS:
		out := make([]float64, len(p.GetFloats()))
		for i, f := range p.GetFloats() {
			out[i] = Widen(f)
		}
		return out, nil
	case onnxpb.AttributeProto_STRINGS:
		out := make([]string, len(p.GetStrings()))
		for i, s := range p.GetStrings() {
			out[i] = string(s)
		}
		return out, nil
	case onnxpb.AttributeProto_TENSOR:
		if p.GetT() == nil {
			return nil, &Error{Reason: fmt.Sprintf("attribute %s is of type TENSOR but holds none", quote(p.GetName())), Kind: ErrInvalid}
		}
		t, err := readTensor(p.GetT(), nil)
		if err != nil {
			err.Reason = fmt.Sprintf("attribute %s: %s", quote(p.GetName()), err.Reason)
			return nil, err
		}
		return t, nil
	case onnxpb.AttributeProto_GRAPH, onnxpb.AttributeProto_GRAPHS:
		return nil, &Error{
			Reason: fmt.Sprintf("attribute %s holds a graph: control flow is not supported", quote(p.GetName())), Kind: ErrUnsupported,
			Fix: "export the model without data-dependent branches and loops",
		}
	default:
		return unread{kind.String()}, nil
	}
}

// attributeType returns the attribute's type; models older than IR version 2 do not state it, so there it is what is filled.
func attributeType(p *onnxpb.AttributeProto) onnxpb.AttributeProto_AttributeType {
	switch {
	case p.GetType() != onnxpb.AttributeProto_UNDEFINED:
		return p.GetType()
	case p.I != nil:
		return onnxpb.AttributeProto_INT
	case p.F != nil:
		return onnxpb.AttributeProto_FLOAT
	case p.S != nil:
		return onnxpb.AttributeProto_STRING
	case p.T != nil:
		return onnxpb.AttributeProto_TENSOR
	case p.G != nil:
		return onnxpb.AttributeProto_GRAPH
	case len(p.Ints) > 0:
		return onnxpb.AttributeProto_INTS
	case len(p.Floats) > 0:
		return onnxpb.AttributeProto_FLOATS
	case len(p.Strings) > 0:
		return onnxpb.AttributeProto_STRINGS
	case len(p.Graphs) > 0:
		return onnxpb.AttributeProto_GRAPHS
	}
	return onnxpb.AttributeProto_UNDEFINED
}

// protos converts the attributes back, sorted by name.
func (a Attributes) protos() []*onnxpb.AttributeProto {
	var out []*onnxpb.AttributeProto
	for _, name := range a.Names() {
		p := &onnxpb.AttributeProto{Name: &name}
		switch v := a.values[name].(type) {
		case int64:
			p.Type, p.I = onnxpb.AttributeProto_INT.Enum(), &v
		case float64:
			f := float32(v)
			p.Type, p.F = onnxpb.AttributeProto_FLOAT.Enum(), &f
		case string:
			p.Type, p.S = onnxpb.AttributeProto_STRING.Enum(), []byte(v)
		case []int64:
			p.Type, p.Ints = onnxpb.AttributeProto_INTS.Enum(), v
		case []float64:
			p.Type = onnxpb.AttributeProto_FLOATS.Enum()
			for _, x := range v {
				p.Floats = append(p.Floats, float32(x))
			}
		case []string:
			p.Type = onnxpb.AttributeProto_STRINGS.Enum()
			for _, s := range v {
				p.Strings = append(p.Strings, []byte(s))
			}
		case *tensor.Tensor:
			p.Type, p.T = onnxpb.AttributeProto_TENSOR.Enum(), tensorProto("", v)
			p.T.RawData = v.Bytes()
		}
		out = append(out, p)
	}
	return out
}
