package judge

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tandem/results/engine"
	"tandem/results/record"
	"tandem/results/trace"
)

// Envelope returns, for each free-running step, the largest relative distance from the reference's loss that any of
// its nudged runs has reached up to that step.
func Envelope(ref *trace.Reference) []float64 {
	out := make([]float64, len(ref.Losses))
	scale := lossScale(ref.Losses)
	widest := 0.0
	for t := range out {
		for _, run := range ref.FreeRuns {
			d := math.Inf(1) // a run that ended early, or is not finite, bounds nothing
			if t < len(run.Losses) {
				if v := relative(run.Losses[t], ref.Losses[t], scale); !math.IsNaN(v) {
					d = v
				}
			}
			widest = max(widest, d)
		}
		out[t] = widest
	}
	return out
}

// lossScale is what a loss near zero is measured against: a thousandth of the mean.
func lossScale(losses []float64) float64 {
	sum := 0.0
	for _, l := range losses {
		sum += math.Abs(l) / float64(len(losses))
	}
	return sum / 1000
}

func relative(x, ref, scale float64) float64 {
	return ratio(math.Abs(x-ref), max(math.Abs(ref), scale))
}

// curve judges the free-running losses.
func (j *judgement) curve() *record.Curve {
	s := j.stages[record.StageCurve]
	ref, cand, l := j.ref.Losses, j.cand.Losses, j.limits
	if len(ref) == 0 {
		s.doubt("The reference has no free-running loss.")
		return nil
	}
	if len(cand) != len(ref) {
		s.fail("The candidate trained %d free-running steps, the reference %d; every batch counts, the last short one as well.", len(cand), len(ref))
		return nil
	}
	if i := slices.IndexFunc(ref, notFinite); i >= 0 {
		s.doubt("The reference's own loss is %v at step %d: %s.", ref[i], i, j.notANumber())
		return nil
	}
	if i := slices.IndexFunc(cand, notFinite); i >= 0 {
		s.fail("The candidate's loss is %v at step %d, where the reference's is %.6g.", cand[i], i, ref[i])
	}
	envelope, scale := Envelope(j.ref), lossScale(ref)
	out := &record.Curve{Steps: len(ref), Horizon: len(ref)}
	for _, run := range j.ref.FreeRuns {
		out.Variants = append(out.Variants, run.Name)
	}
	if i := slices.IndexFunc(envelope, func(e float64) bool { return !(e <= l.Horizon) }); i >= 0 {
		out.Horizon = i
	}
	tenth := max(len(ref)/10, 1)
	out.FirstTenth, out.LastTenth = engine.Float(mean(ref[:tenth])), engine.Float(mean(ref[len(ref)-tenth:]))

	out.CandidateLastTenth = engine.Float(mean(cand[len(ref)-tenth:]))

	d := distances(cand, ref, scale)
	var ratios []float64
	outside := 0
	for t := range ref {
		s.checked++
		if t >= out.Horizon {
			if !(engine.Float(d[t]) <= out.LargestAfter) {
				out.LargestAfter = engine.Float(d[t])
			}
			continue
		}
		r := ratio(d[t], max(envelope[t], l.LossNoise))
		if len(ratios) == 0 || !(r <= float64(out.WorstRatio)) {
			out.WorstStep, out.WorstRelative, out.WorstRatio = t, engine.Float(d[t]), engine.Float(r)
		}
		if !(r <= l.EnvelopeSlack) {
			outside++
		}
		ratios = append(ratios, r)
	}
	if len(ratios) > 0 {
		out.MedianRatio = engine.Float(quantile(ratios, 0.5))
		out.Outside = float64(outside) / float64(len(ratios))
	}

	j.abrupt(d, envelope)
	j.replays(scale)
	switch {
	case len(j.ref.FreeRuns) == 0:
		s.doubt("The reference has no nudged runs, so how far its losses may legitimately drift is unknown.")
	case out.Horizon < 2:
		s.doubt("The reference's own nudged runs are more than %g apart from step %d on, so the curve says nothing.", l.Horizon, out.Horizon)
	default:
		out.Departure = j.departure(out, d, envelope, scale)
		if !(slices.Max(d) <= l.Horizon) {
			j.equallyGood(out, scale)
		}
	}
	spread := standardErrors * math.Hypot(standardError(ref[:tenth]), standardError(ref[len(ref)-tenth:]))
	if fall := float64(out.FirstTenth - out.LastTenth); !(fall >= l.Learning*float64(out.FirstTenth)) || !(fall >= spread) {
		s.doubt("The reference itself did not learn: its mean loss is %.6g in the first tenth of the steps and %.6g in the last, where a fall of %g %% and of %.2g, twice the standard error over batches, is the least. Two flat curves agree whatever the trainers do: train longer (train.epochs) or with a higher learning rate.",
			float64(out.FirstTenth), float64(out.LastTenth), 100*l.Learning, spread)
	}
	s.summary = fmt.Sprintf("The free-running losses stay inside the envelope of the reference's nudged runs for all %d steps, typically %.2g times as far from the reference as those are",
		out.Steps, float64(out.MedianRatio))
	if out.Horizon < out.Steps {
		s.summary += fmt.Sprintf(" before they part by %g at step %d, and beyond %g times at %.2g %% of these steps", l.Horizon, out.Horizon, l.EnvelopeSlack, 100*out.Outside)
	}
	s.summary += "."
	s.worst = fmt.Sprintf("step %d", out.WorstStep)
	if out.Departure != nil {
		s.summary = departureSentence(out)
		s.worst = fmt.Sprintf("step %d", out.Departure.Step)
	}
	s.summary += s.replayed
	return out
}

// finalWeights compares the parameters after free-running training, with the nudged runs' distances as floor. It is
// shown and never judged: rounding grows.
func (j *judgement) finalWeights() []record.TensorError {
	var out []record.TensorError
	for _, name := range sorted(j.ref.FinalValues) {
		ref, got := j.ref.FinalValues[name], j.cand.FinalValues[name]
		if got.Values == nil || !slices.Equal(ref.Shape, got.Shape) {
			continue
		}
		o, err := ref.Float64s(j.ref.Sample)
		if err != nil {
			continue
		}
		x, err := got.Float64s(j.ref.Sample)
		if err != nil {
			continue
		}
		size, noise := trace.Norm(o), 0.0
		for _, run := range j.ref.FreeRuns {
			noise = max(noise, float64(run.Distance[name]))
		}
		e := record.TensorError{Name: strings.TrimPrefix(name, "parameters/")}
		e.Error = engine.Float(ratio(trace.Distance(x, o), size))
		e.Floor = engine.Float(max(ratio(noise, size), roundings))
		e.Rho = e.Error / e.Floor
		out = append(out, e)
	}
	return out
}

// standardErrors is the usual factor of a 95 % interval: losses of batches scatter, and a flat curve must not pass for a
// falling one because its last batches were easy.
const standardErrors = 2

// standardError is that of the mean of x; 0 for a single number, whose scatter is unknown.
func standardError(x []float64) float64 {
	if len(x) < 2 {
		return 0
	}
	m, sum := mean(x), 0.0
	for _, v := range x {
		sum += (v - m) * (v - m)
	}
	return math.Sqrt(sum / float64(len(x)-1) / float64(len(x)))
}

func notFinite(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }

func mean(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v / float64(len(x))
	}
	return sum
}

// notANumber says what to change where the reference's loss is no finite number.
func (j *judgement) notANumber() string {
	if e := j.ref.Experiment; e != nil && e.Loss.IgnoreIndex != nil && e.Loss.Reduction == "mean" {
		return fmt.Sprintf("the mean of a batch of which all targets are loss.ignore_index, %d, is 0/0, so that a larger train.batch or loss.reduction = \"sum\" may be what is needed", *e.Loss.IgnoreIndex)
	}
	return "a lower learning rate, or inputs of a smaller scale, may be what is needed"
}
