package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/fixtures/experiment"
	"tandem/results/record"
)

// threshold is a limit of the verdict with its usual value.
type threshold struct {
	name         string // as in the experiment's file
	value, usual float64
	meaning      string
}

// changed says what the limit usually is when the experiment changed it.
func (t threshold) changed() string {
	if t.value == t.usual {
		return ""
	}
	return fmt.Sprintf(" (CHANGED: usually %s)", number(t.usual))
}

func thresholds(t experiment.Thresholds) []threshold {
	d := experiment.DefaultThresholds
	return []threshold{
		{"pass_rho", t.PassRho, d.PassRho, "PASS: the quantile of rho is at most this"},
		{"fail_rho", t.FailRho, d.FailRho, "FAIL: rho above this"},
		{"fail_steps", float64(t.FailSteps), float64(d.FailSteps), "on at least this many judged steps"},
		{"float64_gap", t.Float64Gap, d.Float64Gap, "float64 against float64, relative"},
		{"horizon", t.Horizon, d.Horizon, "curves are compared until the envelope passes this"},
		{"envelope_slack", t.EnvelopeSlack, d.EnvelopeSlack, "times the envelope that a loss may leave the reference's"},
		{"quantile", t.Quantile, d.Quantile, "share of a step's tensors that pass_rho holds for"},
		{"structural_zero", t.StructuralZero, d.StructuralZero, "share of its neighbours' norm up to which a tensor counts as zero"},
		{"learning", t.Learning, d.Learning, "share by which the reference's loss must fall"},
		{"loss_noise", t.LossNoise, d.LossNoise, "the envelope is never taken to be narrower, relative"},
	}
}

// machine are the environment's entries that are known, as names and values.
func machine(e *record.Environment) [][2]string {
	var rows [][2]string
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, [2]string{name, value})
		}
	}
	floats := func(xs []float64) string {
		var parts []string
		for _, x := range xs {
			parts = append(parts, threeDigits(x))
		}
		return strings.Join(parts, ", ")
	}
	add("processor", e.CPU)
	add("features", strings.Join(e.CPUFeatures, ", "))
	if e.Cores > 0 {
		add("cores", count(e.Cores))
	}
	if e.MemoryBytes > 0 {
		add("memory", mebibytes(e.MemoryBytes))
	}
	add("system", strings.TrimSpace(e.OS+"/"+e.Arch+" "+e.Kernel))
	add("load before", floats(e.LoadBefore))
	add("load after", floats(e.LoadAfter))
	if len(e.FrequencyMHz) > 0 {
		var parts []string
		for _, x := range e.FrequencyMHz {
			parts = append(parts, fmt.Sprintf("%.0f", x))
		}
		add("frequency, MHz", strings.Join(parts, ", "))
	}
	add("tandem", strings.TrimSpace(e.Tandem+" "+e.Go))
	for _, k := range slices.Sorted(maps.Keys(e.Variables)) {
		add(k, e.Variables[k])
	}
	add("command", commandLine(e.CommandLine))
	return rows
}

// commandLine writes arguments so that a shell reads them back.
func commandLine(args []string) string {
	var parts []string
	for _, a := range args {
		if a == "" || strings.ContainsFunc(a, func(r rune) bool {
			return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,+@%", r))
		}) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		parts = append(parts, a)
	}
	return strings.Join(parts, " ")
}
