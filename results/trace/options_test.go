package trace

import (
	"testing"

	"tandem/results/engine"
)

func TestSampleOf(t *testing.T) {
	state := func(parameters int) []engine.TensorInfo {
		return []engine.TensorInfo{{Name: "parameters/w", Shape: []int{parameters}}, {Name: "optimizer/exp_avg/w", Shape: []int{1 << 40}}}
	}
	for _, test := range []struct {
		parameters, judged, want int
	}{
		{3_241_472, 6, 0},           // transformer-small
		{85_000_000, 1, 1 << 16},    // GPT-2's size
		{11_000_000, 6, 1 << 16},    // ResNet-18
		{11_000_000, 2, 0},          //
		{1 << 40, 1 << 10, 1 << 16}, //
	} {
		if got := sampleOf(state(test.parameters), test.judged); got != test.want {
			t.Errorf("%d parameters at %d steps: %d, want %d", test.parameters, test.judged, got, test.want)
		}
	}
}
