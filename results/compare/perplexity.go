package compare

import (
	"fmt"
	"math"

	"tandem/results/record"
	"tandem/results/trace"
)

// perplexity returns the exponential of the mean cross-entropy of scores (..., C) and one target for each row of scores.
func perplexity(outputs trace.Tensors, l labels) (float64, error) {
	scores, classes, err := l.scores(outputs)
	if err != nil {
		return 0, fmt.Errorf("perplexity: %w", err)
	}
	var sum float64
	for r, target := range l.targets {
		if l.ignored(target) {
			continue
		}
		row := scores[r*classes : (r+1)*classes]
		if target < 0 || target >= int64(classes) {
			return 0, fmt.Errorf("perplexity: target %d is class %d of %d", r, target, classes)
		}
		highest := math.Inf(-1)
		for _, s := range row {
			highest = math.Max(highest, s) // NaN stays
		}
		var total float64
		for _, s := range row {
			total += math.Exp(s - highest)
		}
		sum += math.Log(total) + highest - row[target]
	}
	return math.Exp(sum / float64(l.count())), nil
}

// perplexities compares both sides' trained models on the test rows.
func perplexities(ref *trace.Reference, cand *trace.Candidate, l labels) (*record.Perplexity, error) {
	p := &record.Perplexity{Positions: l.count()}
	for _, x := range []struct {
		at      *record.Float
		outputs trace.Tensors
	}{{&p.Initial, ref.EvalInitial}, {&p.Reference, ref.EvalTrained}, {&p.Candidate, cand.EvalTrained}} {
		v, err := perplexity(x.outputs, l)
		if err != nil {
			return nil, err
		}
		*x.at = record.Float(v)
	}
	return p, nil
}
