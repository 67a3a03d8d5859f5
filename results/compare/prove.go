package compare

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"tandem/results/engine"
	"tandem/results/judge"
	"tandem/results/judge/fingerprint"
	"tandem/results/record"
	"tandem/results/trace"
)

// provers is the number of mistakes that are planted side by side, each in an engine with its share of the threads: between two
// commands an engine waits for its files and for the judge.
const provers = 2

// prove plants every mistake that the candidate knows and has each judged against the same reference. A
// mistake that the engine refuses as unsupported does not apply to the experiment. A judge that misses one has not earned
// its PASS: the verdict becomes INCONCLUSIVE.
func (o *Options) prove(ctx context.Context, p *record.Parity, ref *trace.Reference, mutants []string) error {
	results, err := o.plant(ctx, ref, mutants)
	if err != nil {
		return err
	}
	p.Proof = &record.Proof{}
	for _, r := range results {
		if r == nil {
			continue
		}
		p.Proof.Applicable++
		p.Proof.Mutants = append(p.Proof.Mutants, *r)
		if r.Verdict == record.Fail {
			p.Proof.Caught++
		} else {
			p.Proof.Missed = append(p.Proof.Missed, r.Name)
		}
	}
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

// plant judges a candidate with each of the mistakes. The results are in their order; nil for one that does not apply.
func (o *Options) plant(ctx context.Context, ref *trace.Reference, mutants []string) ([]*record.Mutant, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := min(provers, max(o.Threads, 1))
	material, _ := o.material() // without it a cause may not be found; the verdict does not need it
	out := make([]*record.Mutant, len(mutants))
	next := make(chan int)
	var lock sync.Mutex // of what follows, and of the progress
	var failed error
	done := 0
	o.progress("proving the judge on planted mistakes", 0, len(mutants))
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := range next {
				result, kept := o.Unfinished.mutant(mutants[i])
				var err error
				if !kept {
					if result, err = o.mutant(ctx, ref, mutants[i], o.Threads/workers, material); err == nil {
						o.Unfinished.keepMutant(mutants[i], result)
					}
				}
				lock.Lock()
				if err != nil && failed == nil {
					failed = fmt.Errorf("mutant %s: %w", mutants[i], err)
					cancel()
				}
				out[i] = result
				done++
				o.progress("proving the judge on planted mistakes", done, len(mutants))
				lock.Unlock()
			}
		})
	}
	for i := range mutants {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	group.Wait()
	if failed == nil {
		failed = ctx.Err()
	}
	return out, failed
}

// mutant judges a fresh candidate with one planted mistake; nil if it does not apply.
func (o *Options) mutant(ctx context.Context, ref *trace.Reference, name string, threads int, material fingerprint.Material) (*record.Mutant, error) {
	own := *ref // judged steps may be added to it
	own.Steps = slices.Clone(ref.Steps)
	ref = &own
	cand, err := o.mutated(ctx, ref, name, threads)
	if refused := new(engine.Error); errors.As(err, &refused) && refused.Kind == engine.KindUnsupported {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	judged := judge.Judge(ref, cand, o.Experiment.Parity.Thresholds)
	out := &record.Mutant{Name: name, Verdict: judged.Verdict, Stage: judged.Stage}
	if d := judge.Diagnose(ref, cand, o.Experiment.Parity.Thresholds, &judged, material); d != nil && len(d.Causes) > 0 {
		out.Cause = d.Causes[0].Name
	}
	return out, nil
}

// mutated collects the trace of a fresh candidate with a planted mistake, as far as the judge needs it. Where its free run departs and
// nothing else is wrong, the steps there are judged, in ref too, as they are for a candidate without one.
func (o *Options) mutated(ctx context.Context, ref *trace.Reference, mutant string, threads int) (cand *trace.Candidate, err error) {
	c, err := o.start(ctx, record.Candidate, threads)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	dir, err := os.MkdirTemp(o.Folder.Work, "mutant-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	side := o.Candidate
	side.Mutant = mutant
	load := o.load(side, engine.RandomShared, "")
	load.Threads = threads
	cand, err = trace.CollectCandidate(ctx, c, ref, trace.CandidateOptions{
		Load: load, Activations: true, WorkDir: dir, Enough: judge.Settled(ref, o.Experiment.Parity.Thresholds),
	})
	if err != nil || len(cand.Losses) == 0 {
		return cand, err
	}
	return cand, o.departure(ctx, c, ref, cand, dir, func(string) trace.Progress { return nil })
}
