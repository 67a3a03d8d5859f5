package compare

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"tandem/results/engine"
	"tandem/results/record"
	"tandem/results/timing"
)

// A few steps decide which of the reference's modes is timed twice: some in turn, so that a slow moment meets every mode.
const (
	pilotRounds = 5
	pilotSteps  = 30
)

// measure fills in speed and memory, from fresh processes that draw their dropout masks as their users would.
func (o *Options) measure(ctx context.Context, r *record.Run) (err error) {
	var contenders []timing.Contender
	defer func() {
		for _, c := range contenders {
			err = errors.Join(err, c.Engine.(*engine.Client).Close())
		}
	}()
	start := func(part timing.Part, s Side, mode string) error {
		c, err := o.contender(ctx, part, s, mode)
		if err == nil {
			contenders = append(contenders, c)
		}
		return err
	}
	modes, err := o.modes(r)
	if err != nil {
		return err
	}
	for _, mode := range modes {
		if err := start(timing.ReferenceMode, o.Reference, mode); err != nil {
			return err
		}
	}
	best, err := fastest(ctx, contenders)
	if err != nil {
		return err
	}
	if err := start(timing.Twin, o.Reference, best); err != nil {
		return err
	}
	if err := start(timing.Candidate, o.Candidate, ""); err != nil {
		return err
	}
	t := o.Experiment.Timing
	result, err := timing.Measure(ctx, contenders, timing.Options{Blocks: t.Blocks, BlockSteps: t.BlockSteps, Warmup: t.WarmUp, Seed: o.Experiment.Seed},
		func(done, total int) { o.progress("timing in interleaved blocks", done, total) })
	if err != nil {
		return err
	}
	r.Timing = &result.Timing
	r.Warnings = append(r.Warnings, result.Warnings...)
	r.Environment.LoadBefore, r.Environment.LoadAfter = result.LoadBefore, result.LoadAfter
	timing.Claim(r.Timing, r.Parity.Verdict, o.Candidate.Mutant)
	return o.memory(ctx, r, contenders)
}

// modes returns the modes of the reference to be timed: those of the experiment that the engine has, or its one way of
// running.
func (o *Options) modes(r *record.Run) ([]string, error) {
	have := r.Engines[0].Modes
	if len(have) == 0 {
		return []string{""}, nil
	}
	var modes []string
	for _, m := range o.Experiment.Timing.Modes {
		if slices.Contains(have, m) {
			modes = append(modes, m)
		}
	}
	if len(modes) == 0 {
		return nil, fmt.Errorf("compare: the engine %s has none of the modes %v to be timed in; it has %v", r.Engines[0].Name, o.Experiment.Timing.Modes, have)
	}
	return modes, nil
}

func (o *Options) contender(ctx context.Context, part timing.Part, s Side, mode string) (timing.Contender, error) {
	o.progress("starting the engines to be timed", 0, 0)
	begin := func(ctx context.Context) (*engine.Client, error) { return s.Start(ctx, o.Threads) }
	c, loaded, cold, err := timing.ColdStart(ctx, begin, o.load(s, engine.RandomOwn, mode))
	if err != nil {
		return timing.Contender{}, err
	}
	return timing.Contender{Part: part, Name: c.Hello().Name, Mode: mode, Threads: loaded.Threads, Engine: c, Cold: cold}, nil
}

// fastest returns the mode that a few steps are fastest in. It decides nothing but which mode the resolution is
// measured in.
func fastest(ctx context.Context, contenders []timing.Contender) (string, error) {
	if len(contenders) == 1 {
		return contenders[0].Mode, nil
	}
	seconds := make([][]float64, len(contenders))
	for range pilotRounds {
		for i, c := range contenders {
			r, err := c.Engine.Step(ctx, pilotSteps)
			if err != nil {
				return "", err
			}
			seconds[i] = append(seconds[i], r.Seconds...)
		}
	}
	best, least := "", math.Inf(1)
	for i, c := range contenders {
		slices.Sort(seconds[i])
		if m := seconds[i][len(seconds[i])/2]; m < least {
			best, least = c.Mode, m
		}
	}
	return best, nil
}

// memory reads the resident memory of the candidate and of the reference in its best mode.
func (o *Options) memory(ctx context.Context, r *record.Run, contenders []timing.Contender) error {
	r.Memory = map[record.Role]record.MemoryUse{}
	for _, c := range contenders {
		role := record.Candidate
		switch {
		case c.Part == timing.Twin, c.Part == timing.ReferenceMode && c.Mode != r.Timing.Reference.Mode:
			continue
		case c.Part == timing.ReferenceMode:
			role = record.Reference
		}
		m, err := c.Engine.Memory(ctx)
		if err != nil {
			return err
		}
		r.Memory[role] = record.MemoryUse{BaselineBytes: m.BaselineBytes, PeakBytes: m.PeakBytes}
	}
	return nil
}
