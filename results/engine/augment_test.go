package engine_test

import (
	"slices"
	"testing"

	"tandem/results/engine"
)

func TestAugmented(t *testing.T) {
	// Two channels of two rows of three pixels.
	image := []float32{
		1, 2, 3,
		4, 5, 6,

		7, 8, 9,
		10, 11, 12,
	}
	for _, test := range []struct {
		change engine.Change
		want   []float64
	}{
		{engine.Change{}, []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}},
		{engine.Change{Flip: true}, []float64{3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10}},
		{engine.Change{DX: 1}, []float64{2, 3, -1, 5, 6, -1, 8, 9, -2, 11, 12, -2}},
		{engine.Change{DY: -1, DX: -1}, []float64{-1, -1, -1, -1, 1, 2, -2, -2, -2, -2, 7, 8}},
		{engine.Change{DX: 1, Flip: true}, []float64{-1, 3, 2, -1, 6, 5, -2, 9, 8, -2, 12, 11}}, // moved, then mirrored
		{engine.Change{DY: 2}, []float64{-1, -1, -1, -1, -1, -1, -2, -2, -2, -2, -2, -2}},
	} {
		got := make([]float64, len(image))
		engine.Augmented(got, image, []int{2, 2, 3}, []float32{-1, -2}, test.change)
		if !slices.Equal(got, test.want) {
			t.Errorf("%+v: got %v, want %v", test.change, got, test.want)
		}
	}
}
