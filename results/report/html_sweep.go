package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tandem/results/record"
)

// Verdict is a run's verdict, or the worst of a sweep's points.
func Verdict(e Entry) record.Verdict {
	if e.Sweep == nil {
		return e.Run.Parity.Verdict
	}
	worst := record.Pass
	for _, p := range e.Sweep.Points {
		if p.Verdict != record.Pass && worst != record.Fail {
			worst = p.Verdict
		}
	}
	return worst
}

// sweepView shows a sweep.
func sweepView(s *record.Sweep) *view {
	worst, passed := Verdict(Entry{Sweep: s}), 0
	for _, p := range s.Points {
		if p.Verdict == record.Pass {
			passed++
		}
	}
	v := &view{
		Name: sweepName(s), NamePath: pathIf(s.Experiment != nil, "experiment.name", ""), Verdict: string(worst), Class: verdictClass(worst),
		Headline: words("Step time over " + strings.Join(axisNames(s), " and ") + "."),
		Date:     shown{Text: s.Started.UTC().Format("2006-01-02 15:04 UTC"), Path: "started"},
		Keys: []keyFigure{
			{Label: "points that pass", Value: []shown{{Text: count(passed), Class: "counted"}}, Note: []shown{own("of "), {Text: count(len(s.Points)), Class: "counted"}}},
		},
	}
	t := &table{}
	for _, a := range s.Axes {
		t.Head = append(t.Head, ">"+clean(a.Name))
	}
	t.Head = append(t.Head, "parity", ">parameters", "best mode", ">"+sweepEngine(s, record.Reference), ">"+sweepEngine(s, record.Candidate), ">speed-up", "")
	for i := range s.Points {
		p := &s.Points[i]
		var cells [][]shown
		for k, value := range p.Values {
			cells = append(cells, []shown{{Text: clean(value), Path: fmt.Sprintf(".values[%d]", k)}})
		}
		cells = append(cells, []shown{{Text: string(p.Verdict), Path: ".verdict", Class: "chip " + verdictClass(p.Verdict)}}, []shown{{Text: count(p.Parameters), Path: ".parameters"}})
		if p.Verdict != record.Pass {
			cells = append(cells, words("-"), words("-"), words("-"), words("-"), words(""))
		} else {
			base := fmt.Sprintf("points[%d].timing", i)
			quantile := func(q record.Quantile, name string) []shown {
				return []shown{{Text: seconds(q.Median), Path: base + "." + name + ".step_seconds.median"}}
			}
			m, path, mark := p.Timing.Measured, base+".measured_ratio", notClaimedMark+" "
			if p.Timing.Speedup != nil {
				m, path, mark = *p.Timing.Speedup, base+".speedup", ""
			}
			cells = append(cells, optional(p.Timing.Reference.Mode, base+".reference.mode"), quantile(p.Timing.Reference.StepSeconds, "reference"), quantile(p.Timing.Candidate.StepSeconds, "candidate"),
				[]shown{own(mark), {Text: ratio(m.Median), Path: path + ".median", Class: "strong"}},
				[]shown{{Text: ratio(m.Low), Path: path + ".low"}, own(" to "), {Text: ratio(m.High), Path: path + ".high"}})
		}
		t.add(fmt.Sprintf("points[%d]", i), cells...)
	}
	parts := []part{{Table: t}}
	if anyUnclaimed(s) {
		parts = append(parts, part{Para: words(notClaimedLegend + ".")})
	}
	v.add("points", "Points", parts...)
	v.add("speed", "How the cost grows", sweepParts(s)...)
	var open [][]shown
	for i := range s.Points {
		p := &s.Points[i]
		name := []shown{{Text: pointName(s, p), Class: "key"}, own(": ")}
		if p.Verdict != record.Pass {
			for k, reason := range p.Reasons {
				open = append(open, append(name[:2:2], shown{Text: clean(reason), Path: fmt.Sprintf("points[%d].reasons[%d]", i, k)}))
			}
		}
		for k, w := range p.Warnings {
			open = append(open, append(name[:2:2], shown{Text: clean(w), Path: fmt.Sprintf("points[%d].warnings[%d]", i, k)}))
		}
	}
	if len(open) > 0 {
		v.add("open", "What a reader must know", part{List: open})
	}
	r := &record.Run{Environment: s.Environment, Seconds: s.Seconds, Engines: s.Engines, Data: s.Data}
	facts := &table{Class: "facts"}
	for i, e := range s.Engines {
		e.Threads = 0 // one line stands for several numbers
		facts.add("", []shown{{Text: clean(string(e.Role)), Path: fmt.Sprintf("engines[%d].role", i)}}, engineShown(e, fmt.Sprintf("engines[%d]", i)))
	}
	if s.Experiment != nil {
		facts.add("", words("experiment"), optional(s.Experiment.Description, "experiment.description"))
	}
	facts.add("", words("data"), optional(or(s.Data.Description, s.Data.Source), pathIf(s.Data.Description != "", "data.description", "data.source")))
	facts.add("", words("machine"), optional(s.Environment.CPU, "environment.cpu"))
	facts.add("", words("whole command"), []shown{{Text: seconds(s.Seconds), Path: "seconds"}})
	compared := []part{{Table: facts}, {Para: words("Each point is a comparison of its own: model exported, identical weights and batches, judged under teacher forcing and by a short training, then timed in interleaved blocks in fresh processes. " +
		"The reference is in the fastest of its measured modes; both engines have the same number of threads. Times stand after a PASS alone.")}}
	if line := commandLine(r.Environment.CommandLine); line != "" {
		compared = append(compared, part{Para: words("Run it again:")}, part{Code: &shown{Text: clean(line), Path: "environment.command_line"}})
	}
	v.add("compared", "What was compared", compared...)
	return v
}

// sweepParts draw step times and speed-ups of the points that passed along each key that was varied over numbers.
func sweepParts(s *record.Sweep) (out []part) {
	u, low, high, ok := sweepRange(s)
	if !ok {
		return nil
	}
	for _, along := range horizontalAxes(s) {
		out = append(out, sweepAlong(s, along, u, low, high)...)
	}
	return out
}

// sweepAlong draws along one axis; all times are from low to high seconds, in the unit u.
func sweepAlong(s *record.Sweep, along int, u timeUnit, low, high float64) []part {
	name := clean(s.Axes[along].Name)
	positions, logarithmic := axisPositions(s.Axes[along].Values)
	place := map[string]float64{}
	least, most := math.Inf(1), math.Inf(-1)
	for i, v := range s.Axes[along].Values {
		place[v] = positions[i]
		least, most = min(least, positions[i]), max(most, positions[i])
	}
	x := axis{Low: least - 0.3, High: most + 0.3}
	if logarithmic {
		x = axis{least / 1.15, most * 1.15, true}
	}
	slow, fast := 0.9, 1.1
	for i := range s.Points {
		if p := &s.Points[i]; p.Verdict == record.Pass {
			slow, fast = min(slow, p.Timing.Measured.Low), max(fast, p.Timing.Measured.High)
		}
	}
	drawn, note := drawnGroups(s, along)
	note = clean(note)
	times := &figure{
		Title: "Step time against " + name + note, XName: name, YName: "log scale", Describe: "Step time of both engines over " + name, X: x, Y: axis{low / 1.3, high * 1.3, true},
	}
	ratios := &figure{Title: "Speed-up against " + name + note, XName: name, YName: "times as fast, log scale", Describe: "Speed-up over " + name, X: x, Y: axis{slow / 1.15, fast * 1.15, true}}
	if logarithmic {
		times.XName += ", log scale"
		ratios.XName = times.XName
	}
	for k, g := range drawn {
		dash := fmt.Sprintf("dash%d", k%4)
		suffix := ""
		if g.name != "" && len(drawn) > 1 {
			suffix = ", " + g.name
		}
		for _, c := range []struct {
			f           *figure
			class, name string
			of          func(*record.Timing) (low, median, high float64)
			path        string
		}{
			{times, "ref", sweepEngine(s, record.Reference) + suffix, func(t *record.Timing) (float64, float64, float64) {
				return spreadOf(t.Reference.StepSeconds)
			}, "reference"},
			{times, "cand", sweepEngine(s, record.Candidate) + suffix, func(t *record.Timing) (float64, float64, float64) {
				return spreadOf(t.Candidate.StepSeconds)
			}, "candidate"},
			{ratios, "cand", or(g.name, "speed-up"), func(t *record.Timing) (float64, float64, float64) {
				return t.Measured.Low, t.Measured.Median, t.Measured.High
			}, "ratio"},
		} {
			var line, bars strings.Builder
			for _, i := range g.points {
				p := &s.Points[i]
				if p.Verdict != record.Pass {
					continue
				}
				low, median, high := c.of(p.Timing)
				at := units(tenth(x.at(place[p.Values[along]])))
				y := func(v float64) string { return units(tenth(1000 - c.f.Y.at(v))) }
				command := "L"
				if line.Len() == 0 {
					command = "M"
				}
				line.WriteString(command + at + " " + y(median))
				bars.WriteString("M" + at + " " + y(low) + "V" + y(high))
			}
			if line.Len() > 0 {
				c.f.Layers = append(c.f.Layers, layer{Class: "line " + c.class + " " + dash, D: line.String()}, layer{Class: "line bars " + c.class, D: bars.String()})
				c.f.Legend = append(c.f.Legend, legendItem{"line " + c.class + " " + dash, []shown{{Text: c.name, Class: "key"}}})
			}
		}
	}
	for _, f := range []*figure{times, ratios} {
		f.YTicks = figureTicks(f.Y, true)
		for i, v := range s.Axes[along].Values {
			f.XTicks = append(f.XTicks, axisTick{At: percentAt(x.at(positions[i])), Label: clean(v)})
		}
	}
	times.YTicks, times.YName = figureTicks(axis{times.Y.Low / u.size, times.Y.High / u.size, true}, true), u.name+", log scale"
	return []part{{Figure: times}, {Figure: ratios}}
}

func spreadOf(q record.Quantile) (low, median, high float64) { return q.Low, q.Median, q.High }

// speedupRange is the smallest and the largest speed-up that a sweep's points claim.
func speedupRange(s *record.Sweep) []shown {
	least, most := -1, -1
	of := func(i int) float64 { return s.Points[i].Timing.Speedup.Median }
	for i := range s.Points {
		if p := &s.Points[i]; p.Verdict == record.Pass && p.Timing != nil && p.Timing.Speedup != nil {
			if least < 0 || of(i) < of(least) {
				least = i
			}
			if most < 0 || of(i) > of(most) {
				most = i
			}
		}
	}
	if least < 0 {
		return words("-")
	}
	path := func(i int) string { return fmt.Sprintf("points[%d].timing.speedup.median", i) }
	return []shown{{Text: ratio(of(least)), Path: path(least), Class: "strong"}, own(" to "), {Text: ratio(of(most)), Path: path(most), Class: "strong"}}
}

// summaryView is a table of all records of a page. What all of them compare stands above it once.
func summaryView(entries []Entry) *table {
	t := &table{Class: "overview", Head: []string{"experiment", "verdict", "compared", ">rows", ">threads", ">steps", ">rho", ">float64 gap", ">reference", ">candidate", ">speed-up", ">resolution"}}
	for i, e := range entries {
		id := fmt.Sprintf("run-%d", i)
		r := tableRow{Record: fmt.Sprintf("record-%d", i)}
		add := func(right bool, parts ...shown) { r.Cells = append(r.Cells, tableCell{Parts: parts, Right: right}) }
		if e.Sweep != nil {
			v := sweepView(e.Sweep)
			r.Cells = append(r.Cells, tableCell{Parts: words(v.Name + ", sweep"), Link: "#" + id})
			add(false, shown{Text: v.Verdict, Class: "chip " + v.Class})
			add(false, own(sweepEngine(e.Sweep, record.Candidate)+" with "+sweepEngine(e.Sweep, record.Reference)))
			add(true, shown{Text: count(e.Sweep.Data.TrainRows), Path: "data.train_rows"})
			for range 6 {
				add(true, own("-"))
			}
			add(true, speedupRange(e.Sweep)...)
			add(true, own("-"))
			t.Rows = append(t.Rows, r)
			continue
		}
		run := e.Run
		if run == nil {
			continue
		}
		name := "experiment"
		if run.Experiment != nil {
			name = or(clean(run.Experiment.Name), name)
		}
		r.Cells = append(r.Cells, tableCell{Parts: []shown{{Text: name, Path: pathIf(run.Experiment != nil, "experiment.name", "")}}, Link: "#" + id})
		add(false, shown{Text: string(run.Parity.Verdict), Path: "parity.verdict", Class: "chip " + verdictClass(run.Parity.Verdict)})
		add(false, own(side(run, record.Candidate)+" with "+side(run, record.Reference)))
		add(true, shown{Text: count(run.Data.TrainRows), Path: "data.train_rows"})
		if len(run.Engines) > 1 {
			add(true, shown{Text: count(run.Engines[1].Threads), Path: "engines[1].threads"})
		} else {
			add(true, own("-"))
		}
		add(true, shown{Text: count(run.Data.Steps), Path: "data.steps"})
		byRho, byGap := worstOf(&run.Parity, "outputs", "gradients", "update", "buffers")
		if byRho == nil {
			add(true, own("-"))
		} else {
			add(true, shown{Text: rho(byRho.Rho), Path: byRho.path + ".rho", Class: rhoText(byRho.Rho, limits(run))})
		}
		if byGap == nil {
			add(true, own("-"))
		} else {
			add(true, shown{Text: relative(*byGap.Float64Gap), Path: byGap.path + ".float64_gap"})
		}
		if tm := run.Timing; tm == nil || run.Parity.Verdict != record.Pass {
			for range 4 {
				add(true, own("-"))
			}
		} else {
			add(true, shown{Text: seconds(tm.Reference.StepSeconds.Median), Path: "timing.reference.step_seconds.median"})
			add(true, shown{Text: seconds(tm.Candidate.StepSeconds.Median), Path: "timing.candidate.step_seconds.median"})
			if s := tm.Speedup; s != nil {
				add(true, shown{Text: ratio(s.Median), Path: "timing.speedup.median", Class: "strong"}, own(" ["), shown{Text: ratio(s.Low), Path: "timing.speedup.low"}, own(", "), shown{Text: ratio(s.High), Path: "timing.speedup.high"}, own("]"))
			} else {
				add(true, own("not claimed"))
			}
			add(true, own("["), shown{Text: ratio(tm.Resolution.Low), Path: "timing.resolution.low"}, own(", "), shown{Text: ratio(tm.Resolution.High), Path: "timing.resolution.high"}, own("]"))
		}
		t.Rows = append(t.Rows, r)
	}
	const compared = 2 // the column
	if alike := func(r tableRow) bool { return r.Cells[compared].Parts[0] == t.Rows[0].Cells[compared].Parts[0] }; !slices.ContainsFunc(t.Rows, func(r tableRow) bool { return !alike(r) }) {
		t.Caption = words("Compared: " + t.Rows[0].Cells[compared].Parts[0].Text)
		t.Head = slices.Delete(t.Head, compared, compared+1)
		for i := range t.Rows {
			t.Rows[i].Cells = slices.Delete(t.Rows[i].Cells, compared, compared+1)
		}
	}
	for i := range t.Rows {
		for k := range t.Rows[i].Cells {
			if c := &t.Rows[i].Cells[k]; c.Parts[0].Text != "-" {
				c.Label = strings.TrimPrefix(t.Head[k], ">")
			}
		}
	}
	return t
}
