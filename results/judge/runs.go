package judge

import (
	"fmt"
	"math"

	"github.com/aclements/go-moremath/stats"

	"tandem/fixtures/experiment"
	"tandem/results/engine"
	"tandem/results/record"
)

// MinTrainings is the least number of trainings that equivalence is judged by: with fewer the interval rests on a spread that is
// itself a guess.
const MinTrainings = 4

// The confidence of the interval that must lie within the margin for a PASS, which is that of two one-sided tests at 5 %; and
// of the one that must lie outside for a FAIL.
const (
	passConfidence = 0.90
	failConfidence = 0.99
)

// Runs judges whether two engines train equally well, by several trainings of both; curve is the comparison of the first ones, initial the
// accuracy before training. The trainings become part of the result.
//
// The test is that of two one-sided t tests on the paired differences d = candidate - reference (D. J. Schuirmann, "A comparison of the two one-sided
// tests procedure and the power approach for assessing the equivalence of average bioavailability", J. Pharmacokinetics and Biopharmaceutics 15,
// 1987), which rejects "the difference is at least the margin" at 5 % exactly when the 90 % confidence interval of the mean difference lies within the
// margin on both sides. So a difference that was not found because there were too few trainings gives no PASS: the interval is
// wide then, and the outcome INCONCLUSIVE. FAIL is a 99 % interval wholly outside the margin. Losses and accuracies must both pass, which keeps
// the level (an intersection-union test: R. L. Berger, Technometrics 24, 1982).
//
// The margin is the limit learning: that share of what the reference learned, in loss from the first tenth of the steps to the last, in
// accuracy from before the training to after it.
func Runs(trainings []record.Training, curve *record.Curve, initial float64, limits experiment.Thresholds) *record.Runs {
	r := &record.Runs{Trainings: trainings}
	learned := 0.0
	if curve != nil {
		learned = float64(curve.FirstTenth - curve.LastTenth)
	}
	losses := make([]float64, len(trainings))
	var accuracies []float64
	reached := 0.0
	for i, t := range trainings {
		losses[i] = float64(t.Candidate.LastTenth - t.Reference.LastTenth)
		if t.Reference.Accuracy != nil && t.Candidate.Accuracy != nil {
			accuracies = append(accuracies, float64(*t.Candidate.Accuracy-*t.Reference.Accuracy))
			reached += float64(*t.Reference.Accuracy)
		}
	}
	r.Verdict = record.Pass
	r.Loss = equivalence(losses, limits.Learning*learned)
	include(r, "mean loss of the last tenth of the steps", r.Loss)
	if len(accuracies) == len(trainings) && len(trainings) > 0 {
		a := equivalence(accuracies, limits.Learning*(reached/float64(len(trainings))-initial))
		r.Accuracy = &a
		include(r, "accuracy on the test rows", a)
	}
	return r
}

// include adds one number's outcome to that of the whole: FAIL before INCONCLUSIVE before PASS.
func include(r *record.Runs, what string, e record.Equivalence) {
	found := fmt.Sprintf("over %d trainings the candidate's %s differs from the reference's by %.2g on average (90 %% interval %.2g to %.2g, standard deviation %.2g)",
		e.N, what, float64(e.Mean), float64(e.Low), float64(e.High), float64(e.Deviation))
	switch margin := float64(e.Margin); {
	case e.N < MinTrainings:
		found = fmt.Sprintf("%d trainings are too few to judge whether the candidate's %s is the reference's; at least %d are needed (--runs %d)", e.N, what, MinTrainings, MinTrainings-1)
	case !(margin > 0):
		found += "; the reference learned nothing, so there is no margin to judge it by"
	case e.Verdict == record.Pass:
		found += fmt.Sprintf(", within the margin of %.2g on both sides", margin)
	case e.Verdict == record.Fail:
		found += fmt.Sprintf(", which is beyond the margin of %.2g with 99 %% confidence", margin)
	case e.Needed > 0:
		found += fmt.Sprintf(", which neither fits into the margin of %.2g nor is beyond it: about %d trainings would decide (--runs %d)", margin, e.Needed, e.Needed-1)
	default:
		found += fmt.Sprintf(", which neither fits into the margin of %.2g nor is beyond it with 99 %% confidence", margin)
	}
	r.Reasons = append(r.Reasons, "Runs: "+found+".")
	if e.Verdict == record.Fail || e.Verdict == record.Inconclusive && r.Verdict != record.Fail {
		r.Verdict = e.Verdict
	}
}

// equivalence compares one number over the trainings.
func equivalence(d []float64, margin float64) record.Equivalence {
	n := len(d)
	e := record.Equivalence{Verdict: record.Inconclusive, N: n, Margin: engine.Float(margin)}
	mean, deviation := mean(d), 0.0
	for _, x := range d {
		deviation += (x - mean) * (x - mean)
	}
	deviation = math.Sqrt(deviation / float64(n-1)) // NaN for one training
	half := deviation / math.Sqrt(float64(n)) * student(passConfidence, n)
	e.Mean, e.Deviation, e.Low, e.High = engine.Float(mean), engine.Float(deviation), engine.Float(mean-half), engine.Float(mean+half)
	switch wide := deviation / math.Sqrt(float64(n)) * student(failConfidence, n); {
	case n < MinTrainings:
	case notFinite(mean) || notFinite(deviation) || !(margin > 0):
	case math.Abs(mean)+half <= margin:
		e.Verdict = record.Pass
	case math.Abs(mean)-wide > margin:
		e.Verdict = record.Fail
	case math.Abs(mean) < margin:
		e.Needed = needed(margin-math.Abs(mean), deviation, n+1)
	}
	return e
}

// needed is the smallest number of trainings, from least on, whose interval would be no wider than room to each side, were the deviation
// what it is now; 0 when that is beyond reason.
func needed(room, deviation float64, least int) int {
	const most = 1000
	// Student's quantiles are above the normal distribution's, 1.64, and soon near it.
	n := max(float64(least), math.Ceil(math.Pow(1.64*deviation/room, 2)))
	for ; n <= most; n++ {
		if deviation/math.Sqrt(n)*student(passConfidence, int(n)) <= room {
			return int(n)
		}
	}
	return 0
}

// student is the factor by which the standard error of a mean of n values is multiplied for a two-sided confidence interval: the quantile of
// Student's t distribution with n-1 degrees of freedom.
func student(confidence float64, n int) float64 {
	if n < 2 {
		return math.NaN()
	}
	return stats.InvCDF(stats.TDist{V: float64(n - 1)})((1 + confidence) / 2)
}
