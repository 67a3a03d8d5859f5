package roofline

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Markdown writes the tables of limits. It fails when the run did not measure the limits.
func (run *Run) Markdown(w io.Writer) error {
	l, err := run.limits()
	if err != nil {
		return err
	}
	d := &document{}
	d.para("# The kernels and the machine's limits")
	if run.CPU != "" {
		d.para("Processor: %s. All rates are of the fastest call in one run; the limits were measured in the same run.", run.CPU)
	}
	d.machine(l)
	d.steps(run, l)
	d.products(run, l)
	d.moves(run, l)
	_, err = io.WriteString(w, d.b.String())
	return err
}

type document struct{ b strings.Builder }

func (d *document) para(format string, args ...any) { fmt.Fprintf(&d.b, format+"\n\n", args...) }

// table writes rows below titles; one that begins with ">" is aligned right. Nothing is written without rows.
func (d *document) table(titles []string, rows [][]string) {
	rules := make([]string, len(titles))
	for i, t := range titles {
		rules[i] = "---"
		if strings.HasPrefix(t, ">") {
			titles[i], rules[i] = t[1:], "---:"
		}
	}
	for _, row := range append([][]string{titles, rules}, rows...) {
		d.b.WriteString("| " + strings.Join(row, " | ") + " |\n")
	}
	d.b.WriteByte('\n')
}

func (d *document) machine(l *limits) {
	d.para("## What the machine can do")
	var rows [][]string
	for _, s := range slices.SortedFunc(maps.Keys(l.peaks), func(a, b setting) int {
		return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.threads, b.threads))
	}) {
		row := []string{s.path, strconv.Itoa(s.threads), number(l.peaks[s]), "", ""}
		if tile := l.tiles[s]; tile > 0 {
			row[3], row[4] = number(tile), share(tile, l.peaks[s])
		}
		rows = append(rows, row)
	}
	if len(l.tiles) > 0 {
		d.para("The peak is that of multiply-adds whose numbers are in registers. No product does without loads: beside the peak stands what a tile reaches alone, its factors in the " +
			"first-level cache. A processor whose loads have units of their own may still lower its clock for them. All shares below are of the peak.")
	}
	d.table([]string{"multiply-adds", ">threads", ">peak, GF/s", ">a tile alone, GF/s", ">share of the peak"}, rows)
	threads := slices.Sorted(maps.Keys(l.bandwidths))
	titles := []string{">bytes in use"}
	for _, t := range threads {
		titles = append(titles, fmt.Sprintf(">GB/s, threads %d", t))
	}
	rows = nil
	for _, s := range l.sets(threads[0]) {
		row := []string{size(s)}
		for _, t := range threads {
			row = append(row, number(l.bandwidths[t][s]))
		}
		rows = append(rows, row)
	}
	d.table(titles, rows)
}

// steps are the training steps.
func (d *document) steps(run *Run, l *limits) {
	var rows [][]string
	for _, r := range run.Results {
		took, flop, moved := r.Values["us/fastest"], r.Values["FLOP/step"], r.Values["Adam-B/step"]
		peak, bandwidth := l.peak(r.Keys["path"], r.threads()), l.bandwidth(moved/2, r.threads())
		if !(took > 0) || !(flop > 0) || !(peak > 0) || !(bandwidth > 0) {
			continue
		}
		products, optimizer := flop/peak/1e3, moved/bandwidth/1e3 // microseconds
		row := []string{
			label(r), strconv.Itoa(r.threads()), number(took), number(products), number(optimizer),
			number(products + optimizer), share(products+optimizer, took), number(max(products, optimizer)), share(max(products, optimizer), took), "", "",
		}
		if tile := l.tile(r.Keys["path"], r.threads()); tile > 0 {
			loaded := flop/tile/1e3 + optimizer
			row[9], row[10] = number(loaded), share(loaded, took)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return
	}
	d.para("## Training steps")
	d.para("Step is the MLP's, Transformer the language model's. The products are their counted operations at the measured peak. Adam is the bytes that it reads and writes (24 a " +
		"parameter of the MLP: the parameter and two moments, read and written; the gradient is never in memory; 32 of the Transformer, whose gradients are written and read, since the norm of " +
		"them all comes before the first update) at the bandwidth measured for as many bytes in use. One after the other they take their sum. A step that updates with a part of a gradient " +
		"while the next part is computed overlaps them, so what no step can be faster than is the larger of both; to reach that, Adam's own arithmetic, which needs the units that multiply " +
		"and add, would have to cost nothing. Where the gradients are clipped by their norm, as the Transformer's are, nothing can overlap so. " +
		"Activations, GELU, softmax, normalizations, the loss and dropout are in neither. The last two columns are again one after the other, with the products at the rate of a tile alone, which " +
		"has to load its factors.")
	d.table([]string{
		"step", ">threads", ">µs", ">products at the peak", ">Adam at the bandwidth", ">one after the other, µs", ">share of it", ">overlapped, µs", ">share of it",
		">with a tile's loads, µs", ">share of it",
	}, rows)
}

// products are the kernels that the peak limits, with PyTorch's beside those of the fastest path.
func (d *document) products(run *Run, l *limits) {
	shape := func(r Result) string {
		return fmt.Sprint(r.threads(), r.Keys["m"], " ", r.Keys["n"], " ", r.Keys["k"], " ", r.Keys["form"])
	}
	torch := map[string]float64{}
	for _, r := range run.Results {
		if r.Name == torchName {
			torch[shape(r)] = max(torch[shape(r)], r.Values["GF/s"])
		}
	}
	var rows [][]string
	for _, r := range run.Results {
		rate, peak := r.Values["GF/s"], l.peak(r.Keys["path"], r.threads())
		if r.Name == peakName || r.Name == tileName || r.Name == torchName || !(rate > 0) || !(peak > 0) {
			continue
		}
		row := []string{label(r), r.Keys["path"], strconv.Itoa(r.threads()), number(rate), share(rate, peak), "", ""}
		if other := torch[shape(r)]; other > 0 && r.Keys["path"] == l.best {
			row[5], row[6] = number(other), number(rate/other)
		}
		rows = append(rows, row)
	}
	if len(rows) > 0 {
		d.para("## Kernels that the peak limits")
		d.table([]string{"kernel", "path", ">threads", ">GF/s", ">share of the peak", ">PyTorch's mm, GF/s", ">times as fast"}, rows)
	}
}

// moves are the kernels that the bandwidth limits.
func (d *document) moves(run *Run, l *limits) {
	var rows [][]string
	for _, r := range run.Results {
		rate, set := r.Values["GB/s"], r.Values["set-B"]
		limit := l.bandwidth(set, r.threads())
		if r.Name == bandwidthName || !(rate > 0) || !(set > 0) || !(limit > 0) {
			continue
		}
		rows = append(rows, []string{label(r), r.Keys["path"], strconv.Itoa(r.threads()), size(set), number(rate), share(rate, limit)})
	}
	if len(rows) > 0 {
		d.para("## Kernels on slices")
		d.para("The share is of the bandwidth measured for as many bytes in use; a kernel that computes much for each element, such as an exponential, cannot reach it.")
		d.table([]string{"kernel", "path", ">threads", ">bytes in use", ">GB/s", ">share of the bandwidth"}, rows)
	}
}

// label names a result by its name and what of its keys has no column.
func label(r Result) string {
	words := []string{r.Name}
	for _, k := range []string{"", "of", "batch"} {
		if v, ok := r.Keys[k]; ok {
			words = append(words, strings.TrimPrefix(k+" "+v, "of "))
		}
	}
	if r.Keys["m"] != "" {
		words = append(words, r.Keys["m"]+"x"+r.Keys["n"]+"x"+r.Keys["k"], r.Keys["form"])
	}
	return strings.Join(strings.Fields(strings.Join(words, " ")), " ")
}

// number writes three significant digits.
func number(x float64) string {
	switch {
	case x >= 99.95:
		return strconv.FormatFloat(x, 'f', 0, 64)
	case x >= 9.995:
		return strconv.FormatFloat(x, 'f', 1, 64)
	default:
		return strconv.FormatFloat(x, 'f', 2, 64)
	}
}

func share(x, limit float64) string { return strconv.FormatFloat(100*x/limit, 'f', 0, 64) + " %" }

func size(bytes float64) string {
	switch {
	case bytes >= 1<<20:
		return number(bytes/(1<<20)) + " MiB"
	default:
		return number(bytes/(1<<10)) + " KiB"
	}
}
