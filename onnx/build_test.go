package onnx_test

import (
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"tandem/onnx"
	"tandem/onnx/onnxpb"
	"tandem/onnx/tensor"
)

func of[T tensor.Element](t testing.TB, data []T, shape ...int) *tensor.Tensor {
	t.Helper()
	x, err := tensor.Of(data, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// small is y = dropout(x w), with a manifest.
func small(t testing.TB) *onnx.Builder {
	return onnx.NewBuilder("small", 20).Input("x", tensor.Float32, -1, 2).
		Initializer("w", of(t, []float32{1, 2, 3, 4}, 2, 2)).
		Initializer("ratio", of(t, []float32{0.2})).Initializer("on", of(t, []bool{true})).
		Node("MatMul", []string{"x", "w"}, []string{"h"}, nil).
		Node("Dropout", []string{"h", "ratio", "on"}, []string{"y"}, map[string]any{"seed": 0}).
		Output("y", tensor.Float32, -1, 2)
}

func smallManifest() *onnx.Manifest {
	return &onnx.Manifest{
		Version:    onnx.ManifestVersion,
		Exporter:   onnx.Exporter{Name: "test"},
		Parameters: []onnx.Parameter{{Name: "w", RequiresGrad: true}},
		Constants:  []string{"ratio", "on"},
		Dropout:    []onnx.DropoutSite{{Site: 0, Node: "Dropout_1", Operator: "Dropout", P: 0.2, Module: "drop"}},
	}
}

// edited builds the small model, lets edit change its protobuf form and returns the bytes.
func edited(t testing.TB, edit func(*onnxpb.ModelProto)) []byte {
	t.Helper()
	m, err := small(t).Build()
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	p := &onnxpb.ModelProto{}
	if err := proto.Unmarshal(data, p); err != nil {
		t.Fatal(err)
	}
	if edit != nil {
		edit(p)
	}
	data, err = proto.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// refuses decodes data and demands an *Error of a kind whose message contains every text of want.
func refuses(t *testing.T, data []byte, kind error, want ...string) *onnx.Error {
	t.Helper()
	m, err := onnx.Decode(data, "some/model.onnx")
	var e *onnx.Error
	if m != nil || !errors.As(err, &e) {
		t.Fatalf("Decode = %v, %v; want an *Error", m, err)
	}
	if !errors.Is(err, kind) {
		t.Errorf("%v is not of the kind %q", err, kind)
	}
	if e.File != "some/model.onnx" {
		t.Errorf("%v does not have the file", err)
	}
	for _, text := range want {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("%q does not contain %q", err, text)
		}
	}
	return e
}

func TestBuilder(t *testing.T) {
	m, err := small(t).Manifest(smallManifest()).Metadata("k", "v").Build()
	if err != nil {
		t.Fatal(err)
	}
	if m.Graph.Nodes[0].Name != "MatMul_0" || m.Graph.Nodes[1].Name != "Dropout_1" {
		t.Errorf("names %q, %q", m.Graph.Nodes[0].Name, m.Graph.Nodes[1].Name)
	}
	if m.Metadata["k"] != "v" || m.Manifest == nil || m.Producer != "tandem" || m.Opset[""] != 20 {
		t.Errorf("metadata %v, manifest %v, producer %q, opsets %v", m.Metadata, m.Manifest, m.Producer, m.Opset)
	}
	if in := m.Graph.Inputs[0]; in.String() != "x float32[? 2]" || !in.HasShape {
		t.Errorf("input %v", in)
	}
	for label, b := range map[string]*onnx.Builder{
		"nil initializer": small(t).Initializer("n", nil),
		"undefined input": small(t).Node("Relu", []string{"z"}, []string{"r"}, nil),
		"twice defined":   small(t).Node("Relu", []string{"x"}, []string{"y"}, nil),
		"no element type": small(t).Input("bad", tensor.Invalid),
	} {
		if _, err := b.Build(); err == nil {
			t.Errorf("%s: Build succeeds", label)
		}
	}
}

func TestBuilderPanicsOnGoTypes(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("an attribute of a Go type that ONNX lacks is the caller's bug")
		}
	}()
	onnx.NewAttributes(map[string]any{"x": struct{}{}})
}
