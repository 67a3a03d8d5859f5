package timing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
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
	if c.Part == Twin {
		return label(c.Name, c.Mode) + " (A/A twin)"
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
}

// Result is what [Measure] found.
type Result struct {
	// Timing lacks Speedup and Claim: see [Claim].
	Timing   record.Timing
	Warnings []string
	// Load before the warm-up and after the last block.
	LoadBefore, LoadAfter []float64
	// Samples are all step times, in the order in which they were taken.
	Samples []Block
}

// Block is one contender's turn in one round.
type Block struct {
	Round       int       `json:"round"` // from 0
	Contender   string    `json:"contender"`
	StepSeconds []float64 `json:"step_seconds"`
}

// Measure times the contenders in interleaved blocks: at least one mode of the reference, one twin of one of these
// modes, and one candidate. progress, if not nil, is told the number of finished blocks and of all. The engines train on
// while they are timed. An engine that fails ends the measurement.
func Measure(ctx context.Context, contenders []Contender, o Options, progress func(done, total int)) (*Result, error) {
	modes, twin, candidate, err := parts(contenders)
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
	notFinite := make([]bool, len(contenders))

	slowest := 0.0
	for i, c := range contenders {
		seconds, finite, err := steps(ctx, c, o.Warmup)
		if err != nil {
			return nil, err
		}
		notFinite[i] = !finite
		// The second half knows the steady state better: a compiler may work in the first.
		slowest = math.Max(slowest, median(seconds[len(seconds)/2:]))
	}
	if o.BlockSteps == 0 {
		o.BlockSteps = blockSteps(slowest)
	}

	medians := make([][]float64, len(contenders))
	order := rand.New(rand.NewPCG(o.Seed, 0))
	total := o.Blocks * len(contenders)
	for round := range o.Blocks {
		for _, i := range order.Perm(len(contenders)) {
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
			notFinite[i] = notFinite[i] || !finite
			medians[i] = append(medians[i], m)
			res.Samples = append(res.Samples, Block{Round: round, Contender: contenders[i].String(), StepSeconds: seconds})
			if progress != nil {
				progress(len(res.Samples), total)
			}
		}
	}
	res.LoadAfter = o.Load()

	t := &res.Timing
	t.Blocks, t.BlockSteps, t.OrderSeed = o.Blocks, o.BlockSteps, o.Seed
	for _, i := range modes {
		e, err := summary(contenders[i], medians[i])
		if err != nil {
			return nil, err
		}
		t.Modes = append(t.Modes, e)
	}
	if t.Candidate, err = summary(contenders[candidate], medians[candidate]); err != nil {
		return nil, err
	}
	b := best(t.Modes)
	t.Reference = t.Modes[b]
	if t.Measured, err = Ratios(medians[modes[b]], medians[candidate]); err != nil {
		return nil, fmt.Errorf("timing: %s against %s: %w", contenders[modes[b]], contenders[candidate], err)
	}
	t.ResolutionMode = contenders[twin.index].Mode
	if t.Resolution, err = Ratios(medians[twin.of], medians[twin.index]); err != nil {
		return nil, fmt.Errorf("timing: %s against its twin: %w", contenders[twin.of], err)
	}

	res.Warnings = Warnings(t, contenders[twin.index].Mode)
	threads := 0
	for i, c := range contenders {
		threads = max(threads, c.Threads)
		if notFinite[i] {
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

// twinOf is the twin and the contender that it is the twin of.
type twinOf struct{ index, of int }

// parts sorts the contenders by what they are measured for.
func parts(contenders []Contender) (modes []int, twin twinOf, candidate int, err error) {
	var errs []error
	twins, candidates := 0, 0
	for i, c := range contenders {
		if c.Engine == nil {
			errs = append(errs, fmt.Errorf("%s has no engine", c))
		}
		switch c.Part {
		case ReferenceMode:
			modes = append(modes, i)
		case Twin:
			twins++
			twin.index, twin.of = i, -1
		case Candidate:
			candidates++
			candidate = i
		default:
			errs = append(errs, fmt.Errorf("%s has the unknown part %d", c, c.Part))
		}
	}
	if len(modes) == 0 || twins != 1 || candidates != 1 {
		errs = append(errs, fmt.Errorf("%d modes of the reference, %d twins and %d candidates; at least one mode, one twin and one candidate are needed", len(modes), twins, candidates))
	} else {
		for _, i := range modes {
			if a, b := contenders[i], contenders[twin.index]; a.Name == b.Name && a.Mode == b.Mode && a.Threads == b.Threads {
				twin.of = i
			}
		}
		if twin.of < 0 {
			errs = append(errs, fmt.Errorf("%s has no mode of the reference with the same name, mode and threads", contenders[twin.index]))
		}
	}
	if len(errs) > 0 {
		return nil, twinOf{}, 0, fmt.Errorf("timing: %w", errors.Join(errs...))
	}
	return modes, twin, candidate, nil
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
