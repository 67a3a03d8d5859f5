package fingerprint

import (
	"slices"

	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// images gives the scene data of small images in two colours that are cropped and mirrored, and the candidate batches of which changed makes
// something else: the pixels of an image, at a step of the training, and its target.
func (s scene) images(changed func(pixels []float32, c engine.Change, original, fill []float32), label func(int64) int64) {
	const channels, height, length = 2, 4, 5
	size := channels * height * length
	shape := []int{channels, height, length}
	t := singles(s.normal(samples*size), samples, channels, height, length)
	fill := []float32{-1.5, 0.25}
	augment := make([]int8, 0, 3*len(s.Data.Order))
	for range s.Data.Order {
		augment = append(augment, int8(s.random.IntN(5)-2), int8(s.random.IntN(5)-2), int8(s.random.IntN(2)))
	}
	tensors := map[string]*tensor.Tensor{
		"train/image": t, "augment": must(tensor.Of(augment, len(s.Data.Order), 3)), "fill": must(tensor.Of(fill, channels)),
	}
	for _, name := range []string{"train/target", "order", "offsets"} {
		tensors[name] = s.Data.tensors[name]
	}
	s.Look.Data = must(NewData(tensors))
	s.Experiment.Data.Mean, s.Experiment.Data.Std = []float64{0.5, 0.25}, []float64{0.25, 0.125}
	for i := range s.Ref.Steps {
		step := s.Ref.Steps[i].Step
		first := int(s.Data.Offsets[step])
		var right, wrong []float32
		var target, labelled []int64
		for k, row := range s.Data.Rows(step) {
			original := tensor.View[float32](t)[int(row)*size : (int(row)+1)*size]
			drawn := augment[3*(first+k):]
			c := engine.Change{DY: int(drawn[0]), DX: int(drawn[1]), Flip: drawn[2] == 1}
			image := make([]float32, size)
			engine.Augmented(image, original, shape, fill, c)
			right = append(right, image...)
			image = slices.Clone(image)
			if changed != nil {
				changed(image, c, original, fill)
			}
			wrong = append(wrong, image...)
			target = append(target, s.Data.Target[row])
			labelled = append(labelled, label(s.Data.Target[row]))
		}
		digests := func(pixels []float32, target []int64) map[string]string {
			return map[string]string{"image": must(tensor.Of(pixels, len(pixels))).SHA256(), "target": must(tensor.Of(target, len(target))).SHA256()}
		}
		s.Ref.Steps[i].Batch, s.Cand.Steps[i].Batch = digests(right, target), digests(wrong, labelled)
	}
}

func same(label int64) int64 { return label }

// otherwise is a change of images that crops and mirrors them in another way.
func otherwise(f func(engine.Change) engine.Change) func(pixels []float32, c engine.Change, original, fill []float32) {
	return func(pixels []float32, c engine.Change, original, fill []float32) {
		engine.Augmented(pixels, original, []int{2, 4, 5}, fill, f(c))
	}
}

// batchOf gives the candidate another step's batches.
func (s scene) batchOf(other func(step int) int) {
	s.images(nil, same)
	for i := range s.Cand.Steps {
		step := other(s.Cand.Steps[i].Step)
		s.Cand.Steps[i].Batch = map[string]string{"image": s.Data.Input("image", step).SHA256(), "target": s.Data.batchTensor("target", step).SHA256()}
	}
}
