package pytorch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Environment is a ready Python environment with PyTorch and what tandem needs besides.
type Environment struct {
	Folder        string            // the environment's folder, absolute
	Python        string            // its interpreter, absolute
	PythonVersion string            // "3.11.7"
	Packages      map[string]string // the packages that tandem imports and their installed versions
	TorchIndex    string            // the index that torch was taken from; "" for the default
	ONNXRuntime   string            // the folder with ONNX Runtime's shared library
	Sources       string            // the folder with the unpacked tandem_pytorch, for PYTHONPATH
}

// Locate finds the ready environment. It installs nothing and starts nothing; the one thing it may write is the
// unpacked Python package. Its errors are [*SetupError]: [ErrNotSetUp], [ErrPythonMissing] (the Python that the
// environment was built on has gone), [ErrPyTorchMissing].
func Locate() (*Environment, error) {
	folder, err := Folder()
	if err != nil {
		return nil, err
	}
	env, _, err := open(folder, pinned())
	if err != nil {
		return nil, err
	}
	if env.Sources, err = unpackSources(folder); err != nil {
		return nil, folderError(folder, err)
	}
	return env, nil
}

const runSetup = "Run \"make setup\" in a checkout of tandem, or \"tandem setup\"."

// open checks what stands in the folder against the requirements, by looking at files alone.
func open(folder string, want requirements) (*Environment, stamp, error) {
	s, err := readStamp(filepath.Join(folder, stampName))
	if errors.Is(err, fs.ErrNotExist) {
		reason := "there is none in " + folder
		if _, err := os.Stat(filepath.Join(folder, "venv")); err == nil {
			reason = "the set-up in " + folder + " was not finished"
		}
		return nil, s, &SetupError{Err: ErrNotSetUp, Reason: reason, Advice: runSetup}
	}
	if err != nil {
		return nil, s, &SetupError{Err: ErrNotSetUp, Reason: err.Error(), Advice: runSetup}
	}
	if s.Requirements != want.digest() {
		return nil, s, &SetupError{
			Err: ErrNotSetUp, Reason: "the one in " + folder + " was made for another version of tandem, with other requirements",
			Advice: runSetup,
		}
	}
	venv := filepath.Join(folder, "venv")
	env := &Environment{
		Folder: folder, Python: venvPython(venv), PythonVersion: s.Python, TorchIndex: s.TorchIndex,
		Packages: map[string]string{},
	}
	if _, err := os.Stat(env.Python); err != nil { // follows the link to the interpreter that the venv rests on
		return nil, s, &SetupError{
			Err:    ErrPythonMissing,
			Reason: fmt.Sprintf("%s is gone or no longer leads to Python %s (%s)", env.Python, s.Python, s.Base),
			Advice: "Bring that Python back, or build the environment anew with another one. " + runSetup,
		}
	}
	site := sitePackages(venv)
	installed := installedVersions(site)
	var missing []string
	for name, version := range want.versions() {
		// A build of another index carries a local version: 2.15.0+cpu.
		public, _, _ := strings.Cut(installed[name], "+")
		switch {
		case installed[name] == "":
			missing = append(missing, name+" "+version)
		case public != version:
			missing = append(missing, fmt.Sprintf("%s %s (found %s)", name, version, installed[name]))
		}
		env.Packages[name] = installed[name]
	}
	if len(missing) > 0 {
		return nil, s, &SetupError{
			Err: ErrPyTorchMissing, Reason: strings.Join(missing, ", ") + " not in " + folder,
			Advice: runSetup,
		}
	}
	env.ONNXRuntime = filepath.Join(site, "onnxruntime", "capi")
	return env, s, nil
}

// installedVersions reads the names of the dist-info folders that every installed wheel leaves: importing torch to
// ask it would take seconds.
func installedVersions(site string) map[string]string {
	versions := map[string]string{}
	if site == "" {
		return versions
	}
	entries, _ := os.ReadDir(site)
	for _, e := range entries {
		stem, ok := strings.CutSuffix(e.Name(), ".dist-info")
		if !ok {
			continue
		}
		// An installer writes RECORD last: without it the wheel is not all there.
		if _, err := os.Stat(filepath.Join(site, e.Name(), "RECORD")); err != nil {
			continue
		}
		if name, version, ok := strings.Cut(stem, "-"); ok {
			versions[strings.ToLower(strings.ReplaceAll(name, "_", "-"))] = version
		}
	}
	return versions
}

// ONNXRuntimeLibrary is the path of the shared library that comes with the onnxruntime package.
func (e *Environment) ONNXRuntimeLibrary() (string, error) {
	pattern := "libonnxruntime.so.*"
	switch runtime.GOOS {
	case "darwin":
		pattern = "libonnxruntime.*.dylib"
	case "windows":
		pattern = "onnxruntime.dll"
	}
	found, _ := filepath.Glob(filepath.Join(e.ONNXRuntime, pattern))
	if len(found) == 0 {
		return "", &SetupError{
			Err: ErrPyTorchMissing, Reason: "no " + pattern + " in " + e.ONNXRuntime,
			Advice: "Remove " + filepath.Join(e.Folder, stampName) + " and set up again. " + runSetup,
		}
	}
	return found[0], nil
}
