package timing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tandem/results/engine"
	"tandem/results/environment"
	"tandem/results/record"
)

// Part is what a contender is measured for.
type Part int

const (
	ReferenceMode Part = iota // the reference in one of its modes
	Twin                      // another process of the reference, in one of these modes
	Candidate                 // the engine judged
	// The same two with another number of threads than in the main comparison, for further comparisons.
	ReferenceOther
	CandidateOther
)

// Contender is an engine that has loaded the experiment. Each is a process of its own.
type Contender struct {
	Part    Part
	Name    string // "pytorch", "native"
	Mode    string // "eager"; may be empty
	Threads int
	Engine  engine.Engine
	Cold    *Cold // how it started, if that was measured
}

func (c Contender) String() string {
	switch c.Part {
	case Twin:
		return label(c.Name, c.Mode) + " (A/A twin)"
	case ReferenceOther, CandidateOther:
		return label(c.Name, c.Mode) + " at " + plural(c.Threads, "thread", "threads")
	}
	return label(c.Name, c.Mode)
}

// Options of [Measure]. The zero value is good.
type Options struct {
	Blocks int // rounds; 0 means 15
	// BlockSteps is the number of steps in a block; 0 chooses it so that the slowest contender's block takes about a
	// quarter of a second, from 5 to 500 steps.
	BlockSteps int
	Warmup     int           // steps of each contender before the first round; 0 means 20
	Pause      time.Duration // between blocks; 0 means 50 ms, negative none
	Seed       uint64        // of the order
	// Load returns the machine's load averages; nil means environment.Load.
	Load func() []float64
	// Earlier, if not nil, is what an interrupted measurement of the same contenders had done: its rounds count, and the order goes on where
	// it was. Keep, if not nil, is called after each round with all that has been done until then.
	Earlier *Rounds
	Keep    func(*Rounds) error
	// After, if not nil, is called after the warm-up and each block of a contender, outside of what is timed, with its index and the number of
	// steps that it has trained here.
	After func(ctx context.Context, contender, steps int) error
}

// Rounds is what a measurement has done: enough to go on with it in other processes. A ratio is of two blocks of one round, so that rounds
// of several sessions do not mix.
type Rounds struct {
	Contenders []string `json:"contenders"`
	BlockSteps int      `json:"block_steps"`
	// Medians holds, for each round, each contender's median step time in seconds.
	Medians [][]float64 `json:"medians"`
	// NotFinite says of which contender a loss was not finite.
	NotFinite []bool `json:"not_finite"`
}

// check refuses rounds of other contenders.
func (r *Rounds) check(contenders []Contender, o Options) error {
	var names []string
	for _, c := range contenders {
		names = append(names, c.String())
	}
	if !slices.Equal(r.Contenders, names) {
		return fmt.Errorf("timing: the earlier rounds are of %q, these contenders are %q", r.Contenders, names)
	}
	if r.BlockSteps < 1 || o.BlockSteps > 0 && o.BlockSteps != r.BlockSteps || len(r.NotFinite) != len(names) || len(r.Medians) > o.Blocks {
		return fmt.Errorf("timing: %d earlier rounds of %d steps do not belong to a measurement of %d rounds of %d", len(r.Medians), r.BlockSteps, o.Blocks, o.BlockSteps)
	}
	for i, medians := range r.Medians {
		if len(medians) != len(names) || slices.ContainsFunc(medians, func(m float64) bool { return !(m > 0) || math.IsInf(m, 0) }) {
			return fmt.Errorf("timing: the earlier round %d is %v for %d contenders", i, medians, len(names))
		}
	}
	return nil
}

// Result is what [Measure] found.
type Result struct {
	// Timing lacks Speedup and Claim: see [Claim].
	Timing   record.Timing
	Warnings []string
	// Load before the warm-up and after the last block.
	LoadBefore, LoadAfter []float64
	// Samples are all step times that were taken here, in their order: those of earlier rounds are not kept.
	Samples []Block
}

// Block is one contender's turn in one round.
type Block struct {
	Round       int       `json:"round"` // from 0
	Contender   string    `json:"contender"`
	StepSeconds []float64 `json:"step_seconds"`
}

// Measure times the contenders in interleaved blocks: at least one mode of the reference, one twin of one of these
// modes, one candidate, and any number with other numbers of threads. progress, if not nil, is told the number of finished blocks and of all. The engines train on
// while they are timed. An engine that fails ends the measurement.
func Measure(ctx context.Context, contenders []Contender, o Options, progress func(done, total int)) (*Result, error) {
	roles, err := parts(contenders)
	if err != nil {
		return nil, err
	}
	o.Blocks, o.Warmup, o.Pause = cmp.Or(o.Blocks, 15), cmp.Or(o.Warmup, 20), cmp.Or(o.Pause, 50*time.Millisecond)
	if o.Blocks < 1 || o.Warmup < 1 || o.BlockSteps < 0 {
		return nil, fmt.Errorf("timing: %d blocks of %d steps after %d steps of warm-up cannot be timed", o.Blocks, o.BlockSteps, o.Warmup)
	}
	if o.Load == nil {
		o.Load = environment.Load
	}
	res := &Result{LoadBefore: o.Load()}
	rounds := &Rounds{NotFinite: make([]bool, len(contenders))}
	for _, c := range contenders {
		rounds.Contenders = append(rounds.Contenders, c.String())
	}
	if o.Earlier != nil {
		if err := o.Earlier.check(contenders, o); err != nil {
			return nil, err
		}
		o.BlockSteps = o.Earlier.BlockSteps
		rounds.Medians, rounds.NotFinite = slices.Clone(o.Earlier.Medians), slices.Clone(o.Earlier.NotFinite)
	}
	earlier := len(rounds.Medians)
	trained := make([]int, len(contenders))
	after := func(i, n int) error {
		if trained[i] += n; o.After == nil {
			return nil
		}
		return o.After(ctx, i, trained[i])
	}

	slowest := 0.0
	for i, c := range contenders {
		seconds, finite, err := steps(ctx, c, o.Warmup)
		if err != nil {
			return nil, err
		}
		if err := after(i, o.Warmup); err != nil {
			return nil, err
		}
		rounds.NotFinite[i] = rounds.NotFinite[i] || !finite
		// The second half knows the steady state better: a compiler may work in the first.
		slowest = math.Max(slowest, median(seconds[len(seconds)/2:]))
	}
	if o.BlockSteps == 0 {
		o.BlockSteps = blockSteps(slowest)
	}
	rounds.BlockSteps = o.BlockSteps

	order := rand.New(rand.NewPCG(o.Seed, 0))
	total := o.Blocks * len(contenders)
	for round := range o.Blocks {
		turns := order.Perm(len(contenders))
		if round < earlier {
			continue
		}
		medians := make([]float64, len(contenders))
		for _, i := range turns {
			if err := pause(ctx, o.Pause); err != nil {
				return nil, err
			}
			seconds, finite, err := steps(ctx, contenders[i], o.BlockSteps)
			if err != nil {
				return nil, err
			}
			m := median(seconds)
			if !(m > 0) {
				return nil, fmt.Errorf("timing: %s: the median of a block of %d steps is %v seconds; its clock is too coarse", contenders[i], o.BlockSteps, m)
			}
			rounds.NotFinite[i] = rounds.NotFinite[i] || !finite
			medians[i] = m
			res.Samples = append(res.Samples, Block{Round: round, Contender: contenders[i].String(), StepSeconds: seconds})
			if progress != nil {
				progress(earlier*len(contenders)+len(res.Samples), total)
			}
			if err := after(i, o.BlockSteps); err != nil {
				return nil, err
			}
		}
		rounds.Medians = append(rounds.Medians, medians)
		if o.Keep != nil {
			if err := o.Keep(rounds); err != nil {
				return nil, err
			}
		}
	}
	res.LoadAfter = o.Load()
	medians := make([][]float64, len(contenders)) // by contender
	for _, round := range rounds.Medians {
		for i, m := range round {
			medians[i] = append(medians[i], m)
		}
	}

	t := &res.Timing
	t.Blocks, t.BlockSteps, t.OrderSeed = o.Blocks, o.BlockSteps, o.Seed
	summaries := make([]record.EngineTiming, len(contenders))
	for i, c := range contenders {
		if summaries[i], err = summary(c, medians[i]); err != nil {
			return nil, err
		}
		switch c.Part {
		case ReferenceMode:
			t.Modes = append(t.Modes, summaries[i])
		case Candidate:
			t.Candidate = summaries[i]
		case ReferenceOther, CandidateOther:
			t.Others = append(t.Others, summaries[i])
		}
	}
	b := best(summaries, roles.modes)
	t.Reference = summaries[b]
	if t.Measured, err = Ratios(medians[b], medians[roles.candidate]); err != nil {
		return nil, fmt.Errorf("timing: %s against %s: %w", contenders[b], contenders[roles.candidate], err)
	}
	twin := contenders[roles.twin]
	t.ResolutionMode = twin.Mode
	if t.Resolution, err = Ratios(medians[roles.twinOf], medians[roles.twin]); err != nil {
		return nil, fmt.Errorf("timing: %s against its twin: %w", contenders[roles.twinOf], err)
	}
	if t.Comparisons, err = comparisons(contenders, roles, summaries, medians); err != nil {
		return nil, err
	}

	res.Warnings = Warnings(t, twin.Mode)
	threads := 0
	for i, c := range contenders {
		threads = max(threads, c.Threads)
		if rounds.NotFinite[i] {
			res.Warnings = append(res.Warnings, fmt.Sprintf("The loss of %s was not finite while it was timed: its times are not those of a training.", c))
		}
	}
	for _, w := range []string{LoadWarning(res.LoadBefore, threads, "began"), LoadWarning(res.LoadAfter, threads, "ended")} {
		if w != "" {
			res.Warnings = append(res.Warnings, w)
		}
	}
	return res, nil
}

// roles are the indices of the contenders by what they are measured for.
type roles struct {
	modes        []int
	twin, twinOf int // the twin and the contender that it is the twin of
	candidate    int
	// The contenders with other numbers of threads.
	references, candidates []int
}

// parts sorts the contenders by what they are measured for.
func parts(contenders []Contender) (*roles, error) {
	r := &roles{twinOf: -1}
	var errs []error
	twins, candidates := 0, 0
	for i, c := range contenders {
		if c.Engine == nil {
			errs = append(errs, fmt.Errorf("%s has no engine", c))
		}
		switch c.Part {
		case ReferenceMode:
			r.modes = append(r.modes, i)
		case Twin:
			twins++
			r.twin = i
		case Candidate:
			candidates++
			r.candidate = i
		case ReferenceOther:
			r.references = append(r.references, i)
		case CandidateOther:
			r.candidates = append(r.candidates, i)
		default:
			errs = append(errs, fmt.Errorf("%s has the unknown part %d", c, c.Part))
		}
	}
	if len(r.modes) == 0 || twins != 1 || candidates != 1 {
		errs = append(errs, fmt.Errorf("%d modes of the reference, %d twins and %d candidates; at least one mode, one twin and one candidate are needed", len(r.modes), twins, candidates))
	} else {
		for _, i := range r.modes {
			if a, b := contenders[i], contenders[r.twin]; a.Name == b.Name && a.Mode == b.Mode && a.Threads == b.Threads {
				r.twinOf = i
			}
		}
		if r.twinOf < 0 {
			errs = append(errs, fmt.Errorf("%s has no mode of the reference with the same name, mode and threads", contenders[r.twin]))
		}
	}
	if len(errs) > 0 {
		return nil, fmt.Errorf("timing: %w", errors.Join(errs...))
	}
	return r, nil
}

// comparisons compares the contenders with other numbers of threads: each candidate with the reference's best mode at as many, and the
// main candidate with the reference's best of all, if that has another number.
func comparisons(contenders []Contender, r *roles, summaries []record.EngineTiming, medians [][]float64) ([]record.Comparison, error) {
	var out []record.Comparison
	add := func(kind record.ComparisonKind, reference, candidate int) error {
		a, b := contenders[reference], contenders[candidate]
		ratio, err := Ratios(medians[reference], medians[candidate])
		if err != nil {
			return fmt.Errorf("timing: %s against %s: %w", a, b, err)
		}
		out = append(out, record.Comparison{
			Kind:      kind,
			Reference: record.Setup{Mode: a.Mode, Threads: a.Threads}, Candidate: record.Setup{Mode: b.Mode, Threads: b.Threads},
			Measured: ratio,
		})
		return nil
	}
	for _, c := range r.candidates {
		var alike []int
		for _, i := range r.references {
			if contenders[i].Threads == contenders[c].Threads {
				alike = append(alike, i)
			}
		}
		if len(alike) == 0 {
			continue
		}
		if err := add(record.LikeForLike, best(summaries, alike), c); err != nil {
			return nil, err
		}
	}
	main := best(summaries, r.modes)
	if b := best(summaries, append([]int{main}, r.references...)); contenders[b].Threads != contenders[main].Threads {
		if err := add(record.AtItsBest, b, r.candidate); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// steps trains n steps and returns their times and whether all losses were finite.
func steps(ctx context.Context, c Contender, n int) (seconds []float64, finite bool, err error) {
	r, err := c.Engine.Step(ctx, n)
	if err != nil {
		return nil, false, fmt.Errorf("timing: %s: %w", c, err)
	}
	if r == nil || len(r.Seconds) != n || len(r.Losses) != n {
		return nil, false, fmt.Errorf("timing: %s: %d steps were asked for and not answered one by one", c, n)
	}
	for i, s := range r.Seconds {
		if !(s >= 0) || math.IsInf(s, 1) {
			return nil, false, fmt.Errorf("timing: %s: step %d of a block of %d took %v seconds", c, i+1, n, s)
		}
	}
	finite = true
	for _, l := range r.Losses {
		if f := float64(l); math.IsNaN(f) || math.IsInf(f, 0) {
			finite = false
		}
	}
	return r.Seconds, finite, nil
}

// blockSteps is the number of steps that take about a quarter of a second.
func blockSteps(stepSeconds float64) int {
	const target, fewest, most = 0.25, 5, 500
	if !(stepSeconds > target/most) {
		return most
	}
	return max(fewest, int(target/stepSeconds))
}

// pause lets thread pools park before the next contender's turn.
func pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// summary is one contender's part of the record.
func summary(c Contender, medians []float64) (record.EngineTiming, error) {
	q, err := Summarize(medians)
	if err != nil {
		return record.EngineTiming{}, fmt.Errorf("timing: %s: %w", c, err)
	}
	e := record.EngineTiming{Engine: c.Name, Mode: c.Mode, Threads: c.Threads, StepSeconds: q, BlockMedians: medians}
	if c.Cold != nil {
		e.FirstStepSeconds, e.ColdStartSeconds = c.Cold.FirstStepSeconds, c.Cold.TotalSeconds
	}
	return e, nil
}
