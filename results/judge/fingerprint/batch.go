package fingerprint

import (
	"fmt"
	"math"
	"slices"

	"tandem/onnx/tensor"
	"tandem/results/engine"
	"tandem/results/trace"
)

// Mistakes between the data file and the batch: both sides read the same file, and each says by a digest what it made of it at the judged steps.

// batchBecomes looks for a mistake at every judged step whose batch is another: it has to make the candidate's bits of the reference's data at all
// of them. f returns what the mistake makes of a tensor of the batch ("target" for the classes), nil where it changes nothing.
func (l *Look) batchBecomes(f func(step int, name string) *tensor.Tensor) (steps []int, ok bool) {
	if l.Data == nil || l.Step >= 0 {
		return nil, false
	}
	for i := range l.Ref.Steps {
		r := &l.Ref.Steps[i]
		at := slices.IndexFunc(l.Cand.Steps, func(c trace.CandidateStep) bool { return c.Step == r.Step })
		if at < 0 || len(r.Batch) == 0 {
			continue
		}
		got := l.Cand.Steps[at].Batch
		differs := false
		for name, want := range r.Batch {
			if got[name] == "" || got[name] == want {
				continue
			}
			differs = true
			if t := f(r.Step, name); t == nil || t.SHA256() != got[name] {
				return nil, false
			}
		}
		if differs {
			steps = append(steps, r.Step)
		}
	}
	return steps, len(steps) > 0
}

// batchTensor returns a tensor of a step's batch.
func (d *Data) batchTensor(name string, step int) *tensor.Tensor {
	if name != "target" {
		return d.Input(name, step)
	}
	t := d.tensors["train/target"]
	if t == nil {
		return nil
	}
	return rowsOf(t, d.Rows(step))
}

// findOtherBatchWhole looks for another step's batch, by its bits.
func findOtherBatchWhole(l *Look) *Finding {
	if l.Data == nil {
		return nil
	}
	for _, by := range []int{-1, 1, -2, 2} {
		steps, ok := l.batchBecomes(func(step int, name string) *tensor.Tensor { return l.Data.batchTensor(name, max(step+by, 0)) })
		if ok {
			return &Finding{fmt.Sprintf("at step %d the batch is, bit for bit, that of step %d; so it is at all %d judged steps whose batch differs", steps[0], max(steps[0]+by, 0), len(steps)), 0}
		}
	}
	return nil
}

// findShortBatchDroppedWhole looks for the batches that steps have when only full ones count.
func findShortBatchDroppedWhole(l *Look) *Finding {
	if l.Data == nil {
		return nil
	}
	var full []int
	for step := range l.Data.Steps() {
		if len(l.Data.Rows(step)) == len(l.Data.Rows(0)) {
			full = append(full, step)
		}
	}
	if len(full) == l.Data.Steps() {
		return nil
	}
	other := func(step int) int { return full[step%len(full)] }
	steps, ok := l.batchBecomes(func(step int, name string) *tensor.Tensor { return l.Data.batchTensor(name, other(step)) })
	if !ok {
		return nil
	}
	return &Finding{fmt.Sprintf("at step %d the batch is, bit for bit, that of step %d, which is step %d when the short batches are left out", steps[0], other(steps[0]), steps[0]), 0}
}

// findLabelsShiftedInBatch looks for moved labels.
func findLabelsShiftedInBatch(l *Look) *Finding {
	if l.Data == nil || len(l.Data.Target) == 0 {
		return nil
	}
	classes := slices.Max(l.Data.Target) + 1
	for _, by := range []int64{1, -1} {
		steps, ok := l.batchBecomes(func(step int, name string) *tensor.Tensor {
			if name != "target" {
				return nil
			}
			t := l.Data.batchTensor(name, step).Clone()
			for i, c := range tensor.View[int64](t) {
				tensor.View[int64](t)[i] = (c + by + classes) % classes
			}
			return t
		})
		if ok {
			return &Finding{fmt.Sprintf("at step %d the classes are, bit for bit, the reference's moved by %+d", steps[0], by), 0}
		}
	}
	return nil
}

// findAugmentation looks for crops and flips that were left out or made in another way.
func findAugmentation(l *Look) *Finding {
	if l.Data == nil || l.Data.augment == nil {
		return nil
	}
	zero := make([]float32, len(l.Data.fill))
	for _, m := range []struct {
		text string
		fill []float32
		f    func(engine.Change) engine.Change
	}{
		{"without its crop and reflection", nil, func(engine.Change) engine.Change { return engine.Change{} }},
		{"without its reflection", nil, func(c engine.Change) engine.Change { c.Flip = false; return c }},
		{"without its crop", nil, func(c engine.Change) engine.Change { return engine.Change{Flip: c.Flip} }},
		{"reflected where it is not and not where it is", nil, func(c engine.Change) engine.Change { c.Flip = !c.Flip; return c }},
		{"reflected before it is cropped, not after", nil, func(c engine.Change) engine.Change {
			if c.Flip {
				c.DX = -c.DX
			}
			return c
		}},
		{"cropped at the other side", nil, func(c engine.Change) engine.Change { c.DY, c.DX = -c.DY, -c.DX; return c }},
		{"cropped with rows and columns exchanged", nil, func(c engine.Change) engine.Change { c.DY, c.DX = c.DX, c.DY; return c }},
		{"with a border of zeros, where a black pixel is another number", zero, nil},
	} {
		steps, ok := l.batchBecomes(func(step int, name string) *tensor.Tensor { return l.Data.input(name, step, m.f, m.fill) })
		if ok {
			return &Finding{fmt.Sprintf("at step %d the batch is, bit for bit, the reference's %s; so it is at all %d judged steps whose batch differs", steps[0], m.text, len(steps)), 0}
		}
	}
	return nil
}

// findChannelOrder looks for images whose channels are in the opposite order, as of a library that has blue first.
func findChannelOrder(l *Look) *Finding {
	if l.Data == nil {
		return nil
	}
	steps, ok := l.batchBecomes(func(step int, name string) *tensor.Tensor {
		t := l.Data.Input(name, step)
		if t == nil || t.DType() != tensor.Float32 || len(t.Shape()) != 4 || t.Shape()[1] < 2 {
			return nil
		}
		out := t.Clone()
		x, y := tensor.View[float32](t), tensor.View[float32](out)
		channels, plane := t.Shape()[1], t.Shape()[2]*t.Shape()[3]
		for i := range len(x) / plane {
			image, c := i/channels, i%channels
			copy(y[i*plane:(i+1)*plane], x[(image*channels+channels-1-c)*plane:])
		}
		return out
	})
	if !ok {
		return nil
	}
	return &Finding{fmt.Sprintf("at step %d the batch is, bit for bit, the reference's with the channels in the opposite order; so it is at all %d judged steps whose batch differs", steps[0], len(steps)), 0}
}

// findNotNormalized looks for images that were normalized twice, or back.
func findNotNormalized(l *Look) *Finding {
	if l.Data == nil || l.Experiment == nil || len(l.Experiment.Data.Mean) == 0 {
		return nil
	}
	mean, std := l.Experiment.Data.Mean, l.Experiment.Data.Std
	for _, m := range []struct {
		text string
		f    func(x, mean, std float32) float32
	}{
		{"normalized a second time", func(x, mean, std float32) float32 { return (x - mean) / std }},
		{"without their normalization", func(x, mean, std float32) float32 { return float32(x*std) + mean }},
	} {
		steps, ok := l.batchBecomes(func(step int, name string) *tensor.Tensor {
			t := l.Data.Input(name, step)
			if t == nil || t.DType() != tensor.Float32 || len(t.Shape()) != 4 || t.Shape()[1] != len(mean) {
				return nil
			}
			out := t.Clone()
			plane := t.Shape()[2] * t.Shape()[3]
			for i, x := range tensor.View[float32](t) {
				c := i / plane % len(mean)
				tensor.View[float32](out)[i] = m.f(x, float32(mean[c]), float32(std[c]))
			}
			return out
		})
		if ok {
			return &Finding{fmt.Sprintf("at step %d the images are, bit for bit, the reference's %s", steps[0], m.text), 0}
		}
	}
	return nil
}

// findBatchDiffers is what remains: the data are the same, and what was made of them is not.
func findBatchDiffers(l *Look) *Finding {
	for i := range l.Ref.Steps {
		r := &l.Ref.Steps[i]
		for _, c := range l.Cand.Steps {
			for name, want := range r.Batch {
				if got := c.Batch[name]; c.Step == r.Step && got != "" && got != want {
					return &Finding{fmt.Sprintf("both sides read the same data, and at step %d they make other batches of it (%q)", r.Step, name), math.NaN()}
				}
			}
		}
	}
	return nil
}
