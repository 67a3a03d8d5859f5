package engine

import (
	"errors"
	"fmt"
	"strings"
)

// Error kinds.
const (
	KindInput       = "input"       // what the user gave is at fault
	KindUnsupported = "unsupported" // the engine cannot do this
	KindInternal    = "internal"    // the engine is at fault
)

// Error is an engine's refusal or failure, as it travels.
type Error struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
	// Detail is for --verbose: a traceback, for instance.
	Detail string `json:"detail,omitempty"`
}

func (e *Error) Error() string { return e.Message }

// Errorf returns an [Error] of a kind.
func Errorf(kind, format string, args ...any) *Error {
	return &Error{Kind: kind, Message: fmt.Sprintf(format, args...)}
}

// Refusal is an [Error] that an engine answered to a command. The engine lives on and its state is as it was.
// errors.As finds the *Error.
type Refusal struct {
	Engine  string
	Command string
	Err     *Error
	Stderr  []string // the last lines of the engine's standard error
}

func (r *Refusal) Error() string {
	text := fmt.Sprintf("engine %s: %s: %s", r.Engine, r.Command, r.Err.Message)
	if r.Err.Kind == KindInternal {
		// An engine that is itself at fault has usually said more.
		text += tailText(r.Stderr)
	}
	return text
}

// Unwrap returns the engine's own error.
func (r *Refusal) Unwrap() error { return r.Err }

// The ways in which an engine fails without answering. A [Failure] wraps one of them, for errors.Is.
var (
	ErrStart     = errors.New("could not be started")
	ErrVersion   = errors.New("speaks another version of the engine protocol")
	ErrCrashed   = errors.New("crashed")
	ErrEnded     = errors.New("ended without an answer")
	ErrGarbled   = errors.New("wrote something that is no answer")
	ErrOversize  = errors.New("wrote a line that is too long")
	ErrHung      = errors.New("did not answer in time and was ended")
	ErrCancelled = errors.New("was ended because the command was cancelled")
	ErrGone      = errors.New("has already ended")
)

// Failure is the end of an engine: it crashed, hung or broke the protocol. Its process and those that it started are
// gone when the Failure is returned.
type Failure struct {
	Engine  string // the name that it gave itself, before that the program's
	Command string // that was waiting for an answer
	Fault   error  // ErrCrashed, ErrHung, ...
	Err     error  // what is known beyond the fault: an exit status, a context's error; may be nil
	Stderr  []string
}

func (f *Failure) Error() string {
	text := fmt.Sprintf("engine %s %v (command %q)", f.Engine, f.Fault, f.Command)
	if f.Err != nil {
		text += ": " + f.Err.Error()
	}
	return text + tailText(f.Stderr)
}

// Unwrap returns the fault and what is known beyond it.
func (f *Failure) Unwrap() []error {
	if f.Err == nil {
		return []error{f.Fault}
	}
	return []error{f.Fault, f.Err}
}

func tailText(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return "\nthe end of its standard error:\n  " + strings.Join(lines, "\n  ")
}
