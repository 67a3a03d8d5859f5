package report_test

import (
	"bytes"
	"strings"
	"testing"

	"tandem/results/record"
	"tandem/results/record/recordtest"
	"tandem/results/report"
)

func TestSweepGolden(t *testing.T) {
	write := func() map[string][]byte {
		dir := t.TempDir()
		if err := report.SweepMarkdown(dir, recordtest.Sweep()); err != nil {
			t.Fatal(err)
		}
		return readFiles(t, dir)
	}
	files, again := write(), write()
	golden(t, "sweep.md", files["report.md"])
	if got := names(files); got != "report.md sweep.svg" {
		t.Errorf("files %s", got)
	}
	if !bytes.Equal(files["sweep.svg"], again["sweep.svg"]) {
		t.Error("the chart differs between two reports of one record")
	}
	words := wellFormed(t, "sweep.svg", files["sweep.svg"])
	for _, want := range []string{"pytorch, threads 1", "native, threads 2", "256", "speed-up (log scale)", "batch (log scale)"} {
		if !strings.Contains(words, want) {
			t.Errorf("the chart does not show %q: %s", want, words)
		}
	}
	var buf bytes.Buffer
	if err := report.SweepTerminal(&buf, recordtest.Sweep(), report.Options{Report: "runs/sweep/report.md"}); err != nil {
		t.Fatal(err)
	}
	golden(t, "sweep.txt", buf.Bytes())
}

// TestSweepOfOtherAxes draws what has no numbers, a single point, and a mode that was left out.
func TestSweepOfOtherAxes(t *testing.T) {
	s := recordtest.Sweep()
	s.Axes = []record.SweepAxis{{Name: "optimizer", Key: "optimizer.kind", Values: []string{"adam", "sgd"}}}
	s.Points = s.Points[:2]
	s.Points[0].Values, s.Points[1].Values = []string{"adam"}, []string{"sgd"}
	s.Points[0].Timing.LeftOut = []record.LeftOut{{Mode: "compile", Threads: 1, Reason: "no compiler"}}
	if err := s.Validate(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := report.SweepMarkdown(dir, s); err != nil {
		t.Fatal(err)
	}
	files := readFiles(t, dir)
	if words := wellFormed(t, "sweep.svg", files["sweep.svg"]); !strings.Contains(words, "sgd") {
		t.Errorf("the chart does not show the values: %s", words)
	}
	if !strings.Contains(string(files["report.md"]), "optimizer adam: pytorch compile at 1 thread was not timed: no compiler") {
		t.Errorf("the report hides what was left out:\n%s", files["report.md"])
	}
	s.Axes[0].Values, s.Points = []string{"adam"}, s.Points[:1]
	if err := report.SweepMarkdown(t.TempDir(), s); err != nil {
		t.Error(err)
	}
}
