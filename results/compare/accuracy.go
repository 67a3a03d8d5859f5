package compare

import (
	"fmt"

	"tandem/fixtures/experiment"
	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/results/judge/lossformula"
	"tandem/results/record"
	"tandem/results/trace"
)

// quality fills in how well both sides' trained models do on the test rows: the accuracy where a sample has one class (or, with the classes
// in the second dimension, each pixel one), the perplexity where each position of a sequence has one, and otherwise the loss.
func (o *Options) quality(r *record.Run, ref *trace.Reference, cand *trace.Candidate) (err error) {
	switch s := o.labels(); {
	case o.Experiment != nil && !o.Experiment.Loss.TakesClasses():
		r.TestLoss, err = o.testLosses(ref, cand)
	case o.Data.Positions == 0 || s.loss.ClassDim == 1:
		r.Accuracy, err = accuracies(ref, cand, s)
	default:
		r.Perplexity, err = perplexities(ref, cand, s)
	}
	return err
}

// labels are the classes of the test rows, and the loss that says which of them count.
type labels struct {
	targets []int64
	loss    experiment.Loss
	of      *Options // where the labels are from, which say which of a model's outputs has the scores
}

func (o *Options) labels() labels {
	l := labels{targets: o.Data.TestTargets, of: o}
	if o.Experiment != nil {
		l.loss = o.Experiment.Loss
	}
	return l
}

// count is the number of labels that count.
func (l labels) count() int {
	n := 0
	for _, t := range l.targets {
		if !l.ignored(t) {
			n++
		}
	}
	return n
}

func (l labels) ignored(target int64) bool {
	return l.loss.IgnoreIndex != nil && target == int64(*l.loss.IgnoreIndex)
}

// scores returns those of the model's output that the loss is taken of, one row of classes for each target.
func (l labels) scores(outputs trace.Tensors) (scores []float64, classes int, err error) {
	name, t, err := l.of.lossOutput(outputs)
	if err != nil {
		return nil, 0, err
	}
	scores, classes, err = lossformula.Rows(l.loss, lossformula.Output{Values: t.Float64s(), Shape: t.Shape()})
	if err != nil || classes == 0 || l.count() == 0 || t.Len() != len(l.targets)*classes {
		return nil, 0, fmt.Errorf("%s has shape %v for %d targets, of which %d count", name, t.Shape(), len(l.targets), l.count())
	}
	return scores, classes, nil
}

// lossOutput returns the output that the loss is taken of: the only one, or of several the one that the experiment means by its position in the
// model's file.
func (o *Options) lossOutput(outputs trace.Tensors) (string, *tensor.Tensor, error) {
	if len(outputs) == 1 {
		for name, t := range outputs {
			return name, t, nil
		}
	}
	if o == nil || o.ModelFile == "" {
		const exported = "outputs/logits" // the first one's name where the model gives none
		if t := outputs[exported]; t != nil {
			return exported, t, nil
		}
		return "", nil, fmt.Errorf("the model has %d outputs, and no file says which of them is the first", len(outputs))
	}
	m, err := onnx.Load(o.ModelFile)
	if err != nil {
		return "", nil, err
	}
	wanted := ""
	if o.Experiment != nil {
		wanted = o.Experiment.Loss.Output
	}
	i, err := onnx.OutputIndex(m.Graph.OutputNames(), wanted)
	if err != nil {
		return "", nil, err
	}
	name := "outputs/" + m.Graph.Outputs[i].Name
	if outputs[name] == nil {
		return "", nil, fmt.Errorf("there is no %s among the %d outputs", name, len(outputs))
	}
	return name, outputs[name], nil
}

// accuracy returns the share of the labels that count whose row's largest score is theirs; the first of equal scores counts.
func accuracy(outputs trace.Tensors, l labels) (float64, error) {
	scores, classes, err := l.scores(outputs)
	if err != nil {
		return 0, fmt.Errorf("accuracy: %w", err)
	}
	right := 0
	for r, target := range l.targets {
		row := scores[r*classes : (r+1)*classes]
		best := 0
		for c, s := range row {
			if s > row[best] {
				best = c
			}
		}
		if int64(best) == target && !l.ignored(target) {
			right++
		}
	}
	return float64(right) / float64(l.count()), nil
}

// accuracies compares both sides' trained models on the test rows.
func accuracies(ref *trace.Reference, cand *trace.Candidate, l labels) (*record.Accuracy, error) {
	a := &record.Accuracy{Rows: l.count()}
	var err error
	if a.Initial, err = accuracy(ref.EvalInitial, l); err != nil {
		return nil, err
	}
	if a.Reference, err = accuracy(ref.EvalTrained, l); err != nil {
		return nil, err
	}
	a.Candidate, err = accuracy(cand.EvalTrained, l)
	return a, err
}
