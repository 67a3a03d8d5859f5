package export

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode"

	"tandem/results/record"
)

// NoSpeedError says that a record has no times that may be shown.
type NoSpeedError struct {
	Experiment string
	Verdict    record.Verdict
	Absent     string // why nothing was timed; empty where it was
}

// Error says what is missing.
func (e *NoSpeedError) Error() string {
	switch {
	case e.Verdict != record.Pass:
		return fmt.Sprintf("%s: the verdict is %s, and a wrong training has no speed", e.Experiment, e.Verdict)
	case e.Absent != "":
		return fmt.Sprintf("%s: nothing was timed: %s", e.Experiment, e.Absent)
	}
	return e.Experiment + ": nothing was timed"
}

// Benchstat writes the runs' times in the format of Go's benchmarks (https://go.dev/design/14313-benchmark-format): a line for each block of
// steps, with the median time of a step. "benchstat -col /engine FILE" compares the engines, "benchstat OLD NEW" two runs. It is a
// [*NoSpeedError] when a run has none.
func Benchstat(w io.Writer, runs ...*record.Run) error {
	var b strings.Builder
	for _, r := range runs {
		// A comment: what differs from run to run as a key would part the runs that benchstat is to compare.
		from := "# tandem " + clean(r.Environment.Tandem) + ", started " + r.Started.UTC().Format("2006-01-02T15:04:05Z")
		if r.Timing == nil || r.Parity.Verdict != record.Pass {
			return &NoSpeedError{Experiment: experimentName(r), Verdict: r.Parity.Verdict, Absent: clean(r.TimingAbsent)}
		}
		fmt.Fprintln(&b, from)
		for _, line := range [][2]string{
			{"goos", r.Environment.OS},
			{"goarch", r.Environment.Arch},
			{"cpu", r.Environment.CPU},
			{"pkg", "tandem/" + experimentName(r)},
			{"parity", string(r.Parity.Verdict)},
			{"rows", strconv.Itoa(r.Data.TrainRows)},
			{"batch", batch(r)},
		} {
			if v := clean(line[1]); v != "" {
				fmt.Fprintf(&b, "%s: %s\n", line[0], v)
			}
		}
		for _, c := range contenders(r.Timing) {
			name := "BenchmarkStep/engine=" + word(c.Engine)
			if c.Mode != "" {
				name += "/mode=" + word(c.Mode)
			}
			for _, s := range c.BlockMedians {
				if !(s > 0) || math.IsInf(s, 0) {
					continue
				}
				fmt.Fprintf(&b, "%s-%d\t%d\t%s ns/op\n", name, c.Threads, max(1, r.Timing.BlockSteps), digits(s*1e9))
			}
		}
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// batch is that of the experiment, empty where the record has none.
func batch(r *record.Run) string {
	if r.Experiment == nil {
		return ""
	}
	return strconv.Itoa(r.Experiment.Train.Batch)
}

// word makes a name one part of a benchmark's: without spaces, and with nothing that begins another part or ends it with a number.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '/' || r == '=' {
			return '_'
		}
		return r
	}, clean(s))
	if s == "" {
		return "_"
	}
	return s
}
