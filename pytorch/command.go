package pytorch

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
)

// EngineModule is the Python module that speaks the engine protocol on its standard input and output.
const EngineModule = "tandem_pytorch.engine"

// Command prepares "python -m module args..." in the environment. The end of ctx ends the process and its children.
// Standard input, output and error are the caller's to connect.
func (e *Environment) Command(ctx context.Context, module string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, e.Python, append([]string{"-m", module}, args...)...)
	cmd.Env = e.environ(0)
	ownGroup(cmd)
	return cmd
}

// EngineCommand prepares the PyTorch engine with the given number of threads, for engine.Start of results/engine; 0
// leaves the number to PyTorch.
func (e *Environment) EngineCommand(threads int) *exec.Cmd {
	cmd := exec.Command(e.Python, "-m", EngineModule)
	cmd.Env = e.environ(threads)
	return cmd
}

// dropped are variables of the caller's that would make the Python side another one than was set up, or let an engine
// burn processor time while it waits (see the package comment).
var dropped = []string{
	"PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX", "PYTHONINSPECT",
	"PYTHONOPTIMIZE", "VIRTUAL_ENV", "CONDA_PREFIX", "__PYVENV_LAUNCHER__",
	"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME",
}

func (e *Environment) environ(threads int) []string {
	env := without(os.Environ(), dropped...)
	env = append(env,
		"PYTHONPATH="+e.Sources,
		"PYTHONNOUSERSITE=1",
		"PYTHONSAFEPATH=1", // a torch.py in the working folder is not ours to import
		"PYTHONUTF8=1",
	)
	if threads > 0 {
		n := strconv.Itoa(threads)
		env = without(env, "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
		env = append(env, "OMP_NUM_THREADS="+n, "MKL_NUM_THREADS="+n, "OPENBLAS_NUM_THREADS="+n)
	}
	return env
}

func without(env []string, names ...string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(kv string) bool {
		name, _, _ := strings.Cut(kv, "=")
		return slices.Contains(names, name)
	})
}
