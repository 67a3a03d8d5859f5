package diff

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"golang.org/x/perf/benchmath"

	"tandem/results/record"
)

// Key says which runs are of the same comparison.
type Key struct {
	Experiment string `json:"experiment"`
	Reference  string `json:"reference"`
	Candidate  string `json:"candidate"`
	Threads    int    `json:"threads"`
	// Rows and Batch tell the sizes of one experiment apart.
	Rows  int `json:"train_rows"`
	Batch int `json:"batch,omitempty"`
}

func (k Key) String() string {
	unit := "threads"
	if k.Threads == 1 {
		unit = "thread"
	}
	text := fmt.Sprintf("%s: %s against %s, %d %s, %d rows", k.Experiment, k.Candidate, k.Reference, k.Threads, unit, k.Rows)
	if k.Batch > 0 {
		text += fmt.Sprintf(", batch %d", k.Batch)
	}
	return text
}

// Compare orders keys by what they name: the experiment, its sizes from the smallest, and the engines.
func (k Key) Compare(x Key) int {
	return cmp.Or(cmp.Compare(k.Experiment, x.Experiment), cmp.Compare(k.Rows, x.Rows), cmp.Compare(k.Batch, x.Batch), cmp.Compare(k.Threads, x.Threads), cmp.Compare(k.Reference, x.Reference), cmp.Compare(k.Candidate, x.Candidate))
}

// KeyOf is a run's key.
func KeyOf(r *record.Run) Key {
	k := Key{Experiment: "experiment", Rows: r.Data.TrainRows}
	if r.Experiment != nil {
		k.Experiment, k.Batch = r.Experiment.Name, r.Experiment.Train.Batch
	}
	for _, e := range r.Engines {
		switch e.Role {
		case record.Reference:
			k.Reference = e.Name
		case record.Candidate:
			k.Candidate, k.Threads = e.Name, e.Threads
		}
	}
	return k
}

// Result is what became of one comparison.
type Result struct {
	Key Key `json:"key"`
	// Old and New are absent where there is no such run.
	Old *Side `json:"old,omitempty"`
	New *Side `json:"new,omitempty"`
	// Speedup compares the speed-ups; absent unless both runs passed and were timed.
	Speedup *Change `json:"speedup,omitempty"`
	// Steps compare the step times of contenders that both runs timed.
	Steps []Step `json:"steps,omitempty"`
	// Regressions say what got worse; nothing did when there are none. Improvements are the opposite, Notes what must be known to believe either.
	Regressions  []string `json:"regressions,omitempty"`
	Improvements []string `json:"improvements,omitempty"`
	Notes        []string `json:"notes,omitempty"`
}

// Side is what is shown of one run.
type Side struct {
	Started    string         `json:"started"` // RFC 3339
	Verdict    record.Verdict `json:"verdict"`
	Stage      record.Stage   `json:"stage,omitempty"` // the first wrong one
	LargestRho *record.Float  `json:"largest_rho,omitempty"`
	PeakBytes  int64          `json:"peak_bytes,omitempty"` // of the candidate
}

// Change compares a number of two runs.
type Change struct {
	Old Interval `json:"old"`
	New Interval `json:"new"`
	// P is the probability of samples at least as different when there is no difference, by the Mann-Whitney U test.
	P float64 `json:"p"`
	// Noise is the factor up to which a change counts as none: the larger of the sessions' resolutions. It is 1 of step times, whose
	// change judges nothing.
	Noise float64 `json:"noise"`
	// Significant says that P is below 0.05 and the change beyond Noise.
	Significant bool `json:"significant"`
}

// Probability writes P as statistics do: "p = 0.031", and "p < 0.001" for what three digits cannot say.
func (c Change) Probability() string {
	if c.P < 0.0005 {
		return "p < 0.001"
	}
	return fmt.Sprintf("p = %.3f", c.P)
}

// Factor is the new median over the old one.
func (c Change) Factor() float64 { return c.New.Median / c.Old.Median }

// Interval is a median with its 95 % interval, as the record has it.
type Interval struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// Step is a contender that both runs timed.
type Step struct {
	Engine  string `json:"engine"`
	Mode    string `json:"mode,omitempty"`
	Threads int    `json:"threads"`
	Change  Change `json:"seconds"`
}

// Alpha is the probability below which a difference of samples counts.
const Alpha = 0.05

// Runs compares runs that are matched by their keys; of several runs of one key the latest counts. The results are in the order of the keys.
func Runs(before, after []*record.Run) []Result {
	a, b := latest(before), latest(after)
	keys := map[Key]bool{}
	for k := range a {
		keys[k] = true
	}
	for k := range b {
		keys[k] = true
	}
	var out []Result
	for k := range keys {
		out = append(out, compare(k, a[k], b[k]))
	}
	slices.SortFunc(out, func(x, y Result) int { return x.Key.Compare(y.Key) })
	return out
}

func latest(runs []*record.Run) map[Key]*record.Run {
	out := map[Key]*record.Run{}
	for _, r := range runs {
		if k := KeyOf(r); out[k] == nil || r.Started.After(out[k].Started) {
			out[k] = r
		}
	}
	return out
}

// Two compares two runs, whatever their keys.
func Two(before, after *record.Run) Result {
	r := compare(KeyOf(after), before, after)
	if a, b := KeyOf(before), KeyOf(after); a != b {
		r.Notes = append([]string{fmt.Sprintf("the runs are of different comparisons: %s; %s", a, b)}, r.Notes...)
	}
	return r
}

// compare compares runs of one key, of which one may be absent.
func compare(key Key, before, after *record.Run) Result {
	r := Result{Key: key, Old: side(before), New: side(after)}
	switch {
	case before == nil:
		r.Notes = append(r.Notes, "there is no old run of it")
		if after.Parity.Verdict == record.Fail {
			r.Regressions = append(r.Regressions, "the new run's verdict is FAIL")
		}
		return r
	case after == nil:
		r.Regressions = append(r.Regressions, "there is no new run of it: what is not compared is not known to be right")
		return r
	}
	r.verdicts()
	r.sameness(before, after)
	if before.Parity.Verdict == record.Pass && after.Parity.Verdict == record.Pass {
		r.speed(before.Timing, after.Timing)
	}
	return r
}

func side(r *record.Run) *Side {
	if r == nil {
		return nil
	}
	s := &Side{Started: r.Started.UTC().Format("2006-01-02T15:04:05Z"), Verdict: r.Parity.Verdict, Stage: r.Parity.Stage, PeakBytes: r.Memory[record.Candidate].PeakBytes}
	for i := range r.Parity.Steps {
		st := &r.Parity.Steps[i]
		for _, e := range slices.Concat(st.Outputs, st.Gradients, st.Update, st.Buffers) {
			if s.LargestRho == nil || e.Rho != e.Rho || e.Rho > *s.LargestRho {
				s.LargestRho = &e.Rho
			}
		}
	}
	return s
}

// rank orders verdicts from the worst.
func rank(v record.Verdict) int {
	switch v {
	case record.Pass:
		return 2
	case record.Fail:
		return 0
	}
	return 1
}

func (r *Result) verdicts() {
	a, b := r.Old.Verdict, r.New.Verdict
	words := fmt.Sprintf("the verdict was %s and is %s", a, b)
	if b == record.Fail && r.New.Stage != "" {
		words += fmt.Sprintf("; first wrong: %s", r.New.Stage)
	}
	switch {
	case rank(b) < rank(a):
		r.Regressions = append(r.Regressions, words)
	case rank(b) > rank(a):
		r.Improvements = append(r.Improvements, words)
	case b == record.Fail && r.Old.Stage != r.New.Stage:
		r.Notes = append(r.Notes, fmt.Sprintf("both FAIL: first wrong was %s and is %s", r.Old.Stage, r.New.Stage))
	}
}

// sameness notes what makes two runs less comparable.
func (r *Result) sameness(before, after *record.Run) {
	note := func(what, a, b string) {
		if a != b {
			r.Notes = append(r.Notes, fmt.Sprintf("%s: %q and %q", what, a, b))
		}
	}
	note("different processors", before.Environment.CPU, after.Environment.CPU)
	if a, b := before.Environment.Cores, after.Environment.Cores; a != b {
		r.Notes = append(r.Notes, fmt.Sprintf("different numbers of cores: %d and %d", a, b))
	}
	note("different models", before.Model.SHA256, after.Model.SHA256)
	for _, name := range []string{"train/input", "order"} {
		if before.Data.SHA256[name] != after.Data.SHA256[name] {
			r.Notes = append(r.Notes, "different data: the digests of "+name+" differ")
		}
	}
	if a, b := before.Timing, after.Timing; a != nil && b != nil {
		note("the reference's best modes differ", a.Reference.Mode, b.Reference.Mode)
	}
}

// speed compares the times of two runs that passed.
func (r *Result) speed(before, after *record.Timing) {
	switch {
	case before == nil && after == nil:
		return
	case before == nil:
		r.Notes = append(r.Notes, "the old run was not timed")
		return
	case after == nil:
		r.Notes = append(r.Notes, "the new run was not timed")
		return
	}
	a, b := before.Measured, after.Measured
	noise := max(deviation(before.Resolution), deviation(after.Resolution)) // NaN, where one was not measured, stays NaN
	r.Speedup = change(Interval{a.Median, a.Low, a.High}, Interval{b.Median, b.Low, b.High}, a.Ratios, b.Ratios, noise)
	factor := r.Speedup.Factor()
	words := fmt.Sprintf("the speed-up was %.3g and is %.3g, %+.1f %% (%s; within %.1f %% nothing counts)", a.Median, b.Median, 100*(factor-1), r.Speedup.Probability(), 100*(noise-1))
	switch {
	case math.IsNaN(noise):
		r.Notes = append(r.Notes, "a reference was not timed against itself, so that the noise is not known and no change of speed counts")
	case r.Speedup.Significant && factor < 1:
		r.Regressions = append(r.Regressions, words)
	case r.Speedup.Significant:
		r.Improvements = append(r.Improvements, words)
	}
	old := contenders(before)
	for _, n := range contenders(after) {
		i := slices.IndexFunc(old, func(o record.EngineTiming) bool {
			return o.Engine == n.Engine && o.Mode == n.Mode && o.Threads == n.Threads
		})
		if i < 0 {
			continue
		}
		p, q := old[i].StepSeconds, n.StepSeconds
		r.Steps = append(r.Steps, Step{n.Engine, n.Mode, n.Threads, *change(Interval{p.Median, p.Low, p.High}, Interval{q.Median, q.Low, q.High}, old[i].BlockMedians, n.BlockMedians, 1)})
	}
}

// contenders are all that were timed, each once, the candidate first.
func contenders(t *record.Timing) []record.EngineTiming {
	out := []record.EngineTiming{t.Candidate}
	if len(t.Modes) == 0 {
		out = append(out, t.Reference)
	}
	return slices.Concat(out, t.Modes, t.Others)
}

func change(a, b Interval, before, after []float64, noise float64) *Change {
	c := &Change{Old: a, New: b, P: 1, Noise: noise}
	if len(before) > 0 && len(after) > 0 {
		// NewSample sorts what it is given.
		x := benchmath.NewSample(slices.Clone(before), &benchmath.DefaultThresholds)
		y := benchmath.NewSample(slices.Clone(after), &benchmath.DefaultThresholds)
		c.P = benchmath.AssumeNothing.Compare(x, y).P
	}
	c.Significant = c.P < Alpha && math.Abs(math.Log(c.Factor())) > math.Log(noise)
	return c
}

// deviation is the largest distance of a ratio and its interval from 1, as a factor of 1 or more. It is NaN for one that was not measured.
func deviation(s record.Speedup) float64 {
	if s.N == 0 {
		return math.NaN()
	}
	d := 0.0
	for _, v := range []float64{s.Median, s.Low, s.High} {
		d = math.Max(d, math.Abs(math.Log(v))) // NaN stays NaN
	}
	return math.Exp(d)
}

// Worse reports whether any result has a regression.
func Worse(results []Result) bool {
	return slices.ContainsFunc(results, func(r Result) bool { return len(r.Regressions) > 0 })
}
