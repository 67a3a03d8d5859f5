package compare

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "runs", "one")
	write := func(content string) *Folder {
		t.Helper()
		f, err := NewFolder(path, ResultFile)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{f.File(ResultFile), f.WorkFile("data")} {
			if err := os.WriteFile(file, []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		return f
	}
	read := func() string {
		data, err := os.ReadFile(filepath.Join(path, ResultFile))
		if err != nil {
			return "nothing"
		}
		return string(data)
	}
	alone := func() {
		t.Helper()
		entries, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(entries) > 1 {
			t.Errorf("beside the run there is something left: %v %v", entries, err)
		}
	}

	f := write("first")
	if got := read(); got != "nothing" {
		t.Errorf("before Commit there is %s", got)
	}
	if _, err := f.Commit(); err != nil {
		t.Fatal(err)
	}
	f.Discard() // as a deferred call does after Commit
	if got := read(); got != "first" {
		t.Errorf("after Commit there is %s", got)
	}
	alone()

	write("second").Discard()
	if got := read(); got != "first" {
		t.Errorf("a run that was given up left %s", got)
	}
	alone()

	if _, err := write("third").Commit(); err != nil {
		t.Fatal(err)
	}
	if got := read(); got != "third" {
		t.Errorf("a second run left %s", got)
	}
	alone()
}

func TestFolderTakesBackTheFoldersThatItMade(t *testing.T) {
	root := t.TempDir()
	for _, occupied := range []bool{false, true} {
		f, err := NewFolder(filepath.Join(root, "a", "b", "run"), ResultFile)
		if err != nil {
			t.Fatal(err)
		}
		if occupied {
			if err := os.WriteFile(filepath.Join(root, "a", "note"), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		f.Discard()
		_, errA := os.Stat(filepath.Join(root, "a"))
		_, errB := os.Stat(filepath.Join(root, "a", "b"))
		if !errors.Is(errB, os.ErrNotExist) || occupied != (errA == nil) {
			t.Errorf("somebody else's file in a: %v; a: %v, a/b: %v", occupied, errA, errB)
		}
	}
}

func TestFolderRefusesWhatIsNoRun(t *testing.T) {
	path := t.TempDir()
	if err := os.WriteFile(filepath.Join(path, "thesis.tex"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := NewFolder(path, ResultFile); !errors.Is(err, ErrOccupied) {
		t.Errorf("a folder with other content: %v, want ErrOccupied", err)
	}
	empty := t.TempDir()
	f, err := NewFolder(empty, ResultFile)
	if err != nil {
		t.Fatalf("an empty folder: %v", err)
	}
	f.Discard()
}
