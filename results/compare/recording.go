package compare

import (
	"context"
	"os"

	"tandem/results/record"
	"tandem/results/trace"
)

// RecordingSample is the number of elements that a recording keeps of a tensor that need not be whole: enough that the
// norm of an error that is spread over a tensor is known to a few percent, 1/sqrt(2 * 2048) if it is normal.
const RecordingSample = 2048

// Record collects the reference's trace as a recording, into the options' folder. Candidate and Timing are not used.
func Record(ctx context.Context, o Options, judgedSteps []int) (*trace.Reference, error) {
	if err := o.writeExperiment(); err != nil {
		return nil, err
	}
	ref, err := o.reference(ctx, func(t *trace.ReferenceOptions) {
		t.JudgedSteps = trace.JudgedSteps(judgedSteps, o.Data.Record.Steps)
		t.Sample, t.OmitInitialState = RecordingSample, true
	})
	if err != nil {
		return nil, err
	}
	if err := os.Remove(o.experimentPath()); err != nil { // the trace holds it
		return nil, err
	}
	return ref, trace.WriteReference(o.Folder.Dir, ref)
}

// Check judges the candidate against a recorded reference. The record is complete but for the command's own duration;
// there is no timing in it.
func Check(ctx context.Context, o Options, ref *trace.Reference) (*record.Run, error) {
	o.Experiment = ref.Experiment
	if err := o.writeExperiment(); err != nil {
		return nil, err
	}
	if err := o.try(ctx); err != nil {
		return nil, err
	}
	r := o.record("check")
	r.TimingAbsent = "speed needs a live reference: this one is a recording; \"tandem run\" measures"
	cand, trained, err := o.candidate(ctx, ref)
	if err != nil {
		return nil, err
	}
	if err := o.judge(ctx, r, ref, cand, trained); err != nil {
		return nil, err
	}
	r.Engines[0].Recorded = true
	return r, nil
}

// writeExperiment writes the resolved experiment for the engines.
func (o *Options) writeExperiment() error {
	text, err := o.Experiment.JSON()
	if err != nil {
		return err
	}
	return os.WriteFile(o.experimentPath(), text, 0o666)
}
