package judge

import (
	"fmt"
	"math"
	"slices"

	"tandem/fixtures/experiment"
	"tandem/results/record"
)

// stage gathers what is found in one stage of training.
type stage struct {
	name     record.Stage
	checked  int
	failures []string // reasons for FAIL, sentences with numbers
	doubts   []string // reasons against PASS
	worst    string
	worstRho float64
	summary  string // of a stage that is not made of rho
	replayed string // an addition to the curve's summary
	// largest float64 gap seen, and whether any was
	gap    float64
	hasGap bool
}

func (s *stage) fail(format string, args ...any) {
	s.failures = append(s.failures, fmt.Sprintf(format, args...))
}

func (s *stage) doubt(format string, args ...any) {
	s.doubts = append(s.doubts, fmt.Sprintf(format, args...))
}

func (s *stage) verdict() record.Verdict {
	switch {
	case len(s.failures) > 0:
		return record.Fail
	case len(s.doubts) > 0 || s.checked == 0:
		return record.Inconclusive
	}
	return record.Pass
}

func (s *stage) result(limits experiment.Thresholds) record.StageResult {
	if s.checked == 0 && len(s.failures)+len(s.doubts) == 0 {
		s.doubt("Nothing was compared in the stage %q, so it is not judged.", s.name)
	}
	out := record.StageResult{Stage: s.name, Verdict: s.verdict(), Checked: s.checked, Worst: s.worst, Summary: s.summary}
	switch {
	case len(s.failures) > 0:
		out.Summary = s.failures[0]
	case len(s.doubts) > 0:
		out.Summary = s.doubts[0]
	case out.Summary == "":
		out.Summary = fmt.Sprintf("The stage %q agrees in %d comparisons: the largest error is %.2g times the reference's own noise, where %g may be", s.name, s.checked, s.worstRho, limits.PassRho)
		if s.hasGap {
			out.Summary += fmt.Sprintf(", and the largest float64 gap is %.1e, where %.0e may be", s.gap, limits.Float64Gap)
		} else if s.name != record.StageBuffers {
			out.Summary += "; the candidate does not compute in float64, so the sharpest test was not made"
		}
		out.Summary += "."
	}
	return out
}

// stepErrors are the comparisons of one stage at one judged step.
type stepErrors struct {
	step   int
	errors []record.TensorError
}

// rule says how the errors of a stage are judged.
type rule struct {
	what string // the beginning of the sentences
	// continuous says that the results are continuous functions of what they are computed from, kinks or not: a result far
	// outside the noise then has no innocent explanation, not even on one step.
	continuous bool
	// loose leaves out that the quantile must be within PassRho, where the noise is known for its size but not its tail.
	loose bool
}

// judgeRho applies the rule on rho: FAIL when a rho is above FailRho at FailSteps steps, or at all of them if there
// are fewer; or, where no kink can be blamed, above FailRho squared at one. PASS needs the quantile of every step within PassRho.
func (s *stage) judgeRho(steps []stepErrors, limits experiment.Thresholds, r rule) {
	what, onlyFail := r.what, r.loose
	hopeless := false
	var bad, wide []stepErrors
	judged := 0
	for _, step := range steps {
		if len(step.errors) == 0 {
			continue
		}
		judged++
		s.checked += len(step.errors)
		w := worst(step.errors)
		if !onlyFail && (s.worst == "" || float64(w.Rho) > s.worstRho) {
			s.worst, s.worstRho = fmt.Sprintf("%s at step %d", w.Name, step.step), float64(w.Rho)
		}
		switch {
		case !(float64(w.Rho) <= limits.FailRho):
			bad = append(bad, step)
			hopeless = hopeless || r.continuous && !(float64(w.Rho) <= limits.FailRho*limits.FailRho)
		case !onlyFail && !(quantile(rhos(step.errors), limits.Quantile) <= limits.PassRho):
			wide = append(wide, step)
		}
	}
	if len(bad) > 0 && (hopeless || len(bad) >= min(limits.FailSteps, judged)) {
		first := worst(bad[0].errors)
		s.fail("%s: %s at step %d is off by %.2g relative to float64, %.3g times the reference's own noise of %.2g; more than %g times was seen on %d of %d judged steps.",
			what, first.Name, bad[0].step, float64(first.Error), float64(first.Rho), float64(first.Floor), limits.FailRho, len(bad), judged)
		return
	}
	if len(bad) > 0 {
		first := worst(bad[0].errors)
		why := "one unit on the other side of a kink can do that"
		if r.continuous {
			why = "that is too much for a PASS and too little for a FAIL"
		}
		s.doubt("%s: %s at step %d is off by %.3g times the reference's own noise, but such an error was seen on only %d of %d judged steps, where %d make a FAIL; %s.",
			what, first.Name, bad[0].step, float64(first.Rho), len(bad), judged, min(limits.FailSteps, judged), why)
	}
	if len(wide) > 0 {
		first := worst(wide[0].errors)
		s.doubt("%s: %s at step %d is off by %.3g times the reference's own noise, between the %g of a PASS and the %g of a FAIL; so it is on %d of %d judged steps.",
			what, first.Name, wide[0].step, float64(first.Rho), limits.PassRho, limits.FailRho, len(wide), judged)
	}
}

// judgeGap applies the rule on float64 gaps. kinked says whether a kink can explain a step's gap; nil means that
// none can.
func (s *stage) judgeGap(steps []stepErrors, limits experiment.Thresholds, what string, kinked func(stepErrors) bool) {
	var bad []stepErrors
	judged, plain := 0, false
	for _, step := range steps {
		has, off := false, false
		for _, e := range step.errors {
			if e.Float64Gap == nil {
				continue
			}
			has = true
			s.hasGap = true
			gap := float64(*e.Float64Gap)
			if !(gap <= s.gap) {
				s.gap = gap
			}
			off = off || !(gap <= limits.Float64Gap)
		}
		if has {
			judged++
		}
		if off {
			bad = append(bad, step)
			plain = plain || kinked == nil || !kinked(step)
		}
	}
	if len(bad) == 0 {
		return
	}
	name, gap := widest(bad[0].errors)
	if plain || len(bad) >= min(limits.FailSteps, judged) {
		s.fail("%s: in float64, %s at step %d is off by %.2g relative, where %.0e is allowed; rounding shrinks by 5e8 when the precision doubles, a mistake does not (%d of %d judged steps).",
			what, name, bad[0].step, gap, limits.Float64Gap, len(bad), judged)
		return
	}
	s.doubt("%s: in float64, %s at step %d is off by %.2g relative on only %d of %d judged steps, while outputs, loss and other gradients agree; a unit exactly at a kink could explain it.",
		what, name, bad[0].step, gap, len(bad), judged)
}

// beyond reports whether a gap is over the limit.
func beyond(e record.TensorError, limits experiment.Thresholds) bool {
	return e.Float64Gap != nil && !(float64(*e.Float64Gap) <= limits.Float64Gap)
}

// worst returns the entry of the largest rho; a NaN counts as largest.
func worst(errors []record.TensorError) record.TensorError {
	out := errors[0]
	for _, e := range errors[1:] {
		if !(e.Rho <= out.Rho) && !math.IsNaN(float64(out.Rho)) {
			out = e
		}
	}
	return out
}

// widest returns the name and size of the largest float64 gap.
func widest(errors []record.TensorError) (string, float64) {
	name, gap := "", -1.0
	for _, e := range errors {
		if e.Float64Gap != nil && !(float64(*e.Float64Gap) <= gap) && !math.IsNaN(gap) {
			name, gap = e.Name, float64(*e.Float64Gap)
		}
	}
	return name, gap
}

func rhos(errors []record.TensorError) []float64 {
	out := make([]float64, len(errors))
	for i, e := range errors {
		out[i] = float64(e.Rho)
	}
	return out
}

// quantile is the smallest element that at least the share q of all are not above: the nearest rank, never
// interpolated downwards. A NaN among the elements makes it NaN; so does having none.
func quantile(x []float64, q float64) float64 {
	if len(x) == 0 || slices.ContainsFunc(x, math.IsNaN) {
		return math.NaN()
	}
	x = slices.Sorted(slices.Values(x))
	return x[max(int(math.Ceil(q*float64(len(x))-1e-9))-1, 0)]
}
