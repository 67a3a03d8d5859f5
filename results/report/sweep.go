package report

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"tandem/onnx/atomicfile"
	"tandem/results/record"
)

// FileSweep is the chart that [SweepMarkdown] writes beside report.md.
const FileSweep = "sweep.svg"

// SweepMarkdown writes a sweep's report.md and its chart to the existing folder dir, as [Markdown] does for a run.
func SweepMarkdown(dir string, s *record.Sweep) error {
	chart := sweepChart(s)
	if chart != nil {
		if err := atomicfile.WriteBytes(filepath.Join(dir, FileSweep), chart); err != nil {
			return err
		}
	}
	// What a sweep shares with a run is written by the same lines.
	d := &document{
		r:      &record.Run{Environment: s.Environment, Seconds: s.Seconds, Engines: s.Engines, Data: s.Data},
		charts: map[string][]byte{FileSweep: chart},
	}
	d.para("# %s: step time over %s", escape(sweepName(s)), escape(strings.Join(axisNames(s), " and ")))
	titles := make([]string, 0, len(s.Axes)+6)
	for _, a := range s.Axes {
		titles = append(titles, ">"+escape(a.Name))
	}
	titles = append(titles, "parity", ">parameters", "best mode", ">"+escape(sweepEngine(s, record.Reference)), ">"+escape(sweepEngine(s, record.Candidate)), ">speed-up, 95 % interval")
	var rows [][]string
	for i := range s.Points {
		p := &s.Points[i]
		best, reference, candidate, speedup := sweepTimes(p)
		rows = append(rows, append(escapeAll(p.Values), string(p.Verdict), count(p.Parameters), escape(best), escape(reference), escape(candidate), escape(speedup)))
	}
	d.table(titles, rows)
	d.chart(FileSweep, "step time and speed-up")
	if words := sweepOpen(s); len(words) > 0 {
		d.list(escapeAll(words))
	}
	d.para("Each point is a comparison of its own: model exported, identical weights and batches, judged under teacher forcing at the steps %s and by a short training, "+
		"then timed in interleaved blocks in fresh processes. A step is forward, backward and optimizer of one batch. The reference is in the fastest of its measured modes; both engines have the same number of "+
		"threads. Times stand after a PASS alone, with their 95 %% intervals.", escape(judgedSteps(s)))
	if anyUnclaimed(s) {
		d.para("%s.", escape(notClaimedLegend))
	}
	d.para("## What was compared")
	rows = nil
	for _, e := range s.Engines {
		e.Threads = 0
		rows = append(rows, []string{string(e.Role), escape(engineSentence(e))})
	}
	rows = append(rows, []string{"data", escape(dataSentence(d.r))})
	if e := s.Experiment; e != nil {
		rows = append(rows, []string{"experiment", escape(e.Description)}, []string{"model", code(e.Model.Source)}, []string{"optimizer", escape(optimizerSentence(&record.Run{Experiment: e}))})
	}
	d.table([]string{"", ""}, rows)
	d.machine()
	d.reproduce()
	return atomicfile.WriteBytes(filepath.Join(dir, FileReport), []byte(d.b.String()))
}

// SweepTerminal writes a sweep's table and what stands open for a person.
func SweepTerminal(w io.Writer, s *record.Sweep, o Options) error {
	if o.Width <= 0 {
		o.Width = 100
	}
	t := &summary{page: page{color: o.Color, width: max(o.Width, 40)}, r: &record.Run{}, o: o}
	t.line(t.styled(bold, sweepName(s)+": step time over "+strings.Join(axisNames(s), " and ")))
	var head []cell
	for _, a := range s.Axes {
		head = append(head, cell{s: clean(a.Name), style: faint, right: true})
	}
	head = append(head, cell{s: "parity", style: faint}, cell{s: "best mode", style: faint}, cell{s: sweepEngine(s, record.Reference), style: faint, right: true},
		cell{s: sweepEngine(s, record.Candidate), style: faint, right: true}, cell{s: "speed-up [95 %]", style: faint, right: true})
	rows := [][]cell{head}
	for i := range s.Points {
		p := &s.Points[i]
		best, reference, candidate, speedup := sweepTimes(p)
		var row []cell
		for _, v := range p.Values {
			row = append(row, cell{s: clean(v), right: true})
		}
		rows = append(rows, append(row, cell{s: string(p.Verdict), style: verdictStyle(p.Verdict)}, cell{s: best},
			cell{s: reference, right: true}, cell{s: candidate, right: true}, cell{s: speedup, right: true}))
	}
	t.table(rows)
	if anyUnclaimed(s) {
		t.wrap(plain, "  ", notClaimedLegend)
	}
	for _, words := range sweepOpen(s) {
		t.wrap(yellow, "  ! ", words)
	}
	if o.Report != "" {
		t.reportLines()
	}
	return t.write(w)
}

func sweepName(s *record.Sweep) string {
	if s.Experiment == nil {
		return "sweep"
	}
	return clean(s.Experiment.Name)
}

func axisNames(s *record.Sweep) []string {
	var names []string
	for _, a := range s.Axes {
		names = append(names, clean(a.Name))
	}
	return names
}

func sweepEngine(s *record.Sweep, role record.Role) string {
	return side(&record.Run{Engines: s.Engines}, role)
}

// sweepTimes are a point's best mode, step times and speed-up, which is marked when it is not claimed. A wrong training has no speed:
// there are dashes instead.
func sweepTimes(p *record.SweepPoint) (best, reference, candidate, speedup string) {
	if p.Verdict != record.Pass {
		return "-", "-", "-", "-"
	}
	t := p.Timing
	m := t.Measured
	speedup = fmt.Sprintf("%s [%s, %s]", ratio(m.Median), ratio(m.Low), ratio(m.High))
	if t.Speedup == nil {
		speedup = notClaimedMark + " " + speedup
	}
	return or(clean(t.Reference.Mode), "-"), secondsRange(t.Reference.StepSeconds), secondsRange(t.Candidate.StepSeconds), speedup
}

func anyUnclaimed(s *record.Sweep) bool {
	return slices.ContainsFunc(s.Points, func(p record.SweepPoint) bool { return p.Verdict == record.Pass && p.Timing.Speedup == nil })
}

// sweepOpen are the sentences that a reader must know of points: why one is no PASS, what was left out, and its warnings.
func sweepOpen(s *record.Sweep) []string {
	var out []string
	for i := range s.Points {
		p := &s.Points[i]
		where := pointName(s, p) + ": "
		if p.Verdict != record.Pass {
			out = append(out, fmt.Sprintf("%sparity is %s, so no speed is claimed. %s", where, p.Verdict, clean(p.Reasons[0])))
		}
		for _, l := range p.Timing.LeftOut {
			out = append(out, where+leftOutSentence(p.Timing, l))
		}
		for _, w := range p.Warnings {
			out = append(out, where+clean(w))
		}
	}
	return out
}

// pointName names a point by its values: "batch 32, threads 1".
func pointName(s *record.Sweep, p *record.SweepPoint) string {
	var parts []string
	for i, v := range p.Values {
		parts = append(parts, clean(s.Axes[i].Name+" "+v))
	}
	return strings.Join(parts, ", ")
}

// judgedSteps lists the steps that were judged at every point.
func judgedSteps(s *record.Sweep) string {
	var common []int
	for i := range s.Points {
		if i == 0 {
			common = slices.Clone(s.Points[0].JudgedSteps)
			continue
		}
		common = slices.DeleteFunc(common, func(n int) bool { return !slices.Contains(s.Points[i].JudgedSteps, n) })
	}
	parts := make([]string, len(common))
	for i, n := range common {
		parts[i] = count(n)
	}
	return strings.Join(parts, ", ")
}
