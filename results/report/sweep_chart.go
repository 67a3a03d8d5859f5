package report

import (
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"tandem/results/record"
)

// sweepChart draws, for each key that was varied over numbers, both engines' step times over it, a line for each combination of the others, and below
// them the speed-ups, of the points that passed. All scales are logarithmic. It is nil when none passed.
func sweepChart(s *record.Sweep) []byte {
	u, low, high, ok := sweepRange(s)
	if !ok {
		return nil
	}
	var charts []*chart
	var heights []vg.Length
	for _, along := range horizontalAxes(s) {
		times, ratios := sweepPanels(s, along, u)
		times.Y.Min, times.Y.Max = low/u.size/1.3, high/u.size*1.3
		charts, heights = append(charts, times, ratios), append(heights, chartHeight, 250)
	}
	return stacked(charts, heights)
}

// sweepRange is the range of the step times in seconds, and their unit; not ok when no point passed.
func sweepRange(s *record.Sweep) (u timeUnit, low, high float64, ok bool) {
	for i := range s.Points {
		if s.Points[i].Verdict != record.Pass {
			continue
		}
		for _, e := range []record.EngineTiming{s.Points[i].Timing.Reference, s.Points[i].Timing.Candidate} {
			if q := e.StepSeconds; low == 0 || q.Low < low {
				low = q.Low
			}
			high = max(high, e.StepSeconds.High)
		}
	}
	return unitFor(low), low, high, high > 0
}

// sweepPanels draws step times and speed-ups over one axis.
func sweepPanels(s *record.Sweep, along int, u timeUnit) (top, bottom *chart) {
	axis := s.Axes[along]
	positions, logarithmic := axisPositions(axis.Values)
	name := axis.Name
	if logarithmic {
		name += " (log scale)"
	}
	reference, candidate := sweepEngine(s, record.Reference), sweepEngine(s, record.Candidate)
	drawn, note := drawnGroups(s, along)
	top = newChart("Step time against "+axis.Name+note, name, "step, "+u.name+" (log scale)")
	bottom = newChart("Speed-up of "+candidate+" over "+reference+" at its best against "+axis.Name+note, name, "speed-up (log scale)")
	bottom.Y.Min, bottom.Y.Max = 0.9, 1.1
	for k, group := range drawn {
		dashes := lineDashes[k%len(lineDashes)]
		suffix := ""
		if group.name != "" && len(drawn) > 1 {
			suffix = ", " + group.name
		}
		var times [2][]spread
		var ratios []spread
		for _, i := range group.points {
			p := &s.Points[i]
			if p.Verdict != record.Pass {
				continue
			}
			x := positions[slices.Index(axis.Values, p.Values[along])]
			for side, e := range []record.EngineTiming{p.Timing.Reference, p.Timing.Candidate} {
				q := e.StepSeconds
				times[side] = append(times[side], spread{x, q.Low / u.size, q.Median / u.size, q.High / u.size})
			}
			m := p.Timing.Measured
			ratios = append(ratios, spread{x, m.Low, m.Median, m.High})
			bottom.Y.Min, bottom.Y.Max = min(bottom.Y.Min, m.Low/1.15), max(bottom.Y.Max, m.High*1.15)
		}
		top.spreads(reference+suffix, times[0], draw.LineStyle{Color: blue, Width: 1.4, Dashes: dashes})
		top.spreads(candidate+suffix, times[1], draw.LineStyle{Color: vermilion, Width: 1.4, Dashes: dashes})
		ratioName := candidate
		if suffix != "" {
			ratioName = group.name
		}
		bottom.spreads(ratioName, ratios, draw.LineStyle{Color: vermilion, Width: 1.4, Dashes: dashes})
	}
	var ticks []plot.Tick
	for i, v := range axis.Values {
		ticks = append(ticks, plot.Tick{Value: positions[i], Label: v})
	}
	least, most := slices.Min(positions), slices.Max(positions)
	for _, c := range []*chart{top, bottom} {
		c.X.Tick.Marker = plot.ConstantTicks(ticks)
		if logarithmic {
			c.X.Scale, c.X.Min, c.X.Max = plot.LogScale{}, least/1.15, most*1.15
		} else {
			c.X.Min, c.X.Max = least-0.3, most+0.3
		}
		c.Y.Scale, c.Y.Tick.Marker = plot.LogScale{}, oneTwoFive{}
	}
	bottom.Add(&horizontalMark{y: 1, style: draw.LineStyle{Color: darkGrey, Width: 1, Dashes: []vg.Length{4, 3}}})
	return top, bottom
}

// drawnGroups are the lines of a panel: all that can be told apart, else the one at the last value of every other key, which the panel's title then says.
func drawnGroups(s *record.Sweep, along int) (drawn []group, note string) {
	all := groups(s, along)
	if len(all) <= len(lineDashes) {
		return all, ""
	}
	last := all[len(all)-1]
	return []group{last}, ", at " + last.name
}

var lineDashes = [][]vg.Length{nil, {6, 3}, {2, 2}, {8, 3, 2, 3}}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

// horizontalAxes are the indices of the axes to draw along: the numeric ones that have several values, else the first.
func horizontalAxes(s *record.Sweep) (out []int) {
	for i, a := range s.Axes {
		if _, numeric := axisPositions(a.Values); numeric && len(a.Values) > 1 {
			out = append(out, i)
		}
	}
	if out == nil {
		return []int{0}
	}
	return out
}

// axisPositions are the values as positive numbers, or their indices where they are none.
func axisPositions(values []string) (positions []float64, numeric bool) {
	for _, v := range values {
		x, err := strconv.ParseFloat(v, 64)
		if err != nil || !(x > 0) || math.IsInf(x, 0) {
			positions = nil
			for i := range values {
				positions = append(positions, float64(i))
			}
			return positions, false
		}
		positions = append(positions, x)
	}
	return positions, true
}

// group is the points that differ in one axis only.
type group struct {
	name   string // "threads 1"; empty where there is one axis
	points []int  // in the order of the axis
}

func groups(s *record.Sweep, along int) []group {
	var out []group
	for i := range s.Points {
		p := s.Points[i]
		rest := record.Sweep{}
		q := record.SweepPoint{}
		for k, v := range p.Values {
			if k != along {
				rest.Axes, q.Values = append(rest.Axes, s.Axes[k]), append(q.Values, v)
			}
		}
		name := pointName(&rest, &q)
		at := slices.IndexFunc(out, func(g group) bool { return g.name == name })
		if at < 0 {
			at = len(out)
			out = append(out, group{name: name})
		}
		out[at].points = append(out[at].points, i)
	}
	return out
}

// spread is a value with its interval.
type spread struct{ x, low, median, high float64 }

// spreads adds a line through medians with their intervals.
func (c *chart) spreads(name string, values []spread, style draw.LineStyle) {
	if len(values) == 0 {
		return
	}
	slices.SortStableFunc(values, func(a, b spread) int {
		switch {
		case a.x < b.x:
			return -1
		case a.x > b.x:
			return 1
		}
		return 0
	})
	var line plotter.XYs
	for _, v := range values {
		line = append(line, plotter.XY{X: v.x, Y: v.median})
	}
	bar := draw.LineStyle{Color: style.Color, Width: 1.2}
	c.Add(&plotter.Line{XYs: line, LineStyle: style}, &spreadBars{values: values, bar: bar})
	c.legend = append(c.legend, legendEntry{name, lineSample(style)})
}

// spreadBars draws a dot at each median and a bar over its interval.
type spreadBars struct {
	values []spread
	bar    draw.LineStyle
}

// Plot implements plot.Plotter.
func (b *spreadBars) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	for _, v := range b.values {
		x, low, high := trX(v.x), trY(v.low), trY(v.high)
		c.StrokeLine2(b.bar, x, low, x, high)
		c.StrokeLine2(b.bar, x-3, low, x+3, low)
		c.StrokeLine2(b.bar, x-3, high, x+3, high)
		c.DrawGlyph(draw.GlyphStyle{Color: b.bar.Color, Radius: 2.6, Shape: draw.CircleGlyph{}}, vg.Point{X: x, Y: trY(v.median)})
	}
}

// horizontalMark is a line over the whole width.
type horizontalMark struct {
	y     float64
	style draw.LineStyle
}

// Plot implements plot.Plotter.
func (m *horizontalMark) Plot(c draw.Canvas, p *plot.Plot) {
	_, trY := p.Transforms(&c)
	if y := trY(m.y); c.ContainsY(y) {
		c.StrokeLine2(m.style, c.Min.X, y, c.Max.X, y)
	}
}

// oneTwoFive labels 1, 2 and 5 times the powers of ten, for logarithmic axes of one or two decades.
type oneTwoFive struct{}

// Ticks implements plot.Ticker.
func (oneTwoFive) Ticks(low, high float64) []plot.Tick {
	if !(low > 0) || math.IsInf(high, 1) {
		return nil
	}
	if high > 2000*low {
		return logTicks{}.Ticks(low, high)
	}
	var ticks []plot.Tick
	for e := math.Floor(math.Log10(low)); e <= math.Ceil(math.Log10(high)); e++ {
		for m := 1.0; m <= 9; m++ {
			v := m * math.Pow(10, e)
			if v < low*(1-1e-9) || v > high*(1+1e-9) {
				continue
			}
			t := plot.Tick{Value: v}
			if m == 1 || m == 2 || m == 5 || m == 3 && high < 20*low {
				t.Label = number(v)
			}
			ticks = append(ticks, t)
		}
	}
	return ticks
}
