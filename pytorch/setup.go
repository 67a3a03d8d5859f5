package pytorch

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

// Phase is a part of the set-up.
type Phase string

// The phases, in order. PhaseWait comes only when another set-up is at work.
const (
	PhaseWait     Phase = "wait"
	PhasePython   Phase = "python"
	PhaseVenv     Phase = "venv"
	PhaseUV       Phase = "uv"
	PhasePackages Phase = "packages"
	PhaseCheck    Phase = "check"
	PhaseDone     Phase = "done"
)

// Event is one piece of news from a set-up: a phase that begins, when Line is empty, or a line that the tool of the
// present phase wrote.
type Event struct {
	Phase   Phase
	Step    int    // 1 to Steps; 0 while waiting
	Steps   int    //
	Message string // what is going on, for people
	Line    string // a tool's line
}

const setupSteps = 5

// Options are the choices of a set-up. The zero value is right for most.
type Options struct {
	// Progress, if not nil, is told what goes on, one call at a time. It hears nothing when all was done before.
	Progress func(Event)
	// TorchIndex replaces $TANDEM_TORCH_INDEX.
	TorchIndex string
}

// Setup makes the Python environment, or finds it made: then it only looks at a few files, in milliseconds, without
// a network. It may be interrupted at any time, by ctx or by force, and called again; two at once do the work once.
// Errors are [*SetupError], or ctx's.
func Setup(ctx context.Context, o Options) (*Environment, error) {
	folder, err := Folder()
	if err != nil {
		return nil, err
	}
	s := &setup{folder: folder, venv: filepath.Join(folder, "venv"), want: pinned(), index: o.TorchIndex, progress: o.Progress}
	if s.index == "" {
		s.index = os.Getenv("TANDEM_TORCH_INDEX")
	}
	env, err := s.ready(ctx)
	if err != nil {
		if err := s.make(ctx); err != nil {
			return nil, err
		}
		if env, err = s.ready(ctx); err != nil {
			return nil, err
		}
	}
	if env.Sources, err = unpackSources(folder); err != nil {
		return nil, folderError(folder, err)
	}
	return env, nil
}

// setup is one set-up at work.
type setup struct {
	folder, venv string
	want         requirements
	index        string // of torch; "" is the default
	progress     func(Event)
	phase        Event
}

func (s *setup) begin(p Phase, step int, format string, args ...any) {
	s.phase = Event{Phase: p, Step: step, Steps: setupSteps, Message: fmt.Sprintf(format, args...)}
	if s.progress != nil {
		s.progress(s.phase)
	}
}

func (s *setup) line(line string) {
	if s.progress != nil {
		e := s.phase
		e.Line = line
		s.progress(e)
	}
}

// ready is the environment if it stands and is the one asked for.
func (s *setup) ready(ctx context.Context) (*Environment, error) {
	env, made, err := open(s.folder, s.want)
	if err != nil {
		return nil, err
	}
	if s.index != "" && publicIndex(s.index) != made.TorchIndex {
		return nil, &SetupError{Err: ErrNotSetUp, Reason: "torch is to come from another index", Advice: runSetup}
	}
	if os.Getenv("TANDEM_PYTHON") != "" {
		in, err := choose(interpreters(ctx, false))
		if err != nil {
			return nil, err
		}
		if in.Base != made.Base {
			return nil, &SetupError{Err: ErrNotSetUp, Reason: "another Python is asked for", Advice: runSetup}
		}
	}
	return env, nil
}

func (s *setup) make(ctx context.Context) error {
	if err := claim(s.folder); err != nil {
		return err
	}
	lock := flock.New(filepath.Join(s.folder, lockName))
	got, err := lock.TryLock()
	if err != nil {
		return folderError(s.folder, err)
	}
	if !got {
		s.begin(PhaseWait, 0, "another set-up of %s is at work: waiting for it", s.folder)
		if _, err := lock.TryLockContext(ctx, 100*time.Millisecond); err != nil {
			return fmt.Errorf("set-up was interrupted while waiting for another one: %w", err)
		}
	}
	defer lock.Unlock()
	if _, err := s.ready(ctx); err == nil {
		return nil // the other one did it
	}

	s.begin(PhasePython, 1, "looking for Python 3.%d to 3.%d", oldestMinor, newestMinor)
	python, err := choose(interpreters(ctx, false))
	if ctx.Err() != nil {
		return fmt.Errorf("set-up was interrupted while looking for Python: %w", context.Cause(ctx))
	}
	if err != nil {
		return err
	}
	s.line(fmt.Sprintf("Python %s (%s)", python.Version, python.Path))
	plan := stamp{
		Format: stampFormat, Requirements: s.want.digest(), Python: python.Version, Base: python.Base,
		TorchIndex: publicIndex(s.index),
	}
	if err := os.Remove(filepath.Join(s.folder, stampName)); err != nil && !os.IsNotExist(err) {
		return folderError(s.folder, err)
	}
	if err := s.makeVenv(ctx, python, plan); err != nil {
		return err
	}
	if err := s.getUV(ctx, python); err != nil {
		return err
	}
	if err := s.install(ctx); err != nil {
		return err
	}
	s.begin(PhaseCheck, 5, "importing every package once")
	if err := s.run(ctx, "importing the installed packages", venvPython(s.venv), "-c", "import "+strings.Join(s.imports(), ", ")); err != nil {
		return err
	}
	if err := plan.write(filepath.Join(s.folder, stampName)); err != nil {
		return folderError(s.folder, err)
	}
	s.begin(PhaseDone, setupSteps, "the Python environment in %s is ready", s.folder)
	return nil
}

func (s *setup) imports() []string {
	var names []string
	for _, name := range needed {
		if s.want.versions()[name] != "" {
			names = append(names, name)
		}
	}
	return names
}

// makeVenv makes the virtual environment, or keeps an unfinished one that was begun with the same plan, still runs, and
// holds no package yet: what uv had begun to put there may be half a package that looks whole. Anew costs little, because
// what was fetched is in uv's cache.
func (s *setup) makeVenv(ctx context.Context, python Interpreter, plan stamp) error {
	planFile := filepath.Join(s.venv, planName)
	if old, err := readStamp(planFile); err == nil && old == plan && !begun(s.venv) {
		if s.run(ctx, "trying the unfinished environment", venvPython(s.venv), "-c", "") == nil {
			s.begin(PhaseVenv, 2, "going on with the unfinished environment in %s", s.venv)
			return nil
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("set-up was interrupted: %w", context.Cause(ctx))
	}
	s.begin(PhaseVenv, 2, "making a virtual environment in %s", s.venv)
	if err := removeAll(s.venv); err != nil {
		return folderError(s.folder, err)
	}
	args := []string{"-m", "venv"}
	if !python.ensurepip {
		args = append(args, "--without-pip")
	}
	if err := s.run(ctx, "making the virtual environment", python.Path, append(args, s.venv)...); err != nil {
		return err
	}
	if err := plan.write(planFile); err != nil {
		return folderError(s.folder, err)
	}
	return nil
}

// begun says that uv has begun to install packages: there are others than those that a new venv and getUV bring.
func begun(venv string) bool {
	infos, _ := filepath.Glob(filepath.Join(sitePackages(venv), "*.dist-info"))
	for _, info := range infos {
		switch name, _, _ := strings.Cut(filepath.Base(info), "-"); name {
		case "pip", "setuptools", "wheel", "uv":
		default:
			return true
		}
	}
	return false
}

// getUV puts the pinned uv into the venv: with pip, or where Python came without pip, by itself.
func (s *setup) getUV(ctx context.Context, python Interpreter) error {
	s.begin(PhaseUV, 3, "installing uv, which installs the rest")
	if s.run(ctx, "trying uv", venvUV(s.venv), "--version") == nil {
		return nil
	}
	if !python.ensurepip {
		return s.downloadUV(ctx)
	}
	file, err := s.requirementsFile("uv.txt", s.want.uv)
	if err != nil {
		return err
	}
	return s.run(ctx, "installing uv with pip", venvPython(s.venv), "-m", "pip", "install", "--disable-pip-version-check", "--no-input",
		"--force-reinstall", "--require-hashes", "--no-deps", "--only-binary", ":all:", "--progress-bar", "off", "-r", file)
}

// install lets uv fill the venv. What a former attempt installed or fetched is not fetched again.
func (s *setup) install(ctx context.Context) error {
	s.begin(PhasePackages, 4, "installing PyTorch, ONNX and ONNX Runtime (minutes on a slow line)")
	text := s.want.text
	if s.index != "" {
		text = s.want.withoutTorch()
	}
	file, err := s.requirementsFile("requirements.txt", text)
	if err != nil {
		return err
	}
	uv := []string{"pip", "install", "--python", venvPython(s.venv), "--no-deps", "--only-binary", ":all:"}
	if err := s.run(ctx, "installing the Python packages with uv", venvUV(s.venv), append(uv, "--require-hashes", "-r", file)...); err != nil {
		return err
	}
	if s.index == "" {
		return nil
	}
	torch := "torch==" + s.want.versions()["torch"]
	s.line(torch + " from " + publicIndex(s.index))
	// The address goes by the environment: a list of processes shows arguments to everyone, and it may hold a password.
	env := without(s.environ(), "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_FIND_LINKS", "UV_NO_INDEX")
	env = append(env, "UV_DEFAULT_INDEX="+s.index)
	return runTool(ctx, s.folder, "installing "+torch+" from "+publicIndex(s.index), env, s.line, venvUV(s.venv), append(uv, torch)...)
}

// requirementsFile writes a requirements file into the venv and returns its path.
func (s *setup) requirementsFile(name, text string) (string, error) {
	file := filepath.Join(s.venv, "tandem-"+name)
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return "", folderError(s.folder, err)
	}
	return file, nil
}

func (s *setup) run(ctx context.Context, what, path string, args ...string) error {
	return runTool(ctx, s.folder, what, s.environ(), s.line, path, args...)
}

// environ is the tools' environment: the user's, with all that would lead an installation elsewhere taken out.
func (s *setup) environ() []string {
	env := without(os.Environ(), append([]string{
		"PIP_TARGET", "PIP_PREFIX", "PIP_USER", "PIP_ROOT", "PIP_REQUIRE_HASHES", "PIP_CONSTRAINT",
		"UV_SYSTEM_PYTHON", "UV_TARGET", "UV_PREFIX", "UV_PROJECT_ENVIRONMENT", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_EXCLUDE_NEWER",
	}, dropped...)...)
	env = append(env, "PYTHONNOUSERSITE=1", "PYTHONUTF8=1", "UV_PYTHON_DOWNLOADS=never", "NO_COLOR=1")
	if mirror := os.Getenv("PIP_INDEX_URL"); mirror != "" && os.Getenv("UV_DEFAULT_INDEX") == "" && os.Getenv("UV_INDEX_URL") == "" {
		env = append(env, "UV_DEFAULT_INDEX="+mirror)
	}
	return env
}
