package compare

import (
	"fmt"

	"tandem/results/judge/lossformula"
	"tandem/results/record"
	"tandem/results/trace"
)

// testLosses compares the loss of both sides' trained models on the test rows, where the outputs are no classes' scores.
func (o *Options) testLosses(ref *trace.Reference, cand *trace.Candidate) (*record.TestLoss, error) {
	l := &record.TestLoss{}
	for _, x := range []struct {
		at      *record.Float
		outputs trace.Tensors
	}{{&l.Initial, ref.EvalInitial}, {&l.Reference, ref.EvalTrained}, {&l.Candidate, cand.EvalTrained}} {
		v, rows, err := o.testLoss(x.outputs)
		if err != nil {
			return nil, err
		}
		*x.at, l.Rows = record.Float(v), rows
	}
	return l, nil
}

// testLoss is the loss of the model's output for the test rows; of one that is the loss of a whole batch already, over the passes of forward.
func (o *Options) testLoss(outputs trace.Tensors) (loss float64, rows int, err error) {
	name, t, err := o.lossOutput(outputs)
	if err != nil {
		return 0, 0, fmt.Errorf("test loss: %w", err)
	}
	x := lossformula.Output{Values: t.Float64s(), Shape: t.Shape()}
	if loss, err = lossformula.Value(o.Experiment.Loss, x, lossformula.Targets{Numbers: o.Data.TestNumbers}); err != nil {
		return 0, 0, fmt.Errorf("test loss: output %s: %w", name, err)
	}
	if rows = o.testRows(); rows == 0 {
		rows = t.Shape()[0]
	}
	return loss, rows, nil
}

// testRows is the number of test rows; 0 where there is no data.
func (o *Options) testRows() int {
	for _, t := range o.Data.Test {
		return t.Shape()[0]
	}
	return 0
}
