package timing

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tandem/results/engine"
	"tandem/results/record"
	"tandem/results/record/recordtest"
)

// fake is an engine whose clock is a script: the time of its next step.
type fake struct {
	engine.Unimplemented
	name    string
	next    func(step int) float64
	loss    engine.Float
	fail    error // at failAt
	failAt  int
	cut     bool // answers one step less
	taken   int
	turns   *[]string // who was asked, in order
	closed  int
	loadErr error
}

func (f *fake) Hello() engine.Hello { return engine.Hello{Name: f.name} }

func (f *fake) Load(context.Context, engine.LoadParams) (*engine.Loaded, error) {
	return &engine.Loaded{Threads: 1}, f.loadErr
}

func (f *fake) Close() error { f.closed++; return nil }

func (f *fake) Step(_ context.Context, n int) (*engine.StepResult, error) {
	if f.turns != nil {
		*f.turns = append(*f.turns, f.name)
	}
	r := &engine.StepResult{}
	for range n {
		if f.fail != nil && f.taken == f.failAt {
			return nil, f.fail
		}
		r.Seconds = append(r.Seconds, f.next(f.taken))
		r.Losses = append(r.Losses, f.loss)
		f.taken++
	}
	if f.cut {
		r.Seconds = r.Seconds[1:]
	}
	r.Step = int64(f.taken)
	return r, nil
}

// steady takes the same time for each step but the first of ten, which is far slower: medians must not see it.
func steady(seconds float64) func(int) float64 {
	return func(step int) float64 {
		if step%10 == 0 {
			return 100 * seconds
		}
		return seconds
	}
}

// scene is two modes of a reference, a twin and a candidate.
func scene(eager, fused, twin, candidate func(int) float64) ([]Contender, *[]string) {
	turns := new([]string)
	f := func(name string, next func(int) float64) *fake {
		return &fake{name: name, next: next, turns: turns, loss: 1}
	}
	return []Contender{
		{Part: ReferenceMode, Name: "pytorch", Mode: "eager", Threads: 1, Engine: f("eager", eager)},
		{Part: ReferenceMode, Name: "pytorch", Mode: "fused", Threads: 1, Engine: f("fused", fused), Cold: &Cold{FirstStepSeconds: 3, TotalSeconds: 7}},
		{Part: Twin, Name: "pytorch", Mode: "fused", Threads: 1, Engine: f("twin", twin)},
		{Part: Candidate, Name: "native", Threads: 1, Engine: f("native", candidate)},
	}, turns
}

var still = Options{Pause: -1, Load: func() []float64 { return []float64{0.5, 0.5, 0.5} }, Blocks: 12, BlockSteps: 10, Warmup: 10, Seed: 7}

func TestMeasure(t *testing.T) {
	contenders, turns := scene(steady(4), steady(2), steady(2), steady(0.5))
	var progress []int
	res, err := Measure(t.Context(), contenders, still, func(done, total int) {
		if total != 48 {
			t.Fatalf("%d blocks in all, want 48", total)
		}
		progress = append(progress, done)
	})
	if err != nil {
		t.Fatal(err)
	}
	tm := res.Timing
	if tm.Reference.Mode != "fused" || tm.Reference.StepSeconds.Median != 2 || tm.Candidate.StepSeconds.Median != 0.5 {
		t.Errorf("reference %+v, candidate %+v", tm.Reference, tm.Candidate)
	}
	if tm.Measured.Median != 4 || tm.Measured.N != 12 || tm.Resolution.Median != 1 || tm.Resolution.N != 12 {
		t.Errorf("measured %+v, resolution %+v", tm.Measured, tm.Resolution)
	}
	if tm.Reference.FirstStepSeconds != 3 || tm.Reference.ColdStartSeconds != 7 || len(tm.Modes) != 2 || tm.BlockSteps != 10 || tm.OrderSeed != 7 {
		t.Errorf("timing %+v", tm)
	}
	if tm.Speedup != nil || tm.Claim != "" {
		t.Error("the measurement itself claims something")
	}
	if len(progress) != 48 || !slices.IsSorted(progress) || progress[47] != 48 {
		t.Errorf("progress %v", progress)
	}
	if len(res.Samples) != 48 || len(res.Samples[0].StepSeconds) != 10 {
		t.Errorf("%d samples", len(res.Samples))
	}

	// Each round asks each contender once; the order is not always the same, and the same seed gives the same order.
	rounds := (*turns)[4:] // after the warm-up
	seen := map[string]bool{}
	for round := range 12 {
		order := slices.Clone(rounds[4*round : 4*round+4])
		seen[fmt.Sprint(order)] = true
		if slices.Sort(order); fmt.Sprint(order) != "[eager fused native twin]" {
			t.Errorf("round %d asks %v", round, order)
		}
	}
	if len(seen) < 3 {
		t.Errorf("12 rounds have only the orders %v", seen)
	}
	again, turnsAgain := scene(steady(4), steady(2), steady(2), steady(0.5))
	if _, err := Measure(t.Context(), again, still, nil); err != nil || !slices.Equal(*turns, *turnsAgain) {
		t.Errorf("the same seed gives another order (%v)", err)
	}
	other := still
	other.Seed = 8
	again, turnsAgain = scene(steady(4), steady(2), steady(2), steady(0.5))
	if _, err := Measure(t.Context(), again, other, nil); err != nil || slices.Equal(*turns, *turnsAgain) {
		t.Errorf("another seed gives the same order (%v)", err)
	}

	// What was measured and claimed is a record that can be written.
	Claim(&tm, record.Pass, "")
	r := recordtest.Faster()
	r.Timing = &tm
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	if tm.Speedup == nil || !strings.HasPrefix(tm.Claim, "native is 4.00 times faster than pytorch fused") {
		t.Errorf("claim %q", tm.Claim)
	}
}

// Further numbers of threads are compared like for like, and the reference at whatever number it is fastest with.
func TestMeasureOtherThreads(t *testing.T) {
	for _, test := range []struct {
		reason       string
		eager, fused float64 // of the reference with two threads
		want         []record.Comparison
	}{
		{"slower with two threads", 5, 3, []record.Comparison{
			{Kind: record.LikeForLike, Reference: record.Setup{Mode: "fused", Threads: 2}, Candidate: record.Setup{Threads: 2}, Measured: ratio(12, 12, 12, 12)},
		}},
		{"faster, and in another mode", 1, 1.5, []record.Comparison{
			{Kind: record.LikeForLike, Reference: record.Setup{Mode: "eager", Threads: 2}, Candidate: record.Setup{Threads: 2}, Measured: ratio(12, 4, 4, 4)},
			{Kind: record.AtItsBest, Reference: record.Setup{Mode: "eager", Threads: 2}, Candidate: record.Setup{Threads: 1}, Measured: ratio(12, 2, 2, 2)},
		}},
	} {
		contenders, _ := scene(steady(4), steady(2), steady(2), steady(0.5))
		contenders = append(
			contenders,
			Contender{Part: ReferenceOther, Name: "pytorch", Mode: "eager", Threads: 2, Engine: &fake{next: steady(test.eager), loss: 1}},
			Contender{Part: ReferenceOther, Name: "pytorch", Mode: "fused", Threads: 2, Engine: &fake{next: steady(test.fused), loss: 1}},
			Contender{Part: CandidateOther, Name: "native", Threads: 2, Engine: &fake{next: steady(0.25), loss: 1}},
		)
		res, err := Measure(t.Context(), contenders, still, nil)
		if err != nil {
			t.Fatal(err)
		}
		tm := &res.Timing
		if tm.Measured.Median != 4 || len(tm.Modes) != 2 || len(tm.Others) != 3 {
			t.Errorf("%s: the main comparison has changed: %+v", test.reason, tm)
		}
		if diff := cmp.Diff(test.want, tm.Comparisons); diff != "" {
			t.Errorf("%s: comparisons (-want +got)\n%s", test.reason, diff)
		}
		Claim(tm, record.Pass, "")
		for _, c := range tm.Comparisons {
			if c.Speedup == nil || !strings.Contains(c.Claim, "native at 1 thread is 2.00 times faster than pytorch eager at 2 threads") && !strings.Contains(c.Claim, "at 2 threads each") {
				t.Errorf("%s: claim %q", test.reason, c.Claim)
			}
		}
		r := recordtest.Faster()
		r.Timing = tm
		if err := r.Validate(); err != nil {
			t.Error(err)
		}
		Claim(tm, record.Fail, "")
		for _, c := range tm.Comparisons {
			if c.Speedup != nil || !strings.Contains(c.Claim, "the verdict is FAIL") {
				t.Errorf("%s: claims %q after a FAIL", test.reason, c.Claim)
			}
		}
	}
}

// A machine that becomes three times slower half way leaves the paired ratio as it is, though the medians move.
func TestMeasurePairs(t *testing.T) {
	slowing := func(seconds float64) func(int) float64 {
		return func(step int) float64 {
			if step >= 70 {
				return 3 * seconds
			}
			return seconds
		}
	}
	contenders, _ := scene(slowing(8), slowing(6), slowing(6), slowing(2))
	res, err := Measure(t.Context(), contenders, still, nil)
	if err != nil {
		t.Fatal(err)
	}
	m := res.Timing.Measured
	if m.Low != 3 || m.Median != 3 || m.High != 3 {
		t.Errorf("measured %+v, want 3 throughout", m)
	}
	if q := res.Timing.Candidate.StepSeconds; q.Low == q.High {
		t.Errorf("the candidate's own interval %+v does not show the change", q)
	}
}

func TestMeasureChoosesTheBlock(t *testing.T) {
	contenders, _ := scene(steady(0.025), steady(0.0125), steady(0.0125), steady(0.001))
	o := still
	o.BlockSteps = 0
	res, err := Measure(t.Context(), contenders, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.Timing.BlockSteps != 10 {
		t.Errorf("%d steps a block, want 10: the slowest contender's block takes a quarter of a second", res.Timing.BlockSteps)
	}
}

func TestMeasureWarns(t *testing.T) {
	contenders, _ := scene(steady(1), steady(2), steady(2), steady(1))
	contenders[3].Engine.(*fake).loss = engine.Float(math.NaN())
	o := still
	o.Blocks = 3
	o.Load = func() []float64 { return []float64{5, 5, 5} }
	res, err := Measure(t.Context(), contenders, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	all := strings.Join(res.Warnings, "\n")
	for _, want := range []string{"Only 3 blocks", `mode "fused", but its best mode is "eager"`, "loss of native was not finite", "load was 5.00 when the timing began", "when the timing ended"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in\n%s", want, all)
		}
	}
}

func TestMeasureRefuses(t *testing.T) {
	gone := errors.New("engine gone")
	tests := []struct {
		reason string
		change func(c []Contender) []Contender
		want   string
	}{
		{"no contender", func(c []Contender) []Contender { return nil }, "0 modes of the reference, 0 twins and 0 candidates"},
		{"no twin, no resolution", func(c []Contender) []Contender { return slices.Delete(c, 2, 3) }, "0 twins"},
		{"two candidates", func(c []Contender) []Contender { return append(c, c[3]) }, "2 candidates"},
		{"twin of nothing", func(c []Contender) []Contender { c[2].Mode = "compile"; return c }, "pytorch compile (A/A twin) has no mode"},
		{"twin with other threads", func(c []Contender) []Contender { c[2].Threads = 2; return c }, "same name, mode and threads"},
		{"no engine", func(c []Contender) []Contender { c[3].Engine = nil; return c }, "native has no engine"},
		{"fails in the warm-up", func(c []Contender) []Contender { c[0].Engine.(*fake).fail = gone; return c }, "pytorch eager: engine gone"},
		{"fails in a block", func(c []Contender) []Contender {
			c[3].Engine.(*fake).fail, c[3].Engine.(*fake).failAt = gone, 55
			return c
		}, "native: engine gone"},
		{"answers too few", func(c []Contender) []Contender { c[3].Engine.(*fake).cut = true; return c }, "not answered one by one"},
		{"NaN", func(c []Contender) []Contender {
			c[3].Engine.(*fake).next = func(int) float64 { return math.NaN() }
			return c
		}, "took NaN seconds"},
		{"a coarse clock", func(c []Contender) []Contender {
			c[3].Engine.(*fake).next = func(int) float64 { return 0 }
			return c
		}, "too coarse"},
	}
	for _, test := range tests {
		contenders, _ := scene(steady(4), steady(2), steady(2), steady(0.5))
		res, err := Measure(t.Context(), test.change(contenders), still, nil)
		if err == nil || res != nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: got %v, want %q", test.reason, err, test.want)
		}
	}
	contenders, _ := scene(steady(4), steady(2), steady(2), steady(0.5))
	o := still
	o.Blocks = -1
	if _, err := Measure(t.Context(), contenders, o, nil); err == nil {
		t.Error("-1 blocks were timed")
	}
}

func TestMeasureIsCancelled(t *testing.T) {
	contenders, _ := scene(steady(4), steady(2), steady(2), steady(0.5))
	for _, pause := range []time.Duration{-1, time.Hour} {
		ctx, cancel := context.WithCancel(t.Context())
		o := still
		o.Pause = pause
		loads := 0
		o.Load = func() []float64 { // called just before the warm-up
			if loads++; loads == 1 {
				cancel()
			}
			return nil
		}
		if _, err := Measure(ctx, contenders, o, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("pause %v: got %v", pause, err)
		}
	}
}

func TestColdStart(t *testing.T) {
	clock := time.Unix(0, 0)
	tick := []time.Duration{0, 2 * time.Second, 3 * time.Second, 4 * time.Second}
	now := func() time.Time {
		clock = clock.Add(tick[0])
		tick = tick[1:]
		return clock
	}
	f := &fake{name: "pytorch", next: steady(0.04)}
	e, loaded, cold, err := coldStart(t.Context(), now, func(context.Context) (*fake, error) { return f, nil }, engine.LoadParams{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (Cold{StartSeconds: 2, LoadSeconds: 3, FirstStepSeconds: 4, TotalSeconds: 9}); *cold != want {
		t.Errorf("got %+v, want %+v", *cold, want)
	}
	if e != f || loaded.Threads != 1 || f.taken != 1 || f.closed != 0 {
		t.Errorf("the engine took %d steps and was closed %d times", f.taken, f.closed)
	}
}

func TestColdStartFails(t *testing.T) {
	broken := errors.New("broken")
	tests := []struct {
		reason string
		f      *fake
		start  error
		closed int
	}{
		{"at the start: nothing to close", &fake{}, broken, 0},
		{"at load", &fake{loadErr: broken}, nil, 1},
		{"at the step", &fake{fail: broken}, nil, 1},
	}
	for _, test := range tests {
		_, _, cold, err := ColdStart(t.Context(), func(context.Context) (*fake, error) { return test.f, test.start }, engine.LoadParams{})
		if !errors.Is(err, broken) || cold != nil || test.f.closed != test.closed {
			t.Errorf("%s: %v, %v, closed %d times", test.reason, cold, err, test.f.closed)
		}
	}
	f := &fake{next: steady(math.NaN())}
	if _, _, _, err := ColdStart(t.Context(), func(context.Context) (*fake, error) { return f, nil }, engine.LoadParams{}); err == nil || f.closed != 1 {
		t.Errorf("a step of NaN seconds: %v", err)
	}
}

// TestMeasureGoesOn: a measurement that goes on with the rounds of an earlier one finds what an uninterrupted one does, in the same order.
func TestMeasureGoesOn(t *testing.T) {
	whole, turns := scene(steady(4), steady(2), steady(2), steady(0.5))
	var all []Rounds
	o := still
	o.Keep = func(r *Rounds) error {
		k := *r
		k.Medians = slices.Clone(r.Medians)
		all = append(all, k)
		return nil
	}
	want, err := Measure(t.Context(), whole, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != still.Blocks {
		t.Fatalf("%d rounds were kept, want %d", len(all), still.Blocks)
	}
	for _, n := range []int{1, 5, still.Blocks} {
		rest, again := scene(steady(4), steady(2), steady(2), steady(0.5))
		o := still
		o.BlockSteps, o.Earlier = 0, &all[n-1]
		got, err := Measure(t.Context(), rest, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Timing, got.Timing); diff != "" {
			t.Errorf("after %d rounds (-want +got)\n%s", n, diff)
		}
		// After the warm-up of four come the turns that are left.
		if w := (*turns)[4+4*n:]; !slices.Equal(w, (*again)[4:]) {
			t.Errorf("after %d rounds the turns are %v, want %v", n, (*again)[4:], w)
		}
	}
	for what, change := range map[string]func(r *Rounds){
		"others":      func(r *Rounds) { r.Contenders = []string{"a", "b", "c", "d"} },
		"steps":       func(r *Rounds) { r.BlockSteps = 11 },
		"a gap":       func(r *Rounds) { r.Medians = [][]float64{{1, 2, 3}} },
		"no time":     func(r *Rounds) { r.Medians = [][]float64{{1, 2, 3, 0}} },
		"many rounds": func(r *Rounds) { r.Medians = make([][]float64, 13) },
	} {
		rest, _ := scene(steady(4), steady(2), steady(2), steady(0.5))
		o, earlier := still, all[2]
		change(&earlier)
		o.Earlier = &earlier
		if _, err := Measure(t.Context(), rest, o, nil); err == nil {
			t.Errorf("%s: the earlier rounds were taken", what)
		}
	}
}
