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
	lines := strings.Split(strings.TrimSpace(b.String()), "\n")
	if len(lines) != 4 {
		t.Fatalf("a head, a rule and two runs make %d lines:\n%s", len(lines), b.String())
	}
	s := recordtest.Faster().Timing.Speedup
	for _, want := range []string{"[mnist-mlp](runs/a/report.md)", "PASS", "2.28 [2.27, 2.29]", "[0.991, 1.00]"} {
		if !strings.Contains(lines[2], want) {
			t.Errorf("the first run (speed-up %v) lacks %q: %s", s.Median, want, lines[2])
		}
	}
	if failed := lines[3]; !strings.Contains(failed, "FAIL") || !strings.HasSuffix(failed, "| - | - | - | - |") {
		t.Errorf("a run without a PASS has no times: %s", failed)
	}
}
