//go:build unix

package pytorch

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// fake is a machine where Python and uv are scripts, so that a set-up takes milliseconds and can be made to fail.
type fake struct {
	t      *testing.T
	folder string // the environment's
	bin    string // the search path
	log    string
}

func newFake(t *testing.T) *fake {
	t.Helper()
	tmp := t.TempDir()
	f := &fake{t: t, folder: filepath.Join(tmp, "env"), bin: filepath.Join(tmp, "bin"), log: filepath.Join(tmp, "log")}
	if err := os.Mkdir(f.bin, 0o755); err != nil {
		t.Fatal(err)
	}
	f.script("fake-python.sh", filepath.Join(f.bin, "python3.12"))
	f.script("fake-uv.sh", filepath.Join(tmp, "uv"))
	t.Setenv("PATH", f.bin+string(os.PathListSeparator)+"/usr/bin"+string(os.PathListSeparator)+"/bin")
	t.Setenv("FAKE_LOG", f.log)
	t.Setenv("FAKE_UV", filepath.Join(tmp, "uv"))
	t.Setenv("TANDEM_ENV", f.folder)
	// The scripts alone: the machine's own Pythons, in /usr/bin, are not to be found before them.
	t.Setenv("TANDEM_PYTHON", filepath.Join(f.bin, "python3.12"))
	t.Setenv("TANDEM_TORCH_INDEX", "")
	for _, name := range []string{"UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"} {
		t.Setenv(name, "")
	}
	return f
}

func (f *fake) script(name, to string) {
	f.t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(to, b, 0o755); err != nil {
		f.t.Fatal(err)
	}
}

// calls counts the lines of the log that begin so.
func (f *fake) calls(prefix string) int {
	b, err := os.ReadFile(f.log)
	if err != nil && !os.IsNotExist(err) {
		f.t.Fatal(err)
	}
	n := 0
	for line := range bytes.Lines(b) {
		if strings.HasPrefix(string(line), prefix) {
			n++
		}
	}
	return n
}

func (f *fake) logText() string {
	b, _ := os.ReadFile(f.log)
	return string(b)
}

func (f *fake) path(elem ...string) string {
	return filepath.Join(append([]string{f.folder}, elem...)...)
}
