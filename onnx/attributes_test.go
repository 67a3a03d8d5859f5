package onnx_test

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"tandem/onnx"
	"tandem/onnx/onnxpb"
	"tandem/onnx/tensor"
)

func TestAttributes(t *testing.T) {
	x := of(t, []float32{1}, 1)
	m, err := onnx.NewBuilder("attributes", 20).Input("x", tensor.Float32, 1).Output("y", tensor.Float32, 1).
		Node("Any", []string{"x"}, []string{"y"}, map[string]any{
			"int": 3, "zero": 0, "float": 0.2, "string": "s", "ints": []int{1, -2}, "no_ints": []int64{}, "floats": []float64{1e-5, 0.5},
			"strings": []string{"a", "b"}, "tensor": x, "true": true, "single": float32(0.3),
		}).Build()
	if err != nil {
		t.Fatal(err)
	}
	a := m.Graph.Nodes[0].Attributes
	check := func(label string, got any, err error, want any) {
		t.Helper()
		if err != nil || fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", want) {
			t.Errorf("%s: %#v, %v; want %#v", label, got, err, want)
		}
	}
	i, err := a.Int("int", 9)
	check("int", i, err, int64(3))
	i, err = a.Int("zero", 9)
	check("a present 0 is not absent", i, err, int64(0))
	i, err = a.Int("absent", 9)
	check("fallback", i, err, int64(9))
	i, err = a.Int("true", 9)
	check("bool", i, err, int64(1))
	f, err := a.Float("float", 9)
	check("float", f, err, 0.2)
	f, err = a.Float("single", 9)
	check("float32", f, err, 0.3)
	s, err := a.String("string", "")
	check("string", s, err, "s")
	is, err := a.Ints("ints", nil)
	check("ints", is, err, []int64{1, -2})
	is, err = a.Ints("no_ints", []int64{7})
	check("a present empty list is not absent", len(is), err, 0)
	fs, err := a.Floats("floats", nil)
	check("floats", fs, err, []float64{1e-5, 0.5})
	ss, err := a.Strings("strings", nil)
	check("strings", ss, err, []string{"a", "b"})
	v, err := a.Tensor("tensor")
	check("tensor", v.Equal(x), err, true)
	v, err = a.Tensor("absent")
	check("no tensor", v == nil, err, true)
	if got := strings.Join(a.Names(), " "); got != "float floats int ints no_ints single string strings tensor true zero" {
		t.Errorf("names %s", got)
	}
	if !a.Has("zero") || a.Has("absent") || (onnx.Attributes{}).Has("x") || len((onnx.Attributes{}).Names()) != 0 {
		t.Error("Has is wrong")
	}

	// The wrong type is an error, never the fallback.
	if _, err := a.Int("float", 9); err == nil || !strings.Contains(err.Error(), "FLOAT, not INT") {
		t.Errorf("a float read as int: %v", err)
	}
	if _, err := a.Float("int", 9); err == nil {
		t.Error("an int read as float passes")
	}
	if _, err := a.Ints("floats", nil); err == nil {
		t.Error("floats read as ints pass")
	}
	if _, err := a.Tensor("string"); err == nil {
		t.Error("a string read as tensor passes")
	}

	b := a.With("int", 4).With("new", "x")
	i, err = b.Int("int", 0)
	check("With", i, err, int64(4))
	i, err = a.Int("int", 0)
	check("With leaves the original", i, err, int64(3))
	if a.Has("new") || !b.Has("new") {
		t.Error("With is wrong")
	}
}

func TestAttributesOfUnreadTypes(t *testing.T) {
	m, err := onnx.Decode(edited(t, func(p *onnxpb.ModelProto) {
		p.Graph.Node[0].Attribute = []*onnxpb.AttributeProto{
			{Name: proto.String("type"), Type: onnxpb.AttributeProto_TYPE_PROTO.Enum()},
			{Name: proto.String("old"), I: proto.Int64(5)}, // IR version 1 did not state types
			{Name: proto.String("older"), Floats: []float32{0.1}},
		}
	}), "")
	if err != nil {
		t.Fatal(err)
	}
	a := m.Graph.Nodes[0].Attributes
	if _, err := a.Int("type", 1); err == nil || !strings.Contains(err.Error(), "TYPE_PROTO") || !a.Has("type") {
		t.Errorf("an attribute of an unread type: %v", err)
	}
	if v, err := a.Int("old", 0); err != nil || v != 5 {
		t.Errorf("an int without a type: %d, %v", v, err)
	}
	if v, err := a.Floats("older", nil); err != nil || len(v) != 1 || v[0] != 0.1 {
		t.Errorf("floats without a type: %v, %v", v, err)
	}
}

func TestWiden(t *testing.T) {
	for _, want := range []float64{0, 0.2, 1e-5, 1e-12, 0.9, 0.1, 3.4e38, -0.3, 1e-45, 1, 16777216, math.Inf(1), math.Inf(-1), math.Copysign(0, -1)} {
		got := onnx.Widen(float32(want))
		if got != want || math.Signbit(got) != math.Signbit(want) {
			t.Errorf("Widen(%v) = %v", want, got)
		}
	}
	if !math.IsNaN(onnx.Widen(float32(math.NaN()))) {
		t.Error("NaN is lost")
	}
	// Whatever the decimal, the float32 stays the same one.
	for bits := uint32(1); bits < 0x7f800000; bits += 1<<20 + 12345 {
		f := math.Float32frombits(bits)
		if float32(onnx.Widen(f)) != f {
			t.Fatalf("Widen(%v) = %v rounds to another float32", f, onnx.Widen(f))
		}
	}
}
