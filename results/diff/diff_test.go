package diff_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"tandem/results/diff"
	"tandem/results/record"
	"tandem/results/record/recordtest"
)

// faster multiplies the speed-up of a run by a factor, in every pair of blocks.
func faster(r *record.Run, factor float64) *record.Run {
	m := &r.Timing.Measured
	m.Median, m.Low, m.High = m.Median*factor, m.Low*factor, m.High*factor
	for i := range m.Ratios {
		m.Ratios[i] *= factor
	}
	for i := range r.Timing.Candidate.BlockMedians {
		r.Timing.Candidate.BlockMedians[i] /= factor
	}
	r.Timing.Candidate.StepSeconds.Median /= factor
	return r
}

func TestTwo(t *testing.T) {
	noisy := func(r *record.Run) *record.Run {
		r.Timing.Resolution.Low, r.Timing.Resolution.High = 0.7, 1.4
		return r
	}
	unresolved := func(r *record.Run) *record.Run {
		r.Timing.Resolution = record.Speedup{}
		return r
	}
	few := func(r *record.Run) *record.Run {
		r.Timing.Measured.Ratios = r.Timing.Measured.Ratios[:2]
		return r
	}
	tests := []struct {
		label         string
		before, after *record.Run
		regressions   []string // a part of each
		improvements  []string
		notes         []string
	}{
		{"the same", recordtest.Faster(), recordtest.Faster(), nil, nil, nil},
		{"half as fast", recordtest.Faster(), faster(recordtest.Faster(), 0.5), []string{"the speed-up was 2.28 and is 1.14, -50.0 % (p < 0.001"}, nil, nil},
		{"twice as fast", recordtest.Faster(), faster(recordtest.Faster(), 2), nil, []string{"+100.0 %"}, nil},
		{"significant, but within the resolution", noisy(recordtest.Faster()), faster(recordtest.Faster(), 0.8), nil, nil, nil},
		{"beyond a wide resolution", recordtest.Faster(), faster(noisy(recordtest.Faster()), 0.5), []string{"within 42.9 % nothing counts"}, nil, nil},
		{"too few pairs to tell", few(recordtest.Faster()), few(faster(recordtest.Faster(), 0.5)), nil, nil, nil},
		{"the noise is not known", unresolved(recordtest.Faster()), faster(recordtest.Faster(), 0.5), nil, nil, []string{"the noise is not known"}},
		{"became wrong", recordtest.Faster(), recordtest.Failed(), []string{"the verdict was PASS and is FAIL; first wrong: backward"}, nil, nil},
		{"became undecided", recordtest.Faster(), recordtest.Undecided(), []string{"the verdict was PASS and is INCONCLUSIVE"}, nil, nil},
		{"undecided became wrong", recordtest.Undecided(), recordtest.Failed(), []string{"the verdict was INCONCLUSIVE and is FAIL"}, nil, nil},
		{"became right", recordtest.Failed(), recordtest.Faster(), nil, []string{"the verdict was FAIL and is PASS"}, nil},
		{"both wrong", recordtest.Failed(), recordtest.Failed(), nil, nil, nil},
		{"not timed any more", recordtest.Faster(), recordtest.Checked(), nil, nil, []string{"the new run was not timed"}},
	}
	for _, test := range tests {
		t.Run(test.label, func(t *testing.T) {
			r := diff.Two(test.before, test.after)
			for _, x := range []struct {
				kind      string
				got, want []string
			}{{"regressions", r.Regressions, test.regressions}, {"improvements", r.Improvements, test.improvements}, {"notes", r.Notes, test.notes}} {
				if len(x.got) != len(x.want) {
					t.Errorf("%s %q, want %q", x.kind, x.got, x.want)
					continue
				}
				for i := range x.want {
					if !strings.Contains(x.got[i], x.want[i]) {
						t.Errorf("%s: %q does not say %q", x.kind, x.got[i], x.want[i])
					}
				}
			}
			if got := diff.Worse([]diff.Result{r}); got != (len(test.regressions) > 0) {
				t.Errorf("worse: %t", got)
			}
			if both := test.before.Parity.Verdict == record.Pass && test.after.Parity.Verdict == record.Pass; !both && (r.Speedup != nil || len(r.Steps) > 0) {
				t.Error("a speed is compared without two PASS")
			}
		})
	}
}

func TestTwoComparesTheSteps(t *testing.T) {
	r := diff.Two(recordtest.Faster(), faster(recordtest.Faster(), 0.5))
	if len(r.Steps) != 5 || r.Steps[0].Engine != "native" {
		t.Fatalf("steps %v", r.Steps)
	}
	if c := r.Steps[0].Change; !(math.Abs(c.Factor()-2) < 1e-9) || !c.Significant || !(c.P < 0.001) {
		t.Errorf("the candidate's step: %+v", c)
	}
	if c := r.Steps[1].Change; c.Factor() != 1 || c.Significant || c.P < 0.9 {
		t.Errorf("the reference's step: %+v", c)
	}
}

func TestRunsAreMatched(t *testing.T) {
	named := func(r *record.Run, name string, day int) *record.Run {
		r.Experiment.Name, r.Started = name, time.Date(2026, 1, day, 0, 0, 0, 0, time.UTC)
		return r
	}
	before := []*record.Run{named(recordtest.Faster(), "a", 1), named(recordtest.Failed(), "a", 3), named(recordtest.Faster(), "gone", 1)}
	after := []*record.Run{named(recordtest.Faster(), "new", 4), named(recordtest.Faster(), "a", 4), named(recordtest.Failed(), "broken", 4)}
	got := diff.Runs(before, after)
	want := []struct {
		name                      string
		regressions, improvements int
	}{{"a", 0, 1}, {"broken", 1, 0}, {"gone", 1, 0}, {"new", 0, 0}}
	if len(got) != len(want) {
		t.Fatalf("%d results, want %d", len(got), len(want))
	}
	for i, w := range want {
		if g := got[i]; g.Key.Experiment != w.name || len(g.Regressions) != w.regressions || len(g.Improvements) != w.improvements {
			t.Errorf("%d: %s with %q and %q, want %+v", i, g.Key, g.Regressions, g.Improvements, w)
		}
	}
	if !diff.Worse(got) || diff.Worse(got[:1]) {
		t.Error("what is worse is not seen")
	}
	// Other threads are another comparison.
	one := recordtest.Faster()
	two := recordtest.Faster()
	two.Engines[1].Threads = 2
	if r := diff.Runs([]*record.Run{one}, []*record.Run{two}); len(r) != 2 {
		t.Errorf("%d results of different threads", len(r))
	}
	// So are another size of the data and another batch.
	rows, batch := recordtest.Faster(), recordtest.Faster()
	rows.Data.TrainRows, batch.Experiment.Train.Batch = 60_000, 256
	if r := diff.Runs([]*record.Run{one, rows, batch}, []*record.Run{one, rows, batch}); len(r) != 3 || diff.Worse(r) {
		t.Errorf("%d results of three sizes", len(r))
	}
	if r := diff.Two(one, two); len(r.Notes) != 1 || !strings.Contains(r.Notes[0], "different comparisons") {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestProbability(t *testing.T) {
	for p, want := range map[float64]string{1: "p = 1.000", 0.0312: "p = 0.031", 0.0005: "p = 0.001", 0.00049: "p < 0.001", 0: "p < 0.001"} {
		if got := (diff.Change{P: p}).Probability(); got != want {
			t.Errorf("%v: %q, want %q", p, got, want)
		}
	}
}
