package zoo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
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

func TestEach(t *testing.T) {
	list := []models.Model{{Name: "a"}, {Name: "b"}, {Name: "large", Large: true}, {Name: "c"}, {Name: "d"}, {Name: "e"}}
	var mutex sync.Mutex
	running, most, seen := map[string]bool{}, 0, 0
	enter := func(m models.Model) {
		mutex.Lock()
		defer mutex.Unlock()
		running[m.Name] = true
		most, seen = max(most, len(running)), seen+1
		if running["large"] && len(running) > 1 {
			t.Errorf("the large one is not alone: %v", running)
		}
	}
	leave := func(m models.Model) {
		mutex.Lock()
		defer mutex.Unlock()
		delete(running, m.Name)
	}
	meeting := make(chan struct{})
	err := Each(t.Context(), list, 2, func(_ context.Context, m models.Model) error {
		enter(m)
		switch m.Name { // the first two wait for each other: they run side by side, or this never ends
		case "a":
			<-meeting
		case "b":
			meeting <- struct{}{}
		}
		leave(m)
		return nil
	})
	if err != nil || most != 2 || seen != len(list) {
		t.Errorf("error %v, at most %d at a time, %d in all", err, most, seen)
	}

	failure := errors.New("no")
	seen = 0
	if err := Each(t.Context(), list, 1, func(_ context.Context, m models.Model) error { seen++; return failure }); !errors.Is(err, failure) || seen != 1 {
		t.Errorf("error %v after %d, want the first one's", err, seen)
	}
}
