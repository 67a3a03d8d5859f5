package compare

import (
	"fmt"

	"tandem/onnx/tensor"
	"tandem/results/record"
	"tandem/results/trace"
)

// accuracy returns the share of rows whose largest output is the target; the first of equal outputs counts.
func accuracy(outputs trace.Tensors, targets []int64) (float64, error) {
	if len(outputs) != 1 {
		return 0, fmt.Errorf("accuracy needs one output, the model has %d", len(outputs))
	}
	for name, t := range outputs {
		shape := t.Shape()
		if len(shape) != 2 || shape[0] != len(targets) || shape[0] == 0 || shape[1] == 0 {
			return 0, fmt.Errorf("%s has shape %v for %d test rows", name, shape, len(targets))
		}
		return share(t, targets), nil
	}
	panic("unreachable")
}

func share(t *tensor.Tensor, targets []int64) float64 {
	scores, classes := t.Float64s(), t.Shape()[1]
	right := 0
	for r, target := range targets {
		row := scores[r*classes : (r+1)*classes]
		best := 0
		for c, s := range row {
			if s > row[best] {
				best = c
			}
		}
		if int64(best) == target {
			right++
		}
	}
	return float64(right) / float64(len(targets))
}

// accuracies compares both sides' trained models on the test rows.
func accuracies(ref *trace.Reference, cand *trace.Candidate, targets []int64) (*record.Accuracy, error) {
	a := &record.Accuracy{Rows: len(targets)}
	var err error
	if a.Initial, err = accuracy(ref.EvalInitial, targets); err != nil {
		return nil, err
	}
	if a.Reference, err = accuracy(ref.EvalTrained, targets); err != nil {
		return nil, err
	}
	a.Candidate, err = accuracy(cand.EvalTrained, targets)
	return a, err
}
