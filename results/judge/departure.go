package judge

import (
	"fmt"
	"math"
	"slices"

	"tandem/fixtures/experiment"
	"tandem/results/engine"
	"tandem/results/record"
	"tandem/results/trace"
)

// distances are the relative distances of a run's losses from the reference's, as far as both go.
func distances(run, ref []float64, scale float64) []float64 {
	out := make([]float64, min(len(run), len(ref)))
	for t := range out {
		out[t] = relative(run[t], ref[t], scale)
	}
	return out
}

// Departure returns the first step at which the candidate's free-running loss is outside the envelope of the reference's nudged
// runs, or -1. The steps before it and at it are worth judging from the reference's own state: the update before it moved
// the loss there, or its own batch did.
func Departure(ref *trace.Reference, cand *trace.Candidate, limits experiment.Thresholds) int {
	d := distances(cand.Losses, ref.Losses, lossScale(ref.Losses))
	return departed(d, Envelope(ref), limits)
}

func departed(d, envelope []float64, l experiment.Thresholds) int {
	for t := range d {
		if !(d[t] <= l.EnvelopeSlack*max(envelope[t], l.LossNoise)) {
			return t
		}
	}
	return -1
}

// abrupt fails a loss that leaps: in one step to more than fail_rho times the largest of the limit horizon, the envelope, and
// all the distance that the candidate had before.
func (j *judgement) abrupt(d, envelope []float64) {
	l := j.limits
	before := 0.0
	for t, v := range d {
		if bound := max(l.Horizon, envelope[t], before); !(v <= l.FailRho*bound) {
			j.stages[record.StageCurve].fail("The free-running loss leaps away from the reference's at step %d: %.6g where the reference has %.6g, %.2g relative, after at most %.2g before and while the reference's own nudged runs are within %.2g of it up to there. A flipped kink is far smaller; another batch, a dropped one, or an update that was not made is not.",
				t, j.cand.Losses[t], j.ref.Losses[t], v, before, envelope[t])
			return
		}
		before = max(before, v)
	}
}

// replays judges the few steps that the candidate trained on from each judged state. They start on the reference's path, so rounding
// has had little time to grow in them, and a mistake that needs more than one step to show (gradients that are not zeroed) shows in
// every one. How far rounding grows in that time is measured where the reference was replayed from the same state, nudged: in a network with
// BatchNorm and a large learning rate it may be a thousandth after four steps.
func (j *judgement) replays(scale float64) {
	s, l := j.stages[record.StageCurve], j.limits
	type replay struct {
		step      int
		near, off int // the first steps at which it is further away than rounding goes, and further than the limit horizon besides; -1
		distance  float64
		noise     float64 // of the reference's own replays there
	}
	bound := l.FailRho * max(l.LossNoise, roundings)
	var all []replay
	for i := range j.ref.Steps {
		r := &j.ref.Steps[i]
		c := j.step(r.Step)
		if c == nil || r.Departure {
			continue // the latter are there because something happens at them
		}
		want := min(trace.ReplaySteps, len(j.ref.Losses)-r.Step-1)
		if len(c.Replay) != want {
			s.doubt("The candidate trained %d steps on from judged step %d, where %d were asked for.", len(c.Replay), r.Step, want)
			continue
		}
		one := replay{step: r.Step, near: -1, off: -1}
		noise := replayNoise(r, j.ref.Losses, scale)
		for k, v := range c.Replay {
			t := r.Step + 1 + k
			d := relative(float64(v), j.ref.Losses[t], scale)
			if far := !(d <= max(bound, l.FailRho*noise[k])); far && one.near < 0 {
				one.near, one.distance, one.noise = t, d, noise[k]
			}
			if !(d <= max(l.Horizon, l.FailRho*noise[k])) && one.off < 0 {
				one.off, one.distance, one.noise = t, d, noise[k]
			}
		}
		if want > 0 {
			s.checked += want
			all = append(all, one)
		}
	}
	off := slices.DeleteFunc(slices.Clone(all), func(r replay) bool { return r.off < 0 })
	near := slices.DeleteFunc(slices.Clone(all), func(r replay) bool { return r.near < 0 })
	if len(off) == 0 {
		if len(near) >= min(l.FailSteps, len(all)) && len(near) > 0 {
			s.doubt("Trained on from the reference's state before step %d, the loss is off by %.2g relative at step %d already, and by more than %.2g, and than %g times the reference's own nudged replays, within %d steps of %d of %d judged states; rounding alone rarely does that so soon.",
				near[0].step, near[0].distance, near[0].near, bound, l.FailRho, trace.ReplaySteps, len(near), len(all))
		}
		return
	}
	first := off[0]
	if len(off) >= min(l.FailSteps, len(all)) {
		s.fail("Trained on from the reference's state before step %d, the loss is off by %.2g relative at step %d already, where the reference's own nudged replays are off by %.2g, and so it is within %d steps of %d of %d judged states; rounding has no time to grow so far in so few steps, and a kink does not flip each time. A single step from each is judged apart: what one step hands to the next is wrong.",
			first.step, first.distance, first.off, first.noise, trace.ReplaySteps, len(off), len(all))
		return
	}
	s.replayed = fmt.Sprintf(" Trained on from the reference's state before step %d, it leaves as well, by %.2g at step %d; from the other %d judged states it does not.", first.step, first.distance, first.off, len(all)-len(off))
}

// replayNoise returns, for each step after a judged one, the furthest that any of the reference's own nudged replays has been up to there.
func replayNoise(r *trace.ReferenceStep, losses []float64, scale float64) [trace.ReplaySteps]float64 {
	var out [trace.ReplaySteps]float64
	for _, replay := range r.Replays {
		widest := 0.0
		for k, v := range replay[:max(0, min(len(replay), len(out), len(losses)-r.Step-1))] {
			if d := relative(float64(v), losses[r.Step+1+k], scale); !math.IsNaN(d) {
				widest = max(widest, d)
			}
			out[k] = max(out[k], widest)
		}
	}
	return out
}

// departure judges how the candidate left the envelope and where it went; nil if it never left.
func (j *judgement) departure(curve *record.Curve, d, envelope []float64, scale float64) *record.Departure {
	s, l := j.stages[record.StageCurve], j.limits
	at := departed(d, envelope, l)
	if at < 0 {
		return nil
	}
	out := &record.Departure{Step: at, Distance: engine.Float(d[at]), Crossing: len(d), Growth: engine.Float(math.NaN())}
	for i := range j.ref.Steps {
		if step := j.ref.Steps[i].Step; (step == at-1 || step == at) && j.step(step) != nil {
			out.Judged = append(out.Judged, step)
		}
	}
	if i := slices.IndexFunc(d, func(v float64) bool { return !(v <= l.Horizon) }); i >= 0 {
		out.Crossing = i
	}
	largest := 0.0 // of any nudged run
	for _, run := range j.ref.FreeRuns {
		for _, v := range distances(run.Losses, j.ref.Losses, scale) {
			largest = max(largest, v)
		}
	}
	// Below the limit horizon it is enough that most of the steps are inside, or that the nudged runs go as far.
	ordinary := float64(curve.MedianRatio) <= l.EnvelopeSlack || slices.Max(d) <= l.EnvelopeSlack*largest
	if out.Crossing < len(d) {
		ordinary = j.growth(out, d, envelope, scale)
	}
	switch {
	case ordinary || s.verdict() == record.Fail:
	case !math.IsNaN(float64(out.Growth)):
		s.doubt("The free-running loss leaves the envelope of the reference's nudged runs at step %d by %.2g and then grows away faster than those do after they leave: at the same age it is typically %.3g times as far from the reference as the furthest of them, where %g may be.",
			at, d[at], float64(out.Growth), l.EnvelopeSlack)
	case len(out.Judged) < at-max(at-1, 0)+1:
		s.doubt("The free-running loss leaves the envelope of the reference's nudged runs at step %d by %.2g, and none of those goes as far. A flipped kink does that to a correct trainer as well, but nothing here shows it: that step and the one before it were not judged from the reference's own state. Another seed would tell.",
			at, d[at])
	}
	return out
}

// growth compares the distance from its crossing of the limit horizon on with that of the nudged runs at the same age, that
// is, so many steps after they crossed the same level. It says whether there was anything to compare with and the
// candidate's distance is ordinary.
func (j *judgement) growth(out *record.Departure, d, envelope []float64, scale float64) bool {
	s, l := j.stages[record.StageCurve], j.limits
	level := d[out.Crossing]
	var aged []float64 // the furthest that any nudged run is at that age or was before
	for _, run := range j.ref.FreeRuns {
		other := distances(run.Losses, j.ref.Losses, scale)
		i := slices.IndexFunc(other, func(v float64) bool { return v >= level })
		if i < 0 {
			continue
		}
		furthest := 0.0
		for age, v := range other[i:] {
			furthest = max(furthest, v)
			if age == len(aged) {
				aged = append(aged, 0)
			}
			aged[age] = max(aged[age], furthest)
		}
	}
	out.Followed = min(len(aged), len(d)-out.Crossing)
	var ratios []float64
	var far []int
	for age := range out.Followed {
		t := out.Crossing + age
		r := ratio(d[t], max(aged[age], envelope[t]))
		ratios = append(ratios, r)
		if !(r <= l.FailRho) {
			far = append(far, t)
		}
	}
	if len(ratios) == 0 {
		return false
	}
	out.Growth = engine.Float(quantile(ratios, 0.5))
	if len(far) >= l.FailSteps {
		s.fail("The free-running loss leaves the envelope at step %d and is further from the reference's than %g times the furthest of its nudged runs at the same age at %d steps, first at step %d: %.6g where the reference has %.6g.",
			out.Step, l.FailRho, len(far), far[0], j.cand.Losses[far[0]], j.ref.Losses[far[0]])
	}
	return float64(out.Growth) <= l.EnvelopeSlack
}

// equallyGood demands that a candidate that went its own way, inside the envelope or outside, ends where the reference does: its mean loss over the last tenth must
// not differ by more than the share learning of all that the reference learned, or by more than envelope_slack times
// what the nudged runs differ by.
func (j *judgement) equallyGood(curve *record.Curve, scale float64) {
	l := j.limits
	n := len(j.ref.Losses)
	tenth := max(n/10, 1)
	margin := l.Learning * float64(curve.FirstTenth-curve.LastTenth)
	for _, run := range j.ref.FreeRuns {
		if len(run.Losses) == n {
			margin = max(margin, l.EnvelopeSlack*math.Abs(mean(run.Losses[n-tenth:])-float64(curve.LastTenth)))
		}
	}
	margin = max(margin, scale*l.Horizon)
	if off := math.Abs(float64(curve.CandidateLastTenth - curve.LastTenth)); !(off <= margin) {
		j.stages[record.StageCurve].doubt("The candidate goes its own way and ends elsewhere: its mean loss over the last tenth is %.6g where the reference's is %.6g; %.2g would be as good a training.",
			float64(curve.CandidateLastTenth), float64(curve.LastTenth), margin)
	}
}

func departureSentence(c *record.Curve) string {
	d := c.Departure
	out := fmt.Sprintf("The free-running losses stay with the reference's for %d of %d steps. The loss leaves the envelope of its nudged runs at step %d by %.2g, as a flipped kink makes it do",
		d.Step, c.Steps, d.Step, float64(d.Distance))
	if len(d.Judged) > 0 {
		out += "; from the reference's own state there, the step is right"
	}
	if d.Followed > 0 {
		out += fmt.Sprintf("; afterwards it is typically %.2g times as far from the reference as the nudged runs get", float64(d.Growth))
	}
	return out + fmt.Sprintf(". Mean loss of the last tenth: %.5g, the reference's %.5g.", float64(c.CandidateLastTenth), float64(c.LastTenth))
}
