package pytorch

import (
	"errors"
	"strings"
)

// What can be wrong with the Python side, for errors.Is. Each arrives inside a [*SetupError].
var (
	ErrPythonMissing  = errors.New("no Python found")
	ErrPythonTooOld   = errors.New("no suitable Python found") // too old, or unfit in another way
	ErrNotSetUp       = errors.New("the Python environment is not set up")
	ErrPyTorchMissing = errors.New("a Python package is missing")
	ErrForeignFolder  = errors.New("the folder is not tandem's")
	ErrNoNetwork      = errors.New("the package index could not be reached")
	ErrDiskFull       = errors.New("the disk is full")
	ErrInstall        = errors.New("the installation failed")
)

// SetupError says what is wrong with the Python side and what the user can do about it. A command that meets one ends
// with status 2: nothing is wrong with the trainers.
type SetupError struct {
	Err    error    // one of the errors above
	Reason string   // what was found, where
	Advice string   // what to do
	Output []string // the last lines that a failing tool wrote, if any
}

func (e *SetupError) Error() string {
	var b strings.Builder
	b.WriteString(e.Err.Error())
	if e.Reason != "" {
		b.WriteString(": " + e.Reason)
	}
	for _, line := range e.Output {
		b.WriteString("\n    " + line)
	}
	if e.Advice != "" {
		b.WriteString("\n" + e.Advice)
	}
	return b.String()
}

func (e *SetupError) Unwrap() error { return e.Err }
