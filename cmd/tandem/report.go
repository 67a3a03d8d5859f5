package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"tandem/results/record"
	"tandem/results/report"
)

type reportFlags struct {
	out, html, format string
}

func (a *app) reportCommand() *cobra.Command {
	var f reportFlags
	c := &cobra.Command{
		Use:   "report RUN...",
		Short: "Show runs again, write their reports anew or in other formats",
		Long: `Show the summary of a run that was made before, and write report.md with its charts and report.html again from its result.json. RUN is a
run's folder or a result.json, of a sweep too, or a folder with such folders. Nothing is trained or judged: every number comes from the record.

With --html the reports of all RUNs, a table of them first, become one page, which needs no other file and no network. With --format the
records are written for other tools, and nothing else is:

` + formatList() + `
Exit status 0 whatever the records' verdicts are. A format that is about times alone wants a PASS: status 2 without one.`,
		Example: `  tandem report runs/mnist-mlp
  tandem report results.json --out elsewhere
  tandem report runs/mnist-mlp --verbose
  tandem report runs/mnist-mlp runs/transformer-small --html all.html
  tandem report runs --format junit --out tandem.xml
  tandem report runs/mnist-mlp --format benchstat --out mnist-mlp.txt
  tandem report runs/mnist-mlp --format tensorboard --out logs`,
		Args: func(_ *cobra.Command, args []string) error {
			switch {
			case len(args) == 0:
				return usageError{errors.New("report: name one run: its folder or its result.json")}
			case f.html != "" && (f.out != "" || f.format != ""):
				return usageError{errors.New("report: --html names the one file that is written: give neither --out nor --format with it")}
			}
			if _, ok := formats[f.format]; f.format != "" && !ok {
				return usageError{fmt.Errorf("report: --format is %q, must be one of %s", f.format, formatNames())}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.report(args, f) },
	}
	c.Flags().StringVarP(&f.out, "out", "o", "", "existing folder to write the report of one run to (default beside result.json); of a format, its file or folder")
	c.Flags().StringVar(&f.html, "html", "", "write one page of all runs to `FILE`, and nothing else")
	c.Flags().StringVar(&f.format, "format", "", "write the records in a `FORMAT`: "+formatNames())
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formatOrder, cobra.ShellCompDirectiveNoFileComp)) // the flag is there
	return c
}

func (a *app) report(paths []string, f reportFlags) error {
	var entries []report.Entry
	for _, path := range paths {
		found, err := readRecords(path)
		if err != nil {
			return inputError{fmt.Errorf("report: %w", err)}
		}
		entries = append(entries, found...)
	}
	if f.html != "" {
		f.format, f.out = "html", f.html
	}
	if f.format != "" {
		if err := a.export(entries, f); err != nil {
			return err
		}
		return a.printEntries(entries)
	}
	if f.out != "" && len(entries) > 1 {
		return usageError{fmt.Errorf("report: --out is a folder for the report of one run, there are %d; --html FILE makes one page of them", len(entries))}
	}
	for _, e := range entries {
		if err := a.reportOne(e, cmp.Or(f.out, filepath.Dir(e.Source))); err != nil {
			return err
		}
	}
	return a.printEntries(entries)
}

// reportOne writes the report of a record to a folder and shows its summary.
func (a *app) reportOne(e report.Entry, dir string) error {
	write := func() error { return report.Markdown(dir, e.Run) }
	if e.Sweep != nil {
		write = func() error { return report.SweepMarkdown(dir, e.Sweep) }
	}
	if err := write(); err != nil {
		return inputError{fmt.Errorf("report: %w", err)}
	}
	page := e
	page.Source = ""
	if err := report.HTMLFile(filepath.Join(dir, report.FileHTML), page); err != nil {
		return inputError{fmt.Errorf("report: %w", err)}
	}
	if e.Sweep != nil {
		return report.SweepTerminal(a.human(), e.Sweep, a.summaryOptions(dir))
	}
	return a.summary(e.Run, dir)
}

// printEntries prints the records with --json: one as it is, several as a list.
func (a *app) printEntries(entries []report.Entry) error {
	if !a.json {
		return nil
	}
	var all []any
	for _, e := range entries {
		if e.Sweep != nil {
			all = append(all, e.Sweep)
		} else {
			all = append(all, e.Run)
		}
	}
	if len(all) == 1 {
		return a.printJSON(all[0])
	}
	return a.printJSON(all)
}

// passes counts the runs whose verdict is PASS and the sweeps of which every point's is.
func passes(entries []report.Entry) int {
	n := 0
	for _, e := range entries {
		if report.Verdict(e) == record.Pass {
			n++
		}
	}
	return n
}
