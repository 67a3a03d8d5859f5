package timing

import (
	"math"
	"strings"
	"testing"

	"tandem/results/record"
)

func ratio(n int, median, low, high float64) record.Speedup {
	s := record.Speedup{Median: median, Low: low, High: high, N: n}
	for range n {
		s.Ratios = append(s.Ratios, median)
	}
	return s
}

func TestClaim(t *testing.T) {
	quiet := ratio(15, 1, 0.99, 1.01)
	tests := []struct {
		reason     string
		measured   record.Speedup
		resolution record.Speedup
		verdict    record.Verdict
		mutant     string
		threads    int // of the candidate
		claimed    bool
		want       string
	}{
		{"faster", ratio(15, 2.331, 2.2, 2.4), quiet, record.Pass, "", 1, true, "native is 2.33 times faster than pytorch fused at 1 thread each (95 % interval 2.20 to 2.40)"},
		{"slower is said as plainly, its interval the right way round", ratio(15, 1/6.1, 1/6.4, 1/6.0), quiet, record.Pass, "", 1, true, "native is 6.10 times slower than pytorch fused at 1 thread each (95 % interval 6.00 to 6.40)"},
		{"other threads are named", ratio(15, 2, 1.9, 2.1), quiet, record.Pass, "", 2, true, "native at 2 threads is 2.00 times faster than pytorch fused at 1 thread (95 % interval 1.90 to 2.10)"},
		{"no verdict, no speed-up", ratio(15, 22, 21, 23), quiet, record.Fail, "", 1, false, "the verdict is FAIL"},
		{"undecided is no PASS", ratio(15, 22, 21, 23), quiet, record.Inconclusive, "", 1, false, "the verdict is INCONCLUSIVE"},
		{"an absent verdict is no PASS", ratio(15, 22, 21, 23), quiet, "", "", 1, false, "no speed-up is claimed"},
		{"a mutant's speed is not the candidate's", ratio(15, 2, 1.9, 2.1), quiet, record.Pass, "no-bias", 1, false, `planted mistake "no-bias"`},
		{"nine pairs", ratio(9, 2, 1.9, 2.1), quiet, record.Pass, "", 1, false, "9 pairs of blocks is too few, at least 10"},
		{"one pair", ratio(1, 2, 2, 2), quiet, record.Pass, "", 1, false, "1 pair of blocks is too few"},
		{"the interval holds 1", ratio(15, 1.2, 0.98, 1.3), quiet, record.Pass, "", 1, false, "no difference beyond the noise"},
		{"the interval ends at 1", ratio(15, 1.2, 1, 1.3), quiet, record.Pass, "", 1, false, "no difference beyond the noise"},
		{"within the A/A interval", ratio(15, 1.04, 1.03, 1.05), ratio(15, 1, 0.95, 1.01), record.Pass, "", 1, false, "reference against itself differs by up to 5.3 %"},
		{"within it on the other side", ratio(15, 0.96, 0.95, 0.97), ratio(15, 1, 0.99, 1.05), record.Pass, "", 1, false, "no difference beyond the noise"},
		{"just as large as the A/A interval", ratio(15, 1.25, 1.2, 1.3), ratio(15, 1, 0.8, 1), record.Pass, "", 1, false, "no difference beyond the noise"},
		{"no A/A run", ratio(15, 2, 1.9, 2.1), record.Speedup{}, record.Pass, "", 1, false, "not timed against itself"},
		{"A/A is NaN", ratio(15, 2, 1.9, 2.1), ratio(15, math.NaN(), 1, 1), record.Pass, "", 1, false, "not timed against itself"},
		{"ratio is NaN", ratio(15, math.NaN(), math.NaN(), math.NaN()), quiet, record.Pass, "", 1, false, "no difference"},
	}
	for _, test := range tests {
		t.Run(test.reason, func(t *testing.T) {
			tm := &record.Timing{
				Reference: record.EngineTiming{Engine: "pytorch", Mode: "fused", Threads: 1},
				Candidate: record.EngineTiming{Engine: "native", Threads: test.threads},
				Measured:  test.measured, Resolution: test.resolution,
				Speedup: &record.Speedup{Median: 99}, // what stood there before does not stay
			}
			Claim(tm, test.verdict, test.mutant)
			if (tm.Speedup != nil) != test.claimed {
				t.Errorf("speed-up %v, claimed must be %v", tm.Speedup, test.claimed)
			}
			if test.claimed && tm.Speedup.Median != test.measured.Median {
				t.Errorf("claimed %v of %v", tm.Speedup.Median, test.measured.Median)
			}
			if !strings.Contains(tm.Claim, test.want) {
				t.Errorf("%q does not hold %q", tm.Claim, test.want)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	good := func() *record.Timing {
		return &record.Timing{
			Blocks:     15,
			Reference:  record.EngineTiming{Engine: "pytorch", Mode: "fused", Threads: 1},
			Candidate:  record.EngineTiming{Engine: "native", Threads: 1},
			Modes:      make([]record.EngineTiming, 1),
			Resolution: ratio(15, 1, 0.99, 1.01),
		}
	}
	if w := Warnings(good(), "fused"); len(w) != 0 {
		t.Errorf("a good session is warned of: %q", w)
	}
	tests := []struct {
		reason string
		change func(*record.Timing)
		want   string
	}{
		{"few blocks", func(t *record.Timing) { t.Blocks = 9 }, "Only 9 blocks were timed"},
		{"wide A/A", func(t *record.Timing) { t.Resolution.High = 1.2 }, "A/A run is wide (20.0 %)"},
		{"wide below 1", func(t *record.Timing) { t.Resolution.Low = 0.8 }, "wide (25.0 %)"},
		{"A/A absent", func(t *record.Timing) { t.Resolution = record.Speedup{} }, "A/A run is wide"},
		{"biased A/A", func(t *record.Timing) { t.Resolution.Low, t.Resolution.Median = 1.005, 1.007 }, "Two identical processes"},
		{"another best mode", func(t *record.Timing) { t.Reference.Mode = "compile" }, `in mode "fused", but its best mode is "compile"`},
		{"threads", func(t *record.Timing) { t.Candidate.Threads = 2 }, "1 the reference, 2 the candidate"},
	}
	for _, test := range tests {
		tm := good()
		test.change(tm)
		if w := Warnings(tm, "fused"); len(w) != 1 || !strings.Contains(w[0], test.want) {
			t.Errorf("%s: %q does not hold %q alone", test.reason, w, test.want)
		}
	}
}

func TestLoadWarning(t *testing.T) {
	for _, test := range []struct {
		load    []float64
		threads int
		warned  bool
	}{
		{nil, 1, false},
		{[]float64{1.9, 9, 9}, 1, false},
		{[]float64{2.1, 0, 0}, 1, true},
		{[]float64{2.1, 0, 0}, 2, false},
	} {
		if w := LoadWarning(test.load, test.threads, "began"); (w != "") != test.warned {
			t.Errorf("load %v with %d threads: %q", test.load, test.threads, w)
		}
	}
}

// TestClaimOfOneEngineTwice: which is which is said where both have the same name.
func TestClaimOfOneEngineTwice(t *testing.T) {
	timing := &record.Timing{
		Measured: ratio(15, 2, 1.9, 2.1), Resolution: ratio(15, 1, 0.99, 1.01),
		Reference: record.EngineTiming{Engine: "native", Threads: 1}, Candidate: record.EngineTiming{Engine: "native", Threads: 1},
	}
	Claim(timing, record.Pass, "")
	if want := "native (candidate) is 2.00 times faster than native (reference) at 1 thread each"; !strings.HasPrefix(timing.Claim, want) {
		t.Errorf("the claim is %q, want %q", timing.Claim, want)
	}
}
