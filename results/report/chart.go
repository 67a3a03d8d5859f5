package report

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"math"
	"regexp"
	"slices"
	"strconv"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"

	"tandem/results/record"
)

// The charts' colours are of Okabe and Ito's palette, which people with any colour vision tell apart. The background is
// white and opaque, so that a dark page shows the same picture.
var (
	blue      = color.NRGBA{R: 0x00, G: 0x72, B: 0xB2, A: 0xFF} // reference
	lightBlue = color.NRGBA{R: 0x8F, G: 0xC1, B: 0xE0, A: 0xFF} // reference, under the candidate's line
	vermilion = color.NRGBA{R: 0xD5, G: 0x5E, B: 0x00, A: 0xFF} // candidate
	grey      = color.NRGBA{R: 0xC4, G: 0xC4, B: 0xC4, A: 0xFF} // envelope's band
	darkGrey  = color.NRGBA{R: 0x70, G: 0x70, B: 0x70, A: 0xFF}
	gridGrey  = color.NRGBA{R: 0xE2, G: 0xE2, B: 0xE2, A: 0xFF}
	ink       = color.NRGBA{R: 0x22, G: 0x22, B: 0x22, A: 0xFF}
)

const (
	chartWidth  = 760 // points
	chartHeight = 340
	// maxPoints bounds a drawn curve. A longer one is thinned so that its extremes stay.
	maxPoints = 2000
)

// fonts names the charts' fonts: gonum measures text in Liberation Sans, whose widths are those of Arial and Helvetica.
const fonts = "Liberation Sans,Arial,Helvetica,sans-serif"

func textStyle(size vg.Length, c color.Color) text.Style {
	return text.Style{
		Color:   c,
		Font:    font.Font{Typeface: "Liberation", Variant: "Sans", Size: size},
		Handler: plot.DefaultTextHandler,
	}
}

// chart is a plot with a legend above it, where it can hide nothing, in as many lines as it needs.
type chart struct {
	*plot.Plot
	legend []legendEntry
	// The labels are drawn here and not by gonum, which reserves room for them in the wrong place beside a logarithmic axis.
	xLabel, yLabel string
}

type legendEntry struct {
	name string
	draw func(c *draw.Canvas, from, to vg.Point) // a sample, between the two ends of a horizontal line
}

func newChart(title, x, y string) *chart {
	p := plot.New()
	p.BackgroundColor = color.White
	p.Title.Text = title
	p.Title.TextStyle = textStyle(14, ink)
	p.Title.TextStyle.XAlign, p.Title.TextStyle.YAlign = draw.XCenter, draw.YTop
	p.Title.Padding = 4
	for _, axis := range []*plot.Axis{&p.X, &p.Y} {
		axis.LineStyle.Color, axis.Tick.LineStyle.Color = darkGrey, darkGrey
		tick := axis.Tick.Label
		axis.Tick.Label = textStyle(11, ink)
		axis.Tick.Label.XAlign, axis.Tick.Label.YAlign = tick.XAlign, tick.YAlign
	}
	p.X.Padding, p.Y.Padding = 0, 0
	grid := plotter.NewGrid()
	grid.Horizontal.Color, grid.Vertical.Color = gridGrey, gridGrey
	p.Add(grid)
	return &chart{Plot: p, xLabel: x, yLabel: y}
}

// svg draws the chart. The same record gives the same bytes.
func (c *chart) svg(height vg.Length) []byte { return stacked([]*chart{c}, []vg.Length{height}) }

// stacked draws charts, the first on top.
func stacked(charts []*chart, heights []vg.Length) []byte {
	var height vg.Length
	for _, h := range heights {
		height += h
	}
	canvas := vgsvg.New(chartWidth, height)
	all := draw.New(canvas)
	all.FillPolygon(color.White, []vg.Point{all.Min, {X: all.Max.X, Y: all.Min.Y}, all.Max, {X: all.Min.X, Y: all.Max.Y}})
	top := height
	for i, c := range charts {
		c.drawTo(draw.Crop(all, 10, -18, top-heights[i]+8, top-height-8))
		top -= heights[i]
	}
	var buf bytes.Buffer
	if _, err := canvas.WriteTo(&buf); err != nil {
		panic("report: a bytes.Buffer failed: " + err.Error()) // it never does
	}
	return bytes.ReplaceAll(fixWidths(buf.Bytes()), []byte("font-family:Liberation Sans;"), []byte("font-family:"+fonts+";"))
}

// The widths in a legend: of a sample, between it and its name, and between entries.
const legendSample, legendGap, legendBetween = 22, 6, 18

// legendLine is a line of a legend with its width.
type legendLine struct {
	entries []legendEntry
	width   vg.Length
}

// legendLines breaks the legend where a line would be wider than the chart, into lines of as equal numbers of entries as possible.
func (c *chart) legendLines(style text.Style, width vg.Length) []legendLine {
	for most := len(c.legend); most > 0; most-- {
		var lines []legendLine
		fits := true
		for entries := range slices.Chunk(c.legend, most) {
			line := legendLine{entries, -legendBetween}
			for _, e := range entries {
				line.width += legendSample + legendGap + style.Width(e.name) + legendBetween
			}
			fits = fits && line.width <= width
			lines = append(lines, line)
		}
		if fits || most == 1 {
			return lines
		}
	}
	return nil
}

// drawTo draws title, legend, labels and plot.
func (c *chart) drawTo(all draw.Canvas) {
	title := c.Title.TextStyle
	all.FillText(title, vg.Point{X: all.Center().X, Y: all.Max.Y}, c.Title.Text)
	c.Title.Text = ""
	const titleHeight, legendHeight = 22, 20
	style := textStyle(11, ink)
	style.YAlign = draw.YCenter
	lines := c.legendLines(style, all.Max.X-all.Min.X)
	for i, line := range lines {
		at := vg.Point{X: all.Center().X - line.width/2, Y: all.Max.Y - titleHeight - vg.Length(i)*legendHeight - legendHeight/2 + 2}
		for _, e := range line.entries {
			e.draw(&all, at, vg.Point{X: at.X + legendSample, Y: at.Y})
			at.X += legendSample + legendGap
			all.FillText(style, at, e.name)
			at.X += style.Width(e.name) + legendBetween
		}
	}
	c.Plot.BackgroundColor = nil
	area := draw.Crop(all, 0, 0, 0, -titleHeight-vg.Length(max(1, len(lines)))*legendHeight)
	const labelHeight = 19
	label := textStyle(12, ink)
	label.XAlign, label.YAlign = draw.XCenter, draw.YBottom
	area.FillText(label, vg.Point{X: area.Center().X, Y: area.Min.Y}, c.xLabel)
	area = draw.Crop(area, 0, 0, labelHeight, 0)
	if c.yLabel != "" {
		label.Rotation, label.YAlign = math.Pi/2, draw.YTop
		area.FillText(label, vg.Point{X: area.Min.X, Y: area.Center().Y}, c.yLabel)
		area = draw.Crop(area, labelHeight, 0, 0, 0)
	}
	c.Draw(area)
}

// textElement is a text as vgsvg writes it: its attributes, its size and its content.
var textElement = regexp.MustCompile(`<text ([^>]*font-size:([0-9.]+)px[^>]*)>([^<]*)</text>`)

// fixWidths gives every text the width that it was measured with. Where a reader lacks the fonts, another one's wider letters
// would run over what stands beside them.
func fixWidths(svg []byte) []byte {
	return textElement.ReplaceAllFunc(svg, func(element []byte) []byte {
		part := textElement.FindSubmatch(element)
		size, err := strconv.ParseFloat(string(part[2]), 64)
		if err != nil {
			return element
		}
		width := textStyle(vg.Length(size), ink).Width(html.UnescapeString(string(part[3])))
		return fmt.Appendf(nil, `<text textLength="%.5g" lengthAdjust="spacingAndGlyphs" %s>%s</text>`, float64(width), part[1], part[3])
	})
}

func lineSample(style draw.LineStyle) func(*draw.Canvas, vg.Point, vg.Point) {
	return func(c *draw.Canvas, from, to vg.Point) { c.StrokeLine2(style, from.X, from.Y, to.X, to.Y) }
}

func bandSample(fill color.Color) func(*draw.Canvas, vg.Point, vg.Point) {
	return func(c *draw.Canvas, from, to vg.Point) {
		c.FillPolygon(fill, []vg.Point{{X: from.X, Y: from.Y - 5}, {X: to.X, Y: from.Y - 5}, {X: to.X, Y: from.Y + 5}, {X: from.X, Y: from.Y + 5}})
	}
}

func pointSample(style draw.GlyphStyle) func(*draw.Canvas, vg.Point, vg.Point) {
	return func(c *draw.Canvas, from, to vg.Point) {
		c.DrawGlyph(style, vg.Point{X: (from.X + to.X) / 2, Y: from.Y})
	}
}

// curve adds a line through the finite points; one that is not finite interrupts it.
func (c *chart) curve(name string, points plotter.XYs, style draw.LineStyle) {
	c.unnamed(points, style)
	c.legend = append(c.legend, legendEntry{name, lineSample(style)})
}

// unnamed is curve without an entry in the legend.
func (c *chart) unnamed(points plotter.XYs, style draw.LineStyle) {
	for _, part := range finiteParts(points) {
		l := &plotter.Line{XYs: thin(part, maxPoints), LineStyle: style}
		c.Add(l)
	}
}

// mark adds a dashed vertical line with a label at its top.
func (c *chart) mark(x float64, label string, clr color.Color) {
	c.Add(&verticalMark{x: x, label: label, style: draw.LineStyle{Color: clr, Width: 1, Dashes: []vg.Length{4, 3}}})
}

type verticalMark struct {
	x     float64
	label string
	style draw.LineStyle
}

// Plot implements plot.Plotter.
func (m *verticalMark) Plot(c draw.Canvas, p *plot.Plot) {
	trX, _ := p.Transforms(&c)
	x := trX(m.x)
	if !c.ContainsX(x) {
		return
	}
	c.StrokeLine2(m.style, x, c.Min.Y, x, c.Max.Y)
	st := textStyle(11, m.style.Color)
	st.YAlign = draw.YTop
	at := vg.Point{X: x + 4, Y: c.Max.Y - 3}
	width := st.Width(m.label)
	if at.X+width > c.Max.X {
		at.X = x - 4 - width
	}
	// The label stands on white: curves may run below it.
	c.FillPolygon(color.White, []vg.Point{{X: at.X - 1, Y: at.Y - 13}, {X: at.X + width + 1, Y: at.Y - 13}, {X: at.X + width + 1, Y: at.Y}, {X: at.X - 1, Y: at.Y}})
	c.FillText(st, at, m.label)
}

// finiteParts splits a curve where a value is not finite.
func finiteParts(points plotter.XYs) []plotter.XYs {
	var parts []plotter.XYs
	var part plotter.XYs
	for _, p := range points {
		if math.IsNaN(p.Y) || math.IsInf(p.Y, 0) {
			if len(part) > 0 {
				parts = append(parts, part)
			}
			part = nil
			continue
		}
		part = append(part, p)
	}
	if len(part) > 0 {
		parts = append(parts, part)
	}
	return parts
}

// thin keeps the smallest and the largest point of each of limit/2 equal shares.
func thin(points plotter.XYs, limit int) plotter.XYs {
	if len(points) <= limit {
		return points
	}
	var out plotter.XYs
	shares := limit / 2
	for i := range shares {
		from, to := i*len(points)/shares, (i+1)*len(points)/shares
		low, high := from, from
		for k := from; k < to; k++ {
			if points[k].Y < points[low].Y {
				low = k
			}
			if points[k].Y > points[high].Y {
				high = k
			}
		}
		out = append(out, points[min(low, high)])
		if low != high {
			out = append(out, points[max(low, high)])
		}
	}
	return out
}

// farthest is the largest magnitude that is drawn; a diverged loss beyond it is drawn there.
const farthest = 1e30

func drawable(x float64) float64 { return max(-farthest, min(x, farthest)) } // NaN stays NaN

// steps are the points of a curve: step numbers and values.
func steps(values []record.Float) plotter.XYs {
	points := make(plotter.XYs, len(values))
	for i, v := range values {
		points[i] = plotter.XY{X: float64(i), Y: float64(v)}
		if !math.IsInf(float64(v), 0) {
			points[i].Y = drawable(float64(v))
		}
	}
	return points
}

// firstBad is the first step whose loss is not finite, or -1.
func firstBad(values []record.Float) int {
	for i, v := range values {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return i
		}
	}
	return -1
}

// finiteRange is the smallest and largest finite value of all curves; ok is false when there is none.
func finiteRange(curves ...[]record.Float) (low, high float64, ok bool) {
	low, high = math.Inf(1), math.Inf(-1)
	for _, values := range curves {
		for _, v := range values {
			if x := float64(v); !math.IsNaN(x) && !math.IsInf(x, 0) {
				low, high, ok = min(low, drawable(x)), max(high, drawable(x)), true
			}
		}
	}
	return low, high, ok
}

// logTicks labels powers of ten and leaves out most labels where there are many.
type logTicks struct{}

// Ticks implements plot.Ticker.
func (logTicks) Ticks(low, high float64) []plot.Tick {
	if !(low > 0) || math.IsInf(high, 1) {
		return nil // no logarithmic axis
	}
	first, last := int(math.Floor(math.Log10(low))), int(math.Ceil(math.Log10(high)))
	every := 1 + (last-first)/9
	var ticks []plot.Tick
	for e := first; e <= last; e++ {
		for m := 1; m <= 9; m++ {
			v := float64(m) * math.Pow(10, float64(e))
			if v < low*(1-1e-9) || v > high*(1+1e-9) || m > 1 && every > 1 {
				continue
			}
			label := ""
			if m == 1 && (e-first)%every == 0 {
				label = powerOfTen(e)
			}
			ticks = append(ticks, plot.Tick{Value: v, Label: label})
		}
	}
	return ticks
}

func powerOfTen(e int) string {
	if e >= -2 && e <= 3 {
		return number(math.Pow(10, float64(e)))
	}
	return fmt.Sprintf("1e%+03d", e)
}

// wholeTicks are gonum's ticks without labels between whole numbers, for steps.
type wholeTicks struct{}

// Ticks implements plot.Ticker.
func (wholeTicks) Ticks(low, high float64) []plot.Tick {
	var ticks []plot.Tick
	for _, t := range (plot.DefaultTicks{}).Ticks(low, high) {
		if t.Label != "" {
			if t.Value != math.Trunc(t.Value) {
				continue
			}
			t.Label = count(int(t.Value))
		}
		ticks = append(ticks, t)
	}
	return ticks
}
