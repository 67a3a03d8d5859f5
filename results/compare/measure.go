package compare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"tandem/fixtures/experiment"
	"tandem/results/engine"
	"tandem/results/environment"
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
	f := &field{o: o, earlier: o.Unfinished.timing()}
	defer func() { err = errors.Join(err, f.close()) }()
	if err := f.enter(ctx, r); err != nil {
		return err
	}
	t := o.Experiment.Timing
	options := timing.Options{Blocks: t.Blocks, BlockSteps: t.BlockSteps, Warmup: t.WarmUp, Seed: o.Experiment.Seed}
	kept := f.keptTiming()
	if f.earlier != nil {
		options.Earlier = f.earlier.Rounds
	}
	options.After = func(ctx context.Context, contender, steps int) error { return f.sample(ctx, contender, steps) }
	options.Keep = func(rounds *timing.Rounds) error {
		now := *kept
		now.Rounds = rounds
		o.Unfinished.keepTiming(&now)
		return nil
	}
	result, err := timing.Measure(ctx, f.contenders, options, func(done, total int) { o.progress("timing in interleaved blocks", done, total) })
	if err != nil {
		return err
	}
	r.Timing = &result.Timing
	r.Timing.LeftOut = f.leftOut
	r.Warnings = append(r.Warnings, result.Warnings...)
	if w := interpreted(o.Experiment, r); w != "" {
		r.Warnings = append(r.Warnings, w)
	}
	if n := len(kept.Sessions); n > 0 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("The times are of several sessions, since the run was interrupted: %d of the %d rounds were timed before the last one.", kept.Sessions[n-1], t.Blocks))
	}
	r.Environment.LoadBefore, r.Environment.LoadAfter = kept.Load, result.LoadAfter
	if kept.Load == nil {
		r.Environment.LoadBefore = result.LoadBefore
	}
	timing.Claim(r.Timing, r.Parity.Verdict, o.Candidate.Mutant)
	return f.memory(ctx, r)
}

// interpreted warns of a PyTorch that does not run the model as someone wrote it for PyTorch: nothing is known of how fast that would be.
func interpreted(e *experiment.Experiment, r *record.Run) string {
	if !e.Model.IsFile() {
		return ""
	}
	for _, engine := range r.Engines {
		if engine.Role == record.Reference && engine.Name == "pytorch" {
			return "PyTorch runs the graph of " + e.Model.Source + " node by node, which may be slower than the same model written in PyTorch: the speed-up is over this graph, not over that model."
		}
	}
	return ""
}

// field is all contenders of a measurement.
type field struct {
	o          *Options
	contenders []timing.Contender
	leftOut    []record.LeftOut
	// ranked and candidateMode are how some of them were chosen. An earlier session's choice holds.
	ranked        []string
	candidateMode string
	earlier       *keptTiming
	// samples are those of each contender's memory, piloted the steps that some had trained when they were ranked.
	samples [][]record.MemorySample
	piloted int
	// own is the peak of each contender's memory without its program and libraries, as far as it was asked: record.MemoryUse.PeakOwnBytes.
	own []int64
}

// sample notes a contender's memory after so many steps of the measurement. All are asked, so that none is treated otherwise than its twin.
func (f *field) sample(ctx context.Context, i, steps int) error {
	c := f.contenders[i]
	steps++ // the cold one
	if c.Part == timing.ReferenceMode {
		steps += f.piloted
	}
	m, err := f.ask(ctx, i)
	if err != nil {
		return err
	}
	f.samples[i] = append(f.samples[i], record.MemorySample{Steps: steps, Bytes: m.CurrentBytes})
	return nil
}

// ask asks a contender for its memory.
func (f *field) ask(ctx context.Context, i int) (*engine.Memory, error) {
	m, err := f.contenders[i].Engine.Memory(ctx)
	if err == nil && m.ProgramBytes > 0 {
		f.own[i] = max(f.own[i], m.PeakBytes-m.ProgramBytes)
	}
	return m, err
}

// keptTiming is what the measurement that is about to be made leaves if it is interrupted, but for the rounds.
func (f *field) keptTiming() *keptTiming {
	if f.earlier != nil {
		for i, c := range f.contenders {
			if cold, ok := f.earlier.Cold[c.String()]; ok {
				f.contenders[i].Cold = &cold // the first start: a later one finds a warm cache
			}
		}
		return f.earlier
	}
	k := &keptTiming{Ranked: f.ranked, CandidateMode: f.candidateMode, LeftOut: f.leftOut, Cold: map[string]timing.Cold{}, Load: environment.Load()}
	for _, c := range f.contenders {
		if c.Cold != nil {
			k.Cold[c.String()] = *c.Cold
		}
	}
	return k
}

func (f *field) close() (err error) {
	for _, c := range f.contenders {
		err = errors.Join(err, c.Engine.(*engine.Client).Close())
	}
	return err
}

// enter starts the contenders: the reference in all modes, its twin, the candidate, and both with other numbers of threads. There
// the reference takes part in the modes that a few steps were fastest in, since each process costs seconds and much memory.
func (f *field) enter(ctx context.Context, r *record.Run) error {
	o := f.o
	modes := o.modes(r.Engines[0].Modes)
	if len(modes) == 0 {
		return fmt.Errorf("compare: the engine %s has none of the modes %v to be timed in; it has %v", r.Engines[0].Name, o.Experiment.Timing.Modes, r.Engines[0].Modes)
	}
	for _, mode := range modes {
		if err := f.startMode(ctx, timing.ReferenceMode, mode, o.Threads); err != nil {
			return err
		}
	}
	if len(f.contenders) == 0 {
		return fmt.Errorf("compare: the engine %s can be timed in none of its modes: %s", r.Engines[0].Name, f.leftOut[0].Reason)
	}
	if f.earlier != nil {
		f.ranked, f.candidateMode = f.earlier.Ranked, f.earlier.CandidateMode
	} else {
		var err error
		if f.ranked, err = rank(ctx, f.contenders); err != nil {
			return err
		}
		if len(f.contenders) > 1 {
			f.piloted = pilotRounds * pilotSteps
		}
	}
	ranked := f.ranked
	if err := f.start(ctx, timing.Twin, o.Reference, ranked[0], o.Threads); err != nil {
		return err
	}
	if f.earlier == nil {
		var err error
		if f.candidateMode, err = o.candidateMode(ctx, r.Engines[1].Modes); err != nil {
			return err
		}
	}
	best := f.candidateMode
	if err := f.start(ctx, timing.Candidate, o.Candidate, best, o.Threads); err != nil {
		return err
	}
	for _, threads := range o.otherThreads() {
		for _, mode := range ranked[:min(otherModes, len(ranked))] {
			if err := f.startMode(ctx, timing.ReferenceOther, mode, threads); err != nil {
				return err
			}
		}
		if err := f.start(ctx, timing.CandidateOther, o.Candidate, best, threads); err != nil {
			return err
		}
	}
	return nil
}

// otherModes is the number of modes in which the reference is timed with other numbers of threads.
const otherModes = 2

// otherThreads are the numbers of threads besides the comparison's own.
func (o *Options) otherThreads() []int {
	var out []int
	for _, n := range o.Experiment.Timing.Threads {
		if n == 0 {
			n = runtime.GOMAXPROCS(0)
		}
		if n != o.Threads && !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return out
}

// startMode starts the reference in a mode, or notes why it cannot run in it.
func (f *field) startMode(ctx context.Context, part timing.Part, mode string, threads int) error {
	err := f.start(ctx, part, f.o.Reference, mode, threads)
	if refusal, ok := errors.AsType[*engine.Refusal](err); ok && mode != "" && refusal.Err.Kind == engine.KindUnsupported {
		f.leftOut = append(f.leftOut, record.LeftOut{Mode: mode, Threads: threads, Reason: refusal.Err.Message})
		return nil
	}
	return err
}

func (f *field) start(ctx context.Context, part timing.Part, s Side, mode string, threads int) error {
	f.o.progress("starting the engines to be timed", 0, 0)
	role := record.Reference
	if part == timing.Candidate || part == timing.CandidateOther {
		role = record.Candidate
	}
	begin := func(ctx context.Context) (*engine.Client, error) { return f.o.start(ctx, role, threads) }
	p := f.o.load(s, engine.RandomOwn, mode)
	p.Threads = threads
	c, loaded, cold, err := timing.ColdStart(ctx, begin, p)
	if err != nil {
		return err
	}
	f.contenders = append(f.contenders, timing.Contender{Part: part, Name: c.Hello().Name, Mode: mode, Threads: loaded.Threads, Engine: c, Cold: cold})
	f.samples, f.own = append(f.samples, nil), append(f.own, 0)
	return f.sample(ctx, len(f.contenders)-1, 0)
}

// modes returns the modes that an engine is to be timed in: those of the experiment that it has, or its one way of running.
func (o *Options) modes(have []string) []string {
	if len(have) == 0 {
		return []string{""}
	}
	var modes []string
	for _, m := range o.Experiment.Timing.Modes {
		if slices.Contains(have, m) {
			modes = append(modes, m)
		}
	}
	return modes
}

// candidateMode returns the mode that the candidate is timed in: of the experiment's the one that a few steps are fastest in, so that PyTorch
// is at its best as the candidate too. Where it has none of them, it is its own default.
func (o *Options) candidateMode(ctx context.Context, have []string) (mode string, err error) {
	modes := o.modes(have)
	if len(modes) <= 1 {
		return strings.Join(modes, ""), nil
	}
	f := &field{o: o}
	defer func() { err = errors.Join(err, f.close()) }()
	for _, m := range modes {
		err := f.start(ctx, timing.Candidate, o.Candidate, m, o.Threads)
		if refusal, ok := errors.AsType[*engine.Refusal](err); ok && refusal.Err.Kind == engine.KindUnsupported {
			continue // a mode that cannot run here
		}
		if err != nil {
			return "", err
		}
	}
	if len(f.contenders) == 0 {
		return "", nil
	}
	ranked, err := rank(ctx, f.contenders)
	if err != nil {
		return "", err
	}
	return ranked[0], nil
}

// rank returns the contenders' modes, that in which a few steps are fastest first. It decides nothing but in which mode the resolution is
// measured and which ones are tried with other numbers of threads.
func rank(ctx context.Context, contenders []timing.Contender) ([]string, error) {
	if len(contenders) == 1 {
		return []string{contenders[0].Mode}, nil
	}
	seconds := make([][]float64, len(contenders))
	for range pilotRounds {
		for i, c := range contenders {
			r, err := c.Engine.Step(ctx, pilotSteps)
			if err != nil {
				return nil, err
			}
			seconds[i] = append(seconds[i], r.Seconds...)
		}
	}
	median := func(i int) float64 {
		slices.Sort(seconds[i])
		return seconds[i][len(seconds[i])/2]
	}
	order := make([]int, len(contenders))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(median(a), median(b)) })
	modes := make([]string, len(order))
	for i, k := range order {
		modes[i] = contenders[k].Mode
	}
	return modes, nil
}

// memory reads the resident memory of the candidate and of the reference in its best mode.
func (f *field) memory(ctx context.Context, r *record.Run) error {
	r.Memory = map[record.Role]record.MemoryUse{}
	for i, c := range f.contenders {
		role := record.Candidate
		switch {
		case c.Part == timing.ReferenceMode && c.Mode == r.Timing.Reference.Mode:
			role = record.Reference
		case c.Part != timing.Candidate:
			continue
		}
		m, err := f.ask(ctx, i)
		if err != nil {
			return err
		}
		use := record.MemoryUse{BaselineBytes: m.BaselineBytes, PeakBytes: m.PeakBytes, DataBytes: m.DataBytes, Samples: f.samples[i]}
		if m.BaselineProgramBytes > 0 && f.own[i] > 0 {
			use.BaselineOwnBytes, use.PeakOwnBytes = m.BaselineBytes-m.BaselineProgramBytes, f.own[i]
		}
		r.Memory[role] = use
	}
	return nil
}
