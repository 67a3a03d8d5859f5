package record_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"tandem/results/record"
	"tandem/results/record/recordtest"
)

func TestSweepSurvivesTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.json")
	want := recordtest.Sweep()
	if err := record.WriteSweep(path, want); err != nil {
		t.Fatal(err)
	}
	got, err := record.ReadSweep(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("read differs from written (-want +got):\n%s", diff)
	}
	if _, err := record.Read(path); err == nil || !strings.Contains(err.Error(), `"tandem.sweep/1"`) {
		t.Errorf("a sweep was read as a run: %v", err)
	}
	if err := os.Truncate(path, 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := record.ReadSweep(path); err == nil || !strings.Contains(err.Error(), "cut short") {
		t.Errorf("half a sweep: %v", err)
	}
}

func TestSweepRefuses(t *testing.T) {
	for _, test := range []struct {
		reason string
		change func(s *record.Sweep)
		want   string
	}{
		{"another layout", func(s *record.Sweep) { s.Schema = "tandem.sweep/9" }, "schema is"},
		{"a point is missing", func(s *record.Sweep) { s.Points = s.Points[1:] }, "2 axes make 6 points, there are 5"},
		{"nothing was swept", func(s *record.Sweep) { s.Axes, s.Points = nil, nil }, "0 axes"},
		{"a point elsewhere", func(s *record.Sweep) { s.Points[0].Values[0] = "33" }, `points[0] has the value "33"`},
		{"no verdict", func(s *record.Sweep) { s.Points[1].Verdict = "" }, "points[1].verdict"},
		{"no reason", func(s *record.Sweep) { s.Points[1].Reasons = nil }, "points[1].reasons"},
		{"PASS on nothing", func(s *record.Sweep) { s.Points[1].JudgedSteps = nil }, "points[1] is PASS without a judged step"},
		{"no timing", func(s *record.Sweep) { s.Points[1].Timing = nil }, "points[1].timing is absent"},
		{"speed-up after FAIL", func(s *record.Sweep) { s.Points[2].Verdict = record.Fail }, "points[2].timing.speedup is claimed although the verdict is FAIL"},
		{"one engine", func(s *record.Sweep) { s.Engines = s.Engines[:1] }, "engines must be"},
	} {
		s := recordtest.Sweep()
		test.change(s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v, want %q", test.reason, err, test.want)
		}
	}
}
