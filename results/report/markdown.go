package report

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tandem/fixtures/experiment"
	"tandem/onnx/atomicfile"
	"tandem/results/record"
)

// The files that [Markdown] writes.
const (
	FileReport     = "report.md"
	FileLoss       = "loss.svg"
	FileDifference = "difference.svg"
	FileStepTime   = "step-time.svg"
	FileRuns       = "runs.svg"
)

// worstTensors is how many tensors the table of the largest rho has.
const worstTensors = 10

// Markdown writes report.md and its charts to the existing folder dir. Each file is replaced as a whole or not at all;
// report.md comes last, so that it never shows a chart that is not there. A chart of an earlier report that this one
// lacks is removed.
func Markdown(dir string, r *record.Run) error {
	charts := map[string][]byte{
		FileLoss:       lossChart(r),
		FileDifference: differenceChart(r),
		FileStepTime:   stepTimeChart(r),
		FileRuns:       runsChart(r),
	}
	names := slices.Sorted(maps.Keys(charts))
	for _, name := range names {
		if charts[name] != nil {
			if err := atomicfile.WriteBytes(filepath.Join(dir, name), charts[name]); err != nil {
				return err
			}
		}
	}
	d := &document{r: r, charts: charts}
	d.write()
	if err := atomicfile.WriteBytes(filepath.Join(dir, FileReport), []byte(d.b.String())); err != nil {
		return err
	}
	for _, name := range names {
		if charts[name] == nil {
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// document is a report being written.
type document struct {
	b      strings.Builder
	r      *record.Run
	charts map[string][]byte
}

func (d *document) write() {
	d.verdict()
	d.speed()
	d.training()
	d.runs()
	d.forward()
	d.tensors()
	d.memory()
	d.profile()
	d.compared()
	d.thresholds()
	d.machine()
	d.method()
	d.reproduce()
}

// para writes a paragraph.
func (d *document) para(format string, args ...any) {
	fmt.Fprintf(&d.b, format, args...)
	d.b.WriteString("\n\n")
}

// list writes bullets. The items are Markdown.
func (d *document) list(items []string) {
	for _, item := range items {
		fmt.Fprintf(&d.b, "- %s\n", item)
	}
	d.b.WriteByte('\n')
}

// table writes a table in GitHub's Markdown. Columns whose title begins with ">" are aligned right. Cells are Markdown;
// a vertical bar in one is escaped.
func (d *document) table(titles []string, rows [][]string) {
	line := func(cells []string) {
		d.b.WriteByte('|')
		for _, c := range cells {
			d.b.WriteString(" " + strings.ReplaceAll(c, "|", `\|`) + " |")
		}
		d.b.WriteByte('\n')
	}
	names, rules := make([]string, len(titles)), make([]string, len(titles))
	for i, t := range titles {
		rules[i] = "---"
		if strings.HasPrefix(t, ">") {
			rules[i] = "---:"
		}
		names[i] = strings.TrimPrefix(t, ">")
	}
	line(names)
	line(rules)
	for _, row := range rows {
		line(row)
	}
	d.b.WriteByte('\n')
}

func (d *document) chart(file, alt string) {
	if d.charts[file] != nil {
		d.para("![%s](%s)", alt, file)
	}
}

// escape makes a text from a record plain in Markdown.
var markdownEscaper = strings.NewReplacer(`\`, `\\`, "`", "\\`", "*", `\*`, "[", `\[`, "]", `\]`, "<", "&lt;", ">", "&gt;", "&", "&amp;")

func escape(s string) string { return markdownEscaper.Replace(clean(s)) }

// code writes a name from a record in the typewriter's face.
func code(s string) string {
	s = strings.ReplaceAll(clean(s), "`", "'")
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

func escapeAll(items []string) []string {
	out := make([]string, len(items))
	for i, s := range items {
		out[i] = escape(s)
	}
	return out
}

func (d *document) verdict() {
	p := &d.r.Parity
	name := "experiment"
	if d.r.Experiment != nil {
		name = escape(d.r.Experiment.Name)
	}
	d.para("# %s: %s", name, p.Verdict)
	d.para("**%s.** Written by tandem %s on %s.", escape(headline(d.r)), escape(d.r.Environment.Tandem), d.r.Started.UTC().Format("2006-01-02 15:04 UTC"))
	for _, e := range d.r.Engines {
		if e.Mutant != "" {
			d.para("> **%s has a planted mistake: %s.** This run tests the judge, not the engine.", escape(e.Name), escape(e.Mutant))
		}
	}
	d.diagnosis()
	d.para("## Why")
	d.list(escapeAll(p.Reasons))
	if len(p.ChangedThresholds) > 0 {
		d.para("> **The experiment changed the limits of the verdict:** %s.", escape(strings.Join(p.ChangedThresholds, "; ")))
	}
	if len(d.r.Warnings) > 0 {
		d.para("## Warnings")
		d.list(escapeAll(d.r.Warnings))
	}
	d.para("## Stages")
	d.para("Training is judged in the order in which a mistake spreads. \"Checked\" counts comparisons; a stage without any is not judged. " +
		"rho is an error in units of the reference's own rounding noise; the float64 gap compares both engines in double precision.")
	var rows [][]string
	for _, s := range p.Stages {
		maxRho, maxGap := extremes(p, s.Stage)
		rows = append(rows, []string{escape(string(s.Stage)), "**" + stageVerdict(s) + "**", count(s.Checked), maxRho, maxGap, escape(s.Worst), escape(s.Summary)})
	}
	d.table([]string{"stage", "verdict", ">checked", ">largest rho", ">largest float64 gap", "worst", ""}, rows)
	if p.Proof != nil {
		d.para("%s.", escape(sentence(proofSentence(p.Proof))))
		var rows [][]string
		for _, m := range p.Proof.Mutants {
			cause := ""
			if m.Cause != "" {
				cause = code(m.Cause)
			}
			rows = append(rows, []string{code(m.Name), string(m.Verdict), string(m.Stage), cause})
		}
		if len(rows) > 0 {
			d.table([]string{"planted mistake", "verdict", "first wrong stage", "named cause"}, rows)
		}
	}
}

// diagnosis says of a FAIL where it comes from.
func (d *document) diagnosis() {
	found := d.r.Parity.Diagnosis
	if found == nil {
		return
	}
	d.para("## Where it comes from")
	d.para("%s", escape(found.Summary))
	var rows [][]string
	for _, row := range diagnosisRows(found, "") {
		rows = append(rows, []string{"**" + row[0] + "**", escape(row[1])})
	}
	d.table([]string{"", ""}, rows)
}

// sentence begins words with a capital letter.
func sentence(words string) string { return strings.ToUpper(words[:1]) + words[1:] }

func (d *document) speed() {
	t := d.r.Timing
	d.para("## Speed (parity %s)", d.r.Parity.Verdict)
	if words := notClaimed(d.r); words != "" {
		d.para("%s.", escape(sentence(strings.TrimRight(words, "."))))
	} else {
		said := speedSentence(t)
		d.para("**%s.** %s.", escape(said), escape(sentence(speedupSentence(t))))
		if claim := clean(t.Claim); claim != said {
			d.para("%s", escape(claim))
		}
	}
	if t == nil || d.r.Parity.Verdict != record.Pass {
		return
	}
	if t.Speedup == nil {
		d.para("%s.", escape(sentence(resolutionSentence(t))))
	}
	var rows [][]string
	for _, e := range contenders(t) {
		u := unitFor(e.StepSeconds.Median)
		rows = append(rows, []string{
			escape(contender(e)), count(e.Threads), seconds(e.StepSeconds.Median),
			fmt.Sprintf("%s to %s %s", threeDigits(e.StepSeconds.Low/u.size), threeDigits(e.StepSeconds.High/u.size), u.name),
			count(e.StepSeconds.N), seconds(e.FirstStepSeconds), seconds(e.ColdStartSeconds),
		})
	}
	d.table([]string{"contender", ">threads", ">step, median", ">95 % interval", ">blocks", ">first step", ">cold start"}, rows)
	var left []string
	for _, l := range t.LeftOut {
		left = append(left, escape(leftOutSentence(t, l)))
	}
	if len(left) > 0 {
		d.list(left)
	}
	if compared, marked := comparisonRows(t); len(compared) > 0 {
		d.para("With other numbers of threads, in the same rounds (the parity was judged with %s). \"best\" is the number that %s is fastest with.",
			plural(t.Candidate.Threads, "thread"), escape(t.Reference.Engine))
		rows = nil
		for _, r := range compared {
			rows = append(rows, escapeAll(r))
		}
		d.table([]string{"speed-up of", ">threads", "over", ">threads", ">median, 95 % interval"}, rows)
		if marked {
			d.para("%s.", escape(notClaimedLegend))
		}
	}
	d.chart(FileStepTime, "step time of each contender")
	d.para("A step is forward, backward and optimizer of one batch. Blocks of %s of all contenders were interleaved; the speed-up is the median of "+
		"the ratios of paired blocks. Of several modes of the reference the one with the lowest median counts, which favours the reference a little. The resolution is the reference against itself in the same session: no speed-up smaller than it is claimed. "+
		"The cold start runs from the start of the process to the end of its first step.", plural(t.BlockSteps, "step"))
}

func (d *document) training() {
	l := &d.r.Loss
	d.para("## Training")
	ref, cand := side(d.r, record.Reference), side(d.r, record.Candidate)
	row := func(name string, losses []record.Float, accuracy float64, perplexity record.Float) []string {
		first, last := "-", "-"
		if n := len(losses); n > 0 {
			first, last = loss(losses[0]), loss(losses[n-1])
		}
		cells := []string{escape(name), count(len(losses)), first, last}
		if d.r.Accuracy != nil {
			cells = append(cells, percent(accuracy))
		}
		if d.r.Perplexity != nil {
			cells = append(cells, ratio(float64(perplexity)))
		}
		return cells
	}
	titles := []string{"engine", ">losses", ">first", ">last"}
	var a record.Accuracy
	if d.r.Accuracy != nil {
		a = *d.r.Accuracy
		titles = append(titles, ">test accuracy")
	}
	var p record.Perplexity
	if d.r.Perplexity != nil {
		p = *d.r.Perplexity
		titles = append(titles, ">test perplexity")
	}
	d.table(titles, [][]string{row(ref, l.Reference, a.Reference, p.Reference), row(cand, l.Candidate, a.Candidate, p.Candidate)})
	if d.r.Accuracy != nil {
		d.para("Accuracy is over %s; it was %s before training.", plural(a.Rows, "test row"), percent(a.Initial))
	}
	if d.r.Perplexity != nil {
		d.para("Perplexity, the exponential of the mean loss, is over %s; it was %s before training.", plural(p.Positions, "test position"), ratio(float64(p.Initial)))
	}
	if d.r.TestLoss != nil {
		d.para("Loss on the test rows: %s.", escape(testLossSentence(d.r)))
	}
	for _, x := range []struct {
		name   string
		losses []record.Float
	}{{ref, l.Reference}, {cand, l.Candidate}} {
		if at := firstBad(x.losses); at >= 0 {
			d.para("**The loss of %s is %s at step %s.**", escape(x.name), number(float64(x.losses[at])), count(at))
		}
	}
	d.chart(FileLoss, "loss of both engines at each step")
	d.chart(FileDifference, "relative difference of the losses at each step")
	if c := d.r.Parity.Curve; c != nil {
		d.para("%s. Mean loss of the reference's first tenth %s, of its last %s.", escape(sentence(curveSentence(c))), loss(c.FirstTenth), loss(c.LastTenth))
		d.para("Two right trainings part: rounding differs, and training makes the difference grow. The envelope shows how far legitimate variants of the "+
			"reference itself part (%s). The candidate is one more such run: where it leaves the envelope is chance, once a unit falls on the other side "+
			"of a kink, but it has to leave without a leap, grow away as those do, and end as well; the steps at which it leaves are judged from the "+
			"reference's own state where the reference can be asked.", escape(strings.Join(c.Variants, ", ")))
	}
}

func (d *document) forward() {
	if len(d.r.Forward) == 0 {
		return
	}
	d.para("## Independent forward passes")
	d.para("Programs that share no code compute the outputs of the test rows in eval mode. The difference is the largest one over the largest output.")
	var rows [][]string
	for _, f := range d.r.Forward {
		difference, outcome := relative(f.MaxDiff), "agree"
		switch {
		case f.Skipped != "":
			difference, outcome = "-", "skipped: "+escape(f.Skipped)
		case !f.OK:
			outcome = "**DIFFER**"
		}
		rows = append(rows, []string{escape(strings.TrimSuffix(f.Weights, " weights")), escape(f.A), escape(f.B), count(f.Rows), difference, relative(f.Limit), outcome})
	}
	d.table([]string{"weights", "one", "other", ">rows", ">difference", ">limit", ""}, rows)
}

// judgedTensor is a tensor of a judged step.
type judgedTensor struct {
	record.TensorError
	step int
	kind string
}

// worstFirst are the tensors of all judged steps, the largest rho first.
func worstFirst(p *record.Parity) []judgedTensor {
	var all []judgedTensor
	for _, s := range p.Steps {
		for _, part := range []struct {
			kind string
			errs []record.TensorError
		}{{"gradient", s.Gradients}, {"output", s.Outputs}, {"update", s.Update}, {"whole step", s.WholeStep}, {"buffer", s.Buffers}} {
			for _, e := range part.errs {
				all = append(all, judgedTensor{e, s.Step, part.kind})
			}
		}
	}
	slices.SortStableFunc(all, func(a, b judgedTensor) int {
		switch {
		case worse(a.Rho, b.Rho):
			return -1
		case worse(b.Rho, a.Rho):
			return 1
		}
		return 0
	})
	return all
}

func (d *document) tensors() {
	p := &d.r.Parity
	all := worstFirst(p)
	if len(all) == 0 {
		return
	}
	d.para("## Judged steps")
	d.para("At a judged step the candidate is given the reference's whole state, so that no step is blamed for an earlier one's rounding. The error of a tensor " +
		"is its distance from the float64 result, relative to that result's norm. The floor is the largest error among legitimate variants of the " +
		"reference itself. rho is error over floor: about 1 is the reference's own noise.")
	var rows [][]string
	for _, s := range p.Steps {
		rows = append(rows, []string{count(s.Step), count(s.Rows), rho(s.Loss.Rho), escape(largest(s.Gradients)), escape(largest(s.Outputs)), escape(largest(slices.Concat(s.Update, s.WholeStep, s.Buffers)))})
	}
	d.table([]string{">step", ">rows", ">rho of the loss", "largest rho of the gradients", "of the outputs", "of the update, whole step and buffers"}, rows)

	d.para("The %d largest rho of %s:", min(worstTensors, len(all)), plural(len(all), "judged tensor"))
	rows = nil
	for _, t := range all[:min(worstTensors, len(all))] {
		gap, name := "-", code(t.Name)
		if t.Float64Gap != nil {
			gap = relative(*t.Float64Gap)
		}
		if t.Zero {
			name += " (zero by structure)"
		}
		rows = append(rows, []string{rho(t.Rho), t.kind, name, count(t.step), relative(t.Error), relative(t.Floor), gap})
	}
	d.table([]string{">rho", "of", "tensor", ">step", ">error", ">floor", ">float64 gap"}, rows)

	if len(p.FinalWeights) > 0 {
		d.para("After free-running training the weights compare so; shown, never judged alone, for rounding grows:")
		rows = nil
		for _, t := range p.FinalWeights {
			rows = append(rows, []string{code(t.Name), relative(t.Error), relative(t.Floor), rho(t.Rho)})
		}
		d.table([]string{"tensor", ">error", ">floor", ">rho"}, rows)
	}
}

func (d *document) memory() {
	if len(d.r.Memory) == 0 {
		return
	}
	d.para("## Memory")
	added, own := d.r.MemoryByTraining()
	d.para("Resident memory of each process that was timed. The baseline stands after start-up and imports, before anything is loaded; the peak is the largest " +
		"since then, of loading or of the steps. An engine that keeps the whole data set in memory, as its users' programs do, has it in its peak.")
	columns := []string{"engine", ">baseline", ">peak", ">peak less baseline"}
	if own {
		d.para("By training is what was added without the pages of executables and libraries, code and constants, that the process has not written to: they are in files, all processes " +
			"that run these share them, and how many were there at the baseline depends on what the system had read ahead. All else counts on both sides: data, whether read or mapped, " +
			"weights, gradients, activations, code that was generated, and what the allocator keeps.")
		columns = append(columns, ">by training")
	}
	held := d.r.Memory[record.Reference].DataBytes > 0 || d.r.Memory[record.Candidate].DataBytes > 0
	if held {
		columns = append(columns, ">of it the data set")
	}
	var rows [][]string
	for _, role := range []record.Role{record.Reference, record.Candidate} {
		if m, ok := d.r.Memory[role]; ok {
			row := []string{escape(side(d.r, role)), mebibytes(m.BaselineBytes), mebibytes(m.PeakBytes), mebibytes(m.PeakBytes - m.BaselineBytes)}
			if own {
				row = append(row, mebibytes(added[role]))
			}
			if held {
				row = append(row, mebibytes(m.DataBytes))
			}
			rows = append(rows, row)
		}
	}
	d.table(columns, rows)
}

func (d *document) compared() {
	r := d.r
	d.para("## What was compared")
	var rows [][]string
	for _, e := range r.Engines {
		rows = append(rows, []string{string(e.Role), escape(engineSentence(e))})
	}
	rows = append(rows, []string{"data", escape(dataSentence(r))})
	if r.Data.License != "" {
		rows = append(rows, []string{"licence of the data", escape(r.Data.License)})
	}
	rows = append(rows, []string{"training", escape(trainingSentence(r))})
	if e := r.Experiment; e != nil {
		rows = append(rows, []string{"experiment", escape(e.Description)}, []string{"model", code(e.Model.Source)}, []string{"loss", escape(lossSentence(e.Loss))},
			[]string{"optimizer", escape(optimizerSentence(r))})
	}
	rows = append(rows, []string{"exported by", escape(fmt.Sprintf("%s, opset %d, %s", r.Model.Exporter, r.Model.Opset, plural(r.Model.DropoutSites, "dropout site")))})
	if r.Model.FileAbsent != "" {
		rows = append(rows, []string{"model file", escape(r.Model.FileAbsent)})
	}
	for _, c := range r.Model.ExporterChecks {
		rows = append(rows, []string{"export checked", escape(c)})
	}
	d.table([]string{"", ""}, rows)

	d.para("Identical at the start: weights %s, data %s. SHA-256:", yesNo(r.Parity.InitialStateIdentical), yesNo(r.Parity.DataIdentical))
	rows = [][]string{{code(r.Model.File), "", code(r.Model.SHA256)}}
	for _, k := range slices.Sorted(maps.Keys(r.Data.SHA256)) {
		rows = append(rows, []string{code(k), "", code(r.Data.SHA256[k])})
	}
	for _, t := range r.Model.Tensors {
		rows = append(rows, []string{code(t.Name), escape(t.DType) + " " + shape(t.Shape), code(t.SHA256)})
	}
	d.table([]string{"what", "type", "SHA-256"}, rows)
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "**no**"
}

// shape writes a shape as "128x784"; a scalar's is empty.
func shape(dims []int) string {
	parts := make([]string, len(dims))
	for i, n := range dims {
		parts[i] = fmt.Sprint(n)
	}
	return strings.Join(parts, "x")
}

func lossSentence(l experiment.Loss) string {
	words := l.Kind + ", " + l.Reduction
	if len(l.ClassWeights) > 0 {
		words += fmt.Sprintf(", class weights %v", l.ClassWeights)
	}
	if l.IgnoreIndex != nil {
		words += fmt.Sprintf(", targets of %d ignored", *l.IgnoreIndex)
	}
	if l.LabelSmoothing > 0 {
		words += ", label smoothing " + number(l.LabelSmoothing)
	}
	if l.ClassDim == 1 {
		words += ", classes in the second dimension"
	}
	if l.Delta > 0 {
		words += ", delta " + number(l.Delta)
	}
	if l.Beta > 0 {
		words += ", beta " + number(l.Beta)
	}
	if len(l.PositiveWeights) > 0 {
		words += fmt.Sprintf(", weights of positive targets %v", l.PositiveWeights)
	}
	if l.LogTarget {
		words += ", targets are logarithms"
	}
	return words
}

func optimizerSentence(r *record.Run) string {
	o := r.Experiment.Optimizer
	words := fmt.Sprintf("%s, learning rate %s", o.Kind, number(o.LearningRate))
	for _, v := range []struct {
		key, text string
	}{
		{"betas", "betas " + number(o.Betas[0]) + " and " + number(o.Betas[1])},
		{"alpha", "alpha " + number(o.Alpha)},
		{"eps", "eps " + number(o.Eps)},
		{"momentum", "momentum " + number(o.Momentum)},
		{"dampening", "dampening " + number(o.Dampening)},
		{"nesterov", fmt.Sprintf("Nesterov %t", o.Nesterov)},
		{"centered", fmt.Sprintf("centered %t", o.Centered)},
		{"lr_decay", "decay of the rate " + number(o.LRDecay)},
		{"initial_accumulator_value", "initial accumulator " + number(o.InitialAccumulator)},
		{"momentum_decay", "momentum decay " + number(o.MomentumDecay)},
		{"decoupled_weight_decay", fmt.Sprintf("decoupled weight decay %t", o.DecoupledDecay)},
	} {
		if o.Uses(v.key) {
			words += ", " + v.text
		}
	}
	return words + ", weight decay " + number(o.WeightDecay)
}

func (d *document) thresholds() {
	if d.r.Experiment == nil {
		return
	}
	d.para("## Limits of the verdict")
	var rows [][]string
	for _, t := range thresholds(d.r.Experiment.Parity.Thresholds) {
		usual := number(t.usual)
		if t.changed() != "" {
			usual = "**" + usual + "** (changed)"
		}
		rows = append(rows, []string{code(t.name), number(t.value), usual, escape(t.meaning)})
	}
	d.table([]string{"name", ">here", ">usual", "meaning"}, rows)
}

func (d *document) machine() {
	d.para("## Machine and programs")
	var rows [][]string
	for _, row := range machine(&d.r.Environment) {
		value := escape(row[1])
		if row[0] == "command" {
			value = code(row[1])
		}
		rows = append(rows, []string{escape(row[0]), value})
	}
	rows = append(rows, []string{"whole command", seconds(d.r.Seconds)})
	d.table([]string{"", ""}, rows)
}

func (d *document) method() {
	d.para("## How to read this")
	d.para("Correctness comes first. PASS means that at the judged steps the candidate's outputs, gradients and updates are as near to the float64 result " +
		"as the reference's own rounding allows, up to the factor `pass_rho` above, and that float64 against float64 both agree to many more digits, " +
		"which a mistake would not. FAIL names the first part of training that is wrong. INCONCLUSIVE says what is missing for a decision. Loss curves " +
		"alone never give PASS: some mistakes do not show in them, and right trainings part late. Speed counts after a PASS alone.")
	d.para("Both engines speak the same protocol. They are given the same weights (in the ONNX file), the same batches in the same order and, while " +
		"parity is judged, the same dropout masks; the digests above are of what they held. Every number here comes from the run's record, `result.json`, " +
		"which keeps the raw samples too.")
}

func (d *document) reproduce() {
	line := commandLine(d.r.Environment.CommandLine)
	if line == "" {
		return
	}
	d.para("## Run it again")
	// A fence longer than any in the command cannot be closed by it.
	fence := "```"
	for strings.Contains(line, fence) {
		fence += "`"
	}
	fmt.Fprintf(&d.b, "%ssh\n%s\n%s\n", fence, line, fence)
}
