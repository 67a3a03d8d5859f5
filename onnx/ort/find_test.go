package ort

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// libraryName is a name that pattern accepts on this system.
func libraryName(version string) string {
	switch runtime.GOOS {
	case "darwin", "ios":
		return "libonnxruntime." + version + ".dylib"
	case "windows":
		return "onnxruntime.dll"
	}
	return "libonnxruntime.so." + version
}

func touch(t *testing.T, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFind(t *testing.T) {
	environment := filepath.Join(t.TempDir(), "[odd] name") // brackets must not be taken for a pattern
	capi := filepath.Join(environment, "lib", "python3.11", "site-packages", "onnxruntime", "capi")
	want := touch(t, capi, libraryName("1.32.0"))
	touch(t, capi, "libonnxruntime_providers_shared.so")
	empty := t.TempDir()
	for _, test := range []struct {
		label  string
		env    string
		hints  []string
		want   string // "" when Find must fail
		reason string
	}{
		{"environment folder", "", []string{environment}, want, "doctor knows the environment, not the Python version in it"},
		{"site-packages", "", []string{filepath.Join(environment, "lib", "python3.11", "site-packages")}, want, "a user may know this folder"},
		{"the library's folder", "", []string{capi}, want, "a user may know this folder"},
		{"the library itself", "", []string{want}, want, "a caller may know it already"},
		{"second hint", "", []string{empty, "", environment}, want, "hints are tried in order, empty ones are skipped"},
		{"variable names the file", want, nil, want, "what the variable names is taken as it is"},
		{"variable names a folder", capi, nil, want, "a folder is searched"},
		{"variable before hints", filepath.Join(empty, "no"), []string{environment}, "", "a wrong variable must not be passed over in silence"},
		{"variable names an empty folder", empty, []string{environment}, "", "the same"},
		{"nothing there", "", []string{empty}, "", "an empty folder holds no library"},
		{"no hint", "", nil, "", "there is nowhere to look"},
	} {
		t.Run(test.label, func(t *testing.T) {
			t.Setenv(EnvLibrary, test.env)
			got, err := Find(test.hints...)
			if got != test.want || (err == nil) != (test.want != "") {
				t.Errorf("Find = %q, %v; want %q: %s", got, err, test.want, test.reason)
			}
			if err != nil && (!errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), EnvLibrary)) {
				t.Errorf("the error %v must be ErrUnavailable and name %s", err, EnvLibrary)
			}
		})
	}
}
