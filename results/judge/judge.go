package judge

import (
	"fmt"
	"math"
	"slices"

	"tandem/fixtures/experiment"
	"tandem/results/record"
	"tandem/results/trace"
)

// order is that in which a mistake spreads: the first stage that fails is where to look.
var order = []record.Stage{
	record.StageData, record.StageWeights, record.StageForward, record.StageLoss,
	record.StageBackward, record.StageOptimizer, record.StageBuffers, record.StageCurve,
}

// Judge compares a candidate's trace with a reference's. It never fails: what cannot be judged is INCONCLUSIVE, and
// the reasons say why.
func Judge(ref *trace.Reference, cand *trace.Candidate, limits experiment.Thresholds) record.Parity {
	out := record.Parity{Verdict: record.Inconclusive, ChangedThresholds: changed(limits)}
	if problem := unusable(limits); problem != "" {
		out.Reasons = []string{"Nothing was judged: " + problem + "."}
		return out
	}
	j := &judgement{ref: ref, cand: cand, limits: limits, stages: map[record.Stage]*stage{}}
	for _, name := range order {
		j.stages[name] = &stage{name: name}
	}
	out.DataIdentical = j.data()
	out.InitialStateIdentical = j.weights()
	out.Steps = j.forced()
	out.Curve = j.curve()
	out.FinalWeights = j.finalWeights()

	var failed, open, passed []string
	for _, name := range order {
		s := j.stages[name]
		if name == record.StageBuffers && !j.hasBuffers() && len(s.failures)+len(s.doubts) == 0 {
			continue // a model without buffers has no such stage
		}
		result := s.result(limits)
		out.Stages = append(out.Stages, result)
		switch result.Verdict {
		case record.Fail:
			if out.Stage == "" {
				out.Stage = name
			}
			failed = append(failed, s.failures...) // what was doubtful beside them matters no more
		case record.Inconclusive:
			open = append(open, s.doubts...)
		default:
			passed = append(passed, result.Summary)
		}
	}
	switch {
	case len(failed) > 0:
		out.Verdict, out.Reasons = record.Fail, append(failed, open...)
	case len(open) > 0:
		out.Reasons = open
	default:
		out.Verdict, out.Reasons = record.Pass, passed
	}
	return out
}

// Settled returns what trace.CandidateOptions.Enough may be where only the verdict and its stage are asked for: whether
// what a candidate has answered so far is FAIL in a stage that nothing it has not answered yet comes before. The curve is the last stage, so that
// its free run changes nothing once an earlier one failed; and no judged step comes before the data and the initial weights.
func Settled(ref *trace.Reference, limits experiment.Thresholds) func(*trace.Candidate) bool {
	return func(cand *trace.Candidate) bool {
		p := Judge(ref, cand, limits)
		if len(cand.Steps) == 0 {
			return p.Stage == record.StageData || p.Stage == record.StageWeights
		}
		return p.Stage != "" && p.Stage != record.StageCurve
	}
}

// judgement is one call of Judge.
type judgement struct {
	ref    *trace.Reference
	cand   *trace.Candidate
	limits experiment.Thresholds
	stages map[record.Stage]*stage
}

func (j *judgement) hasBuffers() bool {
	for _, list := range [][]string{j.buffers(true), j.buffers(false)} {
		if len(list) > 0 {
			return true
		}
	}
	return false
}

func (j *judgement) buffers(reference bool) []string {
	initial := j.cand.Initial
	if reference {
		initial = j.ref.Initial
	}
	var out []string
	for _, t := range initial {
		if isBuffer(t.Name) {
			out = append(out, t.Name)
		}
	}
	return out
}

type namedLimit struct {
	name         string
	value, usual float64
	zero         bool // that 0 is a limit too
}

func named(l experiment.Thresholds) []namedLimit {
	d := experiment.DefaultThresholds
	return []namedLimit{
		{"pass_rho", l.PassRho, d.PassRho, false},
		{"fail_rho", l.FailRho, d.FailRho, false},
		{"fail_steps", float64(l.FailSteps), float64(d.FailSteps), false},
		{"float64_gap", l.Float64Gap, d.Float64Gap, false},
		{"horizon", l.Horizon, d.Horizon, false},
		{"envelope_slack", l.EnvelopeSlack, d.EnvelopeSlack, false},
		{"loss_noise", l.LossNoise, d.LossNoise, true},
		{"quantile", l.Quantile, d.Quantile, false},
		{"structural_zero", l.StructuralZero, d.StructuralZero, true},
		{"learning", l.Learning, d.Learning, true},
	}
}

// changed lists the limits that are not the usual ones.
func changed(l experiment.Thresholds) []string {
	var out []string
	for _, n := range named(l) {
		if n.value != n.usual {
			out = append(out, fmt.Sprintf("%s is %g instead of %g", n.name, n.value, n.usual))
		}
	}
	return out
}

// unusable says why limits cannot be judged by. Most limits of zero are forgotten ones.
func unusable(l experiment.Thresholds) string {
	for _, n := range named(l) {
		if !(n.value > 0 || n.zero && n.value == 0) || math.IsInf(n.value, 0) {
			return fmt.Sprintf("the limit %s is %g, which bounds nothing or allows nothing", n.name, n.value)
		}
	}
	switch {
	case l.FailRho < l.PassRho:
		return fmt.Sprintf("fail_rho %g is below pass_rho %g", l.FailRho, l.PassRho)
	case l.Quantile > 1:
		return fmt.Sprintf("the quantile %g is above 1", l.Quantile)
	}
	return ""
}

// sorted returns the keys in order, so that records and reasons are the same every time.
func sorted[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
