package report

import (
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"tandem/results/diff"
	"tandem/results/record"
)

// history is the runs of one comparison in the order of time.
type history struct {
	key  diff.Key
	runs []*record.Run
}

// histories sorts runs by what they compare and by time.
func histories(runs []*record.Run) []history {
	at := map[diff.Key]int{}
	var out []history
	for _, r := range runs {
		k := diff.KeyOf(r)
		i, ok := at[k]
		if !ok {
			i = len(out)
			at[k] = i
			out = append(out, history{key: k})
		}
		out[i].runs = append(out[i].runs, r)
	}
	for _, h := range out {
		slices.SortStableFunc(h.runs, func(a, b *record.Run) int { return a.Started.Compare(b.Started) })
	}
	slices.SortFunc(out, func(a, b history) int { return a.key.Compare(b.key) })
	return out
}

// ends names what is measured after training; the runs of one comparison measure the same.
func ends(runs []*record.Run) string {
	for _, r := range runs {
		switch {
		case r.Perplexity != nil:
			return "perplexity"
		case r.TestLoss != nil:
			return "test loss"
		}
	}
	return "accuracy"
}

// HistoryTerminal writes a table for each comparison among the runs, the oldest run first. Times and speed-ups stand after a PASS alone.
func HistoryTerminal(w io.Writer, runs []*record.Run, o Options) error {
	if o.Width <= 0 {
		o.Width = 100
	}
	t := &summary{page: page{color: o.Color, width: max(o.Width, 40)}, r: &record.Run{}, o: o}
	marked := false
	for i, h := range histories(runs) {
		if i > 0 {
			t.line("")
		}
		t.line(t.styled(bold, clean(h.key.String())))
		rows := [][]cell{{
			{s: "started", style: faint},
			{s: "parity", style: faint},
			{s: "rho", style: faint, right: true},
			{s: ends(h.runs), style: faint, right: true},
			{s: clean(h.key.Reference), style: faint, right: true},
			{s: clean(h.key.Candidate), style: faint, right: true},
			{s: "speed-up [95 %]", style: faint, right: true},
			{s: "tandem", style: faint},
		}}
		for _, r := range h.runs {
			row := []cell{
				{s: r.Started.UTC().Format("2006-01-02 15:04")},
				{s: string(r.Parity.Verdict), style: verdictStyle(r.Parity.Verdict)},
				{s: "-", right: true},
				{s: "-", right: true},
				{s: "-", right: true},
				{s: "-", right: true},
				{s: "-", right: true},
				{s: clean(r.Environment.Tandem)},
			}
			if worst, _ := worstOf(&r.Parity, "outputs", "gradients", "update", "buffers"); worst != nil {
				row[2].s = rho(worst.Rho)
			}
			switch {
			case r.Accuracy != nil:
				row[3].s = percent(r.Accuracy.Candidate)
			case r.Perplexity != nil:
				row[3].s = ratio(float64(r.Perplexity.Candidate))
			case r.TestLoss != nil:
				row[3].s = loss(r.TestLoss.Candidate)
			}
			if tm := r.Timing; tm != nil && r.Parity.Verdict == record.Pass {
				m := tm.Measured
				row[4].s, row[5].s = seconds(tm.Reference.StepSeconds.Median), seconds(tm.Candidate.StepSeconds.Median)
				row[6].s = fmt.Sprintf("%s [%s, %s]", ratio(m.Median), ratio(m.Low), ratio(m.High))
				if tm.Speedup == nil {
					row[6].s, marked = notClaimedMark+" "+row[6].s, true
				}
			}
			rows = append(rows, row)
		}
		t.table(rows)
	}
	if marked {
		t.line("")
		t.wrap(plain, "  ", notClaimedLegend)
	}
	return t.write(w)
}

// HistoryChart draws the speed-ups of each comparison's runs over time as an SVG; runs that did not pass are crosses on the lower edge, since a
// wrong training has no speed. It is nil without a run.
func HistoryChart(runs []*record.Run) []byte {
	var charts []*chart
	var heights []vg.Length
	for _, h := range histories(runs) {
		charts, heights = append(charts, historyChart(h)), append(heights, 260)
	}
	if len(charts) == 0 {
		return nil
	}
	return stacked(charts, heights)
}

func historyChart(h history) *chart {
	c := newChart(clean(h.key.String()), "", "speed-up (log scale)")
	low, high := 0.9, 1.1
	var line []spread
	var wrong plotter.XYs
	for _, r := range h.runs {
		x := float64(r.Started.Unix())
		if tm := r.Timing; tm != nil && r.Parity.Verdict == record.Pass {
			m := tm.Measured
			line = append(line, spread{x, m.Low, m.Median, m.High})
			low, high = min(low, m.Low/1.15), max(high, m.High*1.15)
		} else if r.Parity.Verdict != record.Pass {
			wrong = append(wrong, plotter.XY{X: x})
		}
	}
	if low < 0.9 || high > 1.1 {
		low /= 1.1
	}
	c.spreads("speed-up, median and 95 % interval", line, draw.LineStyle{Color: vermilion, Width: 1.4})
	for i := range wrong {
		wrong[i].Y = low * 1.02
	}
	if len(wrong) > 0 {
		glyph := draw.GlyphStyle{Color: ink, Radius: 4, Shape: draw.CrossGlyph{}}
		c.Add(&plotter.Scatter{XYs: wrong, GlyphStyle: glyph})
		c.legend = append(c.legend, legendEntry{"no PASS, so no speed", pointSample(glyph)})
	}
	c.Add(&horizontalMark{y: 1, style: draw.LineStyle{Color: darkGrey, Width: 1, Dashes: []vg.Length{4, 3}}})
	first, last := float64(h.runs[0].Started.Unix()), float64(h.runs[len(h.runs)-1].Started.Unix())
	margin := max(0.03*(last-first), 60)
	c.X.Min, c.X.Max = first-margin, last+margin
	c.X.Tick.Marker = plot.ConstantTicks(dates(h.runs))
	c.Y.Scale, c.Y.Tick.Marker = plot.LogScale{}, oneTwoFive{}
	c.Y.Min, c.Y.Max = low, high
	return c
}

// dates are at most six ticks, at runs that are far enough apart.
func dates(runs []*record.Run) []plot.Tick {
	first, last := runs[0].Started, runs[len(runs)-1].Started
	layout := "2006-01-02"
	if last.Sub(first) < 3*24*time.Hour {
		layout = "01-02 15:04"
	}
	apart := max(last.Sub(first).Seconds()/6, 1)
	var out []plot.Tick
	at := math.Inf(-1)
	for _, r := range runs {
		if x := float64(r.Started.Unix()); x >= at+apart {
			out = append(out, plot.Tick{Value: x, Label: r.Started.UTC().Format(layout)})
			at = x
		}
	}
	return out
}
