package pytorch

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

const (
	lockName  = "tandem-environment.lock"
	stampName = "ready.json"
	planName  = "tandem-plan.json" // inside venv: what the venv is being filled with
)

// Folder is where the Python environment lives or will live: see the package comment. It need not exist.
func Folder() (string, error) {
	if dir := os.Getenv("TANDEM_ENV"); dir != "" {
		return filepath.Abs(dir)
	}
	if wd, err := os.Getwd(); err == nil {
		if root := checkout(wd); root != "" {
			return filepath.Join(root, ".tandem", "python"), nil
		}
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", &SetupError{
			Err: ErrNotSetUp, Reason: "no folder for it: " + err.Error(),
			Advice: "Set TANDEM_ENV to a folder for the Python environment.",
		}
	}
	return filepath.Join(cache, "tandem", "python"), nil
}

// checkout is the nearest folder at or above dir whose go.mod says "module tandem", or "".
func checkout(dir string) string {
	for {
		if declaresTandem(filepath.Join(dir, "go.mod")) {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return ""
		}
		dir = parent
	}
}

func declaresTandem(file string) bool {
	f, err := os.Open(file)
	if err != nil {
		return false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if w := strings.Fields(s.Text()); len(w) >= 2 && w[0] == "module" {
			return w[1] == "tandem"
		}
	}
	return false
}

// claim makes the environment's folder, refusing one that holds something else: set-up removes things there.
func claim(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return &SetupError{Err: ErrForeignFolder, Reason: err.Error(), Advice: chooseFolder}
	case len(entries) > 0:
		if _, err := os.Lstat(filepath.Join(dir, lockName)); err != nil {
			return &SetupError{Err: ErrForeignFolder, Reason: dir + " is not empty and holds no " + lockName, Advice: chooseFolder}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return folderError(dir, err)
	}
	return nil
}

const chooseFolder = "Set TANDEM_ENV to an empty folder, or to one that does not exist yet."

// folderError tells a full disk from other trouble with files.
func folderError(dir string, err error) error {
	if isDiskFull(err) {
		return &SetupError{Err: ErrDiskFull, Reason: err.Error(), Advice: freeSpace(dir)}
	}
	return &SetupError{Err: ErrInstall, Reason: err.Error(), Advice: "Make " + dir + " writable, or set TANDEM_ENV to another folder."}
}

func freeSpace(dir string) string {
	return "The Python environment in " + dir + " needs about 6 GB with the CUDA build that Linux gets by default and 1.5 GB with a " +
		"CPU-only one (TANDEM_TORCH_INDEX), and uv's cache as much again if it lies on another disk. Free some space, or set " +
		"TANDEM_ENV (and UV_CACHE_DIR) to a folder on another disk, and run the set-up again."
}

func venvPython(venv string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(venv, "Scripts", "python.exe")
	}
	return filepath.Join(venv, "bin", "python")
}

func venvUV(venv string) string {
	if runtime.GOOS == "windows" {
		return filepath.Join(venv, "Scripts", "uv.exe")
	}
	return filepath.Join(venv, "bin", "uv")
}

// sitePackages is the folder of the venv's packages, or "" if there is none.
func sitePackages(venv string) string {
	pattern := filepath.Join(venv, "lib", "python3.*", "site-packages")
	if runtime.GOOS == "windows" {
		pattern = filepath.Join(venv, "Lib", "site-packages")
	}
	found, _ := filepath.Glob(pattern)
	if len(found) == 0 {
		return ""
	}
	return found[0]
}
