package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"

	"github.com/spf13/cobra"

	"tandem/results/diff"
	"tandem/results/record"
	"tandem/results/report"
)

func (a *app) diffCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "diff OLD NEW",
		Short: "Compare two runs: did anything get worse",
		Long: `Compare an old run and a new one of the same experiment: the verdicts, and the speed-ups, whose change counts only where it is significant
(p < 0.05, Mann-Whitney U test) and larger than the noise that both sessions measured. OLD and NEW are runs' folders or records, or folders with
such folders: then their runs are matched by experiment, size of data and batch, engines and threads, and of several the latest counts.

Exit status 1 when something got worse: a verdict, a speed-up beyond the noise, or an experiment that NEW lacks. Otherwise 0, whatever the verdicts are.`,
		Example: `  tandem diff runs/before runs/after
  tandem diff results/published runs --json
  tandem diff old.json new.json --quiet`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 2 {
				return usageError{errors.New("diff: name two runs, the old one and the new one")}
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return a.diff(args[0], args[1]) },
	}
}

func (a *app) diff(before, after string) error {
	var sides [2][]*record.Run
	for i, path := range []string{before, after} {
		entries, err := readRecords(path)
		if err != nil {
			return inputError{fmt.Errorf("diff: %w", err)}
		}
		for _, e := range entries {
			if e.Sweep == nil {
				sides[i] = append(sides[i], e.Run)
			} else if !a.quiet {
				fmt.Fprintf(a.stderr, "%s is a sweep's and is passed over: runs are compared\n", e.Source)
			}
		}
		if len(sides[i]) == 0 {
			return inputError{fmt.Errorf("diff: %s holds no run", path)}
		}
	}
	results := diff.Runs(sides[0], sides[1])
	if len(sides[0]) == 1 && len(sides[1]) == 1 {
		results = []diff.Result{diff.Two(sides[0][0], sides[1][0])}
	}
	a.showDiff(results)
	if a.json {
		if err := a.printJSON(results); err != nil {
			return err
		}
	}
	if diff.Worse(results) {
		return verdictError{record.Fail}
	}
	return nil
}

// showDiff prints the results for people; with --quiet what got worse alone.
func (a *app) showDiff(results []diff.Result) {
	w := a.human()
	on := func(code, text string) string {
		if !colour(w) {
			return text
		}
		return code + text + "\x1b[0m"
	}
	for i, r := range results {
		if a.quiet && len(r.Regressions) == 0 {
			continue
		}
		if i > 0 && !a.quiet {
			fmt.Fprintln(w)
		}
		fmt.Fprintln(w, on("\x1b[1m", printable(r.Key.String())))
		if !a.quiet {
			diffTable(w, r)
		}
		for _, x := range []struct {
			word, code string
			texts      []string
		}{{"WORSE", "\x1b[1;31m", r.Regressions}, {"better", "\x1b[1;32m", r.Improvements}, {"note", "\x1b[2m", r.Notes}} {
			for _, text := range x.texts {
				if !a.quiet || x.word == "WORSE" {
					fmt.Fprintf(w, "  %s  %s\n", on(x.code, x.word), printable(text))
				}
			}
		}
	}
	worse := 0
	for _, r := range results {
		if len(r.Regressions) > 0 {
			worse++
		}
	}
	if !a.quiet {
		fmt.Fprintf(w, "\n%d of %d comparisons got worse\n", worse, len(results))
	}
}

// diffTable prints what both sides have.
func diffTable(w io.Writer, r diff.Result) {
	if r.Old == nil || r.New == nil {
		return
	}
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	line := func(name, before, after, change string) {
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\n", name, before, after, change)
	}
	minute := strings.NewReplacer("T", " ")
	line("", minute.Replace(r.Old.Started[:16]), minute.Replace(r.New.Started[:16]), "")
	line("parity", string(r.Old.Verdict), string(r.New.Verdict), "")
	if a, b := r.Old.LargestRho, r.New.LargestRho; a != nil && b != nil {
		line("largest rho", short(float64(*a)), short(float64(*b)), "")
	}
	if c := r.Speedup; c != nil {
		show := func(x diff.Interval) string {
			return fmt.Sprintf("%s [%s, %s]", short(x.Median), short(x.Low), short(x.High))
		}
		line("speed-up", show(c.Old), show(c.New), changeText(*c))
	}
	for _, s := range r.Steps {
		name := strings.TrimSpace(s.Engine + " " + s.Mode)
		line("step, "+printable(name)+" at "+strconv.Itoa(s.Threads), report.Seconds(s.Change.Old.Median), report.Seconds(s.Change.New.Median), changeText(s.Change))
	}
	if a, b := r.Old.PeakBytes, r.New.PeakBytes; a > 0 && b > 0 {
		line("peak memory", mebi(a), mebi(b), "")
	}
	_ = t.Flush() // a strings.Builder takes everything
	for line := range strings.Lines(b.String()) {
		fmt.Fprintln(w, strings.TrimRight(line, " \n"))
	}
}

// changeText writes a change in percent, as benchstat does with a tilde where it is none: the samples may be of one distribution, or the
// sessions' noise is as large.
func changeText(c diff.Change) string {
	mark := ""
	if !c.Significant {
		mark = "~ "
	}
	return fmt.Sprintf("%s%+.1f %% (%s)", mark, 100*(c.Factor()-1), c.Probability())
}

// short writes three digits, zeros too.
func short(x float64) string { return fmt.Sprintf("%#.3g", x) }

func mebi(bytes int64) string {
	return strconv.FormatFloat(float64(bytes)/(1<<20), 'f', 1, 64) + " MiB"
}

// printable makes a text from a record safe for a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
}
