package train

import (
	"math"
	"testing"

	"tandem/onnx/tensor"
)

// TestAccumulation: a step of several parts is an update with the mean of the parts' gradients, begins its sums anew each time, and each part
// changes the running statistics.
func TestAccumulation(t *testing.T) {
	const inputs, classes, steps = 3, 4, 3
	sizes := []int{6, 6, 2}
	config := adamConfig
	config.ClipNorm = 0.01
	parts := newTrainer[float64](t, normalizing(t, inputs, classes), config, 2)
	whole := newTrainer[float64](t, normalizing(t, inputs, classes), config, 2)
	for step := range steps {
		mean := map[string]*tensor.Tensor{}
		var wantLoss, gotLoss float64
		for i, rows := range sizes {
			g, err := whole.GradientBatch(rows, false)
			if err != nil {
				t.Fatal(err)
			}
			fill(g, 10*step+i, classes)
			loss, err := whole.PartGradient(g, i)
			if err != nil {
				t.Fatal(err)
			}
			wantLoss += loss / float64(len(sizes))
			for name, d := range g.Gradients() {
				if mean[name] == nil {
					mean[name] = tensor.New(tensor.Float64, d.Shape()...)
				}
				for k, x := range tensor.View[float64](d) {
					tensor.View[float64](mean[name])[k] += x / float64(len(sizes))
				}
			}
			fresh := g.Buffers()
			for _, b := range whole.Buffers() {
				copy(b.Data, tensor.View[float64](fresh[b.Name]))
			}

			b, err := parts.AccumulationBatch(rows)
			if err != nil {
				t.Fatal(err)
			}
			fill(b, 10*step+i, classes)
			if loss, err = parts.Accumulate(b, i, len(sizes)); err != nil {
				t.Fatal(err)
			}
			gotLoss += loss * Share(parts.options.Loss, len(sizes))
		}
		after, err := whole.Updated(mean)
		if err != nil {
			t.Fatal(err)
		}
		if err := whole.SetState(after); err != nil {
			t.Fatal(err)
		}
		if err := parts.Update(); err != nil {
			t.Fatal(err)
		}
		if !(math.Abs(gotLoss-wantLoss) <= 1e-14) {
			t.Errorf("step %d: loss %v, want %v", step, gotLoss, wantLoss)
		}
		got := parts.State()
		if len(got) != len(after) || tensor.View[int64](got[StepKey])[0] != int64(step+1) {
			t.Fatalf("the state has %d tensors and step %v, want %d", len(got), tensor.View[int64](got[StepKey]), len(after))
		}
		for name, want := range after {
			if name == StepKey {
				continue
			}
			for k, w := range tensor.View[float64](want) {
				if g := tensor.View[float64](got[name])[k]; !(math.Abs(g-w) <= 1e-12) { // the sums are made in another order
					t.Errorf("step %d: %s[%d] is %v, want %v", step, name, k, g, w)
				}
			}
		}
	}
}
