package report

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"tandem/fixtures/experiment"
	"tandem/results/record"
)

// tensorKind is a list of tensor errors of a judged step.
type tensorKind struct {
	field, title string
	of           func(*record.JudgedStep) []record.TensorError
}

var tensorKinds = []tensorKind{
	{"outputs", "Outputs", func(s *record.JudgedStep) []record.TensorError { return s.Outputs }},
	{"gradients", "Gradients", func(s *record.JudgedStep) []record.TensorError { return s.Gradients }},
	{"update", "Update", func(s *record.JudgedStep) []record.TensorError { return s.Update }},
	{"whole_step", "Own step", func(s *record.JudgedStep) []record.TensorError { return s.WholeStep }},
	{"buffers", "Buffers", func(s *record.JudgedStep) []record.TensorError { return s.Buffers }},
}

// heat is a map of rho: a row for each tensor, a column for each judged step.
type heat struct {
	Title         string
	Cols          []heatLabel
	Rows          []heatRow
	Width, Height int
}

type heatLabel struct {
	X, Y int
	Text string
	Path string
}

type heatRow struct {
	Label, Name string
	Y           int // of the cells
	Base        int // of the text
	Path        string
	Cells       []heatCell
}

// place is where a map's parts stand: its names need as much room as the longest.
func (h *heat) place() {
	letters := 4
	for i := range h.Rows {
		letters = max(letters, utf8.RuneCountInString(h.Rows[i].Label))
	}
	left := int(math.Ceil(heatLetter*float64(letters))) + 6
	h.Width, h.Height = left+heatCellWidth*len(h.Cols)+2, heatTop+heatCellHeight*len(h.Rows)+2
	for k := range h.Cols {
		h.Cols[k].X, h.Cols[k].Y = left+heatCellWidth*k+heatCellWidth/2, heatTop-7
	}
	for i := range h.Rows {
		row := &h.Rows[i]
		row.Y = heatTop + heatCellHeight*i
		row.Base = row.Y + 10
		for c := range row.Cells {
			row.Cells[c].X = left + heatCellWidth*row.Cells[c].Column
		}
	}
}

type heatCell struct {
	X      int
	Class  string
	Path   string
	Tip    string
	Column int
}

// The sizes of a map, in pixels.
const (
	heatCellWidth  = 20
	heatCellHeight = 14
	heatTop        = 22
	heatLetter     = 6.35 // the width of one, in the typewriter's face
	heatLetters    = 28   // of a name that fits
)

// rhoClass is the class of a colour: h0 to h4 up to what PASS allows, h5 between, h6 beyond what FAIL needs; hn is no number.
func rhoClass(x record.Float, t experiment.Thresholds) string {
	switch v := float64(x); {
	case math.IsNaN(v):
		return "hn"
	case v > t.FailRho:
		return "h6"
	case v > t.PassRho:
		return "h5"
	case v > 2:
		return "h4"
	case v > 1:
		return "h3"
	case v > 0.5:
		return "h2"
	case v > 0.1:
		return "h1"
	}
	return "h0"
}

// limits are the experiment's thresholds, or the usual ones of a record without an experiment.
func limits(r *record.Run) experiment.Thresholds {
	if r.Experiment == nil {
		return experiment.DefaultThresholds
	}
	return r.Experiment.Parity.Thresholds
}

// heats are the maps of all kinds of tensors, in the order of computation.
func heats(r *record.Run) []*heat {
	var out []*heat
	p, t := &r.Parity, limits(r)
	if len(p.Steps) == 0 {
		return nil
	}
	start := func(title string) *heat {
		h := &heat{Title: title}
		for k, s := range p.Steps {
			h.Cols = append(h.Cols, heatLabel{Text: shortCount(s.Step), Path: fmt.Sprintf("parity.steps[%d].step", k)})
		}
		return h
	}
	cell := func(k int, rhoOf record.Float, path, words string) heatCell {
		return heatCell{Class: rhoClass(rhoOf, t), Path: path, Tip: words, Column: k}
	}
	losses := start("Loss")
	losses.Rows = []heatRow{{Label: "loss", Name: "loss"}}
	for k, s := range p.Steps {
		losses.Rows[0].Cells = append(losses.Rows[0].Cells, cell(k, s.Loss.Rho, fmt.Sprintf("parity.steps[%d].loss.rho", k), fmt.Sprintf("loss, step %s: rho %s", count(s.Step), rho(s.Loss.Rho))))
	}
	for _, kind := range tensorKinds {
		// Names such as optimizer/exp_avg/fc1.weight make a map for what stands before the last slash.
		byFolder := map[string]*heat{}
		at := map[string]int{} // rows by name: a step may lack a tensor
		var folders []string
		for k := range p.Steps {
			for i, e := range kind.of(&p.Steps[k]) {
				folder, short := "", clean(e.Name)
				if cut := strings.LastIndexByte(short, '/'); cut > 0 {
					folder, short = short[:cut], short[cut+1:]
				}
				h := byFolder[folder]
				if h == nil {
					title := kind.title
					if folder != "" {
						title += ": " + folder
					}
					h = start(title)
					byFolder[folder] = h
					folders = append(folders, folder)
				}
				n, ok := at[e.Name]
				if !ok {
					n = len(h.Rows)
					at[e.Name] = n
					h.Rows = append(h.Rows, heatRow{Label: shortName(short), Name: clean(e.Name), Path: fmt.Sprintf("parity.steps[%d].%s[%d].name", k, kind.field, i)})
				}
				h.Rows[n].Cells = append(h.Rows[n].Cells, cell(k, e.Rho, fmt.Sprintf("parity.steps[%d].%s[%d].rho", k, kind.field, i),
					fmt.Sprintf("%s, step %s: rho %s, error %s", clean(e.Name), count(p.Steps[k].Step), rho(e.Rho), relative(e.Error))))
			}
		}
		for _, folder := range folders {
			out = append(out, byFolder[folder])
		}
		if kind.field == "outputs" {
			out = append(out, losses)
		}
	}
	for _, h := range out {
		h.place()
	}
	return out
}

// shortName cuts a long name in its middle: its ends tell tensors apart.
func shortName(name string) string {
	if letters := []rune(name); len(letters) > heatLetters {
		const head = heatLetters / 2
		return string(letters[:head]) + "…" + string(letters[len(letters)-(heatLetters-head-1):])
	}
	return name
}

// shortCount writes a step's number in the width of a cell.
func shortCount(n int) string {
	switch {
	case n < 1000:
		return fmt.Sprint(n)
	case n < 100_000:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/1000), ".0") + "k"
	}
	return fmt.Sprintf("%.0fk", float64(n)/1000)
}

// stepDetails are the numbers of each judged step, closed.
func stepDetails(r *record.Run) []part {
	var out []part
	for k := range r.Parity.Steps {
		s := &r.Parity.Steps[k]
		path := fmt.Sprintf("parity.steps[%d]", k)
		d := &details{Summary: []shown{own("step "), {Text: count(s.Step), Path: path + ".step"}, own(", "), {Text: count(s.Rows), Path: path + ".rows"}, own(" rows")}}
		loss := &table{Caption: words("Loss"), Head: []string{">reference", ">candidate", ">reference, float64", ">candidate, float64", ">rho"}}
		l := s.Loss
		loss.add(path+".loss", []shown{{Text: lossDigits(l.Reference), Path: ".reference"}}, []shown{{Text: lossDigits(l.Candidate), Path: ".candidate"}},
			[]shown{{Text: lossDigits(l.ReferenceFloat64), Path: ".reference_float64"}}, []shown{{Text: lossDigits(l.CandidateFloat64), Path: ".candidate_float64"}}, []shown{{Text: rho(l.Rho), Path: ".rho"}})
		d.Parts = append(d.Parts, part{Table: loss})
		for _, kind := range tensorKinds {
			errs := kind.of(s)
			if len(errs) == 0 {
				continue
			}
			d.Parts = append(d.Parts, part{Table: tensorTable(kind.title, path+"."+kind.field, errs, limits(r))})
		}
		var variants []shown
		for i, v := range s.Variants {
			if i > 0 {
				variants = append(variants, own(", "))
			}
			variants = append(variants, shown{Text: or(clean(v), "plain"), Path: pathIf(clean(v) != "", fmt.Sprintf("%s.variants[%d]", path, i), "")})
		}
		if len(variants) > 0 {
			d.Parts = append(d.Parts, part{Para: append(words("Noise measured by: "), variants...)})
		}
		out = append(out, part{Details: d})
	}
	return out
}

// tensorTable lists tensor errors.
func tensorTable(title, path string, errs []record.TensorError, t experiment.Thresholds) *table {
	out := &table{Caption: words(title), Head: []string{"tensor", ">rho", ">error", ">floor", ">float64 gap"}, Class: "tensors"}
	for i, e := range errs {
		gap := words("-")
		if e.Float64Gap != nil {
			gap = []shown{{Text: relative(*e.Float64Gap), Path: ".float64_gap"}}
		}
		name := []shown{{Text: clean(e.Name), Path: ".name", Class: "code"}}
		if e.Zero {
			name = append(name, own(" (zero by structure)"))
		}
		out.add(fmt.Sprintf("%s[%d]", path, i), name, []shown{{Text: rho(e.Rho), Path: ".rho", Class: rhoText(e.Rho, t)}}, []shown{{Text: relative(e.Error), Path: ".error"}},
			[]shown{{Text: relative(e.Floor), Path: ".floor"}}, gap)
	}
	return out
}

// rhoText colours a rho that is more than PASS allows.
func rhoText(x record.Float, t experiment.Thresholds) string {
	switch rhoClass(x, t) {
	case "h5":
		return "open"
	case "h6", "hn":
		return "fail"
	}
	return ""
}

// lossDigits writes a loss with as many digits as tell float32 numbers apart.
func lossDigits(x record.Float) string {
	if v := float64(x); math.IsNaN(v) || math.IsInf(v, 0) {
		return number(v)
	}
	return fmt.Sprintf("%.8g", float64(x))
}
