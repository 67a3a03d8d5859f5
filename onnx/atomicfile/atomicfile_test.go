package atomicfile_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/onnx/atomicfile"
)

func TestWrite(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	for _, text := range []string{"first", "second", strings.Repeat("long", 1<<20)} {
		if err := atomicfile.Write(path, func(w io.Writer) error {
			_, err := io.WriteString(w, text)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != text {
			t.Fatalf("%d bytes, %v; want %d", len(got), err, len(text))
		}
	}
	alone(t, path)
}

func TestFailureLeavesTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(path, []byte("old"), 0o666); err != nil {
		t.Fatal(err)
	}
	broken := errors.New("broken")
	err := atomicfile.Write(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, strings.Repeat("new", 1<<20)); err != nil {
			return err
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("%v, want the writer's error", err)
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("the file is %q, %v; want the old one", got, err)
	}
	alone(t, path)
}

func TestErrorNamesTheTarget(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{filepath.Join(dir, "no", "x"), dir} {
		err := atomicfile.Write(path, func(w io.Writer) error { return nil })
		if err == nil || !strings.Contains(err.Error(), path+":") || strings.Contains(err.Error(), ".tmp") {
			t.Errorf("%v, want the target's path and not the temporary file's", err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 0 {
		t.Errorf("%v is left behind, %v", left, err)
	}
	if left, err := filepath.Glob(dir + ".*"); err != nil || len(left) != 0 {
		t.Errorf("%v is left beside the folder, %v", left, err)
	}
}

// A full disk, where the system has a device that is always full.
func TestFullDisk(t *testing.T) {
	full := "/dev/full"
	f, err := os.OpenFile(full, os.O_WRONLY, 0)
	if err != nil {
		t.Skipf("skipped, since this system has no %s: %v", full, err)
	}
	defer f.Close()
	path := filepath.Join(t.TempDir(), "x")
	err = atomicfile.Write(path, func(w io.Writer) error {
		_, err := f.WriteString("x")
		return err
	})
	if err == nil {
		t.Error("the write to a full disk succeeded")
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 0 {
		t.Errorf("%v is left behind, %v", left, err)
	}
}

func alone(t *testing.T, path string) {
	t.Helper()
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 || left[0].Name() != filepath.Base(path) {
		t.Errorf("the folder holds %v, %v; want %s alone", left, err, filepath.Base(path))
	}
}
