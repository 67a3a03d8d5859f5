package fingerprint

import (
	"fmt"
	"math"
	"slices"
)

// window is the number of steps that two curves are compared over.
const window = 12

// findMisaligned looks for the candidate's losses from some step on among the reference's of earlier or later steps: batches differ from each
// other by far more than a step's update changes their loss.
func findMisaligned(l *Look) *Finding {
	ref, cand := l.Ref.Losses, l.Cand.Losses
	off := func(by int) float64 {
		sum, n := 0.0, 0
		for t := l.Step; t < min(l.Step+window, len(cand)); t++ {
			if k := t + by; k >= 0 && k < len(ref) {
				sum += math.Abs(cand[t] - ref[k])
				n++
			}
		}
		if n < window/2 {
			return math.Inf(1)
		}
		return sum / float64(n)
	}
	still := off(0)
	best, at := math.Inf(1), 0
	for _, by := range []int{1, -1, 2, -2, 3, -3} {
		if o := off(by); o < best {
			best, at = o, by
		}
	}
	if !(best < still/3) {
		return nil
	}
	what := "a batch was left out"
	if at < 0 {
		what = "a batch was trained on twice"
	}
	return &Finding{fmt.Sprintf("from step %d on, the candidate's losses are those of the reference %+d steps away (mean distance %.2g instead of %.2g): %s", l.Step, at, best, still, what), math.NaN()}
}

// findOneBatch is for a single loss that leaps and comes back.
func findOneBatch(l *Look) *Finding {
	ref, cand := l.Ref.Losses, l.Cand.Losses
	t := l.Step
	if t < 1 || t+3 >= min(len(ref), len(cand)) {
		return nil
	}
	d := func(t int) float64 {
		return math.Abs(cand[t]-ref[t]) / max(math.Abs(ref[t]), math.SmallestNonzeroFloat64)
	}
	next := []float64{d(t + 1), d(t + 2), d(t + 3)}
	if !(d(t) > 3*slices.Max(next)) {
		return nil
	}
	return &Finding{fmt.Sprintf("the loss is off at step %d alone (%.2g, then at most %.2g): one batch was another, and the next ones are right", t, d(t), slices.Max(next)), math.NaN()}
}

// findCarried looks at the steps that the candidate trained on from given states. Its own step and the loss after it are right, and the
// next losses are not: wherever it began, and not at one step of the training, where a batch would be to blame.
func findCarried(l *Look) *Finding {
	found := 0
	worst := 0.0
	for i := range l.Cand.Steps {
		c := &l.Cand.Steps[i]
		if len(c.Replay) < 3 || c.Step+len(c.Replay) >= len(l.Ref.Losses) {
			continue
		}
		first := -1
		for k, loss := range c.Replay {
			ref := l.Ref.Losses[c.Step+1+k]
			d := math.Abs(float64(loss)-ref) / max(math.Abs(ref), math.SmallestNonzeroFloat64)
			if !(d <= l.Limits.Horizon/10) {
				if first < 0 {
					first = k
				}
				worst = max(worst, d)
			}
		}
		if first < 1 || first > 2 {
			return nil
		}
		found++
	}
	if found < 2 {
		return nil
	}
	return &Finding{fmt.Sprintf("from each of %d given states the first step and the loss after it are right, and the losses after that are off by up to %.2g: a step hands on what is not in the state, such as gradients that are not zeroed", found, worst), math.NaN()}
}
