package report

import (
	"fmt"
	"path/filepath"
	"strings"

	"tandem/results/record"
)

// diagnosisRows are a diagnosis as pairs of a word and what is said by it; none without one. dir is the run's folder.
func diagnosisRows(d *record.Diagnosis, dir string) [][2]string {
	if d == nil {
		return nil
	}
	var rows [][2]string
	add := func(word, format string, args ...any) {
		rows = append(rows, [2]string{word, clean(fmt.Sprintf(format, args...))})
	}
	switch {
	case d.Tensor != "":
		add("where", "%s at step %s%s", d.Tensor, count(d.Step), diagnosisNumbers(d))
	case d.Step >= 0:
		add("where", "step %s", count(d.Step))
	}
	if o := d.Operator; o != nil {
		words := fmt.Sprintf("%s, node %q", o.Op, o.Node)
		if o.Module != "" {
			words += ", PyTorch module " + o.Module
		}
		if o.Source != "" {
			words += ", " + o.Source
		}
		add("operator", "%s", words)
		if len(o.Among) > 0 {
			add("or", "%s: nothing between was compared", strings.Join(o.Among, ", "))
		}
	}
	for i, c := range d.Causes {
		word := "cause"
		if i > 0 {
			word = "or"
		}
		words := fmt.Sprintf("%s (%s): %s", c.Name, c.Certainty, c.Text)
		if c.Residual != nil {
			words += fmt.Sprintf("; what this leaves unexplained is %s", relative(*c.Residual))
		}
		add(word, "%s", words)
	}
	if len(d.Causes) == 0 {
		add("cause", "no known mistake has this fingerprint")
	}
	if d.Evidence != "" {
		add("evidence", "to be seen without tandem: python3 %s", filepath.Join(dir, d.Evidence, "replay.py"))
	}
	return rows
}

// diagnosisNumbers say how far off the tensor is and where else.
func diagnosisNumbers(d *record.Diagnosis) string {
	var parts []string
	if d.Error != nil {
		parts = append(parts, relative(*d.Error)+" off")
	}
	if d.Rho != nil {
		parts = append(parts, "rho "+rho(*d.Rho))
	}
	if d.Float64Gap != nil {
		parts = append(parts, "float64 gap "+relative(*d.Float64Gap))
	}
	if n := len(d.FailingSteps); n > 1 {
		parts = append(parts, fmt.Sprintf("seen at %s judged steps", count(n)))
	}
	if len(parts) == 0 {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}
