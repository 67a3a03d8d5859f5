package report_test

import (
	"strings"
	"testing"

	"tandem/results/record/recordtest"
	"tandem/results/report"
)

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := report.Table(&b, report.Entry{Run: recordtest.Faster(), Source: "runs/a/report.md"}, report.Entry{Sweep: recordtest.Sweep()}, report.Entry{Run: recordtest.Failed()}); err != nil {
		t.Fatal(err)
	}
	table, legend, _ := strings.Cut(b.String(), "\n\n")
	lines := strings.Split(table, "\n")
	if len(lines) != 4 || !strings.Contains(legend, "the first is the reference's") {
		t.Fatalf("a head, a rule and two runs make %d lines:\n%s", len(lines), b.String())
	}
	s := recordtest.Faster().Timing.Speedup
	for _, want := range []string{"[mnist-mlp](runs/a/report.md)", "5,000 rows, 5 epochs, 785 steps |", "PASS", "718 µs, 314 µs", "2.28 [2.27, 2.29]", "[0.991, 1.00]"} {
		if !strings.Contains(lines[2], want) {
			t.Errorf("the first run (speed-up %v) lacks %q: %s", s.Median, want, lines[2])
		}
	}
	if failed := lines[3]; !strings.Contains(failed, "FAIL") || !strings.HasSuffix(failed, "| - | - | - |") {
		t.Errorf("a run without a PASS has no times: %s", failed)
	}
}
