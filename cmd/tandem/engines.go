package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"tandem/fixtures/experiment"
	native "tandem/native/engine"
	"tandem/native/train"
	"tandem/onnx"
	"tandem/pytorch"
	"tandem/results/compare"
	"tandem/results/engine"
)

// The engines that tandem has itself.
const (
	enginePyTorch = "pytorch"
	engineNative  = "native"
)

// engineFlags choose the two engines of a comparison.
type engineFlags struct {
	reference, candidate string
	timeout              time.Duration
}

func (f *engineFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.reference, "reference", enginePyTorch, "`ENGINE` that is believed: pytorch, native, or a program that speaks the engine protocol")
	flags.StringVar(&f.candidate, "candidate", engineNative, "`ENGINE` that is judged, named alike; \"python3 my_engine.py --fast\" is one too")
	flags.DurationVar(&f.timeout, "timeout", 0, "longest time that one command of an engine may take, such as 90s (default: minutes, by command)")
}

// check refuses engines that cannot be started, before anything else is done.
func (f *engineFlags) check() error {
	if f.timeout < 0 {
		return usageError{fmt.Errorf("--timeout is %v, must not be negative", f.timeout)}
	}
	for _, side := range []struct{ flag, name string }{{"--reference", f.reference}, {"--candidate", f.candidate}} {
		if _, err := engineArguments(side.name); err != nil {
			return usageError{fmt.Errorf("%s %q: %w", side.flag, side.name, err)}
		}
	}
	return nil
}

// refuse says before any training that the native trainer cannot train the model, when it is one of the engines: the other engine would
// train to its end first.
func (f *engineFlags) refuse(o *compare.Options) error {
	if f.reference != engineNative && f.candidate != engineNative {
		return nil
	}
	data, err := os.ReadFile(o.ModelFile)
	if err != nil {
		return err
	}
	m, err := onnx.Decode(data, modelTitle(o.Experiment))
	if err != nil {
		return inputError{err}
	}
	t, err := train.New[float32](m, native.TrainOptions(o.Experiment))
	if err != nil {
		return inputError{err}
	}
	t.Close()
	return nil
}

// modelTitle names the model in messages.
func modelTitle(e *experiment.Experiment) string {
	if e.Model.IsFile() {
		return e.ModelFile()
	}
	return "the model exported from " + e.Model.Source
}

// side returns what a comparison starts for an engine's name. The environment is needed for PyTorch alone.
func (a *app) side(f *engineFlags, name string, env *pytorch.Environment) (compare.Side, error) {
	if _, err := engineArguments(name); err != nil {
		return compare.Side{}, usageError{fmt.Errorf("engine %q: %w", name, err)}
	}
	start := func(ctx context.Context, threads int) (*engine.Client, error) {
		cmd, err := engineCommand(name, env, threads)
		if err != nil {
			return nil, err
		}
		return engine.Start(ctx, cmd, a.engineOptions(f))
	}
	return compare.Side{Start: start}, nil
}

// engineOptions are the same for every engine.
func (a *app) engineOptions(f *engineFlags) engine.Options {
	var o engine.Options
	if a.verbose {
		o.Stderr = a.stderr
	}
	if f.timeout > 0 {
		o.Timeout = func(string, int) time.Duration { return f.timeout }
	}
	return o
}

// engineCommand prepares an engine's process.
func engineCommand(name string, env *pytorch.Environment, threads int) (*exec.Cmd, error) {
	switch name {
	case enginePyTorch:
		if env == nil {
			return nil, errors.New("the PyTorch engine needs its Python environment")
		}
		return env.EngineCommand(threads), nil
	case engineNative:
		self, err := os.Executable()
		if err != nil {
			return nil, err
		}
		return exec.Command(self, "engine", "native"), nil
	}
	arguments, err := engineArguments(name)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(arguments[0], arguments[1:]...)
	// What numerical libraries go by. The protocol's load says the number too, for engines that choose it themselves.
	cmd.Env = os.Environ()
	for _, variable := range []string{"OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"} {
		cmd.Env = append(cmd.Env, variable+"="+strconv.Itoa(threads))
	}
	return cmd, nil
}

// engineArguments splits an engine's command line, with the program's path resolved; it is nil for tandem's own engines.
func engineArguments(name string) ([]string, error) {
	if name == enginePyTorch || name == engineNative {
		return nil, nil
	}
	arguments, err := splitCommand(name)
	if err != nil {
		return nil, err
	}
	if len(arguments) == 0 {
		return nil, errors.New("it is empty; name pytorch, native, or a program that speaks the engine protocol")
	}
	path, err := exec.LookPath(arguments[0])
	if err != nil {
		return nil, fmt.Errorf("tandem has the engines pytorch and native; anything else is a program that speaks the engine protocol, and there is none: %w", err)
	}
	arguments[0] = path
	return arguments, nil
}

// splitCommand splits a command line into words at white space, as a shell does with quotation marks alone: between single
// ones everything stands for itself, between double ones a backslash takes a quotation mark or a backslash. There are no variables and no
// patterns.
func splitCommand(line string) ([]string, error) {
	var words []string
	var word strings.Builder
	var quote rune
	begun := false
	runes := []rune(line)
	for i := 0; i < len(runes); i++ {
		c := runes[i]
		escapes := c == '\\' && i+1 < len(runes) && (runes[i+1] == '"' || runes[i+1] == '\\') && runtime.GOOS != "windows"
		switch {
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote, begun = c, true
		case quote == '"' && escapes:
			i++
			word.WriteRune(runes[i])
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if begun {
				words = append(words, word.String())
			}
			word.Reset()
			begun = false
		default:
			word.WriteRune(c)
			begun = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quotation mark %c is not closed", quote)
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}
