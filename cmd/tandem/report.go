package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tandem/results/compare"
	"tandem/results/record"
	"tandem/results/report"
)

func (a *app) reportCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "report RUN",
		Short: "Show a run again and write its report anew",
		Long: `Show the summary of a run that was made before, and write report.md with its charts again from its result.json. RUN is a
run's folder or a result.json, of a sweep too. Nothing is trained or judged: every number comes from the record.

Exit status 0 whatever the record's verdict is.`,
		Example: `  tandem report runs/mnist-mlp
  tandem report results.json --out elsewhere
  tandem report runs/mnist-mlp --verbose`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("report: name one run: its folder or its result.json")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.report(args[0], out) },
	}
	c.Flags().StringVarP(&out, "out", "o", "", "existing folder to write report.md to (default beside result.json)")
	return c
}

func (a *app) report(path, out string) error {
	file := path
	info, err := os.Stat(path)
	if err != nil {
		return inputError{fmt.Errorf("report: %w; name a run's folder or its result.json", err)}
	}
	if info.IsDir() {
		file = filepath.Join(path, compare.ResultFile)
		if _, err := os.Stat(file); err != nil {
			return inputError{fmt.Errorf("report: %s is no run's folder: %w", path, err)}
		}
	}
	if s, err := record.ReadSweep(file); err == nil {
		return a.reportSweep(s, cmp.Or(out, filepath.Dir(file)))
	}
	r, err := record.Read(file)
	if err != nil {
		return inputError{fmt.Errorf("report: %w", err)}
	}
	if out == "" {
		out = filepath.Dir(file)
	}
	if err := report.Markdown(out, r); err != nil {
		return inputError{fmt.Errorf("report: %w", err)}
	}
	if err := a.summary(r, filepath.Join(out, report.FileReport)); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(r)
	}
	return nil
}

func (a *app) reportSweep(s *record.Sweep, out string) error {
	if err := report.SweepMarkdown(out, s); err != nil {
		return inputError{fmt.Errorf("report: %w", err)}
	}
	return a.sweepSummary(s, filepath.Join(out, report.FileReport))
}
