package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tandem/results/compare"
	"tandem/results/record"
	"tandem/results/report"
)

// finish writes record and report, moves the run to its place and prints the summary. With keep false the folder is
// only made to be thrown away, and is not named.
func (a *app) finish(r *record.Run, folder *compare.Folder, keep bool) error {
	if d := r.Parity.Diagnosis; d != nil && !keep {
		d.Evidence = "" // it goes with the folder
	}
	if err := record.Write(folder.File(compare.ResultFile), r); err != nil {
		return err
	}
	if err := report.Markdown(folder.Dir, r); err != nil {
		return err
	}
	if err := report.HTMLFile(folder.File(report.FileHTML), report.Entry{Run: r}); err != nil {
		return err
	}
	dir, err := folder.Commit()
	if err != nil {
		return err
	}
	if !keep {
		dir = ""
	}
	if err := a.summary(r, dir); err != nil {
		return err
	}
	if r.Profile != nil && !a.quiet {
		if _, err := fmt.Fprintln(a.human()); err != nil {
			return err
		}
		if err := report.ProfileMarkdown(a.human(), r); err != nil {
			return err
		}
	}
	if a.json {
		encoder := json.NewEncoder(a.stdout)
		encoder.SetIndent("", "  ")
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	if r.Parity.Verdict != record.Pass {
		return verdictError{r.Parity.Verdict}
	}
	return nil
}

// summary prints the record for people, and the reports in the folder dir unless that is empty.
func (a *app) summary(r *record.Run, dir string) error {
	return report.Terminal(a.human(), r, a.summaryOptions(dir))
}

func (a *app) summaryOptions(dir string) report.Options {
	w := a.human()
	_, width := terminal(w)
	o := report.Options{Color: colour(w), Width: width, Verbose: a.verbose, Brief: a.quiet}
	if dir != "" {
		o.Report, o.Page = shorten(filepath.Join(dir, report.FileReport)), shorten(filepath.Join(dir, report.FileHTML))
	}
	return o
}

// shorten returns a path as seen from the working directory, when that is shorter.
func shorten(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(wd, path); err == nil && len(rel) < len(path) {
		return rel
	}
	return path
}

// each does the same for every name and returns the worst verdict's error; any other error ends it.
func (a *app) each(names []string, do func(name string) error) error {
	var worst error
	start := time.Now()
	for i, name := range names {
		a.which = which(i, len(names), time.Since(start))
		err := do(name)
		var verdict verdictError
		if err != nil && !errors.As(err, &verdict) {
			return err
		}
		worst = worse(worst, err)
	}
	return worst
}

// which says before a phase in which of several comparisons it is, and how long the others take if they go on as the finished ones went; nothing
// where there is one.
func which(i, of int, since time.Duration) string {
	if of == 1 {
		return ""
	}
	return fmt.Sprintf("%d of %d%s: ", i+1, of, timeLeft(since, i, of))
}

// worse returns the error of the worse verdict: FAIL before INCONCLUSIVE before none.
func worse(a, b error) error {
	var x verdictError
	if a == nil || b != nil && errors.As(b, &x) && x.verdict == record.Fail {
		return b
	}
	return a
}
