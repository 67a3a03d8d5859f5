package onnx_test

import (
	"errors"
	"strings"
	"testing"

	"tandem/onnx"
	"tandem/onnx/tensor"
)

func TestEvalMode(t *testing.T) {
	b, manifest := normalized(t)
	// The new statistics as outputs of the graph, as some exporters have them, go with the outputs of the node.
	m, err := b.Output("new_mean", tensor.Float32, 2).Manifest(manifest).Build()
	if err != nil {
		t.Fatal(err)
	}
	e, err := onnx.EvalMode(m)
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Graph.Outputs) != 1 || e.Graph.Outputs[0].Name != "y" || len(m.Graph.Outputs) != 2 {
		t.Errorf("outputs %v, of the original %v", e.Graph.Outputs, m.Graph.Outputs)
	}
	twice, err := onnx.EvalMode(e)
	if err != nil || len(twice.Graph.Nodes) != len(m.Graph.Nodes) {
		t.Errorf("EvalMode of a model in evaluation mode: %v", err)
	}
	// Trained weights survive the change of mode.
	trained := of(t, []float32{3, 4}, 2)
	w, err := m.WithInitializers(map[string]*tensor.Tensor{"mean": trained})
	if err != nil {
		t.Fatal(err)
	}
	if e, err = onnx.EvalMode(w); err != nil || !e.Graph.Initializer("mean").Equal(trained) {
		t.Errorf("mean is %v, %v", e.Graph.Initializer("mean"), err)
	}
}

func TestEvalModeRefuses(t *testing.T) {
	x := []string{"x"}
	stat := tensor.New(tensor.Float32, 2)
	for _, test := range []struct {
		label string
		b     *onnx.Builder
		want  string
	}{
		{"random operator", onnx.NewBuilder("r", 20).Input("x", tensor.Float32, 2).
			Node("Bernoulli", x, []string{"y"}, nil).Output("y", tensor.Float32, 2), "Bernoulli_0"},
		{"old operator set", onnx.NewBuilder("o", 6).Input("x", tensor.Float32, 2).
			Node("Dropout", x, []string{"y"}, map[string]any{"is_test": 0}).Output("y", tensor.Float32, 2), "operator set 6"},
		{"statistics in use", onnx.NewBuilder("s", 20).Input("x", tensor.Float32, 2, 2).
			Initializer("s", stat).Initializer("b", stat).Initializer("m", stat).Initializer("v", stat).
			Node("BatchNormalization", []string{"x", "s", "b", "m", "v"}, []string{"n", "nm", "nv"}, map[string]any{"training_mode": 1}).
			Node("Add", []string{"n", "nm"}, []string{"y"}, nil).Output("y", tensor.Float32, 2, 2), "Add_1"},
	} {
		t.Run(test.label, func(t *testing.T) {
			m, err := test.b.Build()
			if err != nil {
				t.Fatal(err)
			}
			_, err = onnx.EvalMode(m)
			var e *onnx.Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}
