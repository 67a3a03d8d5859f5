package compare

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"tandem/results/engine"
	"tandem/results/judge"
	"tandem/results/record"
	"tandem/results/trace"
)

// prove plants every mistake that the candidate knows, one after the other, and has each judged against the same reference. A
// mistake that the engine refuses as unsupported does not apply to the experiment. A judge that misses one has not earned
// its PASS: the verdict becomes INCONCLUSIVE.
func (o *Options) prove(ctx context.Context, p *record.Parity, ref *trace.Reference, mutants []string) error {
	p.Proof = &record.Proof{}
	material, _ := o.material()
	for i, mutant := range mutants {
		o.progress("proving the judge on planted mistakes", i, len(mutants))
		cand, err := o.mutated(ctx, ref, mutant)
		if refused := new(engine.Error); errors.As(err, &refused) && refused.Kind == engine.KindUnsupported {
			continue
		}
		if err != nil {
			return fmt.Errorf("mutant %s: %w", mutant, err)
		}
		result := record.Mutant{Name: mutant}
		judged := judge.Judge(ref, cand, o.Experiment.Parity.Thresholds)
		result.Verdict, result.Stage = judged.Verdict, judged.Stage
		if d := judge.Diagnose(ref, cand, o.Experiment.Parity.Thresholds, &judged, material); d != nil && len(d.Causes) > 0 {
			result.Cause = d.Causes[0].Name
		}
		p.Proof.Applicable++
		p.Proof.Mutants = append(p.Proof.Mutants, result)
		if judged.Verdict == record.Fail {
			p.Proof.Caught++
		} else {
			p.Proof.Missed = append(p.Proof.Missed, mutant)
		}
	}
	o.progress("proving the judge on planted mistakes", len(mutants), len(mutants))
	switch {
	case p.Verdict != record.Pass:
	case p.Proof.Applicable == 0:
		p.Verdict = record.Inconclusive
		p.Reasons = append([]string{"A proof was asked for, but the candidate can plant no mistake that applies to this experiment."}, p.Reasons...)
	case len(p.Proof.Missed) > 0:
		p.Verdict = record.Inconclusive
		p.Reasons = append([]string{fmt.Sprintf("Proof: the judge missed %d of %d planted mistakes (%s), so its PASS says little.",
			len(p.Proof.Missed), p.Proof.Applicable, strings.Join(p.Proof.Missed, ", "))}, p.Reasons...)
	}
	return nil
}

// mutated collects the trace of a fresh candidate with a planted mistake.
func (o *Options) mutated(ctx context.Context, ref *trace.Reference, mutant string) (cand *trace.Candidate, err error) {
	c, err := o.Candidate.Start(ctx, o.Threads)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	side := o.Candidate
	side.Mutant = mutant
	return trace.CollectCandidate(ctx, c, ref, trace.CandidateOptions{
		Load: o.load(side, engine.RandomShared, ""), Activations: true, WorkDir: o.Folder.Work,
	})
}
