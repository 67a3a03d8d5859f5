package export

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"

	"tandem/onnx/atomicfile"
	"tandem/results/record"
)

// The files that [CSV] writes.
const (
	FileLosses  = "losses.csv"
	FileTensors = "tensors.csv"
	FileTiming  = "timing.csv"
)

// CSV writes three tables to the existing folder dir: the losses of each step, the tensors of each judged step, and the samples of the
// timing. Without a PASS there is no timing; one of an earlier export is removed. Numbers have all their digits; NaN and the infinities
// are NaN, Inf and -Inf; what was not measured is empty.
func CSV(dir string, r *record.Run) error {
	files := []struct {
		name  string
		table [][]string
	}{{FileLosses, losses(r)}, {FileTensors, tensors(r)}, {FileTiming, timing(r)}}
	for _, f := range files {
		path := filepath.Join(dir, f.name)
		if len(f.table) == 0 {
			if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		var buf bytes.Buffer
		w := csv.NewWriter(&buf)
		if err := w.WriteAll(f.table); err != nil {
			return err
		}
		if err := atomicfile.WriteBytes(path, buf.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func digits[F ~float64](x F) string {
	v := float64(x)
	if math.IsInf(v, 1) {
		return "Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

func losses(r *record.Run) [][]string {
	out := [][]string{{"step", "reference", "candidate", "envelope"}}
	at := func(values []record.Float, i int) string {
		if i >= len(values) {
			return ""
		}
		return digits(values[i])
	}
	for i := range max(len(r.Loss.Reference), len(r.Loss.Candidate)) {
		out = append(out, []string{strconv.Itoa(i), at(r.Loss.Reference, i), at(r.Loss.Candidate, i), at(r.Loss.Envelope, i)})
	}
	return out
}

func tensors(r *record.Run) [][]string {
	out := [][]string{{"step", "kind", "tensor", "error", "floor", "rho", "float64_gap", "zero"}}
	for i := range r.Parity.Steps {
		s := &r.Parity.Steps[i]
		step := strconv.Itoa(s.Step)
		out = append(out, []string{step, "loss", "loss", "", "", digits(s.Loss.Rho), "", "false"})
		for _, list := range tensorLists(s) {
			for _, e := range list.errs {
				gap := ""
				if e.Float64Gap != nil {
					gap = digits(*e.Float64Gap)
				}
				out = append(out, []string{step, list.kind, clean(e.Name), digits(e.Error), digits(e.Floor), digits(e.Rho), gap, strconv.FormatBool(e.Zero)})
			}
		}
	}
	return out
}

func timing(r *record.Run) [][]string {
	if r.Timing == nil || r.Parity.Verdict != record.Pass {
		return nil
	}
	out := [][]string{{"role", "engine", "mode", "threads", "block", "steps", "seconds_per_step"}}
	for _, c := range contenders(r.Timing) {
		for i, s := range c.BlockMedians {
			out = append(out, []string{c.role, clean(c.Engine), clean(c.Mode), strconv.Itoa(c.Threads), strconv.Itoa(i), strconv.Itoa(r.Timing.BlockSteps), digits(s)})
		}
	}
	return out
}

// contender is one that was timed.
type contender struct {
	record.EngineTiming
	role string
}

// contenders are all that were timed, each once: the reference's modes, the candidate, and both with other numbers of threads.
func contenders(t *record.Timing) []contender {
	var out []contender
	for _, m := range t.Modes {
		out = append(out, contender{m, string(record.Reference)})
	}
	if len(t.Modes) == 0 {
		out = append(out, contender{t.Reference, string(record.Reference)})
	}
	out = append(out, contender{t.Candidate, string(record.Candidate)})
	for _, o := range t.Others {
		role := record.Reference
		if o.Engine == t.Candidate.Engine && o.Mode == t.Candidate.Mode {
			role = record.Candidate
		}
		out = append(out, contender{o, string(role)})
	}
	return out
}
