package pytorch

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestEveryPythonFileIsEmbedded(t *testing.T) {
	sources, err := pythonSources()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	err = filepath.WalkDir("tandem_pytorch", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".py") {
			return err
		}
		n++
		if _, ok := sources[filepath.ToSlash(path)]; !ok {
			t.Errorf("%s is not embedded: widen the patterns in sources.go", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 || n != len(sources) {
		t.Errorf("%d files in the folder, %d embedded", n, len(sources))
	}
	for _, name := range []string{"tandem_pytorch/__init__.py", "tandem_pytorch/engine.py"} {
		if len(sources[name]) == 0 {
			t.Errorf("%s is not embedded or empty", name)
		}
	}
}

func TestSourcesDigest(t *testing.T) {
	base := map[string][]byte{"a.py": []byte("1"), "b.py": []byte("2")}
	tests := []struct {
		name   string
		other  map[string][]byte
		same   bool
		reason string
	}{
		{"itself", map[string][]byte{"b.py": []byte("2"), "a.py": []byte("1")}, true, "maps have no order"},
		{"content", map[string][]byte{"a.py": []byte("1"), "b.py": []byte("3")}, false, "the code differs"},
		{"swapped", map[string][]byte{"a.py": []byte("2"), "b.py": []byte("1")}, false, "names belong to contents"},
		{"fewer", map[string][]byte{"a.py": []byte("1")}, false, "a file is gone"},
	}
	for _, tt := range tests {
		if same := sourcesDigest(base) == sourcesDigest(tt.other); same != tt.same {
			t.Errorf("%s: same digest %v, want %v: %s", tt.name, same, tt.same, tt.reason)
		}
	}
}

func TestUnpackSources(t *testing.T) {
	folder := t.TempDir()
	dir, err := unpackSources(folder)
	if err != nil {
		t.Fatal(err)
	}
	module := filepath.Join(dir, "tandem_pytorch", "__init__.py")
	want, err := os.ReadFile(module)
	if err != nil {
		t.Fatal(err)
	}
	bytecode := filepath.Join(dir, "tandem_pytorch", "__pycache__")
	if err := os.Mkdir(bytecode, 0o755); err != nil {
		t.Fatal(err)
	}
	if again, err := unpackSources(folder); err != nil || again != dir {
		t.Fatalf("a second time: %q, %v; want %q", again, err, dir)
	}
	if _, err := os.Stat(bytecode); err != nil {
		t.Errorf("the bytecode is gone, so an unchanged package was unpacked anew: %v", err)
	}

	if err := os.WriteFile(module, []byte("raise SystemExit\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := unpackSources(folder); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(module); err != nil || string(got) != string(want) {
		t.Errorf("a changed file was not put right: %q, %v", got, err)
	}

	old, recent := filepath.Join(folder, "src-old"), filepath.Join(folder, "src-recent")
	for _, d := range []string{old, recent} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	longAgo := time.Now().Add(-2 * keepSources)
	if err := os.Chtimes(old, longAgo, longAgo); err != nil {
		t.Fatal(err)
	}
	if _, err := unpackSources(folder); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !os.IsNotExist(err) {
		t.Errorf("sources of long ago were kept: %v", err)
	}
	if _, err := os.Stat(recent); err != nil {
		t.Errorf("another binary's sources in use were removed: %v", err)
	}
	left, err := filepath.Glob(filepath.Join(folder, "src-partial-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
