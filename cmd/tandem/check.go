package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/fixtures/reference"
	"tandem/onnx"
	"tandem/pytorch"
	"tandem/results/compare"
	"tandem/results/trace"
)

type checkFlags struct {
	out     string
	threads int
	prove   bool
	mutant  string
	engines engineFlags
}

func (a *app) checkCommand() *cobra.Command {
	var f checkFlags
	c := &cobra.Command{
		ValidArgsFunction: completeExperiments,
		Use:               "check [EXPERIMENT|RECORDING]...",
		Short:             "Judge the native trainer against recorded PyTorch references: no Python, seconds",
		Long: `Replay recorded PyTorch references against the native trainer and judge it: the same judgement as "tandem run" makes, but for what needs
a live PyTorch. Speed is not measured: that needs a live reference. Without arguments all embedded recordings are checked; a
recording of your own is a folder made by "tandem record".`,
		Example: `  tandem check
  tandem check mnist-mlp --threads 1
  tandem check --prove
  tandem check mnist-mlp --mutant loss-sum-for-mean`,
		RunE: func(c *cobra.Command, args []string) error {
			if f.threads < 1 {
				return usageError{fmt.Errorf("check: --threads is %d, must be at least 1", f.threads)}
			}
			if len(args) == 0 {
				args = reference.Names()
			}
			if len(args) > 1 && f.out != "" {
				return usageError{fmt.Errorf("check: --out names one folder, there are %d recordings", len(args))}
			}
			if err := f.engines.check(); err != nil {
				return err
			}
			return a.each(args, func(name string) error { return a.check(c, name, f) })
		},
	}
	flags := c.Flags()
	flags.StringVarP(&f.out, "out", "o", "", "folder for the result and a report (default: none is kept)")
	flags.IntVar(&f.threads, "threads", runtime.GOMAXPROCS(0), "threads of the engine")
	flags.BoolVar(&f.prove, "prove", false, "have the judge prove itself: plant every known mistake that applies and see it caught")
	flags.StringVar(&f.mutant, "mutant", "", "plant a known mistake in the candidate, to see what the verdict says")
	flags.StringVar(&f.engines.candidate, "candidate", engineNative, "`ENGINE` that is judged: native, or a program that speaks the engine protocol")
	flags.DurationVar(&f.engines.timeout, "timeout", 0, "longest time that one command of an engine may take, such as 90s (default: minutes, by command)")
	f.engines.reference = engineNative // not started
	return c
}

// check judges the candidate against one recording.
func (a *app) check(c *cobra.Command, name string, f checkFlags) error {
	ctx, start := c.Context(), time.Now()
	recording, err := openRecording(name)
	if err != nil {
		return inputError{err}
	}
	ref, err := trace.ReadReference(recording)
	if err != nil {
		return inputError{fmt.Errorf("recording %s: %w", name, err)}
	}
	out := f.out
	if out == "" {
		dir, err := os.MkdirTemp("", "tandem-check-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		out = filepath.Join(dir, "run")
	}
	folder, err := compare.NewFolder(out, compare.ResultFile)
	if err != nil {
		return inputError{err}
	}
	defer folder.Discard()
	p := a.newProgress()
	defer p.finish()
	env, _ := pytorch.Locate() // only for ONNX Runtime, which is one more look where it is there
	hint := ""
	if env != nil {
		hint = env.ONNXRuntime
	}
	side, err := a.side(&f.engines, f.engines.candidate, env)
	if err != nil {
		return err
	}
	side.Mutant = f.mutant
	o := compare.Options{Experiment: ref.Experiment, Folder: folder, Threads: f.threads, Progress: p.phase, Candidate: side, Third: onnxRuntime(hint), Prove: f.prove}
	if err := prepareData(ctx, &o, p); err != nil {
		return err
	}
	if err := recordedModel(recording, &o); err != nil {
		return inputError{err}
	}
	r, err := compare.Check(ctx, o, ref)
	if err != nil {
		return err
	}
	r.Seconds = time.Since(start).Seconds()
	r.Environment.Tandem = version()
	p.finish()
	return a.finish(r, folder, f.out != "")
}

// openRecording finds a recording: a folder, or an embedded one by its experiment's name.
func openRecording(name string) (fs.FS, error) {
	if strings.ContainsAny(name, `/\.`) {
		if _, err := os.Stat(filepath.Join(name, "trace.json")); err != nil {
			return nil, fmt.Errorf("%s is no recording: %w; \"tandem record\" makes one", name, err)
		}
		return os.DirFS(name), nil
	}
	r, err := reference.Open(name)
	if err != nil {
		return nil, fmt.Errorf("there is no recording %q; there are %s, and folders made by \"tandem record\"", name, strings.Join(reference.Names(), ", "))
	}
	return r, nil
}

// recordedModel copies the recording's model to where the engine can read it.
func recordedModel(recording fs.FS, o *compare.Options) error {
	data, err := fs.ReadFile(recording, reference.ModelFile)
	if err != nil {
		return err
	}
	m, err := onnx.Decode(data, reference.ModelFile)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(data)
	o.ModelFile = o.Folder.File(modelFile)
	o.Model = describeModel(m, hex.EncodeToString(digest[:]))
	return os.WriteFile(o.ModelFile, data, 0o666)
}
