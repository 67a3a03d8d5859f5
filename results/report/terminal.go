package report

import (
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"tandem/results/record"
)

// Options say how [Terminal] writes.
type Options struct {
	Color   bool // ANSI colours; the caller honours NO_COLOR and whether there is a terminal
	Width   int  // characters in a line; 0 means 100
	Verbose bool // judged steps, thresholds, digests and the machine too
	Brief   bool // the verdict with its reasons, the speed, warnings and the report's path alone
	ASCII   bool // nothing but ASCII, for terminals without Unicode
	// Report is the path of the written report, shown at the end when it is not empty; Page that of the same as one HTML page.
	Report, Page string
}

// Terminal writes what a person wants to know at a glance: the verdict with its reasons, what it rests on, and, beside
// the verdict, the speed.
func Terminal(w io.Writer, r *record.Run, o Options) error {
	if o.Width <= 0 {
		o.Width = 100
	}
	s := &summary{page: page{color: o.Color, width: max(o.Width, 40)}, r: r, o: o}
	s.verdict()
	if o.Brief {
		s.speed()
		s.warnings()
		return s.write(w)
	}
	s.stages()
	s.loss()
	s.quality()
	s.runs()
	s.forward()
	s.speed()
	s.memory()
	s.compared()
	if o.Verbose {
		s.details()
	}
	s.warnings()
	return s.write(w)
}

func (s *summary) write(w io.Writer) error {
	out := s.b.String()
	if s.o.ASCII {
		out = ascii(out)
	}
	_, err := io.WriteString(w, out)
	return err
}

// ascii writes the characters that the summary uses by their nearest in ASCII, and any other as "?".
func ascii(s string) string {
	s = strings.NewReplacer("µ", "u", "→", "->", "–", "-", "×", "x").Replace(s)
	return strings.Map(func(r rune) rune {
		if r > '~' {
			return '?'
		}
		return r
	}, s)
}

// summary is a terminal summary being written.
type summary struct {
	page
	r *record.Run
	o Options
}

func (s *summary) heading(words string) {
	s.line("")
	s.line(s.styled(bold, words))
}

func verdictStyle(v record.Verdict) style {
	switch v {
	case record.Pass:
		return green
	case record.Fail:
		return red
	}
	return yellow
}

// side is what an engine is called: its name, and its role where both have the same name.
func side(r *record.Run, role record.Role) string {
	var name string
	same := 0
	for _, e := range r.Engines {
		if e.Role == role {
			name = clean(e.Name)
		}
	}
	for _, e := range r.Engines {
		if clean(e.Name) == name {
			same++
		}
	}
	switch {
	case name == "":
		return string(role)
	case same > 1:
		return fmt.Sprintf("%s (%s)", name, role)
	}
	return name
}

// headline is the verdict in one sentence.
func headline(r *record.Run) string {
	name := "experiment"
	if r.Experiment != nil {
		name = clean(r.Experiment.Name)
	}
	ref, cand := side(r, record.Reference), side(r, record.Candidate)
	switch r.Parity.Verdict {
	case record.Pass:
		proved := ""
		if p := r.Parity.Proof; p != nil && p.Applicable > 0 && p.Caught == p.Applicable {
			proved = ", and the judge is proved"
		}
		return fmt.Sprintf("%s: %s trains as %s does%s", name, cand, ref, proved)
	case record.Fail:
		return fmt.Sprintf("%s: %s does not train as %s does; first wrong: %s", name, cand, ref, clean(string(r.Parity.Stage)))
	}
	return fmt.Sprintf("%s: it is not decided whether %s trains as %s does", name, cand, ref)
}

func (s *summary) verdict() {
	p := &s.r.Parity
	s.wrap(verdictStyle(p.Verdict), string(p.Verdict)+"  ", headline(s.r))
	for _, e := range s.r.Engines {
		if e.Mutant != "" {
			s.wrap(plain, "  ", fmt.Sprintf("(%s has a planted mistake: %s)", e.Name, e.Mutant))
		}
	}
	s.diagnosis()
	for _, reason := range s.reasons() {
		s.wrap(plain, "  - ", reason)
	}
	if len(p.ChangedThresholds) > 0 {
		s.wrap(yellow, "  ! ", "changed thresholds: "+strings.Join(p.ChangedThresholds, "; "))
	}
}

// diagnosis says of a FAIL, right below the headline, where it comes from.
func (s *summary) diagnosis() {
	var rows [][]cell
	for _, row := range diagnosisRows(s.r.Parity.Diagnosis, filepath.Dir(s.o.Report)) {
		rows = append(rows, []cell{{s: row[0], style: bold}, {s: row[1]}})
	}
	s.table(rows)
}

// reasons are those that the table of the stages does not show already. A PASS has one of each stage, of which only
// those of the gradients and of the curve are repeated in words.
func (s *summary) reasons() []string {
	p := &s.r.Parity
	if s.o.Verbose || p.Verdict != record.Pass {
		return p.Reasons
	}
	return slices.DeleteFunc(slices.Clone(p.Reasons), func(reason string) bool {
		return slices.ContainsFunc(p.Stages, func(st record.StageResult) bool {
			return st.Summary == reason && st.Stage != record.StageBackward && st.Stage != record.StageCurve
		})
	})
}

// stageErrors are the tensor errors of all judged steps that a stage was judged by, and whether it has any such.
func stageErrors(p *record.Parity, stage record.Stage) []record.TensorError {
	var errs []record.TensorError
	for _, st := range p.Steps {
		switch stage {
		case record.StageForward:
			errs = append(errs, st.Outputs...)
		case record.StageLoss:
			errs = append(errs, record.TensorError{Name: "loss", Rho: st.Loss.Rho})
		case record.StageBackward:
			errs = append(errs, st.Gradients...)
		case record.StageOptimizer:
			errs = append(errs, st.Update...)
		case record.StageBuffers:
			errs = append(errs, st.Buffers...)
		}
	}
	return errs
}

// extremes are the largest rho and the largest float64 gap of a stage's tensors, or "-" where there is none.
func extremes(p *record.Parity, stage record.Stage) (maxRho, maxGap string) {
	maxRho, maxGap = "-", "-"
	var r, g record.Float
	for _, e := range stageErrors(p, stage) {
		if maxRho == "-" || worse(e.Rho, r) {
			r = e.Rho
			maxRho = rho(r)
		}
		if e.Float64Gap != nil && (maxGap == "-" || worse(*e.Float64Gap, g)) {
			g = *e.Float64Gap
			maxGap = relative(g)
		}
	}
	return maxRho, maxGap
}

// stageVerdict is a stage's verdict in words: one that compared nothing was not judged.
func stageVerdict(st record.StageResult) string {
	if st.Checked == 0 && st.Verdict == record.Inconclusive {
		return "not judged"
	}
	return string(st.Verdict)
}

func (s *summary) stages() {
	rows := [][]cell{{
		{s: "Parity", style: bold},
		{s: "verdict", style: faint},
		{s: "checked", style: faint, right: true},
		{s: "rho", style: faint, right: true},
		{s: "float64 gap", style: faint, right: true},
		{s: "worst", style: faint},
	}}
	for _, st := range s.r.Parity.Stages {
		worst := clean(st.Worst)
		if st.Checked == 0 {
			worst = clean(st.Summary)
		}
		maxRho, maxGap := extremes(&s.r.Parity, st.Stage)
		vs := verdictStyle(st.Verdict)
		if st.Checked == 0 && st.Verdict == record.Inconclusive {
			vs = faint
		}
		rows = append(rows, []cell{
			{s: clean(string(st.Stage))},
			{s: stageVerdict(st), style: vs},
			{s: count(st.Checked), right: true},
			{s: maxRho, right: true},
			{s: maxGap, right: true},
			{s: worst},
		})
	}
	s.line("")
	s.table(rows)
	if len(rows) == 1 {
		s.line("  no stage was judged")
	}
	if p := s.r.Parity.Proof; p != nil {
		s.wrap(plain, "  ", proofSentence(p))
	}
}

func proofSentence(p *record.Proof) string {
	words := fmt.Sprintf("proof: the judge caught %d of %d planted mistakes", p.Caught, p.Applicable)
	if len(p.Missed) > 0 {
		words += "; missed: " + strings.Join(p.Missed, ", ")
	}
	return words
}

func (s *summary) loss() {
	l := &s.r.Loss
	if len(l.Reference) == 0 && len(l.Candidate) == 0 {
		s.heading("Loss")
		s.line("  no losses were recorded")
		return
	}
	levels := blocks
	if s.o.ASCII {
		levels = asciiBlocks
	}
	ref, cand := side(s.r, record.Reference), side(s.r, record.Candidate)
	const ends = 24 // "  2.3147 → 0.4412" and some room
	width := max(10, min(60, s.width-4-max(utf8.RuneCountInString(ref), utf8.RuneCountInString(cand))-ends))
	lines, logarithmic := sparklines(width, levels, l.Reference, l.Candidate)
	title := "Loss, " + plural(max(len(l.Reference), len(l.Candidate)), "step")
	if logarithmic {
		title += " (log scale)"
	}
	s.heading(title)
	var rows [][]cell
	for i, losses := range [][]record.Float{l.Reference, l.Candidate} {
		ends := "none recorded"
		if n := len(losses); n > 0 {
			ends = loss(losses[0]) + " → " + loss(losses[n-1])
		}
		rows = append(rows, []cell{{s: []string{ref, cand}[i]}, {s: lines[i]}, {s: ends}})
	}
	s.table(rows)
	if c := s.r.Parity.Curve; c != nil {
		s.wrap(plain, "  ", curveSentence(c))
	}
}

// curveSentence says how far apart the curves are: in units of the envelope and, in brackets, relative to the loss.
func curveSentence(c *record.Curve) string {
	words := fmt.Sprintf("typically %s of the envelope, worst %s (%s)", ratio(float64(c.MedianRatio)), ratio(float64(c.WorstRatio)), relative(c.WorstRelative))
	if c.Horizon < c.Steps {
		words = fmt.Sprintf("to the horizon, step %s: %s; after it %s", count(c.Horizon), words, relative(c.LargestAfter))
	}
	if d := c.Departure; d != nil {
		words += fmt.Sprintf("; left the envelope at step %s by %s", count(d.Step), relative(d.Distance))
		if len(d.Judged) > 0 {
			words += ", where it was judged too"
		}
		if d.Followed > 0 {
			words += fmt.Sprintf(", then went %s times as far as the nudged runs at the same age", ratio(float64(d.Growth)))
		}
		words += fmt.Sprintf(", mean loss at the end %s for %s", loss(c.CandidateLastTenth), loss(c.LastTenth))
	}
	return words
}

func (s *summary) quality() {
	if s.r.Accuracy != nil {
		s.wrap(plain, "  accuracy: ", accuracySentence(s.r))
	}
	if s.r.Perplexity != nil {
		s.wrap(plain, "  perplexity: ", perplexitySentence(s.r))
	}
	if s.r.TestLoss != nil {
		s.wrap(plain, "  test loss: ", testLossSentence(s.r))
	}
}

func testLossSentence(r *record.Run) string {
	l := r.TestLoss
	return fmt.Sprintf("%s %s, %s %s of %s test rows (%s before training)", side(r, record.Reference), loss(l.Reference),
		side(r, record.Candidate), loss(l.Candidate), count(l.Rows), loss(l.Initial))
}

func perplexitySentence(r *record.Run) string {
	p := r.Perplexity
	return fmt.Sprintf("%s %s, %s %s over %s test positions (%s before training)", side(r, record.Reference), ratio(float64(p.Reference)),
		side(r, record.Candidate), ratio(float64(p.Candidate)), count(p.Positions), ratio(float64(p.Initial)))
}

func accuracySentence(r *record.Run) string {
	a := r.Accuracy
	return fmt.Sprintf("%s %s, %s %s of %s test rows (%s before training)", side(r, record.Reference), percent(a.Reference),
		side(r, record.Candidate), percent(a.Candidate), count(a.Rows), percent(a.Initial))
}

// lookOutcome is a forward look's outcome and how it is written.
func lookOutcome(f record.ForwardLook) (string, style) {
	if f.Skipped != "" {
		return "skipped: " + clean(f.Skipped), faint
	}
	difference := fmt.Sprintf("%s (limit %s)", relative(f.MaxDiff), relative(f.Limit))
	if f.OK {
		return "agree   " + difference, plain
	}
	return "DIFFER  " + difference, red
}

func (s *summary) forward() {
	if len(s.r.Forward) == 0 {
		return
	}
	s.heading("Forward pass in eval mode (largest difference over largest output)")
	var rows [][]cell
	for _, f := range s.r.Forward {
		outcome, st := lookOutcome(f)
		rows = append(rows, []cell{{s: strings.TrimSuffix(clean(f.Weights), " weights") + " weights"}, {s: clean(f.A) + ", " + clean(f.B)}, {s: outcome, style: st}})
	}
	s.table(rows)
}

// contender names an engine with its mode.
func contender(e record.EngineTiming) string {
	return strings.TrimSpace(clean(e.Engine) + " " + clean(e.Mode))
}

// contenders are those whose times are shown: the two that are compared, the reference's other modes, then those with other numbers of
// threads.
func contenders(t *record.Timing) []record.EngineTiming {
	out := []record.EngineTiming{t.Reference, t.Candidate}
	for _, m := range t.Modes {
		if m.Engine != t.Reference.Engine || m.Mode != t.Reference.Mode || m.Threads != t.Reference.Threads {
			out = append(out, m)
		}
	}
	return append(out, t.Others...)
}

// comparison is a row of the further comparisons: candidate, its threads, reference, its threads, ratio. One that is not claimed is
// marked, as benchstat does.
func comparison(t *record.Timing, c record.Comparison) []string {
	reference := contender(record.EngineTiming{Engine: t.Reference.Engine, Mode: c.Reference.Mode})
	if c.Kind == record.AtItsBest {
		reference += ", best"
	}
	measured := fmt.Sprintf("%s [%s, %s]", ratio(c.Measured.Median), ratio(c.Measured.Low), ratio(c.Measured.High))
	if c.Speedup == nil {
		measured = notClaimedMark + " " + measured
	}
	candidate := contender(record.EngineTiming{Engine: t.Candidate.Engine, Mode: c.Candidate.Mode})
	return []string{candidate, count(c.Candidate.Threads), reference, count(c.Reference.Threads), measured}
}

const (
	notClaimedMark   = "~"
	notClaimedLegend = notClaimedMark + " is within the noise of this session: no difference is claimed"
)

// comparisonRows are all further comparisons, and whether one of them is not claimed.
func comparisonRows(t *record.Timing) (rows [][]string, marked bool) {
	for _, c := range t.Comparisons {
		rows = append(rows, comparison(t, c))
		marked = marked || c.Speedup == nil
	}
	return rows, marked
}

func leftOutSentence(t *record.Timing, l record.LeftOut) string {
	return fmt.Sprintf("%s was not timed: %s", contender(record.EngineTiming{Engine: t.Reference.Engine, Mode: l.Mode})+" at "+plural(l.Threads, "thread"), clean(l.Reason))
}

// speedSentence says a speed-up as it is spoken; below 1 it is a slowness. The record's own claim is preferred where it
// says the same and more.
func speedSentence(t *record.Timing) string {
	x, word := t.Speedup.Median, "faster"
	if x < 1 {
		x, word = 1/x, "slower"
	}
	if claim := clean(t.Claim); strings.Contains(claim, " times "+word+" ") {
		return claim
	}
	return fmt.Sprintf("%s is %s %s than %s", contender(t.Candidate), times(x), word, contender(t.Reference))
}

// notClaimed is why no speed-up is shown; it is empty when one is.
func notClaimed(r *record.Run) string {
	t := r.Timing
	switch {
	case t == nil && r.TimingAbsent == "":
		return "not measured"
	case t == nil:
		return "not measured: " + clean(r.TimingAbsent)
	case r.Parity.Verdict != record.Pass:
		return fmt.Sprintf("not claimed: parity is %s, and a wrong training has no speed", r.Parity.Verdict)
	case t.Speedup == nil:
		return "not claimed: " + strings.TrimPrefix(clean(t.Claim), "no speed-up is claimed: ")
	}
	return ""
}

func (s *summary) speed() {
	verdict := string(s.r.Parity.Verdict)
	s.line("")
	lead := s.styled(bold, "Speed") + " (parity " + s.styled(verdictStyle(s.r.Parity.Verdict), verdict) + ")  "
	at := len("Speed (parity )  ") + len(verdict)
	words := notClaimed(s.r)
	t := s.r.Timing
	if words == "" {
		words = speedSentence(t)
	}
	for i, l := range breakLines(words, max(20, s.width-at)) {
		if i == 0 {
			s.line(lead + s.styled(bold, l))
		} else {
			s.line(strings.Repeat(" ", at) + s.styled(bold, l))
		}
	}
	if t == nil || s.r.Parity.Verdict != record.Pass {
		return
	}
	rows := [][]cell{{
		{s: "step time", style: faint},
		{s: "threads", style: faint, right: true},
		{s: "median [95 %]", style: faint, right: true},
		{s: "first step", style: faint, right: true},
		{s: "cold start", style: faint, right: true},
	}}
	for _, e := range contenders(t) {
		rows = append(rows, []cell{
			{s: contender(e)},
			{s: count(e.Threads), right: true},
			{s: secondsRange(e.StepSeconds), right: true},
			{s: seconds(e.FirstStepSeconds), right: true},
			{s: seconds(e.ColdStartSeconds), right: true},
		})
	}
	s.table(rows)
	for _, l := range t.LeftOut {
		s.wrap(plain, "  ", leftOutSentence(t, l))
	}
	if compared, marked := comparisonRows(t); len(compared) > 0 {
		rows := [][]cell{{
			{s: "speed-up", style: faint},
			{s: "threads", style: faint, right: true},
			{s: "over", style: faint},
			{s: "threads", style: faint, right: true},
			{s: "median [95 %]", style: faint, right: true},
		}}
		for _, r := range compared {
			rows = append(rows, []cell{{s: r[0]}, {s: r[1], right: true}, {s: r[2]}, {s: r[3], right: true}, {s: r[4], right: true}})
		}
		s.table(rows)
		if marked {
			s.wrap(plain, "  ", notClaimedLegend)
		}
	}
	if t.Speedup != nil {
		s.wrap(plain, "  ", speedupSentence(t))
		if claim := clean(t.Claim); claim != words {
			s.wrap(plain, "  ", claim)
		}
	} else {
		s.wrap(plain, "  ", resolutionSentence(t))
	}
}

func speedupSentence(t *record.Timing) string {
	s := t.Speedup
	return fmt.Sprintf("speed-up %s, 95 %% interval [%s, %s], %s of blocks of %s; %s", ratio(s.Median), ratio(s.Low), ratio(s.High),
		plural(s.N, "pair"), plural(t.BlockSteps, "step"), resolutionSentence(t))
}

func resolutionSentence(t *record.Timing) string {
	a := t.Resolution
	if a.N == 0 {
		return "resolution not measured"
	}
	twin := record.EngineTiming{Engine: t.Reference.Engine, Mode: t.ResolutionMode}
	return fmt.Sprintf("resolution (%s against itself) %s [%s, %s]", contender(twin), ratio(a.Median), ratio(a.Low), ratio(a.High))
}

func (s *summary) memory() {
	if len(s.r.Memory) == 0 {
		return
	}
	var parts []string
	added, _ := s.r.MemoryByTraining()
	for _, role := range []record.Role{record.Reference, record.Candidate} {
		if m, ok := s.r.Memory[role]; ok {
			data := ""
			if m.DataBytes > 0 {
				data = ", " + mebibytes(m.DataBytes) + " of it data"
			}
			parts = append(parts, fmt.Sprintf("%s %s (%s%s)", side(s.r, role), mebibytes(m.PeakBytes), mebibytes(added[role]), data))
		}
	}
	s.wrap(plain, "  peak memory (by training): ", strings.Join(parts, ", "))
}

func (s *summary) compared() {
	s.heading("Compared")
	rows := [][]cell{}
	for _, e := range s.r.Engines {
		rows = append(rows, []cell{{s: string(e.Role)}, {s: engineSentence(e)}})
	}
	rows = append(rows, []cell{{s: "data"}, {s: dataSentence(s.r)}}, []cell{{s: "training"}, {s: trainingSentence(s.r)}})
	s.table(rows)
}

func engineSentence(e record.Engine) string {
	words := e.Name + " " + e.Version
	var versions []string
	for _, k := range slices.Sorted(maps.Keys(e.Versions)) {
		versions = append(versions, k+" "+e.Versions[k])
	}
	if len(versions) > 0 {
		words += " (" + strings.Join(versions, ", ") + ")"
	}
	words += ", " + e.Device
	if e.Threads > 0 { // 0 where one line stands for several numbers
		words += ", " + plural(e.Threads, "thread")
	}
	if e.Mode != "" {
		words += ", " + e.Mode
	}
	if e.Recorded {
		words += ", recorded earlier"
	}
	return clean(words)
}

func dataSentence(r *record.Run) string {
	d := r.Data
	name := d.Description
	if name == "" {
		name = d.Source
	}
	return clean(fmt.Sprintf("%s; %s + %s rows", name, count(d.TrainRows), count(d.TestRows)))
}

func trainingSentence(r *record.Run) string {
	e := r.Experiment
	words := fmt.Sprintf("%s parameters", count(r.Model.Parameters))
	if e != nil {
		batch := fmt.Sprint(e.Train.Batch)
		if e.Train.Accumulate > 1 {
			batch = fmt.Sprintf("%d x %d accumulated", e.Train.Accumulate, e.Train.Batch)
		}
		words += fmt.Sprintf(", %s, learning rate %s, batch %s, %s, seed %d", e.Optimizer.Kind, number(e.Optimizer.LearningRate),
			batch, plural(e.Train.Epochs, "epoch"), e.Seed)
	}
	return clean(words + ", " + plural(r.Data.Steps, "step"))
}

func (s *summary) warnings() {
	if len(s.r.Warnings) > 0 {
		s.heading("Warnings")
		for _, w := range s.r.Warnings {
			s.wrap(yellow, "  ! ", w)
		}
	}
	if s.o.Report != "" {
		s.line("")
		// A path is never broken or cleaned of its double spaces: people copy it.
		s.reportLines()
	}
}

// reportLines says where the report is.
func (s *summary) reportLines() {
	s.line(s.styled(bold, "Report") + "  " + filepath.Clean(s.o.Report))
	if s.o.Page != "" {
		s.line("        " + filepath.Clean(s.o.Page))
	}
}

// details are what --verbose adds.
func (s *summary) details() {
	r := s.r
	if len(r.Parity.Steps) > 0 {
		s.heading("Judged steps, largest rho (error in units of the reference's own noise)")
		rows := [][]cell{{
			{s: "step", style: faint, right: true},
			{s: "rows", style: faint, right: true},
			{s: "loss", style: faint, right: true},
			{s: "gradients", style: faint, right: true},
			{s: "outputs", style: faint, right: true},
			{s: "update", style: faint, right: true},
			{s: "whole step", style: faint, right: true},
			{s: "buffers", style: faint, right: true},
		}}
		for _, st := range r.Parity.Steps {
			rows = append(rows, []cell{
				{s: count(st.Step), right: true},
				{s: count(st.Rows), right: true},
				{s: rho(st.Loss.Rho), right: true},
				{s: largestRho(st.Gradients), right: true},
				{s: largestRho(st.Outputs), right: true},
				{s: largestRho(st.Update), right: true},
				{s: largestRho(st.WholeStep), right: true},
				{s: largestRho(st.Buffers), right: true},
			})
		}
		s.table(rows)
	}
	if p := r.Parity.Proof; p != nil && len(p.Mutants) > 0 {
		s.heading("Planted mistakes")
		rows := [][]cell{{{s: "mistake", style: faint}, {s: "verdict", style: faint}, {s: "first wrong", style: faint}, {s: "named cause", style: faint}}}
		for _, m := range p.Mutants {
			rows = append(rows, []cell{{s: clean(m.Name)}, {s: string(m.Verdict)}, {s: clean(string(m.Stage))}, {s: clean(m.Cause)}})
		}
		s.table(rows)
	}
	if r.Experiment != nil {
		s.heading("Thresholds")
		var rows [][]cell
		for _, t := range thresholds(r.Experiment.Parity.Thresholds) {
			rows = append(rows, []cell{{s: t.name}, {s: number(t.value), right: true}, {s: t.meaning + t.changed()}})
		}
		s.table(rows)
	}
	s.heading("Machine")
	var rows [][]cell
	for _, row := range machine(&r.Environment) {
		rows = append(rows, []cell{{s: row[0]}, {s: clean(row[1])}})
	}
	s.table(rows)
	s.heading("SHA-256")
	rows = [][]cell{{{s: "model"}, {s: r.Model.SHA256}}}
	for _, k := range slices.Sorted(maps.Keys(r.Data.SHA256)) {
		rows = append(rows, []cell{{s: clean(k)}, {s: clean(r.Data.SHA256[k])}})
	}
	s.table(rows)
}

// largest names the tensor with the largest rho; one that is not a number is the worst of all.
func largest(errs []record.TensorError) string {
	if len(errs) == 0 {
		return "-"
	}
	worst := errs[0]
	for _, e := range errs[1:] {
		if worse(e.Rho, worst.Rho) {
			worst = e
		}
	}
	return rho(worst.Rho) + " " + clean(worst.Name)
}

func largestRho(errs []record.TensorError) string {
	words, _, _ := strings.Cut(largest(errs), " ")
	return words
}

// worse reports whether rho a is worse than b: NaN is the worst, then the larger one.
func worse(a, b record.Float) bool {
	if b != b {
		return false
	}
	return a != a || a > b
}
