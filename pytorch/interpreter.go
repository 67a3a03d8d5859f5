package pytorch

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// The versions of Python that every pinned package has wheels for.
const (
	oldestMinor = 11
	newestMinor = 14
)

// Interpreter is a Python that was found on this machine.
type Interpreter struct {
	Command string // as asked for: "python3.12", or $TANDEM_PYTHON
	Path    string // where the search path has it
	Version string // "3.12.1"
	Base    string // the real interpreter: not a shim, not a virtual environment's
	Refused string // why it cannot be used; "" when it can

	tooOld    bool
	ensurepip bool // has pip to put into a venv; Debian's python3 without python3-venv has not
}

// probe is what an interpreter is asked. It must run on any Python 3.
const probe = `
import importlib.util, json, platform, sys
print(json.dumps({
    "version": list(sys.version_info[:3]),
    "implementation": platform.python_implementation(),
    "bits": 64 if sys.maxsize > 2**32 else 32,
    "base": getattr(sys, "_base_executable", None) or sys.executable,
    "venv": importlib.util.find_spec("venv") is not None,
    "ensurepip": importlib.util.find_spec("ensurepip") is not None,
}))
`

// interpreters asks the usual names, newest first, and stops at the first usable one unless all is set. With
// $TANDEM_PYTHON set it asks that one alone.
func interpreters(ctx context.Context, all bool) []Interpreter {
	var names []string
	if p := os.Getenv("TANDEM_PYTHON"); p != "" {
		names = []string{p}
	} else {
		for minor := newestMinor; minor >= oldestMinor; minor-- {
			names = append(names, fmt.Sprintf("python3.%d", minor))
		}
		names = append(names, "python3", "python")
	}
	var found []Interpreter
	for _, name := range names {
		path, err := exec.LookPath(name)
		if err != nil {
			if os.Getenv("TANDEM_PYTHON") != "" {
				found = append(found, Interpreter{Command: name, Path: name, Refused: err.Error()})
			}
			continue
		}
		in := ask(ctx, name, path)
		found = append(found, in)
		if in.Refused == "" && !all {
			break
		}
	}
	return found
}

func ask(ctx context.Context, name, path string) Interpreter {
	in := Interpreter{Command: name, Path: path}
	// A shim or a stub may hang, waiting for someone to click.
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "-I", "-c", probe)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	ownGroup(cmd)
	err := runGroup(cmd)
	var a struct {
		Version        [3]int
		Implementation string
		Bits           int
		Base           string
		Venv           bool
		Ensurepip      bool
	}
	if err == nil {
		err = json.Unmarshal(stdout.Bytes(), &a)
	}
	if err != nil {
		in.Refused = "does not run: " + err.Error()
		if line := firstLine(stderr.String()); line != "" {
			in.Refused += ": " + line
		}
		// Python 2 stops at -I, or at the syntax.
		in.tooOld = strings.Contains(stderr.String(), "Unknown option: -I")
		return in
	}
	in.Version = fmt.Sprintf("%d.%d.%d", a.Version[0], a.Version[1], a.Version[2])
	in.Base, in.ensurepip = a.Base, a.Ensurepip
	switch major, minor := a.Version[0], a.Version[1]; {
	case major < 3 || major == 3 && minor < oldestMinor:
		in.tooOld = true
		in.Refused = fmt.Sprintf("Python %s is too old", in.Version)
	case major > 3 || minor > newestMinor:
		in.Refused = fmt.Sprintf("Python %s is too new: the pinned packages have no wheels for it yet", in.Version)
	case a.Implementation != "CPython":
		in.Refused = a.Implementation + " is not CPython: PyTorch has no wheels for it"
	case a.Bits != 64:
		in.Refused = "a 32-bit Python: PyTorch has no wheels for it"
	case !a.Venv:
		in.Refused = "has no venv module (on Debian and Ubuntu: apt install python3-venv)"
	}
	return in
}

// choose picks the usable one, or says what was found and why it was refused.
func choose(found []Interpreter) (Interpreter, error) {
	kind := ErrPythonMissing
	var reasons []string
	for _, in := range found {
		if in.Refused == "" {
			return in, nil
		}
		if in.Version != "" || in.tooOld {
			kind = ErrPythonTooOld
		}
		where := in.Path
		if in.Command != in.Path && os.Getenv("TANDEM_PYTHON") == "" {
			where = in.Command + " (" + in.Path + ")"
		}
		reasons = append(reasons, where+": "+in.Refused)
	}
	if len(reasons) == 0 {
		reasons = []string{fmt.Sprintf("looked on the search path for python3.%d down to python3.%d, python3 and python", newestMinor, oldestMinor)}
	}
	return Interpreter{}, &SetupError{Err: kind, Reason: strings.Join(reasons, "; "), Advice: pythonAdvice()}
}

func pythonAdvice() string {
	need := fmt.Sprintf("tandem needs a 64-bit CPython 3.%d to 3.%d", oldestMinor, newestMinor)
	switch runtime.GOOS {
	case "linux":
		need += " (Debian, Ubuntu: apt install python3; Fedora: dnf install python3)"
	case "darwin":
		need += " (Homebrew: brew install python@3.13)"
	}
	return need + ". If there is one off the search path, name it in TANDEM_PYTHON."
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}
