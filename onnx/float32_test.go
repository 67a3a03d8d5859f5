package onnx_test

import (
	"errors"
	"strings"
	"testing"

	"tandem/onnx"
	"tandem/onnx/tensor"
)

func TestWithFloat32(t *testing.T) {
	build := func(operator string, attributes map[string]any) *onnx.Model {
		half, err := of(t, []float32{1, -2.5, 0.5}, 3).Convert(tensor.Float16)
		if err != nil {
			t.Fatal(err)
		}
		m, err := onnx.NewBuilder("half", 20).Input("x", tensor.Float32, 3).Initializer("w", half).Initializer("other", half).
			Node(operator, []string{"w"}, []string{"whole"}, attributes).Node("Add", []string{"x", "whole"}, []string{"y"}, nil).
			Output("y", tensor.Float32, 3).Build()
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	given := build("Cast", map[string]any{"to": 1})
	m, err := given.WithFloat32([]string{"w", "absent"})
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	again, err := onnx.Decode(data, "again.onnx")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*onnx.Model{m, again} {
		if w := m.Graph.Initializer("w"); !w.Equal(of(t, []float32{1, -2.5, 0.5}, 3)) {
			t.Errorf("the weights are %v %v", w, w.Float64s())
		}
		if other := m.Graph.Initializer("other"); other.DType() != tensor.Float16 {
			t.Errorf("an initializer that was not named is %v", other)
		}
	}
	if w := given.Graph.Initializer("w"); w.DType() != tensor.Float16 {
		t.Errorf("the given model has become %v", w)
	}
	if same, err := m.WithFloat32([]string{"w"}); err != nil || same != m {
		t.Errorf("a model of float32 is made anew, or %v", err)
	}
	_, err = build("Neg", nil).WithFloat32([]string{"w"})
	if !errors.Is(err, onnx.ErrUnsupported) || !strings.Contains(err.Error(), "computes in float16") || !strings.Contains(err.Error(), "Neg") {
		t.Errorf("error %v, want one that names the node and its type", err)
	}
}
