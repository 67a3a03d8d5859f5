package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tandem/results/record"
)

// drawnLayers is how many layers a profile's chart has at most; the table has all.
const drawnLayers = 24

// profileParts show what the candidate's step is spent on, against what the machine could do.
func profileParts(r *record.Run) []part {
	p := r.Profile
	if p == nil {
		return nil
	}
	unit := " threads"
	if p.Threads == 1 {
		unit = " thread"
	}
	intro := []shown{{Text: clean(p.Engine), Path: "profile.engine"}, own(" at "), {Text: count(p.Threads), Path: "profile.threads"}, own(unit + ": a step takes ")}
	intro = append(intro, under("profile", quantileShown(p.StepSeconds))...)
	intro = append(intro, own(", in "), shown{Text: count(p.StepSeconds.N), Path: "profile.step_seconds.n"}, own(" steps; its limit is "), shown{Text: seconds(p.LimitSeconds), Path: "profile.limit_seconds", Class: "strong"},
		own(", and "), shown{Text: seconds(p.SerialSeconds), Path: "profile.serial_seconds"}, own(" where arithmetic and the moving of bytes do not overlap within a call. A call's limit is the longer of its floating-point operations at "),
		shown{Text: threeDigits(p.OperationsPerSecond), Path: "profile.operations_per_second"}, own(" a second and its bytes at the bandwidth of the smallest set that holds them, both measured in the same process."))
	out := []part{{Para: intro}}
	for _, s := range []*strips{layerStrips(p), operatorStrips(p)} {
		if s != nil {
			out = append(out, part{Strips: s})
		}
	}
	rest := []shown{own("Between the calls: "), {Text: seconds(p.StepSeconds.Median - p.CallsSeconds), Path: "profile.step_seconds.median - profile.calls_seconds"}, own(" of a step (negative: that is what timing each of them costs).")}
	bands := &table{Head: []string{">set", ">bytes a second"}, Caption: words("Measured bandwidths")}
	for i, b := range p.Bandwidths {
		bands.add(fmt.Sprintf("profile.bandwidths[%d]", i), []shown{{Text: count(int(b.SetBytes)), Path: ".set_bytes"}, own(" B")}, []shown{{Text: threeDigits(b.BytesPerSecond), Path: ".bytes_per_second"}})
	}
	return append(out, part{Para: rest}, part{Details: &details{Summary: words("all layers as a table"), Parts: []part{{Para: words(layerErrorsAre)}, {Table: layerTable(r)}}}}, part{Details: &details{Summary: words("all calls of a step as a table, and the measured bandwidths"), Parts: []part{{Table: callTable(p)}, {Table: bands}}}})
}

// under are shown fields of what stands at path.
func under(path string, fields []shown) []shown {
	for i := range fields {
		if fields[i].Path != "" {
			fields[i].Path = path + fields[i].Path
		}
	}
	return fields
}

// layerName is PyTorch's path of a layer where it is known, and the node's name.
func layerName(l record.ProfileLayer) []shown {
	if clean(l.Module) == "" {
		return []shown{{Text: or(clean(l.Layer), "(no layer)"), Path: pathIf(clean(l.Layer) != "", ".layer", ""), Class: "code"}}
	}
	return []shown{{Text: clean(l.Module), Path: ".module", Class: "code"}, own(" "), {Text: clean(l.Operator), Path: ".operator"}}
}

func layerSeconds(l record.ProfileLayer) float64 {
	return l.ForwardSeconds + l.BackwardSeconds + l.UpdateSeconds
}

// layerStrips draws the layers' times in the order of the step, each with its limit.
func layerStrips(p *record.Profile) *strips {
	var picked []int
	longest := 0.0
	for i, l := range p.Layers {
		picked = append(picked, i)
		longest = max(longest, layerSeconds(l), l.LimitSeconds)
	}
	if !(longest > 0) {
		return nil
	}
	slices.SortStableFunc(picked, func(a, b int) int { return cmp.Compare(layerSeconds(p.Layers[b]), layerSeconds(p.Layers[a])) })
	title := "Layers, in the order of the step"
	if len(picked) > drawnLayers {
		picked, title = picked[:drawnLayers], "The slowest layers, in the order of the step"
	}
	slices.Sort(picked)
	a := axis{High: longest * 1.04}
	s := &strips{Title: title, Axis: "time of a step", Ticks: timeTicks(a), Scale: a.String(), Legend: []legendItem{
		{"part forward", words("forward")}, {"part backward", words("backward")}, {"part update", words("update")}, {"range", words("limit of the machine")},
	}}
	for _, i := range picked {
		l := p.Layers[i]
		row := strip{Path: fmt.Sprintf("profile.layers[%d]", i), Label: layerName(l), Class: "cand", Limit: percentAt(a.at(l.LimitSeconds))}
		at := 0.0
		for _, x := range []struct {
			seconds     float64
			class, path string
		}{{l.ForwardSeconds, "forward", ".forward_seconds"}, {l.BackwardSeconds, "backward", ".backward_seconds"}, {l.UpdateSeconds, "update", ".update_seconds"}} {
			if x.seconds > 0 {
				row.segment(a, &at, x.seconds, x.class, x.path, x.class+" "+seconds(x.seconds))
			}
		}
		row.Value = []shown{{Text: seconds(layerSeconds(l)), Path: row.Path + ".forward_seconds + " + row.Path + ".backward_seconds + " + row.Path + ".update_seconds", Class: "strong"}, own(", limit "), {Text: seconds(l.LimitSeconds), Path: ".limit_seconds"}}
		s.Rows = append(s.Rows, row)
	}
	return s
}

// segment appends a part of the bar that begins where the last one ended.
func (s *strip) segment(a axis, at *float64, value float64, class, path, tip string) {
	from, to := a.at(*at), a.at(*at+value)
	s.Segments = append(s.Segments, stripSegment{At: percentAt(from), Width: percentAt(to - from), Class: class, Path: path, Tip: tip})
	*at += value
}

// operatorStrips draws what each operator takes up to its limit and beyond it, the one that loses most first.
func operatorStrips(p *record.Profile) *strips {
	longest := 0.0
	for _, o := range p.Operators {
		longest = max(longest, o.Seconds, o.LimitSeconds)
	}
	if !(longest > 0) {
		return nil
	}
	a := axis{High: longest * 1.04}
	s := &strips{Title: "Operators, by the time that they lose to their limits", Axis: "time of a step", Ticks: timeTicks(a), Scale: a.String(), Legend: []legendItem{
		{"part within", words("within the limit")}, {"part beyond", words("beyond it")},
	}}
	for i, o := range p.Operators[:min(drawnLayers, len(p.Operators))] {
		path := fmt.Sprintf("profile.operators[%d]", i)
		row := strip{Path: path, Class: "cand", Label: []shown{{Text: clean(o.Operator), Path: ".operator", Class: "code"}, own(", "), {Text: clean(o.Phase), Path: ".phase"}}}
		at := 0.0
		if within := min(o.Seconds, o.LimitSeconds); within == o.Seconds {
			row.segment(a, &at, within, "within", ".seconds", "all of it "+seconds(within))
		} else {
			row.segment(a, &at, within, "within", ".limit_seconds", "limit "+seconds(within))
			row.segment(a, &at, o.Seconds-within, "beyond", path+".seconds - "+path+".limit_seconds", "beyond "+seconds(o.Seconds-within))
		}
		calls := " calls"
		if o.Calls == 1 {
			calls = " call"
		}
		row.Value = []shown{{Text: seconds(o.Seconds), Path: ".seconds", Class: "strong"}, own(", limit "), {Text: seconds(o.LimitSeconds), Path: ".limit_seconds"}, own(", "), {Text: count(o.Calls), Path: ".calls"}, own(calls)}
		s.Rows = append(s.Rows, row)
	}
	return s
}

func layerTable(r *record.Run) *table {
	p, errors := r.Profile, layerErrors(r)
	t := &table{Class: "layers", Head: []string{"layer", "operator", "algorithm", ">forward", ">backward", ">update", ">operations", ">bytes", ">limit", ">rho"}}
	time := func(s float64, path string) []shown {
		if s == 0 {
			return words("")
		}
		return []shown{{Text: seconds(s), Path: path}}
	}
	for i, l := range p.Layers {
		var algorithms []shown
		for k, name := range l.Algorithms {
			if k > 0 {
				algorithms = append(algorithms, own(", "))
			}
			algorithms = append(algorithms, shown{Text: clean(name), Path: fmt.Sprintf(".algorithms[%d]", k)})
		}
		name := []shown{{Text: or(clean(l.Layer), "(no layer)"), Path: pathIf(clean(l.Layer) != "", ".layer", ""), Class: "code"}}
		if clean(l.Module) != "" {
			name = append([]shown{{Text: clean(l.Module), Path: ".module", Class: "code"}, own(" ")}, name...)
		}
		worst := words("")
		if e := errors[i]; e != nil {
			worst = []shown{{Text: rho(e.Rho), Path: e.path + ".rho", Class: rhoText(e.Rho, limits(r))}}
		}
		t.add(fmt.Sprintf("profile.layers[%d]", i), name, []shown{{Text: clean(l.Operator), Path: ".operator"}}, algorithms, time(l.ForwardSeconds, ".forward_seconds"), time(l.BackwardSeconds, ".backward_seconds"),
			time(l.UpdateSeconds, ".update_seconds"), []shown{{Text: threeDigits(l.Operations), Path: ".operations"}}, []shown{{Text: threeDigits(l.Bytes), Path: ".bytes"}}, []shown{{Text: seconds(l.LimitSeconds), Path: ".limit_seconds"}}, worst)
	}
	return t
}

func callTable(p *record.Profile) *table {
	t := &table{Head: []string{"phase", "operator", "layer", "algorithm", ">time", ">limit", ">operations", ">bytes"}}
	text := func(s, path string) []shown {
		if s = strings.TrimSpace(clean(s)); s == "" {
			return words("")
		}
		return []shown{{Text: s, Path: path}}
	}
	for i, c := range p.Calls {
		t.add(fmt.Sprintf("profile.calls[%d]", i), text(c.Phase, ".phase"), text(c.Operator, ".operator"), text(c.Layer, ".layer"), text(c.Algorithm, ".algorithm"), []shown{{Text: seconds(c.Seconds), Path: ".seconds"}},
			[]shown{{Text: seconds(c.LimitSeconds), Path: ".limit_seconds"}}, []shown{{Text: threeDigits(c.Operations), Path: ".operations"}}, []shown{{Text: threeDigits(c.Bytes), Path: ".bytes"}})
	}
	return t
}
