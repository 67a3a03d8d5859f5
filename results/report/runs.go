package report

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"tandem/results/record"
)

// equivalences are the numbers that several trainings were compared by.
func equivalences(runs *record.Runs) (names []string, values []record.Equivalence) {
	names, values = []string{"mean loss, last tenth"}, []record.Equivalence{runs.Loss}
	if runs.Accuracy != nil {
		names, values = append(names, "test accuracy"), append(values, *runs.Accuracy)
	}
	return names, values
}

// equivalenceCells are a comparison's mean difference, its interval and the margin. Accuracies are in percentage points of accuracy.
func equivalenceCells(name string, e record.Equivalence) []string {
	show := func(x record.Float) string { return signed(float64(x)) }
	margin := "±" + threeDigits(float64(e.Margin))
	if name == "test accuracy" {
		show = func(x record.Float) string { return signed(100*float64(x)) + " points" }
		margin = fmt.Sprintf("±%s points", threeDigits(100*float64(e.Margin)))
	}
	return []string{name, string(e.Verdict), show(e.Mean), fmt.Sprintf("%s to %s", show(e.Low), show(e.High)), margin}
}

func signed(x float64) string {
	if math.IsNaN(x) {
		return "-"
	}
	if x > 0 {
		return "+" + threeDigits(x)
	}
	if x < 0 {
		return "-" + threeDigits(-x)
	}
	return "0"
}

// runs shows what several trainings say.
func (s *summary) runs() {
	runs := s.r.Runs
	if runs == nil {
		return
	}
	s.heading(fmt.Sprintf("Trainings: %d on each side, with other orders and masks", len(runs.Trainings)))
	rows := [][]cell{{{s: ""}, {s: "verdict"}, {s: "difference", right: true}, {s: "90 % interval", right: true}, {s: "margin", right: true}}}
	names, values := equivalences(runs)
	for i, e := range values {
		c := equivalenceCells(names[i], e)
		rows = append(rows, []cell{{s: c[0]}, {s: c[1], style: verdictStyle(e.Verdict)}, {s: c[2], right: true}, {s: c[3], right: true}, {s: c[4], right: true}})
	}
	s.table(rows)
}

// runs writes the section on several trainings.
func (d *document) runs() {
	runs := d.r.Runs
	if runs == nil {
		return
	}
	d.para("## Several trainings")
	d.para("Beyond the horizon two right trainings have nothing in common but how well they end. So both engines trained %s, each with an order of the data and "+
		"dropout masks of its own, from the initial weights nudged by one unit in the last place; within a training both sides had the same ones. "+
		"Judged is the mean of the paired differences, candidate less reference: PASS needs its 90 %% confidence interval (Student's t) inside the margin on both sides, which is two one-sided tests "+
		"at 5 %%; FAIL needs its 99 %% interval outside. The margin is what the limit `learning` allows: that share of what the reference learned. Too few trainings "+
		"make the interval wide and the verdict INCONCLUSIVE.", plural(len(runs.Trainings), "time"))
	d.chart(FileRuns, "losses of all trainings of both engines")
	names, values := equivalences(runs)
	var rows [][]string
	for i, e := range values {
		rows = append(rows, equivalenceCells(names[i], e))
	}
	d.table([]string{"of all trainings", "verdict", ">mean difference", ">90 % interval", ">margin"}, rows)
	d.list(escapeAll(runs.Reasons))
	rows = nil
	ref, cand := side(d.r, record.Reference), side(d.r, record.Candidate)
	accuracy := func(a *record.Float) string {
		if a == nil {
			return "-"
		}
		return percent(float64(*a))
	}
	for _, t := range runs.Trainings {
		rows = append(rows, []string{
			fmt.Sprint(t.Seed), loss(t.Reference.LastTenth), loss(t.Candidate.LastTenth), accuracy(t.Reference.Accuracy), accuracy(t.Candidate.Accuracy),
		})
	}
	d.table([]string{">seed", ">loss, " + escape(ref), ">loss, " + escape(cand), ">accuracy, " + escape(ref), ">accuracy, " + escape(cand)}, rows)
}

// runsChart draws, for each engine, the mean loss of its trainings and the range from the lowest to the highest. It is nil without further
// trainings.
func runsChart(r *record.Run) []byte {
	runs := r.Runs
	if runs == nil || len(runs.Trainings) < 2 {
		return nil
	}
	var all [][]record.Float
	for _, t := range runs.Trainings {
		all = append(all, t.Reference.Losses, t.Candidate.Losses)
	}
	low, high, ok := finiteRange(all...)
	if !ok {
		return nil
	}
	c := newChart(fmt.Sprintf("Losses of %s of each engine: mean, and lowest to highest", plural(len(runs.Trainings), "training")), "step", "mean loss")
	if low > 1/farthest && high > 20*low {
		c.Y.Scale, c.Y.Tick.Marker = plot.LogScale{}, logTicks{}
		c.yLabel += " (log scale)"
		low, high = low/1.1, high*1.1
	}
	c.Y.Min, c.Y.Max = low, high
	refBand, candBand := lightBlue, vermilion
	refBand.A, candBand.A = 0x90, 0x50
	for _, x := range []struct {
		name string
		band func(record.Training) []record.Float
		fill draw.LineStyle
		line draw.LineStyle
	}{
		{side(r, record.Reference), func(t record.Training) []record.Float { return t.Reference.Losses }, draw.LineStyle{Color: refBand}, draw.LineStyle{Color: blue, Width: 2.4}},
		{side(r, record.Candidate), func(t record.Training) []record.Float { return t.Candidate.Losses }, draw.LineStyle{Color: candBand}, draw.LineStyle{Color: vermilion, Width: 1}},
	} {
		var lower, mean, upper plotter.XYs
		n := len(x.band(runs.Trainings[0]))
		for i := range n {
			at := (float64(i) + 0.5) * float64(len(r.Loss.Reference)) / float64(n)
			least, most, sum := math.Inf(1), math.Inf(-1), 0.0
			for _, t := range runs.Trainings {
				v := math.NaN()
				if losses := x.band(t); i < len(losses) {
					v = float64(losses[i])
				}
				least, most, sum = min(least, v), max(most, v), sum+v
			}
			if math.IsNaN(sum) || math.IsInf(sum, 0) {
				break
			}
			lower, upper = append(lower, plotter.XY{X: at, Y: max(least, low)}), append(upper, plotter.XY{X: at, Y: min(most, high)})
			mean = append(mean, plotter.XY{X: at, Y: sum / float64(len(runs.Trainings))})
		}
		if len(mean) < 2 {
			continue
		}
		outline := append(plotter.XYs{}, upper...)
		for i := len(lower) - 1; i >= 0; i-- {
			outline = append(outline, lower[i])
		}
		c.Add(&plotter.Polygon{XYs: []plotter.XYs{outline}, Color: x.fill.Color})
		c.legend = append(c.legend, legendEntry{x.name + ", all trainings", bandSample(x.fill.Color)})
		c.curve(x.name+", mean", mean, x.line)
	}
	c.stepAxis(r)
	return c.svg(chartHeight)
}
