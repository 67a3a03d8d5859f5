package judge_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/results/engine"
	"tandem/results/judge"
	"tandem/results/record"
	"tandem/results/trace"
)

// part moves losses away from the reference's from a step on: by kick at first, then rate times further at each step, up to a tenth,
// now above and now below.
func part(losses, ref []float64, step int, kick, rate float64) {
	for t := step; t < len(losses); t++ {
		d := min(kick*math.Pow(rate, float64(t-step)), 0.1)
		if t%2 == 1 {
			d = -d
		}
		losses[t] = ref[t] * (1 + d)
	}
}

// TestDeparture judges curves that leave the envelope.
func TestDeparture(t *testing.T) {
	type pair struct {
		ref  *trace.Reference
		cand *trace.Candidate
	}
	leave := func(step int, kick, rate float64) func(pair) {
		return func(p pair) { part(p.cand.Losses, p.ref.Losses, step, kick, rate) }
	}
	nudged := func(step int, kick, rate float64) func(pair) {
		return func(p pair) { part(p.ref.FreeRuns[1].Losses, p.ref.Losses, step, kick, rate) }
	}
	replay := func(by float64, steps ...int) func(pair) {
		return func(p pair) {
			for _, i := range steps {
				for k, v := range p.cand.Steps[i].Replay {
					p.cand.Steps[i].Replay[k] = v * engine.Float(1+by)
				}
			}
		}
	}
	// grown has the reference's own replays grow away from it by the same share, from the age'th step on.
	grown := func(by float64, age int) func(pair) {
		return func(p pair) {
			for i := range p.ref.Steps {
				var all [][]engine.Float
				for _, r := range p.ref.Steps[i].Replays {
					r = slices.Clone(r) // the tests share them
					for k := age; k < len(r); k++ {
						r[k] *= engine.Float(1 + by)
					}
					all = append(all, r)
				}
				p.ref.Steps[i].Replays = all
			}
		}
	}
	kink := func(p pair) {
		before := judge.Judge(p.ref, p.cand, experiment.DefaultThresholds)
		away(before, p.ref, p.cand, 2, "gradients/fc1.weight", 1000)
	}
	for _, test := range []struct {
		name    string
		edits   []func(pair)
		verdict record.Verdict
		stage   record.Stage
		step    int    // of the departure; -1 for none
		says    string // some reason
		reason  string
	}{
		{"before the nudged runs", []func(pair){leave(10, 5e-4, 1.2), nudged(30, 5e-4, 1.2)}, record.Pass, "", 10, "as a flipped kink", "when the first kink comes is chance"},
		{"slower than the nudged runs", []func(pair){leave(10, 5e-4, 1.05), nudged(30, 5e-4, 1.2)}, record.Pass, "", 10, "as a flipped kink", ""},
		{"no nudged run leaves", []func(pair){leave(10, 5e-4, 1.2)}, record.Inconclusive, "", 10, "none of those goes as far", "nothing says what is ordinary"},
		{"no nudged run leaves, the steps there were judged", []func(pair){leave(21, 5e-4, 1.2), func(p pair) {
			// Steps 20 and 21 as the collector adds them; the latter stands in for itself.
			p.ref.Steps[1].Step, p.cand.Steps[1].Step = 21, 21
			p.ref.Steps[1].Departure, p.ref.Steps[2].Departure = true, true
			p.cand.Steps[1].UpdateStep, p.cand.Steps[1].AfterStep = 22, 22
		}}, record.Pass, "", 21, "from the reference's own state there, the step is right", ""},
		{"no nudged run leaves, one of two steps was judged", []func(pair){leave(21, 5e-4, 1.2)}, record.Inconclusive, "", 21, "none of those goes as far", "the update before it was right, its own batch may be another"},
		{"grows much faster", []func(pair){leave(10, 1.1e-3, 3), nudged(20, 1.1e-3, 1.01)}, record.Fail, record.StageCurve, 10, "at the same age", "a mistake pushes at every step"},
		{"grows faster", []func(pair){leave(10, 1.1e-3, 1.3), nudged(34, 1.1e-3, 1.12)}, record.Inconclusive, "", 10, "grows away faster", ""},
		{"leaps", []func(pair){leave(10, 0.02, 1), nudged(20, 1.1e-3, 1.3)}, record.Fail, record.StageCurve, 10, "leaps away from the reference's at step 10", "no kink is as large"},
		{"leaps later", []func(pair){leave(10, 1e-4, 1), leave(40, 0.05, 1), nudged(50, 1.1e-3, 1.3)}, record.Fail, record.StageCurve, 10, "leaps away from the reference's at step 40", "compared with its own distance before"},
		{"leaps from a wide envelope", []func(pair){nudged(10, 1.1e-3, 1.5), leave(30, 0.09, 1)}, record.Pass, "", -1, "inside the envelope", "the nudged runs are as far"},
		{"ends elsewhere", []func(pair){leave(10, 5e-4, 1.2), nudged(10, 5e-4, 1.2), func(p pair) {
			for t := 50; t < len(p.cand.Losses); t++ {
				p.cand.Losses[t] = p.ref.Losses[t] * 1.3
			}
		}}, record.Inconclusive, "", -1, "ends elsewhere", "as far as chaos goes, but always above"},

		{"replays off", []func(pair){replay(2e-3, 0, 1, 2)}, record.Fail, record.StageCurve, -1, "what one step hands to the next is wrong", ""},
		{"one replay off", []func(pair){replay(2e-3, 1)}, record.Pass, "", -1, "it leaves as well", "a kink may be there"},
		{"replays a little off", []func(pair){replay(2e-5, 0, 1, 2)}, record.Inconclusive, "", -1, "rounding alone rarely does that", "a small state that is kept back"},
		{"replay not a number", []func(pair){replay(math.NaN(), 0, 1, 2)}, record.Fail, record.StageCurve, -1, "what one step hands to the next is wrong", ""},
		{"replays off, as far as the reference's own", []func(pair){replay(0.02, 0, 1, 2), grown(0.01, 0)}, record.Pass, "", -1, "", "rounding grows as fast"},
		{"replays off, further than the reference's own", []func(pair){replay(0.02, 0, 1, 2), grown(1e-3, 0)}, record.Fail, record.StageCurve, -1, "nudged replays are off by 0.001", "20 times"},
		{"replays off earlier than the reference's own", []func(pair){replay(0.02, 0, 1, 2), grown(0.01, 3)}, record.Fail, record.StageCurve, -1, "what one step hands to the next is wrong", "rounding has not grown yet"},
		{"not replayed", []func(pair){func(p pair) { p.cand.Steps[1].Replay = nil }}, record.Inconclusive, "", -1, "trained 0 steps on", "absence is no agreement"},

		{"a kink at a judged step", []func(pair){kink}, record.Inconclusive, "", -1, "only 1 of 3", "nobody looked for one there"},
		{"a kink at the departure", []func(pair){kink, func(p pair) { p.ref.Steps[2].Departure = true }}, record.Pass, "", -1, "", "it is the reason for the departure, and float64 agrees"},
		{"a kink at the departure, no float64", []func(pair){kink, func(p pair) {
			p.ref.Steps[2].Departure = true
			p.cand.Steps[2].Float64, p.cand.Steps[2].Loss64 = nil, nil
		}}, record.Inconclusive, "", -1, "only 1 of 3", "nothing proves the kink"},
		{"a mistake at the departure", []func(pair){kink, func(p pair) {
			p.ref.Steps[2].Departure = true
			for name := range p.cand.Steps[2].Float64 {
				if strings.HasPrefix(name, "gradients/") {
					set(p.cand.Steps[2].Float64, name, func(_ int, v float64) float64 { return v * (1 + 1e-6) })
				}
			}
		}}, record.Fail, record.StageBackward, -1, "in float64", "rounding shrinks, a mistake does not"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ref, cand := traces(t)
			for _, edit := range test.edits {
				edit(pair{ref, cand})
			}
			p := judge.Judge(ref, cand, experiment.DefaultThresholds)
			step := -1
			if p.Curve.Departure != nil {
				step = p.Curve.Departure.Step
			}
			if p.Verdict != test.verdict || p.Stage != test.stage || step != test.step || !slices.ContainsFunc(p.Reasons, func(s string) bool { return strings.Contains(s, test.says) }) {
				t.Errorf("%s in the stage %q, departure at %d; want %s in %q at %d with %q (%s)\n%s",
					p.Verdict, p.Stage, step, test.verdict, test.stage, test.step, test.says, test.reason, strings.Join(p.Reasons, "\n"))
			}
			if at := judge.Departure(ref, cand, experiment.DefaultThresholds); at != step {
				t.Errorf("Departure is %d, the record's %d", at, step)
			}
		})
	}
}

// TestLossFloor takes all measured noise of a loss away, as luck may: what the rounding of the weights does to it remains.
func TestLossFloor(t *testing.T) {
	ref, cand := traces(t)
	for i := range ref.Steps {
		for _, n := range ref.Steps[i].Noise {
			n.Distance["loss"] = 0
		}
	}
	for i := range ref.Steps { // so large that two roundings do not hide the sum
		for name := range ref.Steps[i].Float64 {
			if strings.HasPrefix(name, "gradients/") {
				set(ref.Steps[i].Float64, name, func(_ int, v float64) float64 { return 100 * v })
			}
		}
	}
	p := judge.Judge(ref, cand, experiment.DefaultThresholds)
	for i, step := range p.Steps {
		sum := 0.0
		for name, w := range ref.Steps[i].Before {
			g, x := ref.Steps[i].Float64["gradients/"+strings.TrimPrefix(name, "parameters/")].Values.Float64s(), w.Values.Float64s()
			for k := range g {
				sum += math.Abs(g[k] * x[k])
			}
		}
		loss := float64(*ref.Steps[i].Loss64)
		floor := sum / (1 << 24) / loss
		if floor <= 2.0/(1<<24) {
			t.Fatalf("step %d: the sum implies %g, which two roundings hide", step.Step, floor)
		}
		want := math.Abs(float64(cand.Steps[i].Loss32)-loss) / loss / floor
		if got := float64(step.Loss.Rho); !(math.Abs(got-want) <= 1e-9*want) {
			t.Errorf("step %d: rho %g, want %g", step.Step, got, want)
		}
	}
}
