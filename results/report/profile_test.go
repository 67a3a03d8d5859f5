package report

import (
	"math"
	"testing"

	"tandem/results/record"
)

// TestLayerErrors: a tensor belongs to the nearest module above it, to all nodes of that, and an output to its node alone.
func TestLayerErrors(t *testing.T) {
	errs := func(names ...string) []record.TensorError {
		var out []record.TensorError
		for i, name := range names {
			out = append(out, record.TensorError{Name: name, Rho: record.Float(i + 1)})
		}
		return out
	}
	layers := []record.ProfileLayer{
		{Layer: "node_conv2d_1", Module: "layer1.0.conv1"},
		{Layer: "node_linear", Module: "layer1"},
		{Layer: "node_view", Module: "layer1.0"},
		{Layer: "node_matmul", Module: "layer1.0"},
		{Layer: "node_linear_1", Module: "layer10"},
		{Layer: "node_mean"},
		{Layer: "loss"},
	}
	steps := []record.JudgedStep{
		{Outputs: errs("logits", "activations/conv2d_1", "activations/mean")},
		{Step: 7, Gradients: errs("layer1.0.conv1.weight", "layer1.0.scale", "layer1.weight", "layer10.weight", "elsewhere.weight")},
		{Step: 9, Update: errs("parameters/layer1.0.conv1.weight", "optimizer/exp_avg/layer1.0.conv1.weight"), Buffers: errs("layer10.mean")},
		{Step: 9, WholeStep: errs("a", "b", "c", "d", "e", "f", "parameters/layer1.0.conv1.weight")},
	}
	steps[2].Buffers[0].Rho = record.Float(math.NaN())
	want := []string{
		"parity.steps[0].outputs[1]", "parity.steps[1].gradients[2]", "parity.steps[1].gradients[1]", "parity.steps[1].gradients[1]", "parity.steps[2].buffers[0]",
		"parity.steps[0].outputs[2]", "",
	}
	for i, got := range layerErrors(&record.Run{Parity: record.Parity{Steps: steps}, Profile: &record.Profile{Layers: layers}}) {
		path := ""
		if got != nil {
			path = got.path
		}
		if path != want[i] {
			t.Errorf("%s: %q, want %q", layers[i].Layer, path, want[i])
		}
	}
}
