package record

import (
	"fmt"
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
)

// MinPairs is the least number of paired blocks that a speed-up may rest on.
const MinPairs = 10

// ValidationError lists everything that is wrong with a record.
type ValidationError struct {
	Problems []string // sentences that name the field
}

func (e *ValidationError) Error() string {
	return "the record contradicts itself: " + strings.Join(e.Problems, "; ")
}

// Validate returns a [*ValidationError] when the record says what no honest run can: it is called by Write and by
// Read, so that such a record can neither be made nor shown. It judges nothing anew. It holds that
//
//   - the verdict is one of the three, with reasons;
//   - there is one reference and one candidate, and each says how many threads it used;
//   - a PASS rests on identical initial weights and data, on stages that compared something and all passed, on
//     judged steps with finite gradient and update errors, and on finite losses of both engines, equally many, that
//     are not one constant number; no look at the forward pass that was taken contradicts it;
//   - a FAIL names its stage; a diagnosis belongs to a FAIL, to its stage, and each cause in it is named and explained;
//   - a speed-up is claimed after a PASS alone, of the candidate as it ships (no planted mistake), between engines that
//     ran in this run, with at least [MinPairs] pairs, an interval that leaves out 1, and more than the resolution;
//   - where speed is absent, the reason is given; where it is present, so is the claim;
//   - every plain number is finite and every quantity that cannot be negative is not.
func (r *Run) Validate() error {
	v := new(validator)
	v.header(r)
	v.engines(r)
	v.parity(&r.Parity)
	if r.Parity.Verdict == Pass {
		v.pass(r)
	}
	v.forward(r)
	v.timing(r)
	v.memory(r)
	v.profile(r.Profile)
	v.finite(reflect.ValueOf(r).Elem(), "")
	if len(v.problems) > 0 {
		return &ValidationError{Problems: v.problems}
	}
	return nil
}

type validator struct {
	problems []string
}

// require notes the problem unless ok.
func (v *validator) require(ok bool, format string, args ...any) {
	if !ok {
		v.problems = append(v.problems, fmt.Sprintf(format, args...))
	}
}

func (v *validator) header(r *Run) {
	v.require(r.Schema == Schema, "schema is %q, not %q", r.Schema, Schema)
	v.require(r.Command != "", "command is empty")
	v.require(!r.Started.IsZero(), "started is not set")
	v.require(r.Experiment != nil, "experiment is absent")
	v.require(r.Seconds >= 0, "seconds is negative")
}

func (v *validator) engines(r *Run) {
	v.require(len(r.Engines) == 2 && r.Engines[0].Role == Reference && r.Engines[1].Role == Candidate,
		"engines must be the reference and then the candidate")
	for i, e := range r.Engines {
		v.require(e.Name != "", "engines[%d].name is empty", i)
		v.require(e.Threads > 0, "engines[%d].threads is %d: a comparison says how many each engine used", i, e.Threads)
	}
}

func (v *validator) parity(p *Parity) {
	switch p.Verdict {
	case Pass, Fail, Inconclusive:
	default:
		v.require(false, "parity.verdict is %q, not %s, %s or %s", p.Verdict, Pass, Fail, Inconclusive)
	}
	v.require(len(p.Reasons) > 0, "parity.reasons is empty")
	for i, reason := range p.Reasons {
		v.require(strings.TrimSpace(reason) != "", "parity.reasons[%d] is blank", i)
	}
	for i, s := range p.Stages {
		switch s.Verdict {
		case Pass, Fail, Inconclusive:
		default:
			v.require(false, "parity.stages[%d].verdict is %q", i, s.Verdict)
		}
		v.require(s.Checked >= 0, "parity.stages[%d].checked is negative", i)
		v.require(s.Checked > 0 || s.Verdict != Pass, "parity.stages[%d] (%s) is PASS without a comparison", i, s.Stage)
	}
	switch p.Verdict {
	case Pass:
		v.require(p.Stage == "", "parity.stage is %q although the verdict is PASS", p.Stage)
	case Fail:
		v.require(p.Stage != "", "parity.stage is empty although the verdict is FAIL: a FAIL names its stage")
	}
	v.diagnosis(p)
	if proof := p.Proof; proof != nil {
		v.require(proof.Caught >= 0 && proof.Caught+len(proof.Missed) == proof.Applicable,
			"parity.proof: %d caught and %d missed do not make %d applicable", proof.Caught, len(proof.Missed), proof.Applicable)
	}
}

// diagnosis holds that a diagnosis belongs to the FAIL beside it, and names what it says.
func (v *validator) diagnosis(p *Parity) {
	d := p.Diagnosis
	if d == nil {
		return
	}
	v.require(p.Verdict == Fail, "parity.diagnosis is present although the verdict is %s", p.Verdict)
	v.require(d.Stage == p.Stage, "parity.diagnosis.stage is %q and parity.stage %q", d.Stage, p.Stage)
	v.require(d.Step >= -1, "parity.diagnosis.step is %d", d.Step)
	v.require(strings.TrimSpace(d.Summary) != "", "parity.diagnosis.summary is blank")
	if o := d.Operator; o != nil {
		v.require(o.Node != "" && o.Op != "", "parity.diagnosis.operator has the node %q and the type %q: both are needed", o.Node, o.Op)
	}
	for i, c := range d.Causes {
		v.require(c.Name != "" && c.Text != "", "parity.diagnosis.causes[%d] has the name %q and the text %q: both are needed", i, c.Name, c.Text)
		switch c.Certainty {
		case Exact, Likely, Possible:
		default:
			v.require(false, "parity.diagnosis.causes[%d].certainty is %q", i, c.Certainty)
		}
	}
	v.require(filepath.IsLocal(d.Evidence) || d.Evidence == "", "parity.diagnosis.evidence is %q, which is not a folder of the run", d.Evidence)
}

// needed are the stages without which nothing can be called right.
var needed = []Stage{StageData, StageWeights, StageForward, StageLoss, StageBackward, StageOptimizer, StageCurve}

// pass holds what a PASS must rest on.
func (v *validator) pass(r *Run) {
	p := &r.Parity
	v.require(p.InitialStateIdentical, "PASS although the initial states differ")
	v.require(p.DataIdentical, "PASS although the data differ")
	for _, s := range needed {
		v.require(slices.ContainsFunc(p.Stages, func(r StageResult) bool { return r.Stage == s && r.Checked > 0 }),
			"PASS although the stage %q was not judged", s)
	}
	for _, s := range p.Stages {
		v.require(s.Verdict == Pass || s.Checked == 0 && s.Verdict != Fail, "PASS although the stage %q is %s", s.Stage, s.Verdict)
	}
	if c := p.Curve; c != nil && c.Departure != nil {
		d := c.Departure
		// Where the envelope is wide, a distance may pass the horizon's limit inside it, before it leaves.
		v.require(d.Step >= 0 && d.Step < c.Steps && d.Crossing >= 0 && d.Crossing <= c.Steps, "parity.curve.departure: step %d or crossing %d is not within %d steps", d.Step, d.Crossing, c.Steps)
		v.require(isFinite(float64(d.Distance)) && isFinite(float64(c.CandidateLastTenth)), "PASS although the candidate's losses after its departure are not finite")
		v.require(d.Crossing == c.Steps || d.Followed > 0 || len(d.Judged) > 0, "PASS although nothing explains the curve's departure at step %d: no nudged run went as far, and no step there was judged", d.Step)
		for _, step := range d.Judged {
			v.require(slices.ContainsFunc(p.Steps, func(s JudgedStep) bool { return s.Step == step }), "parity.curve.departure.judged names step %d, which was not judged", step)
		}
	}
	v.require(len(p.Steps) > 0, "PASS without a judged step")
	for _, s := range p.Steps {
		v.require(len(s.Gradients) > 0, "PASS although no gradient was compared at the judged step %d", s.Step)
		v.require(len(s.Update) > 0, "PASS although no update was compared at the judged step %d", s.Step)
		for _, errs := range [][]TensorError{s.Gradients, s.Outputs, s.Update, s.WholeStep, s.Buffers} {
			for _, e := range errs {
				v.require(isFinite(float64(e.Error)), "PASS although the error of %s at step %d is %v", e.Name, s.Step, e.Error)
			}
		}
	}

	ref, cand := r.Loss.Reference, r.Loss.Candidate
	v.require(len(ref) > 0, "PASS without a loss: loss.reference is empty")
	v.require(len(ref) == len(cand), "PASS although there are %d losses of the reference and %d of the candidate", len(ref), len(cand))
	if r.Command != "check" { // a recorded reference may hold the first steps alone
		v.require(len(ref) == r.Data.Steps, "PASS although %d of %d steps have a loss", len(ref), r.Data.Steps)
	}
	for _, side := range []struct {
		name   string
		losses []Float
	}{{"reference", ref}, {"candidate", cand}} {
		name, losses := side.name, side.losses
		i := slices.IndexFunc(losses, func(f Float) bool { return !isFinite(float64(f)) })
		if i >= 0 {
			v.require(false, "PASS although loss.%s[%d] is %v", name, i, losses[i])
			continue
		}
		v.require(!flat(losses), "PASS although loss.%s is flat to four digits over %d steps: nothing was trained", name, len(losses))
	}
	if n := len(r.Loss.Envelope); n > 0 {
		v.require(n == len(ref), "loss.envelope has %d steps and loss.reference %d", n, len(ref))
	}
}

// flat reports whether ten or more losses agree to four digits, as they do when an optimizer never steps.
func flat(losses []Float) bool {
	if len(losses) < 10 {
		return false
	}
	low, high := slices.Min(losses), slices.Max(losses)
	return float64(high-low) <= 1e-4*math.Max(math.Abs(float64(low)), math.Abs(float64(high)))
}

func (v *validator) forward(r *Run) {
	for i, f := range r.Forward {
		if !f.OK {
			v.require(f.Skipped != "" || r.Parity.Verdict != Pass, "PASS although forward[%d] (%s weights, %s and %s) differs", i, f.Weights, f.A, f.B)
			continue
		}
		v.require(f.Skipped == "", "forward[%d] is ok although it was skipped", i)
		v.require(f.Rows > 0, "forward[%d] is ok without a row", i)
		v.require(f.MaxDiff <= f.Limit, "forward[%d] is ok although its difference %v is not within %v", i, f.MaxDiff, f.Limit)
	}
	if p := r.Perplexity; p != nil {
		v.require(p.Positions > 0, "perplexity.positions is %d", p.Positions)
		for _, x := range []Float{p.Reference, p.Candidate, p.Initial} {
			v.require(!(x < 1), "perplexity: %v is less than 1", x) // NaN and infinity are results of a training that failed
		}
	}
	if l := r.TestLoss; l != nil {
		v.require(l.Rows > 0, "test_loss.rows is %d", l.Rows)
	}
	if a := r.Accuracy; a != nil {
		v.require(a.Rows > 0, "accuracy.rows is %d", a.Rows)
		for _, share := range []float64{a.Reference, a.Candidate, a.Initial} {
			v.require(share >= 0 && share <= 1, "accuracy: %v is not a share", share)
		}
	}
}

func (v *validator) timing(r *Run) {
	t := r.Timing
	if t == nil {
		v.require(r.TimingAbsent != "", "timing is absent and timing_absent does not say why")
		return
	}
	v.require(r.TimingAbsent == "", "timing is present and timing_absent says %q", r.TimingAbsent)
	v.require(t.Claim != "", "timing.claim is empty: speed is never shown without what may be said about it")
	for _, e := range r.Engines {
		v.require(!e.Recorded, "timing is present although %s did not run (recorded)", e.Name)
	}
	v.contender("timing.reference", t.Reference)
	v.contender("timing.candidate", t.Candidate)
	for i, m := range t.Modes {
		v.contender(fmt.Sprintf("timing.modes[%d]", i), m)
	}
	for i, e := range t.Others {
		v.contender(fmt.Sprintf("timing.others[%d]", i), e)
	}
	for i, l := range t.LeftOut {
		v.require(l.Mode != "" && l.Reason != "", "timing.left_out[%d] does not say which mode was left out, or why", i)
	}
	v.ratio("timing.measured_ratio", t.Measured)
	if t.Resolution.N > 0 || t.Speedup != nil { // where it was not measured nothing can be claimed
		v.ratio("timing.resolution", t.Resolution)
	}
	if t.Speedup != nil {
		v.speedup(r, "timing", *t.Speedup, t.Measured)
	}
	for i, c := range t.Comparisons {
		field := fmt.Sprintf("timing.comparisons[%d]", i)
		v.require(c.Claim != "", "%s.claim is empty: speed is never shown without what may be said about it", field)
		v.require(c.Kind == LikeForLike && c.Reference.Threads == c.Candidate.Threads || c.Kind == AtItsBest,
			"%s is of the kind %q with %d and %d threads", field, c.Kind, c.Reference.Threads, c.Candidate.Threads)
		v.require(t.has(t.Reference.Engine, c.Reference) && t.has(t.Candidate.Engine, c.Candidate), "%s is of contenders that were not timed", field)
		v.ratio(field+".measured_ratio", c.Measured)
		if c.Speedup != nil {
			v.speedup(r, field, *c.Speedup, c.Measured)
		}
	}
}

// has reports whether such a contender was timed.
func (t *Timing) has(engine string, s Setup) bool {
	return slices.ContainsFunc(slices.Concat(t.Modes, t.Others, []EngineTiming{t.Reference, t.Candidate}), func(e EngineTiming) bool {
		return e.Engine == engine && e.Mode == s.Mode && e.Threads == s.Threads
	})
}

// speedup holds what a claimed speed-up must rest on; m is what was measured.
func (v *validator) speedup(r *Run, field string, s, m Speedup) {
	v.require(r.Parity.Verdict == Pass, "%s.speedup is claimed although the verdict is %s", field, r.Parity.Verdict)
	for _, e := range r.Engines {
		v.require(e.Mutant == "", "%s.speedup is claimed although %s has the planted mistake %q", field, e.Name, e.Mutant)
	}
	v.ratio(field+".speedup", s)
	v.require(s.N >= MinPairs, "%s.speedup rests on %d pairs; at least %d are needed", field, s.N, MinPairs)
	v.require(s.Low > 1 || s.High < 1, "%s.speedup is claimed although its interval [%v, %v] holds 1", field, s.Low, s.High)
	v.require(s.Median == m.Median && s.Low == m.Low && s.High == m.High, "%s.speedup is not %s.measured_ratio", field, field)
	var resolution float64
	for _, x := range []float64{r.Timing.Resolution.Median, r.Timing.Resolution.Low, r.Timing.Resolution.High} {
		resolution = math.Max(resolution, math.Abs(math.Log(x))) // NaN stays NaN
	}
	v.require(math.Abs(math.Log(s.Median)) > resolution, "%s.speedup %v is not beyond the resolution, a factor of %v", field, s.Median, math.Exp(resolution))
}

func (v *validator) ratio(field string, s Speedup) {
	v.require(s.N > 0 && s.N == len(s.Ratios), "%s.n is %d with %d ratios", field, s.N, len(s.Ratios))
	v.require(s.Low > 0 && s.Low <= s.Median && s.Median <= s.High, "%s: %v is not within [%v, %v]", field, s.Median, s.Low, s.High)
	for i, x := range s.Ratios {
		v.require(x > 0, "%s.ratios[%d] is %v", field, i, x)
	}
}

func (v *validator) contender(field string, e EngineTiming) {
	q := e.StepSeconds
	v.require(e.Engine != "", "%s.engine is empty", field)
	v.require(e.Threads > 0, "%s.threads is %d", field, e.Threads)
	v.require(q.N > 0 && q.N == len(e.BlockMedians), "%s.step_seconds.n is %d with %d block medians", field, q.N, len(e.BlockMedians))
	v.require(q.Low > 0 && q.Low <= q.Median && q.Median <= q.High, "%s.step_seconds: %v is not within [%v, %v]", field, q.Median, q.Low, q.High)
	for i, x := range e.BlockMedians {
		v.require(x > 0, "%s.block_medians[%d] is %v seconds", field, i, x)
	}
	v.require(e.FirstStepSeconds >= 0 && e.ColdStartSeconds >= 0, "%s: a negative time", field)
}

func (v *validator) memory(r *Run) {
	for _, role := range slices.Sorted(maps.Keys(r.Memory)) {
		m := r.Memory[role]
		v.require(role == Reference || role == Candidate, "memory has the role %q", role)
		v.require(m.DataBytes >= 0 && m.DataBytes <= m.PeakBytes, "memory.%s: %d bytes of data in a peak of %d", role, m.DataBytes, m.PeakBytes)
		v.require(m.BaselineBytes >= 0 && m.PeakBytes >= m.BaselineBytes, "memory.%s: the peak %d is below the baseline %d",
			role, m.PeakBytes, m.BaselineBytes)
		v.require(m.BaselineOwnBytes >= 0 && m.BaselineOwnBytes <= m.BaselineBytes && m.PeakOwnBytes >= m.BaselineOwnBytes && m.PeakOwnBytes <= m.PeakBytes && (m.BaselineOwnBytes > 0) == (m.PeakOwnBytes > 0),
			"memory.%s: %d and %d bytes of the process's own in a baseline of %d and a peak of %d", role, m.BaselineOwnBytes, m.PeakOwnBytes, m.BaselineBytes, m.PeakBytes)
		for i, s := range m.Samples {
			v.require(s.Bytes > 0 && s.Steps > 0 && (i == 0 || s.Steps > m.Samples[i-1].Steps), "memory.%s.samples[%d]: %d bytes after %d steps", role, i, s.Bytes, s.Steps)
		}
	}
}

// finite notes every float64 below x that JSON has no number for. Fields of type [Float] may be NaN or infinite.
func (v *validator) finite(x reflect.Value, path string) {
	switch x.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !x.IsNil() {
			v.finite(x.Elem(), path)
		}
	case reflect.Struct:
		for f, y := range x.Fields() {
			if f.IsExported() {
				v.finite(y, strings.TrimPrefix(path+"."+jsonName(f), "."))
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range x.Len() {
			v.finite(x.Index(i), fmt.Sprintf("%s[%d]", path, i))
		}
	case reflect.Map:
		// All maps of a record have string keys.
		for _, k := range slices.SortedFunc(slices.Values(x.MapKeys()), func(a, b reflect.Value) int {
			return strings.Compare(a.String(), b.String())
		}) {
			v.finite(x.MapIndex(k), fmt.Sprintf("%s.%s", path, k.String()))
		}
	case reflect.Float64:
		if x.Type() != reflect.TypeFor[Float]() {
			v.require(isFinite(x.Float()), "%s is %v", path, x.Float())
		}
	}
}

// jsonName is the name of a field in the file.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" {
		return f.Name
	}
	return name
}

func isFinite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
