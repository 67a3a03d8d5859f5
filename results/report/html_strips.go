package report

import (
	"fmt"
	"math"

	"tandem/results/record"
)

// strips are rows of values on one scale: a name, the values as dots and intervals, and the value in words.
type strips struct {
	Title  string
	Legend []legendItem
	Axis   string // what is measured
	Ticks  []axisTick
	Rows   []strip
	Bands  []stripBand // behind all rows
	Scale  string
}

type strip struct {
	Path  string
	Label []shown
	Note  []shown
	Class string // "ref", "cand" or "own"
	Dots  []stripDot
	Range *stripRange
	Bar   string // percent, from the left edge
	Inner string // a part of the bar
	// Segments stand one after the other from the left edge, Limit is marked above them, in percent.
	Segments []stripSegment
	Limit    string
	Value    []shown
}

// stripSegment is a part of a bar: the value of a field, or a difference of two.
type stripSegment struct {
	At, Width, Class, Path, Tip string
}

type stripDot struct {
	At, Path, Class, Tip string
}

type stripRange struct{ Low, Median, High string }

type stripBand struct {
	From, Width string
	Class       string
}

// timed is a contender and the field that it stands in.
type timed struct {
	record.EngineTiming
	path string
	ours bool // the candidate
}

// timings are the contenders in the order of [contenders].
func timings(t *record.Timing, path string) []timed {
	out := []timed{{t.Reference, path + "timing.reference", false}, {t.Candidate, path + "timing.candidate", true}}
	for i, m := range t.Modes {
		if m.Engine != t.Reference.Engine || m.Mode != t.Reference.Mode || m.Threads != t.Reference.Threads {
			out = append(out, timed{m, fmt.Sprintf("%stiming.modes[%d]", path, i), false})
		}
	}
	for i, m := range t.Others {
		ours := m.Engine == t.Candidate.Engine && m.Mode == t.Candidate.Mode
		out = append(out, timed{m, fmt.Sprintf("%stiming.others[%d]", path, i), ours})
	}
	return out
}

func (t timed) class() string {
	if t.ours {
		return "cand"
	}
	return "ref"
}

// label names a contender and its threads.
func (t timed) label() []shown {
	unit := " threads"
	if t.Threads == 1 {
		unit = " thread"
	}
	out := []shown{{Text: clean(t.Engine), Path: ".engine"}}
	if t.Mode != "" {
		out = append(out, own(" "), shown{Text: clean(t.Mode), Path: ".mode"})
	}
	return append(out, own(", "), shown{Text: count(t.Threads), Path: ".threads"}, own(unit))
}

// quantileShown is a median with its interval.
func quantileShown(q record.Quantile) []shown {
	u := unitFor(q.Median)
	return []shown{
		{Text: seconds(q.Median), Path: ".step_seconds.median", Class: "strong"},
		own(" ["),
		{Text: inUnit(q.Low, u), Path: ".step_seconds.low"},
		own(", "),
		{Text: inUnit(q.High, u), Path: ".step_seconds.high"},
		own("]"),
	}
}

// inUnit writes a time in a given unit, with its name.
func inUnit(s float64, u timeUnit) string { return threeDigits(s/u.size) + " " + u.name }

// timeAxis is a logarithmic axis of times where they are far apart, else a linear one from zero.
func timeAxis(low, high, apart float64) axis {
	if high > apart*low {
		return axis{low / 1.25, high * 1.25, true}
	}
	return axis{Low: 0, High: high * 1.06}
}

// stripTicks are few: they stand beside names and values.
func stripTicks(a axis) []axisTick {
	if a.Log {
		return ticksAt(a, oneTwoFive{}.Ticks(a.Low, a.High), false)
	}
	return ticksAt(a, evenTicks(a.Low, a.High, 2), false)
}

// timeTicks are an axis's ticks in a unit of time.
func timeTicks(a axis) []axisTick {
	u := unitFor(a.High / 1.3)
	scaled := axis{a.Low / u.size, a.High / u.size, a.Log}
	if a.Log && a.High > 1000*a.Low {
		// Over many decades each has a unit of its own.
		var out []axisTick
		for e := math.Ceil(math.Log10(a.Low)); math.Pow(10, e) <= a.High; e++ {
			v := math.Pow(10, e)
			out = append(out, axisTick{At: percentAt(a.at(v)), Label: shortSeconds(v)})
		}
		return out
	}
	ticks := stripTicks(scaled)
	for i := range ticks {
		ticks[i].Label += " " + u.name
	}
	return ticks
}

// shortSeconds writes a power of ten of seconds: "10 µs".
func shortSeconds(v float64) string {
	u := unitFor(v)
	return number(math.Round(v/u.size)) + " " + u.name
}

// stepStrips shows the step times of all contenders: the blocks as dots, the median with its interval.
func stepStrips(t *record.Timing) *strips {
	all := timings(t, "")
	low, high := math.Inf(1), 0.0
	for _, e := range all {
		for _, x := range append([]float64{e.StepSeconds.Low, e.StepSeconds.High}, e.BlockMedians...) {
			if x > 0 && !math.IsInf(x, 0) {
				low, high = min(low, x), max(high, x)
			}
		}
	}
	if !(high > 0) {
		return nil
	}
	a := timeAxis(low, high, 20)
	s := &strips{Title: "Step time", Axis: "forward, backward and optimizer of one batch", Ticks: timeTicks(a), Scale: a.String(), Legend: []legendItem{
		{"dot", words("one block's median")}, {"range", words("median and its 95 % interval")},
	}}
	if a.Log {
		s.Axis += ", log scale"
	}
	for _, e := range all {
		q := e.StepSeconds
		r := strip{Path: e.path, Label: e.label(), Class: e.class(), Value: quantileShown(q)}
		r.Range = &stripRange{percentAt(a.at(q.Low)), percentAt(a.at(q.Median)), percentAt(a.at(q.High))}
		for i, x := range e.BlockMedians {
			r.Dots = append(r.Dots, stripDot{At: percentAt(a.at(x)), Path: fmt.Sprintf(".block_medians[%d]", i)})
		}
		s.Rows = append(s.Rows, r)
	}
	return s
}

// startStrips shows how long each contender takes from the start of its process to the end of its first step, for that step alone, and for
// one in steady state.
func startStrips(t *record.Timing) *strips {
	all := timings(t, "")
	low, high := math.Inf(1), 0.0
	for _, e := range all {
		for _, x := range []float64{e.FirstStepSeconds, e.ColdStartSeconds, e.StepSeconds.Median} {
			if x > 0 && !math.IsInf(x, 0) {
				low, high = min(low, x), max(high, x)
			}
		}
	}
	if !(high > 0) {
		return nil
	}
	a := axis{low / 1.25, high * 1.25, true}
	s := &strips{Title: "From the start to steady state", Axis: "log scale", Ticks: timeTicks(a), Scale: a.String(), Legend: []legendItem{
		{"steady", words("a step in steady state")}, {"first", words("first step")}, {"cold", words("cold start, up to the end of the first step")},
	}}
	for _, e := range all {
		r := strip{Path: e.path, Label: e.label(), Class: e.class()}
		for _, x := range []struct {
			v                float64
			path, class, tip string
		}{
			{e.StepSeconds.Median, ".step_seconds.median", "steady", "steady"}, {e.FirstStepSeconds, ".first_step_seconds", "first", "first"}, {e.ColdStartSeconds, ".cold_start_seconds", "cold", "cold"},
		} {
			if !(x.v > 0) {
				continue // it was not measured
			}
			r.Dots = append(r.Dots, stripDot{At: percentAt(a.at(x.v)), Path: x.path, Class: x.class})
			if x.class != "steady" {
				if len(r.Value) > 0 {
					r.Value = append(r.Value, own(", "))
				}
				r.Value = append(r.Value, own(x.tip+" "), shown{Text: seconds(x.v), Path: x.path})
			}
		}
		s.Rows = append(s.Rows, r)
	}
	return s
}

// speedStrips shows the claimed speed-ups against the session's resolution. The caller has seen that there is a PASS.
func speedStrips(t *record.Timing) *strips {
	type ratioAt struct {
		record.Speedup
		path, class string
		label       []shown
		mark        bool
	}
	var all []ratioAt
	if t.Resolution.N > 0 {
		all = append(all, ratioAt{t.Resolution, "timing.resolution", "own", []shown{own("reference against itself")}, false})
	}
	main := ratioAt{t.Measured, "timing.measured_ratio", "cand", []shown{own("over the reference at its best")}, t.Speedup == nil}
	if t.Speedup != nil {
		main.Speedup, main.path = *t.Speedup, "timing.speedup"
	}
	all = append(all, main)
	for i, c := range t.Comparisons {
		path := fmt.Sprintf("timing.comparisons[%d]", i)
		threads := func(n int, p string) []shown {
			unit := " threads"
			if n == 1 {
				unit = " thread"
			}
			return []shown{{Text: count(n), Path: p}, own(unit)}
		}
		label := threads(c.Candidate.Threads, path+".candidate.threads")
		label = append(label, own(" over "), shown{Text: or(clean(c.Reference.Mode), clean(t.Reference.Engine)), Path: pathIf(c.Reference.Mode != "", path+".reference.mode", "timing.reference.engine")}, own(" at "))
		label = append(label, threads(c.Reference.Threads, path+".reference.threads")...)
		x := ratioAt{c.Measured, path + ".measured_ratio", "cand", label, c.Speedup == nil}
		if c.Speedup != nil {
			x.Speedup, x.path = *c.Speedup, path+".speedup"
		}
		all = append(all, x)
	}
	low, high := 1.0, 1.0
	for _, x := range all {
		for _, v := range append([]float64{x.Low, x.High}, x.Ratios...) {
			if v > 0 && !math.IsInf(v, 0) {
				low, high = min(low, v), max(high, v)
			}
		}
	}
	a := axis{low / 1.15, high * 1.15, true}
	s := &strips{Title: "Speed-up and resolution", Axis: "times as fast, log scale", Ticks: stripTicks(a), Scale: a.String(), Legend: []legendItem{
		{"dot", words("one pair of blocks")}, {"range", words("median and its 95 % interval")}, {"band", words("within the noise of this session")},
	}}
	if m := t.Resolution; m.N > 0 {
		// The farther end of the interval, on both sides of 1: what the claim is held to.
		d := math.Exp(max(math.Abs(math.Log(m.Low)), math.Abs(math.Log(m.High)), math.Abs(math.Log(m.Median))))
		if from, to := a.at(1/d), a.at(d); !math.IsNaN(from + to) {
			s.Bands = append(s.Bands, stripBand{percentAt(from), percentAt(to - from), "noise"})
		}
	}
	s.Bands = append(s.Bands, stripBand{From: percentAt(a.at(1)), Width: "1", Class: "one"})
	for _, x := range all {
		r := strip{Path: x.path, Label: x.label, Class: x.class, Range: &stripRange{percentAt(a.at(x.Low)), percentAt(a.at(x.Median)), percentAt(a.at(x.High))}}
		for i, v := range x.Ratios {
			r.Dots = append(r.Dots, stripDot{At: percentAt(a.at(v)), Path: fmt.Sprintf(".ratios[%d]", i)})
		}
		if x.mark {
			r.Value = append(r.Value, own(notClaimedMark+" "))
		}
		r.Value = append(r.Value, shown{Text: ratio(x.Median), Path: ".median", Class: "strong"}, own(" ["), shown{Text: ratio(x.Low), Path: ".low"}, own(", "), shown{Text: ratio(x.High), Path: ".high"}, own("]"))
		s.Rows = append(s.Rows, r)
	}
	return s
}

func pathIf(yes bool, a, b string) string {
	if yes {
		return a
	}
	return b
}
