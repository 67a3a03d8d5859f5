package report

import (
	"fmt"
	"math"
	"strings"

	"tandem/results/record"
)

// memoryParts show what each process held, and how that went while it trained.
func memoryParts(r *record.Run) []part {
	s := memoryStrips(r)
	if s == nil {
		return nil
	}
	explained := "The peak of each process's resident memory while it trained; below, what it held after start-up and imports, before anything was loaded."
	if _, without := r.MemoryByTraining(); without {
		explained += " By training is what was added without the unwritten pages of executables and libraries, which processes share."
	}
	out := []part{{Strips: s}, {Para: words(explained)}}
	f := memoryFigure(r)
	if f == nil {
		return out
	}
	t := &table{Head: []string{"engine", ">steps", ">resident memory"}}
	for _, role := range []record.Role{record.Reference, record.Candidate} {
		for i, x := range r.Memory[role].Samples {
			t.add(fmt.Sprintf("%s.samples[%d]", fieldPath("memory", string(role)), i), words(side(r, role)), []shown{{Text: count(x.Steps), Path: ".steps"}}, []shown{{Text: mebibytes(x.Bytes), Path: ".bytes"}})
		}
	}
	return append(out, part{Figure: f}, part{Para: words("Each process was asked after its first step, after its warm-up and between two blocks of the timing: a line that rises is memory that training does not give back.")},
		part{Details: &details{Summary: words("memory over the steps as a table"), Parts: []part{{Table: t}}}})
}

// memoryFigure draws the memory of both processes over the steps that they had trained; nil where it was not sampled.
func memoryFigure(r *record.Run) *figure {
	least, most, steps := math.Inf(1), 0.0, 0
	for _, m := range r.Memory {
		for _, x := range m.Samples {
			v := float64(x.Bytes) / (1 << 20)
			least, most, steps = min(least, v), max(most, v), max(steps, x.Steps)
		}
	}
	if most == 0 {
		return nil
	}
	f := &figure{
		Title: "Memory over the steps", XName: "steps that the process has trained", YName: "resident memory in MiB", Describe: "Resident memory of both processes over the steps that they had trained",
		X: axis{Low: 0, High: float64(max(steps, 2))}, Y: axis{Low: 0, High: 1.08 * most},
	}
	if most > 8*least {
		f.Y = axis{least / 1.5, most * 1.5, true}
		f.YName += ", log scale"
	}
	for k, role := range []record.Role{record.Reference, record.Candidate} {
		samples := r.Memory[role].Samples
		if len(samples) == 0 {
			continue
		}
		class := []string{"ref", "cand"}[k]
		path := fieldPath("memory", string(role)) + ".samples"
		var line, dots strings.Builder
		for i, x := range samples {
			at := units(tenth(f.X.at(float64(x.Steps)))) + " " + units(tenth(1000-f.Y.at(float64(x.Bytes)/(1<<20))))
			line.WriteString([]string{"M", "L"}[min(i, 1)] + at)
			dots.WriteString("M" + at + "h0")
		}
		f.Layers = append(f.Layers, layer{Class: "line " + class, D: line.String(), Path: "memory(" + path + ")"}, layer{Class: "dots " + class, D: dots.String(), Path: "memory(" + path + ")"})
		f.Legend = append(f.Legend, legendItem{"line " + class, words(side(r, role))})
	}
	f.axes()
	return f
}

// memoryStrips shows the peak of each process, and in it what it held before anything was loaded.
func memoryStrips(r *record.Run) *strips {
	var most int64
	for _, m := range r.Memory {
		most = max(most, m.PeakBytes)
	}
	if most <= 0 {
		return nil
	}
	a := axis{High: float64(most) / (1 << 20) * 1.02}
	s := &strips{Title: "Memory", Axis: "resident memory of each process", Ticks: stripTicks(a), Scale: a.String(), Legend: []legendItem{
		{"inner", words("before anything was loaded")}, {"bar", words("added by training, at its peak")},
	}}
	for i := range s.Ticks {
		s.Ticks[i].Label += " MiB"
	}
	added, without := r.MemoryByTraining()
	for _, role := range []record.Role{record.Reference, record.Candidate} {
		m, ok := r.Memory[role]
		if !ok {
			continue
		}
		path := fieldPath("memory", string(role))
		of := path + ".peak_bytes - " + path + ".baseline_bytes"
		if without {
			of = path + ".peak_own_bytes - " + path + ".baseline_own_bytes"
		}
		class := "ref"
		if role == record.Candidate {
			class = "cand"
		}
		s.Rows = append(s.Rows, strip{
			Path: path, Label: words(side(r, role)), Class: class,
			Bar: percentAt(a.at(float64(m.PeakBytes) / (1 << 20))), Inner: percentAt(a.at(float64(m.BaselineBytes) / (1 << 20))),
			Value: []shown{
				{Text: mebibytes(m.PeakBytes), Path: ".peak_bytes", Class: "strong"},
				own(" at the peak, "),
				{Text: mebibytes(added[role]), Path: of},
				own(" by training"),
			},
		})
	}
	return s
}
