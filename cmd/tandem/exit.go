package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"tandem/fixtures/experiment"
	"tandem/native/op"
	"tandem/onnx"
	"tandem/pytorch"
	"tandem/results/compare"
	"tandem/results/engine"
	"tandem/results/record"
)

// The exit statuses; the package comment says what they mean.
const (
	statusOK      = 0
	statusFail    = 1
	statusUsage   = 2
	statusTrouble = 3
)

// usageError is an error in how the command was called.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// inputError is an error in what the user gave.
type inputError struct{ err error }

func (e inputError) Error() string { return e.err.Error() }
func (e inputError) Unwrap() error { return e.err }

// verdictError carries a verdict that is no PASS to the exit status; everything was printed already.
type verdictError struct{ verdict record.Verdict }

func (e verdictError) Error() string { return "the verdict is " + string(e.verdict) }

// exit prints an error and returns the exit status for it.
func (a *app) exit(ctx context.Context, err error) int {
	var verdict verdictError
	var usage usageError
	switch {
	case err == nil:
		return statusOK
	case errors.As(err, &verdict):
		if verdict.verdict == record.Fail {
			return statusFail
		}
		return statusTrouble
	case ctx.Err() != nil:
		fmt.Fprintln(a.stderr, "tandem: interrupted; "+cmp.Or(a.ifInterrupted, "nothing was written"))
		return statusTrouble
	case errors.As(err, &usage) || strings.HasPrefix(err.Error(), "unknown command"):
		fmt.Fprintf(a.stderr, "tandem: %v\nRun \"tandem help\" for the commands and their flags.\n", err)
		return statusUsage
	}
	fmt.Fprintf(a.stderr, "tandem: %v\n", err)
	if a.left != "" {
		fmt.Fprintln(a.stderr, a.left)
	}
	if diskFull(err) {
		fmt.Fprintf(a.stderr, "There is no room for the files: free some, or choose other places with --out (the result) and TMPDIR (working files, now %s).\n", os.TempDir())
	}
	if a.verbose {
		var e *engine.Error
		if errors.As(err, &e) && e.Detail != "" {
			fmt.Fprintln(a.stderr, e.Detail)
		}
	}
	if userFault(err) {
		return statusUsage
	}
	return statusTrouble
}

// userFault reports whether an error is the fault of what the user gave.
func userFault(err error) bool {
	var input inputError
	var settings *experiment.Error
	var model *onnx.Error
	var setup *pytorch.SetupError
	var e *engine.Error
	var differs *compare.DiffersError
	switch {
	case errors.As(err, &differs):
		return true
	case errors.As(err, &input), errors.As(err, &settings), errors.As(err, &model), errors.As(err, &setup),
		errors.Is(err, op.ErrUnsupported), errors.Is(err, compare.ErrOccupied), pytorch.AsUserFault(err), diskFull(err):
		return true
	case errors.As(err, &e):
		return e.Kind == engine.KindInput || e.Kind == engine.KindUnsupported
	}
	return false
}

// diskFull reports whether the system had no room for a file. An engine that met this says it in its own words.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}
