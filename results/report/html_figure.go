package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"gonum.org/v1/plot"

	"tandem/results/record"
)

// figure is a chart of curves that fits any width: its curves are drawn in a square of 1000 units which is stretched, its texts are
// placed by percentages and are not.
type figure struct {
	Title          string
	Describe       string // for who cannot see it
	XName, YName   string
	Legend         []legendItem
	X, Y           axis
	XTicks, YTicks []axisTick
	Marks          []figureMark
	Layers         []layer
	Readout        string // the fields that are read at a step, separated by spaces
}

// axis maps values to units.
type axis struct {
	Low, High float64
	Log       bool
}

// String is what scripts and tests read.
func (a axis) String() string {
	kind := "linear"
	if a.Log {
		kind = "log"
	}
	return fmt.Sprintf("%s %s %s", kind, number(a.Low), number(a.High))
}

// at is a value's place, from 0 to 1000; what is outside is beyond them, but not far.
func (a axis) at(v float64) float64 {
	low, high := a.Low, a.High
	if a.Log {
		if v <= 0 {
			return -100
		}
		low, high, v = math.Log(low), math.Log(high), math.Log(v)
	}
	return max(-100, min(1100, 1000*(v-low)/(high-low))) // NaN stays NaN
}

type axisTick struct {
	At    string // percent
	Label string
	Class string
}

type figureMark struct {
	At    string // percent
	Label []shown
	End   bool // the label stands to the left
}

type layer struct {
	Class string
	D     string // the path, in units
	Path  string // the list that it draws
	Mean  int    // of how many values each point is the mean
}

type legendItem struct {
	Class string
	Parts []shown
}

func units(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// tenth rounds to a tenth of a unit: below a pixel on every screen.
func tenth(v float64) float64 { return math.Round(10*v) / 10 }

func percentAt(unit float64) string { return units(math.Round(10*unit)/100) + "%" }

// axes gives a figure its ticks.
func (f *figure) axes() {
	f.XTicks = figureTicks(f.X, false)
	f.YTicks = figureTicks(f.Y, true)
}

// figureTicks are those of an axis that goes up or to the right.
func figureTicks(a axis, up bool) []axisTick {
	spaces := 3.0
	if up {
		spaces = 4
	}
	ticks := evenTicks(a.Low, a.High, spaces)
	if a.Log {
		ticks = oneTwoFive{}.Ticks(a.Low, a.High)
	}
	return ticksAt(a, ticks, up)
}

// ticksAt places ticks on an axis.
func ticksAt(a axis, ticks []plot.Tick, up bool) []axisTick {
	var out []axisTick
	for _, t := range ticks {
		at := a.at(t.Value)
		if t.Label == "" || at < -0.5 || at > 1000.5 {
			continue
		}
		label := t.Label
		if !up && t.Value >= 1000 && t.Value == math.Trunc(t.Value) && t.Value < 1e7 {
			label = count(int(t.Value))
		}
		x := axisTick{Label: label}
		if up {
			at = 1000 - at
		} else if at > 950 {
			x.Class = "last"
		}
		x.At = percentAt(at)
		out = append(out, x)
	}
	return out
}

// evenTicks are round numbers, evenly spaced: at least as many spaces as said, at most two and a half times as many.
func evenTicks(low, high, spaces float64) []plot.Tick {
	span := high - low
	if !(span > 0) || math.IsInf(span, 0) {
		return nil
	}
	apart := math.Pow(10, math.Floor(math.Log10(span/spaces)))
	for _, m := range []float64{5, 2} {
		if span/(apart*m) >= spaces {
			apart *= m
			break
		}
	}
	digits := max(0, int(math.Ceil(-math.Log10(apart)-1e-9)))
	var out []plot.Tick
	for i := math.Ceil(low/apart - 1e-9); i*apart <= high+1e-9*span; i++ {
		i += 0 // makes -0 to 0
		label := strconv.FormatFloat(i*apart, 'f', min(digits, 12), 64)
		if digits > 6 || math.Abs(high) >= 1e7 {
			label = strconv.FormatFloat(i*apart, 'g', 3, 64)
		}
		out = append(out, plot.Tick{Value: i * apart, Label: label})
	}
	return out
}

// curve draws the value of each step. Where there are more steps than can be seen, the lowest and the highest of neighbours stand for
// them. What is not finite leaves a gap.
func (f *figure) curve(class, path string, values []record.Float, window int) {
	shownValues := movingMean(values, window)
	d := f.line(len(values), func(i int) float64 { return float64(shownValues[i]) })
	if d == "" {
		return
	}
	l := layer{Class: "line " + class, D: d, Path: path}
	if window > 1 {
		l.Mean = window
	}
	f.Layers = append(f.Layers, l)
}

// most is how many points a curve has at most.
const most = 2000

// line is the path through n values.
func (f *figure) line(n int, value func(int) float64) string {
	var b strings.Builder
	pen := false
	for _, i := range extremesOf(n, value) {
		x, y := f.X.at(float64(i)), f.Y.at(value(i))
		if math.IsNaN(x) || math.IsNaN(y) {
			pen = false
			continue
		}
		command := byte('L')
		if !pen {
			command = 'M'
		}
		pen = true
		b.WriteByte(command)
		b.WriteString(units(tenth(x)) + " " + units(tenth(1000-y)))
	}
	return b.String()
}

// extremesOf are the indices of the values to draw, in order: all, or of each of equal parts the first, lowest, highest and last, and the first
// that is not a number.
func extremesOf(n int, value func(int) float64) []int {
	if n <= most {
		all := make([]int, n)
		for i := range all {
			all[i] = i
		}
		return all
	}
	var out []int
	const parts = most / 5
	for k := range parts {
		from, to := k*n/parts, (k+1)*n/parts
		low, high, bad := from, from, -1
		for i := from; i < to; i++ {
			v := value(i)
			if math.IsNaN(v) && bad < 0 {
				bad = i
			}
			if v < value(low) || math.IsNaN(value(low)) {
				low = i
			}
			if v > value(high) || math.IsNaN(value(high)) {
				high = i
			}
		}
		picked := []int{from, low, high, to - 1}
		if bad >= 0 {
			picked = append(picked, bad)
		}
		slices.Sort(picked)
		out = append(out, slices.Compact(picked)...)
	}
	return out
}

// dots draws each value as a point: a path of lines without length, whose round caps are seen.
func (f *figure) dots(class, path string, values []record.Float) {
	var b strings.Builder
	value := func(i int) float64 { return float64(values[i]) }
	for _, i := range extremesOf(len(values), value) {
		x, y := f.X.at(float64(i)), f.Y.at(value(i))
		if !math.IsNaN(x) && !math.IsNaN(y) {
			b.WriteString("M" + units(tenth(x)) + " " + units(tenth(1000-y)) + "h0")
		}
	}
	if b.Len() > 0 {
		f.Layers = append(f.Layers, layer{Class: "dots " + class, D: b.String(), Path: path})
	}
}

// band fills the space between two curves up to the first value that is not finite.
func (f *figure) band(class string, n int, lower, upper func(int) float64) {
	for i := range n {
		if v := lower(i) + upper(i); math.IsNaN(v) || math.IsInf(v, 0) {
			n = i
			break
		}
	}
	if n < 2 {
		return
	}
	up := extremesOf(n, upper)
	down := extremesOf(n, lower)
	slices.Reverse(down)
	var b strings.Builder
	point := func(i int, v float64) {
		command := "L"
		if b.Len() == 0 {
			command = "M"
		}
		b.WriteString(command + units(tenth(f.X.at(float64(i)))) + " " + units(tenth(1000-f.Y.at(v))))
	}
	for _, i := range up {
		point(i, upper(i))
	}
	for _, i := range down {
		point(i, lower(i))
	}
	f.Layers = append(f.Layers, layer{Class: "area " + class, D: b.String() + "Z"})
}

func (f *figure) mark(x float64, label ...shown) {
	at := f.X.at(x)
	if !(at >= 0 && at <= 1000) {
		return
	}
	f.Marks = append(f.Marks, figureMark{At: percentAt(at), Label: label, End: at > 600})
}

// stepAxis sets the axis of steps and marks the horizon and the departure on it.
func (f *figure) stepAxis(r *record.Run) {
	n := max(len(r.Loss.Reference), len(r.Loss.Candidate))
	f.X, f.XName = axis{Low: 0, High: float64(max(n-1, 1))}, "step"
}

func (f *figure) stepMarks(r *record.Run) {
	c := r.Parity.Curve
	if c == nil {
		return
	}
	if c.Horizon < c.Steps {
		f.mark(float64(c.Horizon), own("horizon "), shown{Text: count(c.Horizon), Path: "parity.curve.horizon"})
	}
	if c.Departure != nil {
		f.mark(float64(c.Departure.Step), own("departure "), shown{Text: count(c.Departure.Step), Path: "parity.curve.departure.step"})
	}
}

// lossFigure draws both curves with the envelope around the reference's; nil without a finite loss.
func lossFigure(r *record.Run) *figure {
	l := &r.Loss
	low, high, ok := finiteRange(l.Reference, l.Candidate)
	if !ok {
		return nil
	}
	ref, cand := side(r, record.Reference), side(r, record.Candidate)
	f := &figure{
		Title: "Training loss", YName: "loss of the step's batch", Describe: "Training losses of " + ref + " and " + cand + " at each step",
		Readout: "loss.reference loss.candidate loss.envelope",
	}
	if low > 1/farthest && high > 20*low {
		f.Y = axis{low / 1.1, high * 1.1, true}
		f.YName += ", log scale"
	} else {
		margin := 0.05 * max(high-low, 1e-6*math.Abs(high), 1e-12)
		f.Y = axis{Low: low - margin, High: high + margin}
	}
	f.stepAxis(r)
	window := averaged(len(l.Reference))
	mean := movingMean(l.Reference, window)
	if n := min(len(l.Envelope), len(mean)); n > 0 {
		edge := func(i int, sign float64) float64 {
			v := float64(mean[i]) * (1 + sign*float64(l.Envelope[i]))
			if f.Y.Log {
				v = max(v, f.Y.Low/2) // the envelope may reach below zero, where this axis has no place
			}
			return v
		}
		f.band("envelope", n, func(i int) float64 { return min(edge(i, -1), edge(i, 1)) }, func(i int) float64 { return max(edge(i, -1), edge(i, 1)) })
		if len(f.Layers) > 0 {
			f.Legend = append(f.Legend, legendItem{"area envelope", words("envelope of the reference's own variants")})
		}
	}
	names := []string{ref, cand}
	if window > 1 {
		f.curve("ref single", "loss.reference", l.Reference, 1)
		f.curve("cand single", "loss.candidate", l.Candidate, 1)
		for i := range names {
			names[i] += ", mean of neighbouring steps"
		}
	}
	f.curve("ref", "loss.reference", l.Reference, window)
	f.curve("cand", "loss.candidate", l.Candidate, window)
	f.Legend = append(f.Legend, legendItem{"line ref", words(names[0])}, legendItem{"line cand", words(names[1])})
	if window > 1 {
		f.Legend = append(f.Legend, legendItem{"line single", words("single steps")})
	}
	f.axes()
	f.stepMarks(r)
	return f
}

// relativeDifferences are the candidate's distances from the reference's losses. A loss near zero is measured against a thousandth of the mean, as
// the judge does.
func relativeDifferences(l *record.Losses) []record.Float {
	out := make([]record.Float, min(len(l.Reference), len(l.Candidate)))
	var scale float64
	for _, v := range l.Reference {
		scale += math.Abs(float64(v)) / float64(len(l.Reference)) / 1000
	}
	for i := range out {
		a, b := float64(l.Reference[i]), float64(l.Candidate[i])
		if a != b {
			out[i] = record.Float(math.Abs(b-a) / max(math.Abs(a), scale))
		}
	}
	return out
}

// differenceFigure draws how far apart the curves are, with the envelope and the multiple of it that counts up to the horizon; nil
// without a pair of finite losses.
func differenceFigure(r *record.Run) *figure {
	l := &r.Loss
	relative := relativeDifferences(l)
	envelope := l.Envelope[:min(len(l.Envelope), len(relative))]
	smallest, largest, finite, equal := math.Inf(1), 0.0, false, false
	note := func(values []record.Float) {
		for _, v := range values {
			if x := drawable(float64(v)); x > 0 && !math.IsInf(float64(v), 0) {
				smallest, largest = min(smallest, x), max(largest, x)
			}
		}
	}
	for _, v := range relative {
		finite = finite || !math.IsNaN(float64(v)) && !math.IsInf(float64(v), 0)
		equal = equal || v == 0
	}
	if !finite {
		return nil
	}
	var limit []record.Float
	if r.Experiment != nil && r.Parity.Curve != nil {
		t := r.Experiment.Parity.Thresholds
		for i := range max(0, min(len(envelope), r.Parity.Curve.Horizon)) {
			limit = append(limit, record.Float(t.EnvelopeSlack*max(float64(envelope[i]), t.LossNoise)))
		}
	}
	note(relative)
	note(envelope)
	note(limit)
	if largest == 0 {
		smallest, largest = 1e-8, 1e-7 // all losses are equal: any decade shows it
	}
	smallest = max(smallest, 1/farthest)
	foot := math.Pow(10, math.Floor(math.Log10(smallest))-1)
	f := &figure{
		Title: "Distance of the losses", YName: "|candidate - reference| / |reference|, log scale", Describe: "Relative difference of the two losses at each step, with the envelope",
		Y: axis{foot, math.Pow(10, math.Ceil(math.Log10(max(largest, smallest)))), true}, Readout: "loss.reference loss.candidate loss.envelope",
	}
	f.stepAxis(r)
	raise := func(values []record.Float) []record.Float {
		out := slices.Clone(values)
		for i, v := range out {
			if v < record.Float(foot) {
				out[i] = record.Float(foot)
			}
		}
		return out
	}
	f.dots("cand", "difference(loss)", raise(relative))
	name := side(r, record.Candidate) + " against " + side(r, record.Reference)
	if equal {
		name += " (equal losses stand on the lower edge)"
	}
	f.Legend = append(f.Legend, legendItem{"dots cand", words(name)})
	if len(envelope) > 0 {
		f.curve("ref", "loss.envelope", raise(envelope), 1)
		f.Legend = append(f.Legend, legendItem{"line ref", words("envelope")})
	}
	if len(limit) > 0 {
		f.curve("limit", "limit(loss.envelope)", limit, 1)
		f.Legend = append(f.Legend, legendItem{"line limit", []shown{
			{Text: number(r.Experiment.Parity.Thresholds.EnvelopeSlack), Path: "experiment.parity.thresholds.envelope_slack"}, own(" times the envelope"),
		}})
	}
	f.axes()
	f.stepMarks(r)
	return f
}

// runsFigure draws, for each engine, the mean of its trainings' losses between the lowest and the highest; nil without further trainings.
func runsFigure(r *record.Run) *figure {
	runs := r.Runs
	if runs == nil || len(runs.Trainings) < 2 {
		return nil
	}
	var all [][]record.Float
	points := math.MaxInt
	for _, t := range runs.Trainings {
		all = append(all, t.Reference.Losses, t.Candidate.Losses)
		points = min(points, len(t.Reference.Losses), len(t.Candidate.Losses))
	}
	low, high, ok := finiteRange(all...)
	if !ok || points < 2 {
		return nil
	}
	f := &figure{
		Title: "All trainings", XName: "part of the training", YName: "mean loss", X: axis{High: float64(points - 1)},
		Describe: "Mean losses of all trainings of both engines, between the lowest and the highest",
	}
	if low > 1/farthest && high > 20*low {
		f.Y = axis{low / 1.1, high * 1.1, true}
		f.YName += ", log scale"
	} else {
		margin := 0.05 * max(high-low, 1e-12)
		f.Y = axis{Low: low - margin, High: high + margin}
	}
	for k, class := range []string{"ref", "cand"} {
		across := func(reduce func(a, b float64) float64) func(int) float64 {
			return func(i int) float64 {
				v := float64(all[k][i])
				for j := k + 2; j < len(all); j += 2 {
					v = reduce(v, float64(all[j][i]))
				}
				return v
			}
		}
		f.band(class, points, across(math.Min), across(math.Max))
		sum := across(func(a, b float64) float64 { return a + b })
		if d := f.line(points, func(i int) float64 { return sum(i) / float64(len(runs.Trainings)) }); d != "" {
			f.Layers = append(f.Layers, layer{Class: "line " + class, D: d, Path: "mean(runs.trainings)"})
		}
		name := side(r, []record.Role{record.Reference, record.Candidate}[k])
		f.Legend = append(f.Legend, legendItem{"line " + class, words(name + ", mean of its trainings")}, legendItem{"area " + class, words("lowest to highest")})
	}
	f.axes()
	return f
}
