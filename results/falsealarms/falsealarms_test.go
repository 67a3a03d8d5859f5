package falsealarms_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/results/falsealarms"
	"tandem/results/record"
	"tandem/results/record/recordtest"
)

// seeded returns a record of another seed.
func seeded(r *record.Run, seed uint64) *record.Run {
	r.Experiment.Seed = seed
	return r
}

func TestSummary(t *testing.T) {
	dir := t.TempDir()
	for i, r := range []*record.Run{seeded(recordtest.Faster(), 7), seeded(recordtest.Failed(), 3), seeded(recordtest.Undecided(), 5)} {
		for k := range r.Engines {
			r.Engines[k].Mutant, r.Engines[k].Version, r.Engines[k].Threads = "", "1", 1
		}
		run := filepath.Join(dir, fmt.Sprint(i))
		if err := os.Mkdir(run, 0o777); err != nil {
			t.Fatal(err)
		}
		if err := record.Write(filepath.Join(run, "result.json"), r); err != nil {
			t.Fatal(err)
		}
	}
	s, err := falsealarms.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if s.Pass != 1 || s.Fail != 1 || s.Inconclusive != 1 || len(s.Runs) != 3 || s.Runs[0].Seed != 3 || s.Runs[0].Verdict != record.Fail {
		t.Errorf("summary %+v", s)
	}
	if len(s.Runs[0].Reasons) == 0 || len(s.Runs[2].Reasons) != 0 || s.Runs[2].Gradients <= 0 {
		t.Errorf("a FAIL has its reasons and a PASS its numbers: %+v", s.Runs)
	}
	path := filepath.Join(t.TempDir(), "made", "summary")
	if err := s.Write(path); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path + ".md")
	if err != nil || !strings.Contains(string(text), "1 of 3 correct comparisons called wrong") || !strings.Contains(string(text), "Seed 3 is FAIL") {
		t.Errorf("%v: %s", err, text)
	}
	text, err = os.ReadFile(path + ".json")
	if err != nil || json.Unmarshal(text, new(falsealarms.Summary)) != nil {
		t.Errorf("%v: %s", err, text)
	}
}

func TestRefuses(t *testing.T) {
	other := seeded(recordtest.Faster(), 2)
	other.Environment.Tandem = "another"
	mutant := recordtest.Faster()
	mutant.Engines[1].Mutant = "labels-shifted"
	for _, test := range []struct {
		name    string
		records []*record.Run
		says    string
	}{
		{"nothing", nil, "no comparison"},
		{"the same seed", []*record.Run{recordtest.Faster(), recordtest.Faster()}, "twice"},
		{"another version", []*record.Run{seeded(recordtest.Faster(), 1), other}, "cannot be summed up"},
		{"a planted mistake", []*record.Run{mutant}, "labels-shifted"},
		{"an empty record", []*record.Run{{}}, "names no experiment"},
	} {
		if _, err := falsealarms.Of(test.records); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.says)
		}
	}
}
