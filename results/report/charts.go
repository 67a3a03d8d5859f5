package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"tandem/results/record"
)

// lossChart draws both loss curves, the envelope of the reference's legitimate variants around the reference's, and the
// horizon. It is nil without a finite loss.
func lossChart(r *record.Run) []byte {
	l := &r.Loss
	low, high, ok := finiteRange(l.Reference, l.Candidate)
	if !ok {
		return nil
	}
	ref, cand := side(r, record.Reference), side(r, record.Candidate)
	c := newChart("Training loss of both engines", "step", "loss of the step's batch")
	if low > 1/farthest && high > 50*low {
		c.Y.Scale, c.Y.Tick.Marker = plot.LogScale{}, logTicks{}
		c.yLabel += " (log scale)"
		low, high = low/1.1, high*math.Pow(high/low, 0.08)
	} else {
		margin := 0.04 * max(high-low, 1e-6*math.Abs(high), 1e-12)
		low, high = low-margin, high+2*margin // the marks' labels stand above
	}
	refStyle, candStyle := draw.LineStyle{Color: blue, Width: 2.4}, draw.LineStyle{Color: vermilion, Width: 0.9}
	width := averaged(len(l.Reference))
	refMean, candMean := movingMean(l.Reference, width), movingMean(l.Candidate, width)
	if width > 1 {
		// Single batches differ more than the engines: they are drawn faintly, and the means show the course.
		for _, x := range []struct {
			losses []record.Float
			style  draw.LineStyle
		}{{l.Reference, refStyle}, {l.Candidate, candStyle}} {
			faint := x.style
			faint.Color, faint.Width = faded(faint.Color), 0.5
			c.unnamed(steps(x.losses), faint)
		}
		refStyle.Width, candStyle.Width = 3, 1.2
		ref += fmt.Sprintf(", mean of %d steps", width)
		cand += fmt.Sprintf(", mean of %d steps", width)
	}
	if n := min(len(l.Envelope), len(l.Reference)); n > 0 {
		c.band(refMean[:n], l.Envelope[:n], low, high)
	}
	c.curve(ref, steps(refMean), refStyle)
	c.curve(cand, steps(candMean), candStyle)
	c.Y.Min, c.Y.Max = low, high
	c.stepAxis(r)
	for _, x := range []struct {
		name   string
		losses []record.Float
	}{{side(r, record.Reference), l.Reference}, {side(r, record.Candidate), l.Candidate}} {
		if at := firstBad(x.losses); at >= 0 {
			c.mark(float64(at), fmt.Sprintf("%s: %s", x.name, number(float64(x.losses[at]))), vermilion)
		}
	}
	return c.svg(chartHeight)
}

// averaged is the number of steps that a curve's mean is over, odd; 1 for a short training, whose steps can be seen one by one.
func averaged(steps int) int {
	if steps < 200 {
		return 1
	}
	return steps/40 | 1
}

// movingMean is the mean of the width steps around each, of fewer at the ends. One that is not finite makes the means around it so.
func movingMean(values []record.Float, width int) []record.Float {
	if width <= 1 {
		return values
	}
	out := make([]record.Float, len(values))
	for i := range values {
		part := values[max(0, i-width/2):min(len(values), i+width/2+1)]
		for _, v := range part {
			out[i] += v / record.Float(len(part))
		}
	}
	return out
}

func faded(c color.Color) color.Color {
	n := color.NRGBAModel.Convert(c).(color.NRGBA)
	n.A = 0x60
	return n
}

// stepAxis sets the axis of steps and marks the horizon on it.
func (c *chart) stepAxis(r *record.Run) {
	n := max(len(r.Loss.Reference), len(r.Loss.Candidate))
	c.X.Min, c.X.Max, c.X.Tick.Marker = 0, float64(max(n-1, 1)), wholeTicks{}
	if curve := r.Parity.Curve; curve != nil && curve.Horizon < curve.Steps {
		c.mark(float64(curve.Horizon), fmt.Sprintf("horizon, step %s", count(curve.Horizon)), darkGrey)
	}
	if curve := r.Parity.Curve; curve != nil && curve.Departure != nil {
		c.mark(float64(curve.Departure.Step), fmt.Sprintf("departure, step %s", count(curve.Departure.Step)), darkGrey)
	}
}

// band fills losses * (1 - envelope) to losses * (1 + envelope), clipped to the chart.
func (c *chart) band(losses, envelope []record.Float, low, high float64) {
	var upper, lower plotter.XYs
	for i := range losses {
		v, e := float64(losses[i]), float64(envelope[i])
		if math.IsNaN(v) || math.IsInf(v, 0) || math.IsNaN(e) {
			break
		}
		d := math.Abs(v) * e
		upper = append(upper, plotter.XY{X: float64(i), Y: min(v+d, high)})
		lower = append(lower, plotter.XY{X: float64(i), Y: max(v-d, low)})
	}
	if len(upper) < 2 {
		return
	}
	lower, upper = thin(lower, maxPoints), thin(upper, maxPoints)
	slices.Reverse(lower)
	c.Add(&plotter.Polygon{XYs: []plotter.XYs{append(upper, lower...)}, Color: grey})
	c.legend = append(c.legend, legendEntry{"reference's own variants (envelope)", bandSample(grey)})
}

// differenceChart draws how far apart the curves are, relative to the reference, on a logarithmic axis, with the
// envelope and the multiple of it that the candidate is judged by up to the horizon. It is nil without a pair of finite losses.
func differenceChart(r *record.Run) []byte {
	l := &r.Loss
	n := min(len(l.Reference), len(l.Candidate))
	relative := make([]record.Float, n)
	envelope := make([]record.Float, min(len(l.Envelope), n))
	smallest, largest := math.Inf(1), 0.0
	finite := false
	note := func(x float64) {
		if x > 0 && !math.IsInf(x, 0) {
			x = max(drawable(x), 1/farthest)
			smallest, largest = min(smallest, x), max(largest, x)
		}
	}
	// A loss near zero is measured against a thousandth of the mean, as the judge does.
	var scale float64
	for _, v := range l.Reference {
		scale += math.Abs(float64(v)) / float64(len(l.Reference)) / 1000
	}
	for i := range n {
		a, b := float64(l.Reference[i]), float64(l.Candidate[i])
		x := math.Abs(b-a) / max(math.Abs(a), scale)
		if a == b {
			x = 0
		}
		relative[i] = record.Float(x)
		finite = finite || !math.IsNaN(x) && !math.IsInf(x, 0)
		note(x)
	}
	for i := range envelope {
		envelope[i] = l.Envelope[i]
		note(float64(envelope[i]))
	}
	if !finite {
		return nil
	}
	var limit []record.Float
	if r.Experiment != nil && r.Parity.Curve != nil {
		t := r.Experiment.Parity.Thresholds
		for i := range min(len(envelope), r.Parity.Curve.Horizon) {
			x := t.EnvelopeSlack * max(float64(envelope[i]), t.LossNoise)
			limit = append(limit, record.Float(x))
			note(x)
		}
	}
	if largest == 0 {
		smallest, largest = 1e-8, 1e-7 // all losses are equal: any decade shows it
	}
	// Equal losses have no place on a logarithmic axis: they are drawn on its foot.
	foot := math.Pow(10, math.Floor(math.Log10(smallest))-1)
	c := newChart("Relative difference of the losses, |candidate - reference| / |reference|", "step", "relative difference (log scale)")
	c.Y.Scale, c.Y.Tick.Marker = plot.LogScale{}, logTicks{}
	c.Y.Min, c.Y.Max = foot, math.Pow(10, math.Ceil(math.Log10(largest)))

	raise := func(values []record.Float) plotter.XYs {
		points := steps(values)
		for i := range points {
			points[i].Y = max(points[i].Y, foot) // NaN stays NaN
		}
		return points
	}
	equal := slices.Contains(relative, 0)
	glyph := draw.GlyphStyle{Color: vermilion, Radius: 1.6, Shape: draw.CircleGlyph{}}
	var shown plotter.XYs
	for _, part := range finiteParts(raise(relative)) {
		shown = append(shown, part...)
	}
	c.Add(&plotter.Scatter{XYs: thin(shown, maxPoints), GlyphStyle: glyph})
	name := side(r, record.Candidate) + " against " + side(r, record.Reference)
	if equal {
		name += " (equal losses: on the lower edge)"
	}
	c.legend = append(c.legend, legendEntry{name, pointSample(glyph)})
	if len(envelope) > 0 {
		c.curve("envelope", raise(envelope), draw.LineStyle{Color: blue, Width: 1.5})
	}
	if len(limit) > 0 {
		c.curve(fmt.Sprintf("%g times the envelope", r.Experiment.Parity.Thresholds.EnvelopeSlack), raise(limit), draw.LineStyle{Color: ink, Width: 1.2, Dashes: []vg.Length{5, 3}})
	}
	c.stepAxis(r)
	return c.svg(chartHeight)
}

// stepTimeChart draws every block's median step time of every contender, with the median and its interval. It is nil
// without timing or without a PASS: a wrong training has no speed.
func stepTimeChart(r *record.Run) []byte {
	t := r.Timing
	if t == nil || r.Parity.Verdict != record.Pass {
		return nil
	}
	all := contenders(t)
	var largest, smallest float64
	for _, e := range all {
		for _, x := range append([]float64{e.StepSeconds.High, e.StepSeconds.Low}, e.BlockMedians...) {
			if x > largest {
				largest = x
			}
			if x > 0 && (smallest == 0 || x < smallest) {
				smallest = x
			}
		}
	}
	if !(largest > 0) {
		return nil
	}
	u := unitFor(largest)
	c := newChart("Step time: forward, backward and optimizer of one batch", "median step time of a block, "+u.name, "")
	if largest > 20*smallest {
		c.X.Scale, c.X.Tick.Marker = plot.LogScale{}, logTicks{}
		c.xLabel += " (log scale)"
		c.X.Min, c.X.Max = smallest/u.size/1.5, largest/u.size*1.5
	} else {
		c.X.Min, c.X.Max = 0, largest/u.size*1.06
	}
	var names []plot.Tick
	for i, e := range all {
		y := float64(len(all) - 1 - i)
		clr := blue
		other := i >= len(all)-len(t.Others) && e.Engine == t.Candidate.Engine && e.Mode == t.Candidate.Mode
		if i == 1 || other { // contenders puts the candidate second
			clr = vermilion
		}
		names = append(names, plot.Tick{Value: y, Label: fmt.Sprintf("%s, %s", contender(e), plural(e.Threads, "thread"))})
		var points plotter.XYs
		for k, x := range e.BlockMedians {
			// Seven heights, so that equal times do not hide each other.
			points = append(points, plotter.XY{X: x / u.size, Y: y + 0.06*float64(k*3%7-3)})
		}
		faded := clr
		faded.A = 0x90
		c.Add(&plotter.Scatter{XYs: points, GlyphStyle: draw.GlyphStyle{Color: faded, Radius: 2.2, Shape: draw.CircleGlyph{}}})
		c.Add(&interval{y: y, q: e.StepSeconds, size: u.size, label: secondsRange(e.StepSeconds)})
	}
	c.Y.Min, c.Y.Max = -0.5, float64(len(all))-0.5
	c.Y.Tick.Marker = plot.ConstantTicks(names)
	c.Y.Tick.LineStyle.Width = 0
	c.legend = append(
		c.legend,
		legendEntry{"one block", pointSample(draw.GlyphStyle{Color: darkGrey, Radius: 2.2, Shape: draw.CircleGlyph{}})},
		legendEntry{"median and its 95 % interval", func(cv *draw.Canvas, from, to vg.Point) {
			drawInterval(cv, from.X, (from.X+to.X)/2, to.X, from.Y, 5)
		}},
	)
	return c.svg(vg.Length(110 + 52*len(all)))
}

// interval draws a median as a thick tick with its confidence interval as a bar, and both as text.
type interval struct {
	y, size float64
	q       record.Quantile
	label   string
}

// Plot implements plot.Plotter.
func (v *interval) Plot(c draw.Canvas, p *plot.Plot) {
	trX, trY := p.Transforms(&c)
	y := trY(v.y)
	drawInterval(&c, trX(v.q.Low/v.size), trX(v.q.Median/v.size), trX(v.q.High/v.size), y, 12)
	st := textStyle(11, ink)
	st.YAlign = draw.YBottom
	at := vg.Point{X: trX(v.q.Median/v.size) - st.Width(v.label)/2, Y: y + 13}
	at.X = max(c.Min.X+2, min(at.X, c.Max.X-st.Width(v.label)-2))
	c.FillText(st, at, v.label)
}

func drawInterval(c *draw.Canvas, low, median, high, y, half vg.Length) {
	bar := draw.LineStyle{Color: ink, Width: 1.2}
	c.StrokeLine2(bar, low, y, high, y)
	c.StrokeLine2(bar, low, y-half/3, low, y+half/3)
	c.StrokeLine2(bar, high, y-half/3, high, y+half/3)
	c.StrokeLine2(draw.LineStyle{Color: ink, Width: 2}, median, y-half, median, y+half)
}
