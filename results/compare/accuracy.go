package compare

import (
	"fmt"

	"tandem/results/record"
	"tandem/results/trace"
)

// quality fills in how well both sides' trained models do on the test rows: the accuracy where a sample has one class, the perplexity
// where each of its positions has one.
func (o *Options) quality(r *record.Run, ref *trace.Reference, cand *trace.Candidate) (err error) {
	if o.Data.Positions == 0 {
		r.Accuracy, err = accuracies(ref, cand, o.Data.TestTargets)
	} else {
		r.Perplexity, err = perplexities(ref, cand, o.Data.TestTargets)
	}
	return err
}

// scoresOf returns the scores of a model's one output (..., C), one row for each target, and C.
func scoresOf(outputs trace.Tensors, targets []int64) (scores []float64, classes int, err error) {
	if len(outputs) != 1 {
		return nil, 0, fmt.Errorf("one output is needed, the model has %d", len(outputs))
	}
	for name, t := range outputs {
		shape := t.Shape()
		if len(shape) < 2 || shape[len(shape)-1] == 0 || len(targets) == 0 || t.Len() != len(targets)*shape[len(shape)-1] {
			return nil, 0, fmt.Errorf("%s has shape %v for %d targets", name, shape, len(targets))
		}
		return t.Float64s(), shape[len(shape)-1], nil
	}
	panic("unreachable")
}

// accuracy returns the share of rows whose largest output is the target; the first of equal outputs counts.
func accuracy(outputs trace.Tensors, targets []int64) (float64, error) {
	scores, classes, err := scoresOf(outputs, targets)
	if err != nil {
		return 0, fmt.Errorf("accuracy: %w", err)
	}
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
	return float64(right) / float64(len(targets)), nil
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
