package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/results/record"
)

// runView shows a run.
func runView(r *record.Run) *view {
	name := "experiment"
	if r.Experiment != nil {
		name = clean(r.Experiment.Name)
	}
	v := &view{
		Name: or(name, "experiment"), Verdict: string(r.Parity.Verdict), Class: verdictClass(r.Parity.Verdict),
		VerdictPath: "parity.verdict",
		NamePath:    pathIf(r.Experiment != nil && name != "", "experiment.name", ""),
		Headline:    words(sentence(strings.TrimPrefix(headline(r), name+": ")) + "."),
		Date:        shown{Text: r.Started.UTC().Format("2006-01-02 15:04 UTC"), Path: "started"},
	}
	for i, e := range r.Engines {
		if e.Mutant != "" {
			v.Notes = append(v.Notes, []shown{
				{Text: clean(e.Name), Path: fmt.Sprintf("engines[%d].name", i)},
				own(" has a planted mistake: "),
				{Text: clean(e.Mutant), Path: fmt.Sprintf("engines[%d].mutant", i), Class: "strong"},
				own(". This run tests the judge, not the engine."),
			})
		}
	}
	for i, c := range r.Parity.ChangedThresholds {
		v.Notes = append(v.Notes, []shown{own("The experiment changed a limit of the verdict: "), {Text: clean(c), Path: fmt.Sprintf("parity.changed_thresholds[%d]", i)}})
	}
	v.Keys = runKeys(r)
	v.Sections = runSections(r)
	return v
}

// add appends a section unless it is empty.
func (v *view) add(id, title string, parts ...part) {
	if len(parts) > 0 {
		v.Sections = append(v.Sections, &section{ID: id, Title: title, Parts: parts})
	}
}

func runSections(r *record.Run) []*section {
	v := &view{}
	v.add("why", "Why", whyParts(r)...)
	v.add("stages", "Stages", stageParts(r)...)
	v.add("curves", "Loss curves", curveParts(r)...)
	v.add("trainings", "Several trainings", trainingsParts(r)...)
	v.add("tensors", "Tensors", tensorParts(r)...)
	v.add("speed", "Speed", speedParts(r)...)
	v.add("profile", "Where a step's time goes", profileParts(r)...)
	v.add("memory", "Memory", memoryParts(r)...)
	v.add("forward", "Independent forward passes", forwardParts(r)...)
	v.add("compared", "What was compared", comparedParts(r)...)
	v.add("method", "How to read this", methodParts(r)...)
	return v.Sections
}

// located is a tensor's error and the field that it stands in.
type located struct {
	record.TensorError
	path string
	step int
}

// worstOf are the tensors of a stage with the largest rho and the largest float64 gap.
func worstOf(p *record.Parity, fields ...string) (byRho, byGap *located) {
	for k := range p.Steps {
		for _, kind := range tensorKinds {
			if !slices.Contains(fields, kind.field) {
				continue
			}
			for i, e := range kind.of(&p.Steps[k]) {
				l := &located{e, fmt.Sprintf("parity.steps[%d].%s[%d]", k, kind.field, i), p.Steps[k].Step}
				if byRho == nil || worse(e.Rho, byRho.Rho) {
					byRho = l
				}
				if e.Float64Gap != nil && (byGap == nil || worse(*e.Float64Gap, *byGap.Float64Gap)) {
					byGap = l
				}
			}
		}
	}
	return byRho, byGap
}

// stageFields are the lists that a stage was judged by.
func stageFields(s record.Stage) []string {
	switch s {
	case record.StageForward:
		return []string{"outputs"}
	case record.StageBackward:
		return []string{"gradients"}
	case record.StageOptimizer:
		return []string{"update"}
	case record.StageBuffers:
		return []string{"buffers"}
	}
	return nil
}

func runKeys(r *record.Run) []keyFigure {
	t := limits(r)
	threshold := func(name string) []shown {
		value := t.PassRho
		if name == "float64_gap" {
			value = t.Float64Gap
		}
		if r.Experiment == nil {
			return words("the usual limit is " + number(value))
		}
		return []shown{own("PASS allows "), {Text: number(value), Path: "experiment.parity.thresholds." + name}}
	}
	keys := []keyFigure{speedKey(r)}
	byRho, byGap := worstOf(&r.Parity, "outputs", "gradients", "update", "buffers")
	if byRho != nil {
		keys = append(keys, keyFigure{Label: "largest rho", Value: []shown{{Text: rho(byRho.Rho), Path: byRho.path + ".rho"}}, Note: threshold("pass_rho"), Class: rhoText(byRho.Rho, t)})
	}
	if byGap != nil {
		k := keyFigure{Label: "largest float64 gap", Value: []shown{{Text: relative(*byGap.Float64Gap), Path: byGap.path + ".float64_gap"}}, Note: threshold("float64_gap")}
		if !(float64(*byGap.Float64Gap) <= t.Float64Gap) {
			k.Class = "fail"
		}
		keys = append(keys, k)
	}
	if c := r.Parity.Curve; c != nil {
		k := keyFigure{Label: "curves, to the horizon", Value: []shown{{Text: ratio(float64(c.MedianRatio)), Path: "parity.curve.median_ratio"}}, Note: words("of the envelope, typically")}
		keys = append(keys, k)
	}
	switch {
	case r.Accuracy != nil:
		keys = append(keys, keyFigure{
			Label: "test accuracy", Value: []shown{{Text: percent(r.Accuracy.Candidate), Path: "accuracy.candidate"}},
			Note: []shown{own(side(r, record.Reference) + " "), {Text: percent(r.Accuracy.Reference), Path: "accuracy.reference"}},
		})
	case r.Perplexity != nil:
		keys = append(keys, keyFigure{
			Label: "test perplexity", Value: []shown{{Text: ratio(float64(r.Perplexity.Candidate)), Path: "perplexity.candidate"}},
			Note: []shown{own(side(r, record.Reference) + " "), {Text: ratio(float64(r.Perplexity.Reference)), Path: "perplexity.reference"}},
		})
	}
	if p := r.Parity.Proof; p != nil {
		k := keyFigure{Label: "planted mistakes caught", Value: []shown{{Text: count(p.Caught), Path: "parity.proof.caught"}}, Note: []shown{own("of "), {Text: count(p.Applicable), Path: "parity.proof.applicable"}}}
		if p.Caught < p.Applicable {
			k.Class = "fail"
		}
		keys = append(keys, k)
	}
	if c, ok := r.Memory[record.Candidate]; ok {
		k := keyFigure{Label: "peak memory", Value: []shown{{Text: mebibytes(c.PeakBytes), Path: "memory.candidate.peak_bytes"}}}
		if m, ok := r.Memory[record.Reference]; ok {
			k.Note = []shown{own(side(r, record.Reference) + " "), {Text: mebibytes(m.PeakBytes), Path: "memory.reference.peak_bytes"}}
		}
		keys = append(keys, k)
	}
	return keys
}

// speedKey is the speed-up, or that there is none: it is never shown without a PASS.
func speedKey(r *record.Run) (k keyFigure) {
	k = keyFigure{Label: "speed-up", Value: words("not claimed"), Class: "faint"}
	if notClaimed(r) != "" {
		k.Note = words("see Speed")
		if r.Timing == nil {
			k.Value = words("not measured")
		}
		return k
	}
	s := r.Timing.Speedup
	k.Class = ""
	defer func() {
		if m := r.Timing.Resolution; m.N > 0 {
			k.Note = append(k.Note, own("; the reference against itself "), shown{Text: ratio(m.Low), Path: "timing.resolution.low"}, own(" to "), shown{Text: ratio(m.High), Path: "timing.resolution.high"})
		}
	}()
	if s.Median < 1 {
		k.Label, k.Value = "times slower", []shown{{Text: ratio(1 / s.Median), Path: "1 / timing.speedup.median"}}
		k.Note = []shown{own("95 % interval "), {Text: ratio(1 / s.High), Path: "1 / timing.speedup.high"}, own(" to "), {Text: ratio(1 / s.Low), Path: "1 / timing.speedup.low"}}
		return k
	}
	k.Label, k.Value = "times faster", []shown{{Text: ratio(s.Median), Path: "timing.speedup.median"}}
	k.Note = []shown{own("95 % interval "), {Text: ratio(s.Low), Path: "timing.speedup.low"}, own(" to "), {Text: ratio(s.High), Path: "timing.speedup.high"}}
	return k
}

func whyParts(r *record.Run) []part {
	var out []part
	p := &r.Parity
	if d := p.Diagnosis; d != nil {
		out = append(out, diagnosisParts(d)...)
	}
	if list := sentences(p.Reasons, "parity.reasons"); len(list) > 0 {
		out = append(out, part{List: list})
	}
	if list := sentences(r.Warnings, "warnings"); len(list) > 0 {
		out = append(out, part{Para: []shown{{Text: "Warnings", Class: "strong"}}}, part{List: list})
	}
	return out
}

// sentences are a record's own, each with its field.
func sentences(texts []string, path string) [][]shown {
	var out [][]shown
	for i, s := range texts {
		out = append(out, []shown{{Text: clean(s), Path: fmt.Sprintf("%s[%d]", path, i)}})
	}
	return out
}

// diagnosisParts say of a FAIL where it comes from.
func diagnosisParts(d *record.Diagnosis) []part {
	const at = "parity.diagnosis."
	t := &table{Class: "facts"}
	field := func(name, path, text string) {
		if text != "" {
			t.add("", words(name), []shown{{Text: clean(text), Path: path}})
		}
	}
	where := []shown{}
	if d.Tensor != "" {
		where = append(where, shown{Text: clean(d.Tensor), Path: at + "tensor", Class: "code"})
	}
	if d.Step >= 0 {
		where = append(where, own(" step "), shown{Text: count(d.Step), Path: at + "step"})
	}
	for _, x := range []struct {
		name, field, text string
		value             *record.Float
	}{{"error", "error", "", d.Error}, {"rho", "rho", "", d.Rho}, {"float64 gap", "float64_gap", "", d.Float64Gap}} {
		if x.value == nil {
			continue
		}
		text := relative(*x.value)
		if x.field == "rho" {
			text = rho(*x.value)
		}
		where = append(where, own(", "+x.name+" "), shown{Text: text, Path: at + x.field})
	}
	if len(where) > 0 {
		t.add("", words("where"), where)
	}
	if o := d.Operator; o != nil {
		field("operator", at+"operator.op", o.Op)
		field("ONNX node", at+"operator.node", o.Node)
		field("PyTorch module", at+"operator.module", o.Module)
		field("source", at+"operator.source", o.Source)
		for i, n := range o.Among {
			field("or", fmt.Sprintf("%soperator.among[%d]", at, i), n)
		}
	}
	for i, c := range d.Causes {
		path := fmt.Sprintf("%scauses[%d].", at, i)
		cause := []shown{
			{Text: clean(c.Name), Path: path + "name", Class: "code"}, own(" ("), {Text: clean(string(c.Certainty)), Path: path + "certainty"}, own("): "), {Text: clean(c.Text), Path: path + "text"},
		}
		if c.Residual != nil {
			cause = append(cause, own("; unexplained: "), shown{Text: relative(*c.Residual), Path: path + "residual"})
		}
		name := "cause"
		if i > 0 {
			name = "or"
		}
		t.add("", words(name), cause)
	}
	if len(d.Causes) == 0 {
		t.add("", words("cause"), words("no known mistake has this fingerprint"))
	}
	field("evidence", at+"evidence", d.Evidence)
	return []part{{Para: []shown{{Text: clean(d.Summary), Path: at + "summary", Class: "strong"}}}, {Table: t}}
}

func stageParts(r *record.Run) []part {
	p := &r.Parity
	if len(p.Stages) == 0 {
		return []part{{Para: words("No stage was judged.")}}
	}
	t := &table{Head: []string{"stage", "verdict", ">checked", ">largest rho", ">largest float64 gap", "worst"}}
	for i, s := range p.Stages {
		path := fmt.Sprintf("parity.stages[%d]", i)
		byRho, byGap := worstOf(p, stageFields(s.Stage)...)
		rhoCell, gapCell := words("-"), words("-")
		if byRho != nil {
			rhoCell = []shown{{Text: rho(byRho.Rho), Path: byRho.path + ".rho"}}
		}
		if byGap != nil {
			gapCell = []shown{{Text: relative(*byGap.Float64Gap), Path: byGap.path + ".float64_gap"}}
		}
		if s.Stage == record.StageLoss {
			worst := -1
			for k := range p.Steps {
				if worst < 0 || worse(p.Steps[k].Loss.Rho, p.Steps[worst].Loss.Rho) {
					worst = k
				}
			}
			if worst >= 0 {
				rhoCell = []shown{{Text: rho(p.Steps[worst].Loss.Rho), Path: fmt.Sprintf("parity.steps[%d].loss.rho", worst)}}
			}
		}
		verdict := []shown{{Text: string(s.Verdict), Path: ".verdict", Class: "chip " + verdictClass(s.Verdict)}}
		if s.Checked == 0 && s.Verdict == record.Inconclusive {
			verdict = []shown{{Text: "not judged", Class: "faint"}}
		}
		worst := []shown{}
		if s.Worst != "" {
			worst = []shown{{Text: clean(s.Worst), Path: ".worst"}}
		}
		t.add(path, []shown{{Text: clean(string(s.Stage)), Path: ".stage"}}, verdict, []shown{{Text: count(s.Checked), Path: ".checked"}}, rhoCell, gapCell, worst)
	}
	out := []part{
		{Para: words("Training is judged in the order in which a mistake spreads. rho is an error in units of the reference's own rounding noise; the float64 gap compares both engines in double precision, where rounding all but vanishes and a mistake does not.")},
		{Table: t},
	}
	if proof := p.Proof; proof != nil {
		summary := []shown{own("The judge caught "), {Text: count(proof.Caught), Path: "parity.proof.caught"}, own(" of "), {Text: count(proof.Applicable), Path: "parity.proof.applicable"}, own(" planted mistakes")}
		for i, m := range proof.Missed {
			summary = append(summary, own([]string{"; missed: ", ", "}[min(i, 1)]), shown{Text: clean(m), Path: fmt.Sprintf("parity.proof.missed[%d]", i), Class: "fail"})
		}
		if len(proof.Mutants) == 0 {
			return append(out, part{Para: append(summary, own("."))})
		}
		mutants := &table{Head: []string{"planted mistake", "verdict", "first wrong stage", "named cause"}}
		for i, m := range proof.Mutants {
			mutants.add(fmt.Sprintf("parity.proof.mutants[%d]", i), []shown{{Text: clean(m.Name), Path: ".name", Class: "code"}}, []shown{{Text: string(m.Verdict), Path: ".verdict"}},
				optional(string(m.Stage), ".stage"), optional(m.Cause, ".cause"))
		}
		out = append(out, part{Details: &details{Summary: summary, Parts: []part{{Table: mutants}}}})
	}
	return out
}

// optional is a text that a record may lack.
func optional(text, path string) []shown {
	if clean(text) == "" {
		return words("-")
	}
	return []shown{{Text: clean(text), Path: path}}
}

func curveParts(r *record.Run) []part {
	var out []part
	l := &r.Loss
	for i, x := range []struct {
		role   record.Role
		losses []record.Float
		path   string
	}{{record.Reference, l.Reference, "loss.reference"}, {record.Candidate, l.Candidate, "loss.candidate"}} {
		if at := firstBad(x.losses); at >= 0 {
			out = append(out, part{Para: []shown{{Text: "The loss of " + side(r, x.role) + " is ", Class: "fail"}, {Text: number(float64(x.losses[at])), Path: fmt.Sprintf("%s[%d]", x.path, at), Class: "fail"}, {Text: " from one step on: see the list.", Class: "fail"}}})
		}
		_ = i
	}
	for _, f := range []*figure{lossFigure(r), differenceFigure(r)} {
		if f != nil {
			out = append(out, part{Figure: f})
		}
	}
	if c := r.Parity.Curve; c != nil {
		t := &table{Class: "facts"}
		f := func(name string, value ...shown) { t.add("", words(name), value) }
		if c.Horizon < c.Steps {
			f("horizon", own("step "), shown{Text: count(c.Horizon), Path: "parity.curve.horizon"}, own(" of "), shown{Text: count(c.Steps), Path: "parity.curve.steps"}, own(": where the reference's own runs part"))
		} else {
			f("horizon", own("not reached: in "), shown{Text: count(c.Steps), Path: "parity.curve.steps"}, own(" steps the reference's own runs did not part"))
		}
		f("typical distance before it", shown{Text: ratio(float64(c.MedianRatio)), Path: "parity.curve.median_ratio"}, own(" of the envelope"))
		f("worst before it", shown{Text: ratio(float64(c.WorstRatio)), Path: "parity.curve.worst_ratio"}, own(" of the envelope, "), shown{Text: relative(c.WorstRelative), Path: "parity.curve.worst_relative"},
			own(" relative, at step "), shown{Text: count(c.WorstStep), Path: "parity.curve.worst_step"})
		f("steps outside before it", shown{Text: percent(c.Outside), Path: "parity.curve.outside"})
		f("largest distance after it", shown{Text: relative(c.LargestAfter), Path: "parity.curve.largest_after"})
		f("mean loss, first tenth", shown{Text: loss(c.FirstTenth), Path: "parity.curve.first_tenth"})
		f("mean loss, last tenth", shown{Text: loss(c.LastTenth), Path: "parity.curve.last_tenth"}, own(" of "+side(r, record.Reference)+", "), shown{Text: loss(c.CandidateLastTenth), Path: "parity.curve.candidate_last_tenth"}, own(" of "+side(r, record.Candidate)))
		if d := c.Departure; d != nil {
			words := []shown{own("step "), {Text: count(d.Step), Path: "parity.curve.departure.step"}, own(", by "), {Text: relative(d.Distance), Path: "parity.curve.departure.distance"}}
			if d.Followed > 0 {
				words = append(words, own("; then "), shown{Text: ratio(float64(d.Growth)), Path: "parity.curve.departure.growth"}, own(" times as far as the nudged runs at the same age"))
			}
			f("left the envelope", words...)
		}
		var variants []shown
		for i, name := range c.Variants {
			if i > 0 {
				variants = append(variants, own(", "))
			}
			variants = append(variants, shown{Text: clean(name), Path: fmt.Sprintf("parity.curve.variants[%d]", i)})
		}
		if len(variants) > 0 {
			t.add("", words("the envelope's runs"), variants)
		}
		out = append(out, part{Table: t}, part{Para: words("Two right trainings part: rounding differs, and training makes the difference grow. The envelope shows how far legitimate variants of the reference itself part. " +
			"Beyond the horizon a comparison step by step means nothing.")})
	}
	if t := lossTable(r); len(t.Rows) > 0 {
		out = append(out, part{Details: &details{Summary: words("losses as a table"), Parts: []part{{Table: t}}}})
	}
	return out
}

// listedSteps is how many steps the table of losses has at most.
const listedSteps = 60

// lossTable lists the losses at steps evenly spaced, at the ends, and where one is first not finite.
func lossTable(r *record.Run) *table {
	l := &r.Loss
	t := &table{Head: []string{">step", ">" + side(r, record.Reference), ">" + side(r, record.Candidate), ">envelope"}}
	n := max(len(l.Reference), len(l.Candidate))
	if n == 0 {
		return t
	}
	var at []int
	for k := range min(n, listedSteps) {
		at = append(at, k*(n-1)/max(1, min(n, listedSteps)-1))
	}
	for _, bad := range []int{firstBad(l.Reference), firstBad(l.Candidate)} {
		if bad >= 0 {
			at = append(at, bad)
		}
	}
	slices.Sort(at)
	for _, i := range slices.Compact(at) {
		value := func(values []record.Float, path string, write func(record.Float) string) []shown {
			if i >= len(values) {
				return words("-")
			}
			return []shown{{Text: write(values[i]), Path: fmt.Sprintf("%s[%d]", path, i)}}
		}
		t.add("", []shown{{Text: count(i), Class: "index"}}, value(l.Reference, "loss.reference", lossDigits), value(l.Candidate, "loss.candidate", lossDigits), value(l.Envelope, "loss.envelope", relative[record.Float]))
	}
	return t
}

func trainingsParts(r *record.Run) []part {
	runs := r.Runs
	if runs == nil {
		return nil
	}
	out := []part{{Para: words("Beyond the horizon two right trainings have nothing in common but how well they end. Both engines trained several times, with other orders and masks; judged is the mean of the paired differences, candidate less reference.")}}
	if f := runsFigure(r); f != nil {
		out = append(out, part{Figure: f})
	}
	t := &table{Head: []string{"of all trainings", "verdict", ">mean difference", ">90 % interval", ">margin"}}
	names, values := equivalences(runs)
	for i, e := range values {
		path := "runs.loss"
		show := func(x record.Float) string { return signed(float64(x)) }
		if i > 0 {
			path = "runs.accuracy"
			show = func(x record.Float) string { return signedPercent(float64(x)) }
		}
		t.add(path, words(names[i]), []shown{{Text: string(e.Verdict), Path: ".verdict", Class: "chip " + verdictClass(e.Verdict)}}, []shown{{Text: show(e.Mean), Path: ".mean"}},
			[]shown{{Text: show(e.Low), Path: ".low"}, own(" to "), {Text: show(e.High), Path: ".high"}}, []shown{own("±"), {Text: strings.TrimPrefix(show(e.Margin), "+"), Path: ".margin"}})
	}
	out = append(out, part{Table: t}, part{List: sentences(runs.Reasons, "runs.reasons")})
	ref, cand := side(r, record.Reference), side(r, record.Candidate)
	each := &table{Head: []string{">seed", ">loss, " + ref, ">loss, " + cand, ">accuracy, " + ref, ">accuracy, " + cand}}
	accuracy := func(a *record.Float, path string) []shown {
		if a == nil {
			return words("-")
		}
		return []shown{{Text: percent(float64(*a)), Path: path}}
	}
	for i, x := range runs.Trainings {
		each.add(fmt.Sprintf("runs.trainings[%d]", i), []shown{{Text: fmt.Sprint(x.Seed), Path: ".seed"}}, []shown{{Text: loss(x.Reference.LastTenth), Path: ".reference.last_tenth"}}, []shown{{Text: loss(x.Candidate.LastTenth), Path: ".candidate.last_tenth"}},
			accuracy(x.Reference.Accuracy, ".reference.accuracy"), accuracy(x.Candidate.Accuracy, ".candidate.accuracy"))
	}
	return append(out, part{Details: &details{Summary: words("each training"), Parts: []part{{Table: each}}}})
}

// signedPercent writes a difference of shares with its sign, in percent of the whole.
func signedPercent(x float64) string {
	if s := signed(100 * x); s != "-" {
		return s + " %"
	}
	return "-"
}

func tensorParts(r *record.Run) []part {
	maps := heats(r)
	if len(maps) == 0 {
		return nil
	}
	out := []part{
		{Para: words("At a judged step the candidate is given the reference's whole state, so that no step is blamed for an earlier one's rounding. rho is a tensor's error in units of the largest error among legitimate variants of the reference itself: up to one it is no worse than those. Columns are steps. Update: parameters and the optimizer's moments after one update with the reference's gradients; own step: after the engine's own, gradients and all.")},
		{Heat: maps},
		{Para: words("A click on a cell, or Enter, opens the numbers of its tensor at that step."), Screen: true},
		{Para: []shown{{Text: "Every number behind the map", Class: "strong"}}, Screen: true},
	}
	out = append(out, stepDetails(r)...)
	if errs := r.Parity.FinalWeights; len(errs) > 0 {
		out = append(out, part{Details: &details{Summary: words("weights after the whole training"), Parts: []part{
			{Para: words("After free-running training; shown, never judged alone, for rounding grows.")}, {Table: tensorTable("Final weights", "parity.final_weights", errs, limits(r))},
		}}})
	}
	return out
}

func speedParts(r *record.Run) []part {
	t := r.Timing
	if notClaimed(r) != "" {
		var why []shown
		switch {
		case t == nil && r.TimingAbsent == "":
			why = words("Not measured.")
		case t == nil:
			why = []shown{own("Not measured: "), {Text: clean(r.TimingAbsent), Path: "timing_absent"}}
		case r.Parity.Verdict != record.Pass:
			why = []shown{own("Not claimed: parity is "), {Text: string(r.Parity.Verdict), Path: "parity.verdict"}, own(", and a wrong training has no speed.")}
		default:
			why = []shown{own("Not claimed: "), {Text: clean(t.Claim), Path: "timing.claim"}}
		}
		if t == nil || r.Parity.Verdict != record.Pass {
			return []part{{Para: why}}
		}
		return append([]part{{Para: why}}, timingParts(r)...)
	}
	return append([]part{{Para: []shown{{Text: clean(t.Claim), Path: "timing.claim", Class: "strong"}}}}, timingParts(r)...)
}

// timingParts show the times of a run that passed.
func timingParts(r *record.Run) []part {
	t := r.Timing
	if r.Parity.Verdict != record.Pass {
		return nil // nobody calls it so; the rule is worth a second lock
	}
	var out []part
	for _, s := range []*strips{speedStrips(t), stepStrips(t), startStrips(t)} {
		if s != nil {
			out = append(out, part{Strips: s})
		}
	}
	var left [][]shown
	for i, l := range t.LeftOut {
		path := fmt.Sprintf("timing.left_out[%d]", i)
		left = append(left, []shown{{Text: clean(l.Mode), Path: path + ".mode", Class: "strong"}, own(" at "), {Text: count(l.Threads), Path: path + ".threads"}, own(" threads was not timed: "), {Text: clean(l.Reason), Path: path + ".reason"}})
	}
	if len(left) > 0 {
		out = append(out, part{List: left})
	}
	return append(out, part{Para: []shown{
		own("Blocks of "),
		{Text: count(t.BlockSteps), Path: "timing.block_steps"},
		own(" steps of all contenders were interleaved in random order, "),
		{Text: count(t.Blocks), Path: "timing.blocks"},
		own(" of each; the speed-up is the median of the ratios of paired blocks. Of several modes of the reference the fastest counts. The resolution is the reference against itself in the same session: no difference smaller than it is claimed."),
	}})
}

func forwardParts(r *record.Run) []part {
	if len(r.Forward) == 0 {
		return nil
	}
	t := &table{Head: []string{"weights", "one", "other", ">rows", ">difference", ">limit", ""}}
	for i, f := range r.Forward {
		outcome, difference := []shown{{Text: "agree", Path: ".ok", Class: "pass"}}, []shown{{Text: relative(f.MaxDiff), Path: ".max_difference"}}
		switch {
		case f.Skipped != "":
			outcome, difference = []shown{own("skipped: "), {Text: clean(f.Skipped), Path: ".skipped"}}, words("-")
		case !f.OK:
			outcome = []shown{{Text: "differ", Path: ".ok", Class: "fail"}}
		}
		t.add(fmt.Sprintf("forward[%d]", i), []shown{{Text: clean(f.Weights), Path: ".weights"}}, []shown{{Text: clean(f.A), Path: ".a"}}, []shown{{Text: clean(f.B), Path: ".b"}},
			[]shown{{Text: count(f.Rows), Path: ".rows"}}, difference, []shown{{Text: relative(f.Limit), Path: ".limit"}}, outcome)
	}
	return []part{{Para: words("Programs that share no code compute the outputs of the test rows in eval mode. The difference is the largest one over the largest output.")}, {Table: t}}
}

func comparedParts(r *record.Run) []part {
	t := &table{Class: "facts"}
	for i, e := range r.Engines {
		t.add("", []shown{{Text: clean(string(e.Role)), Path: fmt.Sprintf("engines[%d].role", i)}}, engineShown(e, fmt.Sprintf("engines[%d]", i)))
	}
	data := []shown{{Text: or(clean(r.Data.Description), clean(r.Data.Source)), Path: pathIf(clean(r.Data.Description) != "", "data.description", "data.source")}}
	if r.Data.Source != "" || r.Data.TrainRows > 0 {
		data = append(data, own("; "), shown{Text: count(r.Data.TrainRows), Path: "data.train_rows"}, own(" + "), shown{Text: count(r.Data.TestRows), Path: "data.test_rows"}, own(" rows"))
		t.add("", words("data"), data)
	}
	if r.Data.License != "" {
		t.add("", words("its licence"), []shown{{Text: clean(r.Data.License), Path: "data.license"}})
	}
	if e := r.Experiment; e != nil {
		t.add("", words("experiment"), optional(e.Description, "experiment.description"))
		training := []shown{
			{Text: count(r.Model.Parameters), Path: "model.parameters"},
			own(" parameters, "),
			{Text: clean(e.Optimizer.Kind), Path: "experiment.optimizer.kind"},
			own(", learning rate "),
			{Text: number(e.Optimizer.LearningRate), Path: "experiment.optimizer.learning_rate"},
			own(", batch "),
			{Text: count(e.Train.Batch), Path: "experiment.train.batch"},
		}
		if e.Train.Accumulate > 1 {
			training = append(training, own(", the gradients of "), shown{Text: count(e.Train.Accumulate), Path: "experiment.train.accumulate"}, own(" batches added up"))
		}
		training = append(training,
			own(", epochs "),
			shown{Text: count(e.Train.Epochs), Path: "experiment.train.epochs"},
			own(", seed "),
			shown{Text: fmt.Sprint(e.Seed), Path: "experiment.seed"},
			own(", "),
			shown{Text: count(r.Data.Steps), Path: "data.steps"},
			own(" steps"),
		)
		t.add("", words("training"), training)
	}
	if env := &r.Environment; env.CPU != "" {
		machine := []shown{
			{Text: clean(env.CPU), Path: "environment.cpu"},
			own(", "),
			{Text: count(env.Cores), Path: "environment.cores"},
			own(" cores, "),
			{Text: mebibytes(env.MemoryBytes), Path: "environment.memory_bytes"},
			own(", "),
			{Text: clean(env.OS), Path: "environment.os"},
			own("/"),
			{Text: clean(env.Arch), Path: "environment.arch"},
		}
		if clean(env.Kernel) != "" {
			machine = append(machine, own(", "), shown{Text: clean(env.Kernel), Path: "environment.kernel"})
		}
		t.add("", words("machine"), machine)
	}
	t.add("", words("whole command"), []shown{{Text: seconds(r.Seconds), Path: "seconds"}})
	out := []part{{Table: t}}
	identical := []shown{own("Identical at the start: weights "), {Text: yes(r.Parity.InitialStateIdentical), Path: "parity.initial_state_identical"}, own(", data "), {Text: yes(r.Parity.DataIdentical), Path: "parity.data_identical"}, own(".")}
	out = append(out, part{Para: identical})
	digests := &table{Head: []string{"what", "type", "SHA-256"}}
	if r.Model.SHA256 != "" {
		digests.add("", []shown{{Text: clean(r.Model.File), Path: "model.file", Class: "code"}}, words(""), []shown{{Text: clean(r.Model.SHA256), Path: "model.sha256", Class: "hash"}})
	}
	for _, k := range slices.Sorted(maps.Keys(r.Data.SHA256)) {
		digests.add("", []shown{{Text: clean(k), Class: "code key"}}, words(""), []shown{{Text: clean(r.Data.SHA256[k]), Path: fieldPath("data.sha256", k), Class: "hash"}})
	}
	for i, x := range r.Model.Tensors {
		kind := []shown{{Text: clean(x.DType), Path: ".dtype"}}
		for k, n := range x.Shape {
			kind = append(kind, own([]string{" ", "×"}[min(k, 1)]), shown{Text: fmt.Sprint(n), Path: fmt.Sprintf(".shape[%d]", k)})
		}
		digests.add(fmt.Sprintf("model.tensors[%d]", i), []shown{{Text: clean(x.Name), Path: ".name", Class: "code"}}, kind, []shown{{Text: clean(x.SHA256), Path: ".sha256", Class: "hash"}})
	}
	if len(digests.Rows) > 0 {
		out = append(out, part{Details: &details{Summary: words("digests of weights and data"), Parts: []part{{Table: digests}}}})
	}
	if line := commandLine(r.Environment.CommandLine); line != "" {
		out = append(out, part{Para: words("Run it again:")}, part{Code: &shown{Text: clean(line), Path: "environment.command_line"}})
	}
	return out
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// engineShown says what an engine was.
func engineShown(e record.Engine, path string) []shown {
	out := []shown{{Text: clean(e.Name), Path: path + ".name", Class: "strong"}}
	if clean(e.Version) != "" {
		out = append(out, own(" "), shown{Text: clean(e.Version), Path: path + ".version"})
	}
	for i, k := range slices.Sorted(maps.Keys(e.Versions)) {
		out = append(out, own([]string{" (", ", "}[min(i, 1)]), shown{Text: clean(k), Class: "key"}, own(" "), shown{Text: clean(e.Versions[k]), Path: fieldPath(path+".versions", k)})
	}
	if len(e.Versions) > 0 {
		out = append(out, own(")"))
	}
	if clean(e.Device) != "" {
		out = append(out, own(", "), shown{Text: clean(e.Device), Path: path + ".device"})
	}
	if e.Threads > 0 {
		unit := " threads"
		if e.Threads == 1 {
			unit = " thread"
		}
		out = append(out, own(", "), shown{Text: count(e.Threads), Path: path + ".threads"}, own(unit))
	}
	if clean(e.Mode) != "" {
		out = append(out, own(", "), shown{Text: clean(e.Mode), Path: path + ".mode"})
	}
	if e.Recorded {
		out = append(out, own(", "), shown{Text: "recorded earlier", Path: path + ".recorded"})
	}
	return out
}

func methodParts(r *record.Run) []part {
	out := []part{
		{Para: words("Correctness comes first. PASS means that at the judged steps the candidate's outputs, gradients and updates are as near to the float64 result as the reference's own rounding allows, " +
			"and that float64 against float64 both agree to many more digits, which a mistake would not. FAIL names the first part of training that is wrong. INCONCLUSIVE says what is missing for a decision. " +
			"Loss curves alone never give PASS: some mistakes do not show in them, and right trainings part late. Speed counts after a PASS alone.")},
		{Para: words("Both engines speak the same protocol. They are given the same weights, the same batches in the same order and, while parity is judged, the same dropout masks; the digests are of what they held.")},
	}
	if r.Experiment == nil {
		return out
	}
	t := &table{Head: []string{"limit", ">here", ">usual", "meaning"}}
	for _, x := range thresholds(r.Experiment.Parity.Thresholds) {
		class := ""
		if x.changed() != "" {
			class = "open"
		}
		t.add("", []shown{{Text: x.name, Class: "code"}}, []shown{{Text: number(x.value), Path: "experiment.parity.thresholds." + x.name, Class: class}}, []shown{{Text: number(x.usual), Class: "usual"}}, words(x.meaning))
	}
	return append(out, part{Details: &details{Summary: words("limits of the verdict"), Parts: []part{{Table: t}}}})
}
