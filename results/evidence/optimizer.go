package evidence

import (
	"maps"
	"slices"
	"strings"

	"tandem/onnx/tensor"
	"tandem/results/judge/updateformula"
	"tandem/results/trace"
)

// optimizer writes one parameter's update: its state before, its gradient, and its state after on both sides.
func (w *writing) optimizer() (bool, error) {
	if w.Reference.Experiment == nil {
		return false, nil
	}
	k := w.Reference.Sample
	parameter := strings.TrimPrefix(w.out.Tensor, "parameters/")
	if rest, ok := strings.CutPrefix(w.out.Tensor, "optimizer/"); ok {
		_, parameter, _ = strings.Cut(rest, "/")
	}
	ours, theirs, gradients := w.r.Update64, w.c.Update64, w.r.Float32
	if theirs == nil {
		theirs = w.c.Update32
	}
	if !differ(ours, theirs, w.out.Tensor, w.out.Tolerance/4) {
		// The update is right and the training step is not.
		ours, theirs, gradients = w.r.Exact, w.c.After, w.r.Float64
	}
	g, ok := gradients["gradients/"+parameter]
	if !ok {
		return false, nil
	}
	o := w.Reference.Experiment.Optimizer
	o.LearningRate = updateformula.Rate(w.Reference.Experiment, len(w.Reference.Losses), int64(w.out.Step))
	if !updateformula.Decays(o, parameter) {
		o.WeightDecay = 0
	}
	gradient, err := double(trace.Sample(g.Values, sampleOf(g, k)).Values)
	if err != nil {
		return false, err
	}
	scale := updateformula.ClipScale(o, w.norm())
	for i := range tensor.View[float64](gradient) {
		tensor.View[float64](gradient)[i] *= scale
	}
	weight, ok := w.r.Before["parameters/"+parameter]
	if !ok {
		return false, nil
	}
	w.out.Kind, w.out.Optimizer = "optimizer", &o
	w.out.Sampled = weight.Values.Len() != weight.Len()
	before := map[string]*tensor.Tensor{"gradient": gradient}
	if before["parameter"], err = double(weight.Values); err != nil {
		return false, err
	}
	names := []string{"parameter", "gradient"}
	outputs := map[string]string{"parameter": "parameters/" + parameter}
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		slot, of, _ := strings.Cut(strings.TrimPrefix(name, "optimizer/"), "/")
		if !strings.HasPrefix(name, "optimizer/") || of != parameter {
			continue
		}
		names, outputs[slot] = append(names, slot), name
		if t := w.r.State[name]; t != nil {
			if before[slot], err = double(trace.Sample(t, k).Values); err != nil {
				return false, err
			}
		} else {
			initial := slices.Repeat([]float64{updateformula.Initial(o, slot)}, gradient.Len())
			if before[slot], err = tensor.Of(initial, gradient.Len()); err != nil {
				return false, err
			}
		}
	}
	for _, name := range names {
		if before[name].Len() != gradient.Len() {
			return false, nil
		}
		if err := w.input(name, before[name]); err != nil {
			return false, err
		}
	}
	for _, name := range names {
		full, ok := outputs[name]
		if !ok {
			continue
		}
		expected, got := ours[full], theirs[full]
		if expected.Values == nil || got.Values == nil || expected.Values.Len() != got.Values.Len() {
			return false, nil
		}
		x, err := double(expected.Values)
		if err != nil {
			return false, err
		}
		y, err := double(got.Values)
		if err != nil {
			return false, err
		}
		if err := w.output(name, x, y); err != nil {
			return false, err
		}
	}
	return w.finish()
}

// sampleOf is the number of elements that a trace keeps of a gradient, which is whole in a reference and vectors elsewhere.
func sampleOf(g trace.Sampled, k int) int {
	if g.Values.Len() != g.Len() {
		return 0 // it is a sample already
	}
	return k
}

// norm is that of all gradients of the step together.
func (w *writing) norm() float64 {
	var norms []float64
	for name, g := range w.r.Float32 {
		if strings.HasPrefix(name, "gradients/") {
			norms = append(norms, trace.Norm(g.Values.Float64s()))
		}
	}
	return trace.Norm(norms)
}

func double(t *tensor.Tensor) (*tensor.Tensor, error) {
	flat, err := t.Reshape(t.Len())
	if err != nil {
		return nil, err
	}
	if flat.DType() == tensor.Float64 {
		return flat.Clone(), nil
	}
	return flat.Convert(tensor.Float64)
}

// differ reports whether a tensor of two sets is further apart than a share of the first.
func differ(a, b trace.Set, name string, share float64) bool {
	x, y := a[name], b[name]
	if x.Values == nil || y.Values == nil || x.Values.Len() != y.Values.Len() {
		return true
	}
	p, q := x.Values.Float64s(), y.Values.Float64s()
	return !(trace.Distance(p, q) <= share*trace.Norm(p))
}
