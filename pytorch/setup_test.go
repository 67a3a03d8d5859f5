//go:build unix

package pytorch

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestSetupMakesOnceThenSkips(t *testing.T) {
	f := newFake(t)
	var phases []Phase
	env, err := Setup(t.Context(), Options{Progress: func(e Event) {
		if e.Line == "" {
			phases = append(phases, e.Phase)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	if want := []Phase{PhasePython, PhaseVenv, PhaseUV, PhasePackages, PhaseCheck, PhaseDone}; !slices.Equal(phases, want) {
		t.Errorf("phases %v, want %v", phases, want)
	}
	if env.Packages["torch"] != pinned().versions()["torch"] || len(env.Packages) != len(needed) {
		t.Errorf("packages %v, want those pinned: %v", env.Packages, pinned().versions())
	}
	if lib, err := env.ONNXRuntimeLibrary(); err != nil || filepath.Dir(lib) != env.ONNXRuntime {
		t.Errorf("ONNX Runtime's library: %q, %v", lib, err)
	}
	for _, flag := range []string{"--require-hashes", "--no-deps"} {
		if !strings.Contains(f.logText(), flag) {
			t.Errorf("no call with %s in:\n%s", flag, f.logText())
		}
	}

	t.Setenv("TANDEM_PYTHON", "") // naming a Python has set-up ask whether it is the same one
	before := f.logText()
	again, err := Setup(t.Context(), Options{Progress: func(e Event) { t.Errorf("a second set-up says %+v", e) }})
	if err != nil {
		t.Fatal(err)
	}
	if again.Python != env.Python || again.Sources != env.Sources {
		t.Errorf("a second set-up found %+v, want %+v", again, env)
	}
	if f.logText() != before {
		t.Errorf("a second set-up ran programs:\n%s", strings.TrimPrefix(f.logText(), before))
	}
	located, err := Locate()
	if err != nil || located.Python != env.Python {
		t.Errorf("Locate: %+v, %v", located, err)
	}
	if f.logText() != before {
		t.Error("Locate ran programs")
	}
}

func TestSetupInterrupted(t *testing.T) {
	f := newFake(t)
	hang := filepath.Join(t.TempDir(), "hang")
	t.Setenv("FAKE_UV_HANGS", hang)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := Setup(ctx, Options{Progress: func(e Event) {
		if strings.HasPrefix(e.Line, "Downloading") {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("set-up ended with %v, want it interrupted", err)
	}
	b, err := os.ReadFile(hang)
	if err != nil {
		t.Fatal(err)
	}
	child, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	if !ends(child) {
		t.Errorf("process %d, a child of uv, lives on", child)
	}
	_, err = Locate()
	if !errors.Is(err, ErrNotSetUp) || !strings.Contains(err.Error(), "not finished") || !strings.Contains(err.Error(), "make setup") {
		t.Errorf("Locate after an interruption: %v", err)
	}

	t.Setenv("FAKE_UV_HANGS", "")
	if _, err := Setup(t.Context(), Options{}); err != nil {
		t.Fatal(err)
	}
	if n := f.calls("python -m venv"); n != 1 {
		t.Errorf("made %d virtual environments, want 1: the first was good to go on with", n)
	}
	if n := f.calls("python -m pip"); n != 1 {
		t.Errorf("installed uv %d times, want 1", n)
	}
}

// ends waits for a process that was told to end. A zombie has ended: its new parent may be slow to notice.
func ends(pid int) bool {
	for range 200 {
		if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
			return true
		}
		if b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && strings.Contains(string(b), ") Z ") {
			return true
		}
		time.Sleep(20 * time.Millisecond)
	}
	return false
}

func TestSetupRebuilds(t *testing.T) {
	version := pinned().versions()["torch"]
	tests := []struct {
		name   string
		harm   func(t *testing.T, f *fake)
		locate error // what Locate says of it
		venvs  int   // made in all
		reason string
	}{
		{
			"interpreter gone",
			func(t *testing.T, f *fake) { remove(t, f.path("venv", "bin", "python")) },
			ErrPythonMissing, 2, "an upgrade of the system took the Python that the venv rests on",
		},
		{
			"torch gone",
			func(t *testing.T, f *fake) {
				remove(t, f.path("venv", "lib", "python3.12", "site-packages", "torch-"+version+".dist-info"))
			},
			ErrPyTorchMissing, 2, "somebody uninstalled it; what else is broken is unknown",
		},
		{
			"torch half installed",
			func(t *testing.T, f *fake) {
				remove(t, f.path("venv", "lib", "python3.12", "site-packages", "torch-"+version+".dist-info", "RECORD"))
			},
			ErrPyTorchMissing, 2, "uv would take it for installed",
		},
		{
			"other requirements",
			func(t *testing.T, f *fake) {
				s, err := readStamp(f.path(stampName))
				if err != nil {
					t.Fatal(err)
				}
				s.Requirements = "0"
				if err := errors.Join(s.write(f.path(stampName)), s.write(f.path("venv", planName))); err != nil {
					t.Fatal(err)
				}
			},
			ErrNotSetUp, 2, "tandem was updated",
		},
		{
			"stamp not JSON",
			func(t *testing.T, f *fake) {
				if err := os.WriteFile(f.path(stampName), []byte("{"), 0o644); err != nil {
					t.Fatal(err)
				}
			},
			ErrNotSetUp, 2, "a crash of the machine can leave a file cut short",
		},
		{
			"killed while installing",
			func(t *testing.T, f *fake) { remove(t, f.path(stampName)) },
			ErrNotSetUp, 2, "half a package may look whole",
		},
		{
			"killed before installing",
			func(t *testing.T, f *fake) {
				remove(t, f.path(stampName))
				infos, _ := filepath.Glob(f.path("venv", "lib", "python3.12", "site-packages", "*.dist-info"))
				for _, i := range infos {
					remove(t, i)
				}
			},
			ErrNotSetUp, 1, "an empty environment is as good as new",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			if _, err := Setup(t.Context(), Options{}); err != nil {
				t.Fatal(err)
			}
			tt.harm(t, f)
			_, err := Locate()
			if !errors.Is(err, tt.locate) {
				t.Errorf("Locate: %v, want %v", err, tt.locate)
			}
			var e *SetupError
			if !errors.As(err, &e) || e.Advice == "" || !AsUserFault(err) {
				t.Errorf("Locate's error %v gives no advice", err)
			}
			if _, err := Setup(t.Context(), Options{}); err != nil {
				t.Fatal(err)
			}
			if n := f.calls("python -m venv"); n != tt.venvs {
				t.Errorf("%d virtual environments made, want %d: %s", n, tt.venvs, tt.reason)
			}
			if _, err := Locate(); err != nil {
				t.Errorf("Locate after the repair: %v", err)
			}
		})
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); err != nil {
		t.Fatal(err) // removing what is not there would test nothing
	}
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func TestTwoSetupsDoTheWorkOnce(t *testing.T) {
	f := newFake(t)
	var wg sync.WaitGroup
	errs := make([]error, 4)
	for i := range errs {
		wg.Go(func() { _, errs[i] = Setup(t.Context(), Options{}) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if n := f.calls("python -m venv"); n != 1 {
		t.Errorf("%d virtual environments made, want 1", n)
	}
}

func TestSetupWaitingCanBeInterrupted(t *testing.T) {
	newFake(t)
	hang := filepath.Join(t.TempDir(), "hang")
	t.Setenv("FAKE_UV_HANGS", hang)
	first, stopFirst := context.WithCancel(t.Context())
	second, stopSecond := context.WithCancel(t.Context())
	defer stopSecond()
	installing := make(chan struct{})
	var once sync.Once
	done := make(chan error)
	go func() {
		_, err := Setup(first, Options{Progress: func(e Event) {
			if strings.HasPrefix(e.Line, "Downloading") {
				once.Do(func() { close(installing) })
			}
		}})
		done <- err
	}()
	<-installing
	waited := false
	_, err := Setup(second, Options{Progress: func(e Event) {
		waited = waited || e.Phase == PhaseWait
		stopSecond()
	}})
	if !waited || !errors.Is(err, context.Canceled) {
		t.Errorf("second set-up: waited %v, %v", waited, err)
	}
	stopFirst()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("first set-up: %v", err)
	}
}

func TestSetupFailures(t *testing.T) {
	tests := []struct {
		name, env, value string
		want             error
		says             string
	}{
		{"disk full", "FAKE_UV_FAILS", "error: failed to hardlink: No space left on device (os error 28)", ErrDiskFull, "Free some space"},
		{"no network", "FAKE_UV_FAILS", "error: Failed to fetch: dns error: failed to lookup address information", ErrNoNetwork, "HTTPS_PROXY"},
		{"other file", "FAKE_UV_FAILS", "error: Hash mismatch for `torch==2.15.0`", ErrInstall, "not what tandem pins"},
		{"no build", "FAKE_UV_FAILS", "error: No solution found when resolving dependencies", ErrInstall, "no build"},
		{"something else", "FAKE_UV_FAILS", "error: the moon is full", ErrInstall, "the moon is full"},
		{"import", "FAKE_IMPORT_FAILS", "1", ErrInstall, "libstdc++.so.6"},
		{"too old", "FAKE_MINOR", "10", ErrPythonTooOld, "Python 3.10.1 is too old"},
		{"too new", "FAKE_MINOR", "15", ErrPythonTooOld, "too new"},
		{"another Python", "FAKE_IMPLEMENTATION", "PyPy", ErrPythonTooOld, "PyPy is not CPython"},
		{"32 bit", "FAKE_BITS", "32", ErrPythonTooOld, "32-bit"},
		{"does not run", "TANDEM_PYTHON", "/bin/false", ErrPythonMissing, "does not run"},
		{"not there", "TANDEM_PYTHON", "/nowhere/python3", ErrPythonMissing, "/nowhere/python3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFake(t)
			t.Setenv(tt.env, tt.value)
			_, err := Setup(t.Context(), Options{})
			var e *SetupError
			if !errors.Is(err, tt.want) || !errors.As(err, &e) || e.Advice == "" || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v\nwant %v, with %q and advice", err, tt.want, tt.says)
			}
			if _, err := os.Stat(f.path(stampName)); err == nil {
				t.Error("the failed set-up left a stamp")
			}
			if _, err := Locate(); !errors.Is(err, ErrNotSetUp) {
				t.Errorf("Locate after the failure: %v", err)
			}
		})
	}
}

func TestSetupLeavesOthersFoldersAlone(t *testing.T) {
	f := newFake(t)
	mine := f.path("venv", "mine")
	if err := os.MkdirAll(filepath.Dir(mine), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mine, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := Setup(t.Context(), Options{})
	if !errors.Is(err, ErrForeignFolder) {
		t.Errorf("set-up in somebody's folder: %v", err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
}

func TestTorchFromAnotherIndex(t *testing.T) {
	f := newFake(t)
	const index, public = "http://user:secret@index.invalid/cpu", "http://index.invalid/cpu"
	var said []string
	env, err := Setup(t.Context(), Options{TorchIndex: index, Progress: func(e Event) { said = append(said, e.Message, e.Line) }})
	if err != nil {
		t.Fatal(err)
	}
	want := pinned().versions()["torch"] + "+cpu"
	if env.Packages["torch"] != want || env.TorchIndex != public {
		t.Errorf("torch %q from %q, want %q from %q", env.Packages["torch"], env.TorchIndex, want, public)
	}
	var calls []string
	for line := range strings.Lines(f.logText()) {
		if strings.HasPrefix(line, "uv pip install") {
			calls = append(calls, line)
		}
	}
	if len(calls) != 2 || !strings.Contains(calls[0], "--require-hashes") || !strings.Contains(calls[0], "[index ]") ||
		!strings.Contains(calls[1], "torch==") || !strings.Contains(calls[1], "[index "+index+"]") {
		t.Errorf("uv was called so:\n%s", strings.Join(calls, ""))
	}
	for name := range installedVersions(sitePackages(f.path("venv"))) {
		if strings.HasPrefix(name, "nvidia") || strings.HasPrefix(name, "cuda") || name == "triton" {
			t.Errorf("%s was installed with another index's torch", name)
		}
	}
	stamped, err := os.ReadFile(f.path(stampName))
	if err != nil {
		t.Fatal(err)
	}
	if all := strings.Join(said, "\n") + string(stamped); strings.Contains(all, "secret") {
		t.Errorf("a password was written:\n%s", all)
	}

	// Unset, the variable asks for nothing; another value asks for another environment.
	if _, err := Setup(t.Context(), Options{}); err != nil || f.calls("python -m venv") != 1 {
		t.Errorf("without the variable: %v, %d venvs", err, f.calls("python -m venv"))
	}
	t.Setenv("TANDEM_TORCH_INDEX", "http://other.invalid")
	if env, err := Setup(t.Context(), Options{}); err != nil || env.TorchIndex != "http://other.invalid" || f.calls("python -m venv") != 2 {
		t.Errorf("with another index: %+v, %v, %d venvs", env, err, f.calls("python -m venv"))
	}
}

func TestInterpretersOnTheSearchPath(t *testing.T) {
	f := newFake(t)
	t.Setenv("TANDEM_PYTHON", "")
	t.Setenv("PATH", f.bin+":/bin") // sh, and perhaps the system's python3: not asked about
	shim := filepath.Join(f.bin, "python3.14")
	if err := os.WriteFile(shim, []byte("#!/bin/sh\necho 'pyenv: python3.14: command not found' >&2\nexit 127\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	found := interpreters(t.Context(), false)
	if len(found) != 2 || found[0].Path != shim || !strings.Contains(found[0].Refused, "command not found") {
		t.Fatalf("found %+v, want the shim refused with its own words, then python3.12", found)
	}
	in, err := choose(found)
	if err != nil || in.Version != "3.12.1" {
		t.Errorf("chose %+v, %v", in, err)
	}
	if _, err := choose(nil); !errors.Is(err, ErrPythonMissing) || !strings.Contains(err.Error(), "TANDEM_PYTHON") {
		t.Errorf("nothing found: %v", err)
	}
}

func TestInspect(t *testing.T) {
	newFake(t)
	r := Inspect(t.Context())
	if r.Ready() || r.Environment != nil {
		t.Errorf("ready before the set-up: %+v", r)
	}
	for _, i := range r.Items {
		if !i.OK && i.Advice == "" {
			t.Errorf("%s is missing, with no advice", i.Name)
		}
	}
	if _, err := Setup(t.Context(), Options{}); err != nil {
		t.Fatal(err)
	}
	if r := Inspect(t.Context()); !r.Ready() || r.Environment == nil || len(r.Items) != len(needed)+3 {
		t.Errorf("not ready after the set-up: %+v", r)
	}
}
