package zoo

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	models "tandem/fixtures/zoo"
	"tandem/results/record"
	"tandem/results/record/recordtest"
)

// write puts a record of a model into a folder.
func write(t *testing.T, dir, name string, r *record.Run) {
	t.Helper()
	r.Experiment.Name = name
	if err := os.MkdirAll(filepath.Join(dir, name), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := record.Write(filepath.Join(dir, name, ResultFile), r); err != nil {
		t.Fatal(err)
	}
}

func TestRead(t *testing.T) {
	dir := t.TempDir()
	list := []models.Model{{Name: "good", Library: "timm"}, {Name: "bad", Library: "timm"}, {Name: "strange", Library: "by hand"}, {Name: "crashed", Library: "by hand"}, {Name: "late", Library: "timm"}}
	write(t, dir, "good", recordtest.Faster())
	write(t, dir, "bad", recordtest.Failed())
	for _, r := range []string{"good", "bad"} {
		file := filepath.Join(dir, r, ResultFile)
		one, err := record.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		for k := range one.Engines { // those of one survey
			one.Engines[k].Mutant, one.Engines[k].Version, one.Engines[k].Threads = "", "1", 1
		}
		if err := record.Write(file, one); err != nil {
			t.Fatal(err)
		}
	}
	for file, text := range map[string]string{"strange.refusal.txt": "exporting\ntandem: operator Unique is not supported\n", "crashed.broken.txt": "panic: no\n"} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s, err := Read(dir, list)
	if err != nil {
		t.Fatal(err)
	}
	var ends []string
	for _, e := range s.Entries {
		ends = append(ends, e.End)
	}
	if got := strings.Join(ends, " "); got != "PASS FAIL refused broken not compared" {
		t.Errorf("the models end with %s", got)
	}
	text := s.Markdown()
	for _, want := range []string{"1 of 5 models pass", "| good | timm | PASS |", "bad is FAIL:\n\n- ", "strange is refused:\n\n- operator Unique is not supported", "| crashed | by hand | broken |"} {
		if !strings.Contains(text, want) {
			t.Errorf("the table lacks %q:\n%s", want, text)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	list := []models.Model{{Name: "a"}, {Name: "b"}}
	mutant, elsewhere := recordtest.Failed(), recordtest.Faster()
	mutant.Engines[1].Mutant = "labels-shifted"
	elsewhere.Environment.CPU = "another"
	for want, r := range map[string]*record.Run{"labels-shifted": mutant, "do not belong into one table": elsewhere} {
		dir := t.TempDir()
		write(t, dir, "a", recordtest.Faster())
		write(t, dir, "b", r)
		if _, err := Read(dir, list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if _, err := Read(t.TempDir(), list); err == nil {
		t.Error("an empty folder has a table")
	}
}
