package pytorch

import (
	"archive/zip"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/results/engine"
)

// located is the set-up environment. Without one the test is skipped, unless TANDEM_REQUIRE names pytorch: "make test"
// sets it, so that there a skip cannot pass for a success.
func located(t *testing.T) *Environment {
	t.Helper()
	env, err := Locate()
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("TANDEM_REQUIRE"), ","), "pytorch") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return env
}

func TestRealPyTorchSaysHello(t *testing.T) {
	env := located(t)
	e, err := engine.Start(t.Context(), env.EngineCommand(1), engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	hello := e.Hello()
	// torch names its build (2.15.0+cu132) even where the wheel's own version does not.
	if hello.Name != "pytorch" || !strings.HasPrefix(hello.Versions["torch"], env.Packages["torch"]) {
		t.Errorf("the engine says it is %q with torch %q; %q was installed", hello.Name, hello.Versions["torch"], env.Packages["torch"])
	}
	if !slices.Contains(hello.DTypes, "float64") || !hello.SharedRandom || len(hello.Variants) < 5 {
		t.Errorf("the reference must compute in float64, draw the shared masks and have five variants to measure noise with: %+v", hello)
	}
}

// A model that exports is the business of the tests that compare engines; here the way of an error is followed through
// the real process.
func TestRealExportRefusesBadInput(t *testing.T) {
	env := located(t)
	dir := t.TempDir()
	experiment, output := filepath.Join(dir, "experiment.json"), filepath.Join(dir, "model.onnx")
	if err := os.WriteFile(experiment, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	result, err := env.Export(t.Context(), experiment, filepath.Join(dir, "data.safetensors"), output, nil)
	var e *AnswerError
	if !errors.As(err, &e) || e.Kind != "input" || !AsUserFault(err) || !strings.Contains(err.Error(), experiment) {
		t.Errorf("a broken experiment file: %+v, %v; want an error of kind input that names the file", result, err)
	}
	if _, err := os.Stat(output); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the failed export left a model: %v", err)
	}
}

// index makes a package index of one package in a folder, and returns its address.
func index(t *testing.T, name, version string) (address, hash string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	wheel := fmt.Sprintf("%s-%s-py3-none-any.whl", name, version)
	f, err := os.Create(filepath.Join(dir, wheel))
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	info := fmt.Sprintf("%s-%s.dist-info/", name, version)
	for _, file := range [][2]string{
		{name + "/__init__.py", ""},
		{info + "METADATA", fmt.Sprintf("Metadata-Version: 2.1\nName: %s\nVersion: %s\n", name, version)},
		{info + "WHEEL", "Wheel-Version: 1.0\nGenerator: tandem\nRoot-Is-Purelib: true\nTag: py3-none-any\n"},
		{info + "RECORD", fmt.Sprintf("%[1]s/__init__.py,,\n%[2]sMETADATA,,\n%[2]sWHEEL,,\n%[2]sRECORD,,\n", name, info)},
	} {
		w, err := z.Create(file[0])
		if err == nil {
			_, err = w.Write([]byte(file[1]))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	hash = fmt.Sprintf("%x", sha256.Sum256(b))
	page := fmt.Sprintf("<!DOCTYPE html><a href=%q>%s</a>", wheel+"#sha256="+hash, wheel)
	if err := os.WriteFile(filepath.Join(dir, "index.html"), []byte(page), 0o644); err != nil {
		t.Fatal(err)
	}
	return "file://" + filepath.ToSlash(filepath.Dir(dir)), hash
}

// TestRealUV installs tiny packages from folders with the pinned uv: what the scripts of the other tests cannot know
// is what uv accepts and how it words its refusals.
func TestRealUV(t *testing.T) {
	env := located(t)
	others, numpyHash := index(t, "numpy", "2.4.6")
	cpu, _ := index(t, "torch", "2.15.0+cpu")
	zero := strings.Repeat("0", 64)
	text := func(numpyHash string) string {
		return "numpy==2.4.6 \\\n    --hash=sha256:" + numpyHash + "\n" +
			"nvidia-cublas==13.4.1.3 ; sys_platform == 'linux' \\\n    --hash=sha256:" + zero + "\n" +
			"torch==2.15.0 \\\n    --hash=sha256:" + zero + "\n"
	}
	tests := []struct {
		name           string
		text           string
		defaults, cpus string // the two indexes
		want           error
		says           string
	}{
		{"good", text(numpyHash), others, cpu, nil, ""},
		{"other file", text(zero), others, cpu, ErrInstall, "not what tandem pins"},
		{"no network", text(numpyHash), "http://127.0.0.1:9/simple", cpu, ErrNoNetwork, "HTTPS_PROXY"},
		{"no network for torch", text(numpyHash), others, "http://127.0.0.1:9/simple", ErrNoNetwork, "installing torch==2.15.0 from"},
		{"torch not there", text(numpyHash), others, others, ErrInstall, "no build"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			folder := t.TempDir()
			s := &setup{folder: folder, venv: filepath.Join(folder, "venv"), want: requirements{text: tt.text}, index: tt.cpus}
			if out, err := exec.Command(env.Python, "-m", "venv", "--without-pip", s.venv).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if err := os.Symlink(venvUV(filepath.Join(env.Folder, "venv")), venvUV(s.venv)); err != nil {
				t.Fatal(err)
			}
			t.Setenv("UV_DEFAULT_INDEX", tt.defaults)
			t.Setenv("UV_CACHE_DIR", filepath.Join(folder, "cache"))
			t.Setenv("UV_HTTP_RETRIES", "0")
			for _, name := range []string{"UV_INDEX_URL", "UV_INDEX", "UV_FIND_LINKS", "UV_EXTRA_INDEX_URL"} {
				t.Setenv(name, "")
			}
			err := s.install(t.Context())
			if tt.want != nil {
				if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %v, want %v with %q", err, tt.want, tt.says)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got := installedVersions(sitePackages(s.venv))
			if len(got) != 2 || got["torch"] != "2.15.0+cpu" || got["numpy"] != "2.4.6" {
				t.Errorf("installed %v, want numpy and the other index's torch alone", got)
			}
		})
	}
}
