// Tandem compares two trainings of one model: PyTorch's and the native Go trainer's (or any two engines'), for
// correctness first and speed second.
//
//	tandem run mnist-mlp        export, import, train on both sides, judge, time, report
//	tandem check                judge the native trainer against recorded PyTorch references: no Python, seconds
//	tandem bench mnist-mlp      the speed in all of PyTorch's modes, or over a --sweep of settings, with the verdict it rests on
//	tandem report runs/mnist    show a run again, write its report anew, as one HTML page of several, or in other tools' formats
//	tandem diff old new         compare two runs, or folders of runs: did a verdict or a speed-up get worse
//	tandem history runs         how verdicts and speed-ups went over time, with a chart
//	tandem record mnist-mlp     record a PyTorch reference for check
//	tandem init net.py:build    write an experiment for a PyTorch model of yours
//	tandem export net.py:build  write a PyTorch model as ONNX that can be trained, and check it
//	tandem inspect model.onnx   show a model before it is trained, and whether the native trainer can train it
//	tandem list                 the built-in experiments
//	tandem setup                make the Python environment with PyTorch, once
//	tandem doctor               what is installed, what is missing, how to get it
//	tandem engine native        serve the native trainer's engine protocol
//	tandem man man1             write the manual's pages for man
//	tandem version              which tandem this is
//	tandem completion bash      completion for a shell
//	tandem help run             a command with its flags and examples
//
// An experiment is a built-in name, a model of yours as "file.py:callable" with its inputs' shapes (--input) or as "model.onnx", or a TOML file: fixtures/experiment/builtin/mnist-mlp.toml explains every key, and --set changes one
// for one run. A run is a folder, runs/EXPERIMENT-TIME unless --out names one: package results/compare says what is in it.
// It is written beside its place and moved there when it is whole. A run that does not come to its end leaves a folder RUN.unfinished with
// the parts that are finished, if any is, and says how to go on with the rest:
//
//	tandem run --resume runs/mnist-mlp-20260102-150405.unfinished
//
// # Engines
//
// The reference is believed, the candidate judged. Each is pytorch, native, or a program that speaks the engine protocol
// of package results/engine:
//
//	tandem run mnist-mlp --candidate "python3 my_engine.py --fast"
//	tandem run mnist-mlp --reference native --candidate pytorch
//	tandem run mnist-mlp --reference pytorch --candidate pytorch
//
// A command line is split at white space, with quotation marks as in a shell; no shell runs it. An engine that crashes,
// or that takes longer for one command than --timeout, is ended with everything it started, and the end of its standard
// error is shown. Ctrl-C ends both engines.
//
// # Exit status
//
//	0  the verdict is PASS, or the command did what it was asked for
//	1  the verdict is FAIL, or diff found that something got worse
//	2  bad usage or bad input, something that must be installed first, or no room on the disk
//	3  an engine failed, the verdict is INCONCLUSIVE, or the run was interrupted
//
// With 2 and 3, an INCONCLUSIVE verdict aside, no result is written.
//
// # Output
//
// Results go to standard output, progress and messages to standard error. With --json the command's result, the record of
// a run for instance (results/record/SCHEMA.md), is all that goes to standard output; --quiet leaves out progress and all but the
// verdict with its reasons, the speed and warnings; --verbose adds the judged steps and the engines' own messages.
//
// # Variables
//
//	TANDEM_ENV          folder of the Python environment; usually .tandem/python in a checkout, else in the user's cache
//	TANDEM_PYTHON       the Python to build it with, 3.11 to 3.14; the only one tried when set
//	TANDEM_TORCH_INDEX  address of a package index that has PyTorch in another build, such as its CPU-only one
//	TANDEM_DATA         folder with the folders mnist and fashion-mnist of IDX files
//	TANDEM_ONNXRUNTIME  ONNX Runtime's shared library, or the folder that it lies in
//	TANDEM_KERNELS      path of the native trainer's kernels: generic, avx2 or avx512; the best that the processor has where it is unset
//	NO_COLOR            when set, no colours
//	TMPDIR              folder for the files that engines exchange during a run
package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// run is the whole program but for the process around it.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	a := &app{stdin: stdin, stdout: stdout, stderr: stderr}
	c := a.command()
	c.SetArgs(args)
	c.SetIn(stdin)
	c.SetOut(stdout)
	c.SetErr(stderr)
	return a.exit(ctx, c.ExecuteContext(ctx))
}
