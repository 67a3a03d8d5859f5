package trace

import (
	"path/filepath"
	"testing"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

func TestSampleOf(t *testing.T) {
	for _, test := range []struct {
		parameters, activations, judged, want int
	}{
		{3_241_472, 0, 6, 0},                 // transformer-small's parameters alone
		{85_000_000, 0, 1, 1 << 16},          // GPT-2's size
		{11_000_000, 0, 6, 1 << 16},          // ResNet-18
		{11_000_000, 0, 2, 0},                //
		{100_000, 300_000_000, 2, 1 << 16},   // few parameters, a large batch
		{100_000, 70_000_000, 2, 0},          //
		{1 << 40, 1 << 40, 1 << 10, 1 << 16}, //
		{1 << 62, 1 << 62, 0, 1 << 16},       //
	} {
		if got := sampleOf(test.parameters, test.activations, test.judged); got != test.want {
			t.Errorf("%d parameters, %d activations at %d steps: %d, want %d", test.parameters, test.activations, test.judged, got, test.want)
		}
	}
}

func TestSampleOfLarge(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gradients.safetensors")
	tensors := Tensors{}
	tensors["gradients/w"] = tensor.New(tensor.Float32, 4)
	tensors["activations/a"] = tensor.New(tensor.Float32, 1<<18)
	if err := safetensors.WriteFile(file, tensors, nil); err != nil {
		t.Fatal(err)
	}
	state := []engine.TensorInfo{{Name: "parameters/w", Shape: []int{4}}, {Name: "optimizer/exp_avg/w", Shape: []int{1 << 40}}}
	for _, test := range []struct{ judged, want int }{{1, 0}, {1 << 10, 1 << 16}} {
		got, err := sampleOfLarge(state, file, test.judged)
		if err != nil || got != test.want {
			t.Errorf("%d judged steps: %d, %v; want %d", test.judged, got, err, test.want)
		}
	}
	if _, err := sampleOfLarge(state, file+".none", 1); err == nil {
		t.Error("no error without a file")
	}
}
