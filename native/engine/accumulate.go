package engine

import (
	"slices"
	"time"

	"tandem/native/train"
	"tandem/onnx/tensor"
)

// Steps whose gradients are added up over several batches, the step's parts (package fixtures/experiment: train.accumulate).

// parts divides a step's samples.
func (n *Native) parts(of samples) (out []samples) {
	size := len(of.rows)
	if n.train.Parts(size) > 1 {
		size = n.train.Batch
	}
	for from := 0; from < len(of.rows); from += size {
		to := min(from+size, len(of.rows))
		part := samples{rows: of.rows[from:to]}
		if of.changes != nil {
			part.changes = of.changes[3*from : 3*to]
		}
		out = append(out, part)
	}
	return out
}

// partBatch returns the program of a part of a step of so many rows.
func (n *Native) partBatch(part samples, step int) (*train.Batch[float32], error) {
	if n.train.Parts(step) > 1 {
		return n.trainer.AccumulationBatch(len(part.rows))
	}
	return n.trainer.TrainingBatch(len(part.rows))
}

// compile compiles the programs of every size that a step and its parts have. The largest one's memory serves the others.
func (n *Native) compile() error {
	var whole, parts []int
	for _, rows := range n.data.sizes {
		if n.train.Parts(rows) == 1 {
			whole = append(whole, rows)
			continue
		}
		parts = append(parts, n.train.Batch)
		if rest := rows % n.train.Batch; rest > 0 {
			parts = append(parts, rest)
		}
	}
	slices.Sort(parts)
	for _, rows := range slices.Backward(slices.Compact(parts)) {
		if _, err := n.trainer.AccumulationBatch(rows); err != nil {
			return err
		}
	}
	for _, rows := range slices.Backward(whole) {
		if _, err := n.trainer.TrainingBatch(rows); err != nil {
			return err
		}
	}
	return nil
}

// accumulatedStep trains a step of several parts. The clock stands while a part's samples are read.
func (n *Native) accumulatedStep(of samples) (loss float32, seconds float64, err error) {
	if _, err := n.mutant.forget(n); err != nil {
		return 0, 0, err
	}
	parts := n.parts(of)
	share := float32(train.Share(n.options.Loss, len(parts)))
	var spent time.Duration
	for i, part := range parts {
		b, err := n.partBatch(part, len(of.rows))
		if err != nil {
			return 0, 0, err
		}
		if err := fill(n.data, n.data.train, b, part); err != nil {
			return 0, 0, err
		}
		start := time.Now()
		l, err := n.trainer.Accumulate(b, i, len(parts))
		spent += time.Since(start)
		if err != nil {
			return 0, 0, err
		}
		loss += share * l
	}
	start := time.Now()
	err = n.trainer.Update()
	return loss, (spent + time.Since(start)).Seconds(), err
}

// accumulatedGradient is gradient for a step of several parts: outputs and activations follow each other, part after part, and each part has the
// running statistics that the one before it leaves.
func accumulatedGradient[T float32 | float64](n *Native, t *train.Trainer[T], of samples, activations bool) (out map[string]*tensor.Tensor, loss float64, err error) {
	before := map[string][]T{}
	for _, b := range t.Buffers() {
		before[b.Name] = slices.Clone(b.Data)
	}
	defer func() {
		for _, b := range t.Buffers() {
			copy(b.Data, before[b.Name])
		}
	}()
	out = map[string]*tensor.Tensor{}
	parts := n.parts(of)
	lossShare := T(train.Share(n.options.Loss, len(parts)))
	var sum T
	for i, part := range parts {
		b, err := t.GradientBatch(len(part.rows), activations)
		if err != nil {
			return nil, 0, err
		}
		if err := fill(n.data, n.data.train, b, part); err != nil {
			return nil, 0, err
		}
		l, err := t.PartGradient(b, i)
		if err != nil {
			return nil, 0, err
		}
		sum += lossShare * l
		share := T(t.PartShare(i, len(parts)))
		for name, g := range b.Gradients() {
			addShare(out, "gradients/"+name, g, share)
		}
		for prefix, tensors := range map[string]map[string]*tensor.Tensor{"outputs/": b.Outputs(), "activations/": b.Activations()} {
			for name, v := range tensors {
				if err := extend[T](out, prefix+name, v); err != nil {
					return nil, 0, err
				}
			}
		}
		fresh := b.Buffers()
		for _, buffer := range t.Buffers() {
			copy(buffer.Data, tensor.View[T](fresh[buffer.Name]))
			out["buffers/"+buffer.Name] = fresh[buffer.Name]
		}
	}
	out["loss"], err = tensor.Of([]T{sum})
	return out, float64(sum), err
}

// addShare adds a share of a tensor to the one of that name.
func addShare[T float32 | float64](to map[string]*tensor.Tensor, name string, t *tensor.Tensor, share T) {
	sum := to[name]
	if sum == nil {
		sum = tensor.New(t.DType(), t.Shape()...)
		to[name] = sum
	}
	total := tensor.View[T](sum)
	for i, x := range tensor.View[T](t) {
		total[i] += share * x
	}
}

// extend puts a tensor behind the one of that name, along the first dimension. Scalars make a row, and so do the elements of tensors that are not
// alike in the other dimensions, as where the batch is the second one.
func extend[T float32 | float64](to map[string]*tensor.Tensor, name string, t *tensor.Tensor) error {
	shape := slices.Clone(t.Shape())
	if len(shape) == 0 {
		shape = []int{1}
	}
	var values []T
	if was := to[name]; was != nil {
		if slices.Equal(was.Shape()[1:], shape[1:]) {
			shape[0] += was.Shape()[0]
		} else {
			shape = []int{was.Len() + t.Len()}
		}
		values = slices.Clone(tensor.View[T](was))
	}
	joined, err := tensor.Of(append(values, tensor.View[T](t)...), shape...)
	to[name] = joined
	return err
}
