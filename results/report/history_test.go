package report_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"tandem/results/record"
	"tandem/results/record/recordtest"
	"tandem/results/report"
)

// series are runs of one comparison on following days, not in order.
func series() []*record.Run {
	unclaimed := recordtest.Faster()
	unclaimed.Timing.Speedup = nil
	runs := []*record.Run{recordtest.Slower(), recordtest.Faster(), recordtest.Failed(), unclaimed, recordtest.Checked()}
	for i, day := range []int{9, 2, 5, 7, 8} {
		runs[i].Started = time.Date(2026, 3, day, 12, 0, 0, 0, time.UTC)
	}
	other := recordtest.Faster()
	other.Experiment.Name = "another"
	other.Accuracy, other.Perplexity = nil, &record.Perplexity{Reference: 10.04, Candidate: 10.05, Initial: 256}
	return append(runs, other)
}

func TestHistory(t *testing.T) {
	var buf bytes.Buffer
	if err := report.HistoryTerminal(&buf, series(), report.Options{Width: 120}); err != nil {
		t.Fatal(err)
	}
	golden(t, "history.txt", buf.Bytes())
	svg := report.HistoryChart(series())
	texts := wellFormed(t, "history.svg", svg)
	for _, words := range []string{"mnist-mlp: native against pytorch, 1 thread", "another: native against pytorch, 1 thread", "2026-03-02", "2026-03-09", "no PASS, so no speed"} {
		if !strings.Contains(texts, words) {
			t.Errorf("the chart does not say %q", words)
		}
	}
	if bytes.Contains(svg, []byte("NaN")) || bytes.Contains(svg, []byte("Inf")) {
		t.Error("a coordinate is no number")
	}
}

func TestHistoryShowsNoSpeedWithoutPass(t *testing.T) {
	var runs []*record.Run
	for _, verdict := range []record.Verdict{record.Fail, record.Inconclusive, "", "pass"} {
		r := recordtest.Faster()
		r.Parity.Verdict = verdict
		runs = append(runs, r)
	}
	var buf bytes.Buffer
	if err := report.HistoryTerminal(&buf, runs, report.Options{}); err != nil {
		t.Fatal(err)
	}
	for _, sign := range []string{"µs", "ms", "2.28"} {
		if strings.Contains(buf.String(), sign) {
			t.Errorf("the table shows %q:\n%s", sign, buf.String())
		}
	}
	if texts := wellFormed(t, "history.svg", report.HistoryChart(runs)); strings.Contains(texts, "median") {
		t.Error("the chart shows a speed-up")
	}
	if report.HistoryChart(nil) != nil {
		t.Error("a chart of nothing")
	}
}
