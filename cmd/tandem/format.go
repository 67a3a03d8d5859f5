package main

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"tandem/onnx/atomicfile"
	"tandem/results/export"
	"tandem/results/record"
	"tandem/results/report"
	"tandem/results/tensorboard"
)

// format is a way to write records for others. It has one of the two functions.
type format struct {
	meaning string
	// file writes all runs to one file, which is standard output unless --out names one.
	file func(w io.Writer, runs []*record.Run) error
	// folder writes one run to an existing folder.
	folder func(dir string, r *record.Run) error
}

// formats by their names; html is apart, since it takes sweeps too.
var formats = map[string]format{
	"html": {meaning: "one page of all runs and sweeps"},
	"md":   {meaning: "report.md and its charts, for a pull request", folder: report.Markdown},
	"junit": {meaning: "JUnit's XML: a test for each stage, judged step, forward pass and planted mistake", file: func(w io.Writer, runs []*record.Run) error {
		return export.JUnit(w, runs...)
	}},
	"csv": {meaning: "losses.csv, tensors.csv and timing.csv", folder: export.CSV},
	"benchstat": {meaning: "the format of Go's benchmarks, for benchstat", file: func(w io.Writer, runs []*record.Run) error {
		return export.Benchstat(w, runs...)
	}},
	"tensorboard": {meaning: "event files of losses and of each tensor's rho", folder: tensorboard.Write},
	"badge": {meaning: "an SVG of one line for a README", file: func(w io.Writer, runs []*record.Run) error {
		if len(runs) != 1 {
			return fmt.Errorf("a badge is of one run, there are %d", len(runs))
		}
		return export.Badge(w, runs[0])
	}},
}

// formatOrder is the order in which formats are named.
var formatOrder = []string{"html", "md", "junit", "csv", "benchstat", "tensorboard", "badge"}

func formatNames() string {
	return strings.Join(formatOrder[:len(formatOrder)-1], ", ") + " or " + formatOrder[len(formatOrder)-1]
}

// formatList lists the formats for the help.
func formatList() string {
	var b strings.Builder
	for _, name := range formatOrder {
		fmt.Fprintf(&b, "  %-12s %s\n", name, formats[name].meaning)
	}
	return b.String()
}

// export writes records in a format. Files go to --out or, but for the page, to standard output; folders to --out or beside result.json.
func (a *app) export(entries []report.Entry, f reportFlags) error {
	what := formats[f.format]
	if f.format == "html" {
		if f.out == "" && len(entries) > 1 {
			return usageError{errors.New("report: the page of several runs needs a name: --out FILE")}
		}
		out := cmp.Or(f.out, filepath.Join(filepath.Dir(entries[0].Source), report.FileHTML))
		if err := report.HTMLFile(out, entries...); err != nil {
			return inputError{fmt.Errorf("report: %w", err)}
		}
		a.wrote("%d of %d comparisons pass; the page is %s", passes(entries), len(entries), out)
		return nil
	}
	var runs []*record.Run
	for _, e := range entries {
		if e.Sweep != nil {
			return inputError{fmt.Errorf("report: %s is a sweep's: the format %s is for runs", e.Source, f.format)}
		}
		runs = append(runs, e.Run)
	}
	if what.file != nil {
		var buf bytes.Buffer
		if err := what.file(&buf, runs); err != nil {
			return inputError{fmt.Errorf("report: %w", err)}
		}
		if f.out == "" {
			if a.json {
				return usageError{fmt.Errorf("report: with --json the record goes to standard output: --out FILE for the format %s", f.format)}
			}
			_, err := a.stdout.Write(buf.Bytes())
			return err
		}
		if err := atomicfile.WriteBytes(f.out, buf.Bytes()); err != nil {
			return inputError{fmt.Errorf("report: %w", err)}
		}
		a.wrote("wrote %s", f.out)
		return nil
	}
	for i, e := range entries {
		dir := filepath.Dir(e.Source)
		switch {
		case f.out != "" && len(entries) > 1:
			dir = filepath.Join(f.out, fmt.Sprintf("%d-%s", i+1, filepath.Base(dir)))
		case f.out != "":
			dir = f.out
		case f.format != "md":
			dir = filepath.Join(dir, f.format)
		}
		err := os.MkdirAll(dir, 0o777)
		if err == nil {
			err = what.folder(dir, e.Run)
		}
		if err != nil {
			return inputError{fmt.Errorf("report: %w", err)}
		}
		a.wrote("wrote %s", dir)
	}
	return nil
}

// wrote says what was written.
func (a *app) wrote(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.human(), format+"\n", args...)
	}
}
