package pytorch

import (
	"os"
	"path/filepath"
	"testing"
)

func TestFolder(t *testing.T) {
	tmp, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	write := func(path, content string) {
		t.Helper()
		path = filepath.Join(tmp, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("tandem/go.mod", "// a comment\n\nmodule tandem // says who\n")
	write("tandem/deep/down/x", "")
	write("tandem/_tools/go.mod", "module tandem/_tools\n")
	write("other/go.mod", "module tandem.example/other\n")
	cache := filepath.Join(tmp, "cache")
	t.Setenv("XDG_CACHE_HOME", cache)
	t.Setenv("HOME", tmp)
	userCache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	ours, users := filepath.Join(tmp, "tandem", ".tandem", "python"), filepath.Join(userCache, "tandem", "python")
	tests := []struct{ name, env, wd, want, reason string }{
		{"checkout", "", "tandem", ours, "go.mod is here"},
		{"below", "", "tandem/deep/down", ours, "go.mod is above"},
		{"module inside", "", "tandem/_tools", ours, "the nearest tandem counts, not the nearest module"},
		{"elsewhere", "", "other", users, "another module"},
		{"said", filepath.Join(tmp, "x"), "tandem", filepath.Join(tmp, "x"), "TANDEM_ENV wins"},
		{"said relatively", "x", "other", filepath.Join(tmp, "other", "x"), "the commands run elsewhere"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("TANDEM_ENV", tt.env)
			t.Chdir(filepath.Join(tmp, tt.wd))
			if got, err := Folder(); err != nil || got != tt.want {
				t.Errorf("Folder() = %q, %v; want %q: %s", got, err, tt.want, tt.reason)
			}
		})
	}
}
