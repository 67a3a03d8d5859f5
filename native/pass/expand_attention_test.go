package pass_test

import (
	"slices"
	"testing"

	"tandem/native/pass"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// TestAttentionExpands: an Attention stays one where its kernels compute it, and becomes other nodes where they do not. That these are right is
// what the official node tests say, and their gradients' differences.
func TestAttentionExpands(t *testing.T) {
	for _, c := range []struct {
		name       string
		attributes map[string]any
		trained    bool // the mask
		outputs    []string
		expands    bool
	}{
		{name: "plain", outputs: []string{"y"}},
		{name: "causal", attributes: map[string]any{"is_causal": 1}, outputs: []string{"y"}},
		{name: "softcap", attributes: map[string]any{"softcap": float32(2)}, outputs: []string{"y"}, expands: true},
		{name: "window", attributes: map[string]any{"left_window_size": 1}, outputs: []string{"y"}, expands: true},
		{name: "present keys", outputs: []string{"y", "key"}, expands: true},
		{name: "trained mask", trained: true, outputs: []string{"y"}, expands: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			of := func(shape ...int) *tensor.Tensor { return drawn(t, 1, shape...) }
			b := onnx.NewBuilder("attention", 23).Input("x", tensor.Float32, -1, 2, 3, 4).Initializer("scale", of(4)).Initializer("mask", of(3, 3)).
				Node("Mul", []string{"x", "scale"}, []string{"q"}, nil).
				Node("Attention", []string{"q", "q", "x", "mask"}, c.outputs, c.attributes).
				Output("y", tensor.Float32, -1, 2, 3, 4)
			parameters := []onnx.Parameter{{Name: "scale", RequiresGrad: true}}
			constants := []string{"mask"}
			if c.trained {
				parameters, constants = append(parameters, onnx.Parameter{Name: "mask", RequiresGrad: true}), nil
			}
			m := build(t, b.Manifest(&onnx.Manifest{Version: onnx.ManifestVersion, Exporter: onnx.Exporter{Name: "test"}, Parameters: parameters, Constants: constants}))
			g, err := pass.Import(m, map[string]int{"batch": 2})
			if err != nil {
				t.Fatal(err)
			}
			var operators []string
			for _, n := range g.Nodes {
				operators = append(operators, n.Op)
			}
			if expands := !slices.Contains(operators, "Attention"); expands != c.expands {
				t.Errorf("the nodes are %q", operators)
			}
			if err := g.Verify(); err != nil {
				t.Error(err)
			}
			if _, found := gradients(t, m); c.trained && found["mask"] == nil {
				t.Error("the mask has no gradient")
			}
		})
	}
}
