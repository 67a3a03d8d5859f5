package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"tandem/results/record"
)

// ProfileMarkdown writes a record's profile as the report has it.
func ProfileMarkdown(w io.Writer, r *record.Run) error {
	d := &document{r: r}
	d.profile()
	_, err := io.WriteString(w, strings.TrimSuffix(d.b.String(), "\n"))
	return err
}

// profile tells what the candidate's step is spent on.
func (d *document) profile() {
	p := d.r.Profile
	if p == nil {
		return
	}
	d.para("## Where a step's time goes")
	d.para("%s at %s: a step takes %s, its limit is %s, %s of it; where arithmetic and the moving of bytes did not overlap within a call, it would be %s, %s. The limit is the sum of the calls' limits: of each the longer of its "+
		"operations at %s Gflop/s and its bytes at the bandwidth of the smallest set that holds them (%s), both measured in the same process. "+
		"Times are medians of %d steps.",
		escape(p.Engine), plural(p.Threads, "thread"), secondsRange(p.StepSeconds), seconds(p.LimitSeconds), share(p.LimitSeconds, p.StepSeconds.Median),
		seconds(p.SerialSeconds), share(p.SerialSeconds, p.StepSeconds.Median),
		threeDigits(p.OperationsPerSecond/1e9), bandwidths(p), p.StepSeconds.N)
	d.profileLayers(p)
	d.profileRest(p)
}

// bandwidths lists the measured limits of bytes.
func bandwidths(p *record.Profile) string {
	var parts []string
	for _, b := range p.Bandwidths {
		parts = append(parts, fmt.Sprintf("%s GB/s within %s", threeDigits(b.BytesPerSecond/1e9), size(float64(b.SetBytes))))
	}
	return strings.Join(parts, ", ")
}

func (d *document) profileLayers(p *record.Profile) {
	var rows [][]string
	var all record.ProfileLayer
	errors := layerErrors(d.r)
	for i, l := range p.Layers {
		name := l.Layer
		if l.Module != "" {
			name = l.Module
			if l.Layer != "" {
				name += " (" + l.Layer + ")"
			}
		}
		worst := ""
		if e := errors[i]; e != nil {
			worst = rho(e.Rho)
		}
		rows = append(rows, append(layerRow(escape(name), escape(l.Operator), escape(strings.Join(l.Algorithms, ", ")), l), worst))
		all.ForwardSeconds += l.ForwardSeconds
		all.BackwardSeconds += l.BackwardSeconds
		all.UpdateSeconds += l.UpdateSeconds
		all.Operations += l.Operations
		all.Bytes += l.Bytes
		all.LimitSeconds += l.LimitSeconds
	}
	rows = append(rows, append(layerRow("all calls", "", "", all), ""))
	d.table([]string{"layer", "operator", "algorithm", ">forward", ">backward", ">update", ">Gflop", ">moved", ">limit", ">of limit", ">rho"}, rows)
	d.para("The update of a parameter stands with the first layer that reads it; where one call computes a gradient and the update, it is there. Operations are " +
		"those of products, by the operator's definition: an algorithm that needs fewer can be faster than the limit. What is moved is each element once. " + layerErrorsAre)
}

// layerErrorsAre says what [layerErrors] finds.
const layerErrorsAre = "rho is the largest one, over the judged steps, of the layer's output and of its module's gradients, updates and buffers."

// layerErrors finds for each layer of a profile the tensor with the largest rho among its own: the gradients, updates and buffers that PyTorch
// names below its module and below none that is nearer, and the output that the exporter names after its node. It is nil for a layer that has
// none of them.
func layerErrors(r *record.Run) []*located {
	layers := r.Profile.Layers
	byModule, byNode := map[string][]int{}, map[string]int{}
	for i, l := range layers {
		if l.Module != "" {
			byModule[l.Module] = append(byModule[l.Module], i)
		}
		byNode[l.Layer] = i
	}
	// owners are the layers of the nearest module above a parameter or buffer.
	owners := func(name string) []int {
		for cut := strings.LastIndexByte(name, '.'); cut > 0; cut = strings.LastIndexByte(name[:cut], '.') {
			if of := byModule[name[:cut]]; of != nil {
				return of
			}
		}
		return nil
	}
	out := make([]*located, len(layers))
	for k := range r.Parity.Steps {
		for _, kind := range tensorKinds {
			if kind.field == "whole_step" {
				continue // not judged
			}
			for i, e := range kind.of(&r.Parity.Steps[k]) {
				name := e.Name[strings.LastIndexByte(e.Name, '/')+1:]
				var of []int
				if kind.field != "outputs" {
					of = owners(name)
				} else if layer, ok := byNode["node_"+name]; ok {
					of = []int{layer}
				}
				for _, layer := range of {
					if out[layer] == nil || worse(e.Rho, out[layer].Rho) {
						out[layer] = &located{e, fmt.Sprintf("parity.steps[%d].%s[%d]", k, kind.field, i), r.Parity.Steps[k].Step}
					}
				}
			}
		}
	}
	return out
}

func layerRow(name, operator, algorithm string, l record.ProfileLayer) []string {
	time := func(s float64) string {
		if s == 0 {
			return ""
		}
		return seconds(s)
	}
	return []string{
		name, operator, algorithm, time(l.ForwardSeconds), time(l.BackwardSeconds), time(l.UpdateSeconds),
		gigaOperations(l.Operations), size(l.Bytes), seconds(l.LimitSeconds), share(l.LimitSeconds, l.ForwardSeconds+l.BackwardSeconds+l.UpdateSeconds),
	}
}

// profileRest tells what the time beyond the limit is spent on.
func (d *document) profileRest(p *record.Profile) {
	step := p.StepSeconds.Median
	var rows [][]string
	for _, o := range p.Operators {
		beyond := o.Seconds - o.LimitSeconds
		rows = append(rows, []string{
			code(o.Operator), escape(o.Phase), strconv.Itoa(o.Calls), seconds(o.Seconds), seconds(o.LimitSeconds), seconds(beyond), share(beyond, step),
		})
	}
	rows = append(rows, []string{"between the calls", "", "", "", "", seconds(step - p.CallsSeconds), share(step-p.CallsSeconds, step)})
	rows = append(rows, []string{"the step beyond its limit", "", "", "", "", seconds(step - p.LimitSeconds), share(step-p.LimitSeconds, step)})
	d.para("The rest, by what each operator takes beyond its limit (a negative time between the calls is what timing each of them costs):")
	d.table([]string{"operator", "phase", ">calls", ">time", ">limit", ">beyond it", ">of the step"}, rows)
}

// share writes part of whole in percent.
func share(part, whole float64) string {
	x := 100 * part / whole
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return ""
	}
	digits := 0
	if math.Abs(x) < 9.95 {
		digits = 1
	}
	return strconv.FormatFloat(x, 'f', digits, 64) + " %"
}

func gigaOperations(x float64) string {
	if x == 0 {
		return ""
	}
	return threeDigits(x / 1e9)
}

// size writes a number of bytes in the unit that fits it.
func size(bytes float64) string {
	switch {
	case bytes >= 999.5*(1<<10):
		return threeDigits(bytes/(1<<20)) + " MiB"
	case bytes >= 999.5:
		return threeDigits(bytes/(1<<10)) + " KiB"
	}
	return strconv.FormatFloat(bytes, 'f', 0, 64) + " B"
}
