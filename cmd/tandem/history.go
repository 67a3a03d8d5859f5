package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tandem/onnx/atomicfile"
	"tandem/results/record"
	"tandem/results/report"
)

func (a *app) historyCommand() *cobra.Command {
	var svg string
	c := &cobra.Command{
		Use:   "history RUNS...",
		Short: "Show how verdicts and speed-ups went over time",
		Long: `List the runs in folders, sorted by what they compare and by time: verdict, largest rho, accuracy, step times and speed-up. With --svg the
speed-ups become a chart too. Times stand after a PASS alone; of sweeps there is nothing.

Exit status 0 whatever the verdicts are.`,
		Example: `  tandem history runs
  tandem history runs results/published --svg history.svg`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usageError{errors.New("history: name a folder with runs")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.history(args, svg) },
	}
	c.Flags().StringVar(&svg, "svg", "", "draw the speed-ups to `FILE`")
	return c
}

func (a *app) history(paths []string, svg string) error {
	var runs []*record.Run
	for _, path := range paths {
		entries, err := readRecords(path)
		if err != nil {
			return inputError{fmt.Errorf("history: %w", err)}
		}
		for _, e := range entries {
			if e.Run != nil {
				runs = append(runs, e.Run)
			}
		}
	}
	if len(runs) == 0 {
		return inputError{errors.New("history: there are sweeps alone, and no run")}
	}
	if svg != "" {
		if err := atomicfile.WriteBytes(svg, report.HistoryChart(runs)); err != nil {
			return inputError{fmt.Errorf("history: %w", err)}
		}
	}
	if err := report.HistoryTerminal(a.human(), runs, a.summaryOptions("")); err != nil {
		return err
	}
	if svg != "" {
		a.wrote("\nwrote %s", svg)
	}
	if a.json {
		return a.printJSON(runs)
	}
	return nil
}
