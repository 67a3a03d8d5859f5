package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/fixtures/experiment"
	"tandem/pytorch"
	"tandem/results/compare"
	"tandem/results/record"
)

// runFlags are the flags of run and of commands like it.
type runFlags struct {
	command string // of the record
	out     string
	threads int
	sets    []string
	data    string
	dir     string
	seed    int64
	timing  bool
	save    bool
	traces  bool
	publish bool
	profile bool
	prove   bool
	runs    int
	mutant  string
	engines engineFlags
	user    userFlags
	// deterministic sets the experiment's key.
	deterministic bool
	resume        string
}

// deterministicUsage is the help of the flag that run and bench share.
const deterministicUsage = "train.deterministic: the same bits run after run; PyTorch is held to its deterministic algorithms, the native trainer gives nothing up: its bits are the same for any number of threads"

func (a *app) runCommand() *cobra.Command {
	f := runFlags{command: "run"}
	c := &cobra.Command{
		ValidArgsFunction: completeExperiments,
		Use:               "run EXPERIMENT...",
		Short:             "Export, import, train on both sides, judge, time, report",
		Long: `Compare PyTorch and the native trainer on an experiment: a built-in one ("tandem list" names them) or a TOML file of
your own. The model is exported from PyTorch as ONNX and imported into the native trainer with identical weights; both
train on the same batches. A model that is an ONNX file, from any exporter, is read by both as it is. The verdict, the speed and a report go into a folder of their own.

What is finished of a run is kept while it goes on: the reference's trace, the candidate's, each planted mistake, each further training, each
round of timing. A run that is interrupted or killed goes on from there with --resume, unless tandem, the experiment, the model, the data or the
machine are not what they were.`,
		Example: `  tandem run mnist-mlp
  tandem run mnist-mlp --data mnist --data-dir ~/mnist --threads 1
  tandem run mnist-mlp --set train.epochs=1 --set optimizer.kind=sgd --set optimizer.learning_rate=0.1
  tandem run my-experiment.toml --out runs/mine --save
  tandem run mnist-mlp --runs 9
  tandem run my_model.py:build --input image=3x32x32
  tandem run model.onnx --loss cross_entropy
  tandem run mnist-mlp --candidate "python3 my_engine.py --fast"
  tandem run mnist-mlp --reference native --candidate pytorch
  tandem run --resume runs/mine.unfinished`,
		Args: func(c *cobra.Command, args []string) error {
			if resumed, err := resumeArguments(c, args); resumed {
				return err
			}
			if len(args) == 0 {
				return usageError{fmt.Errorf("run: name an experiment: %s, or a TOML file", builtins())}
			}
			if len(args) > 1 && f.out != "" {
				return usageError{fmt.Errorf("run: --out names one folder, there are %d experiments", len(args))}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if f.resume != "" {
				return a.resume(c, f.resume)
			}
			if f.threads < 1 {
				return usageError{fmt.Errorf("run: --threads is %d, must be at least 1", f.threads)}
			}
			if f.runs < 0 {
				return usageError{fmt.Errorf("run: --runs is %d, must not be negative", f.runs)}
			}
			if err := f.engines.check(); err != nil {
				return err
			}
			return a.each(args, func(name string) error { return a.run(c, name, f) })
		},
	}
	flags := c.Flags()
	flags.StringVarP(&f.out, "out", "o", "", "folder for the result (default runs/EXPERIMENT-TIME)")
	flags.IntVar(&f.threads, "threads", runtime.GOMAXPROCS(0), "threads of each engine")
	flags.StringArrayVar(&f.sets, "set", nil, "change a `KEY=VALUE` of the experiment, such as train.epochs=1")
	flags.StringVar(&f.data, "data", "", "data.source: fashion-mnist-slice, fashion-mnist, mnist, idx or synthetic; of text go-source, text or synthetic-text")
	flags.StringVar(&f.dir, "data-dir", "", "data.dir: folder of IDX files")
	flags.Int64Var(&f.seed, "seed", -1, "seed of weights, order and dropout (default the experiment's)")
	flags.BoolVar(&f.timing, "timing", true, "measure the speed; --timing=false judges alone")
	flags.BoolVar(&f.save, "save", false, "keep the native trainer's trained model as trained.onnx")
	flags.BoolVar(&f.traces, "traces", false, "keep both traces: states, gradients, updates of the judged steps")
	flags.BoolVar(&f.deterministic, "deterministic", false, deterministicUsage)
	flags.BoolVar(&f.profile, "profile", false, "show what the candidate's step is spent on, layer by layer, and how far that is from the machine's limits")
	flags.BoolVar(&f.prove, "prove", false, "have the judge prove itself: plant every known mistake that applies and see it caught")
	flags.IntVar(&f.runs, "runs", 0, "further trainings of both sides with other seeds, to judge whether they are equally good where steps cannot be compared any more")
	flags.StringVar(&f.mutant, "mutant", "", "plant a known mistake in the candidate, to see what the verdict says")
	flags.StringVar(&f.resume, "resume", "", resumeUsage)
	f.addPublish(flags)
	f.user.add(flags)
	f.engines.add(flags)
	return c
}

// experiment loads a built-in experiment or a file's, or makes one for a model of the user's.
func (a *app) experiment(ctx context.Context, name string, f *userFlags, settings []experiment.Setting) (*experiment.Experiment, error) {
	if isUserModel(name) {
		return a.userExperiment(ctx, name, f, settings)
	}
	if (len(f.inputs) > 0 || f.loss != "") && !strings.HasSuffix(name, ".py") { // of a Python file without its callable there is more to say
		return nil, usageError{errors.New("--input and --loss are for a model named as FILE.py:CALLABLE or FILE.onnx")}
	}
	e, err := experiment.Load(name, settings...)
	if err != nil {
		return nil, inputError{err}
	}
	return e, nil
}

// settings turns flags into changes of the experiment.
func (f *runFlags) settings() ([]experiment.Setting, error) {
	arguments := f.sets
	if f.data != "" {
		arguments = append(arguments, "data.source="+f.data)
	}
	if f.dir != "" {
		dir, err := filepath.Abs(f.dir)
		if err != nil {
			return nil, err
		}
		arguments = append(arguments, "data.dir="+dir)
		if f.data == "" {
			arguments = append(arguments, "data.source=idx")
		}
	}
	if f.deterministic {
		arguments = append(arguments, "train.deterministic=true")
	}
	if f.seed >= 0 {
		arguments = append(arguments, fmt.Sprintf("seed=%d", f.seed))
	}
	return parseSettings(arguments)
}

// parseSettings reads the KEY=VALUE of --set flags.
func parseSettings(arguments []string) ([]experiment.Setting, error) {
	var out []experiment.Setting
	for _, s := range arguments {
		setting, err := experiment.ParseSetting(s)
		if err != nil {
			return nil, usageError{err}
		}
		out = append(out, setting)
	}
	return out, nil
}

// run makes one comparison.
func (a *app) run(c *cobra.Command, name string, f runFlags) (err error) {
	ctx, start := c.Context(), time.Now()
	settings, err := f.settings()
	if err != nil {
		return err
	}
	e, err := a.experiment(ctx, name, &f.user, settings)
	if err != nil {
		return err
	}
	out := f.out
	if out == "" {
		out = filepath.Join("runs", e.Name+"-"+start.Format("20060102-150405"))
	}
	unfinished, err := a.begin(c, name, out)
	if err != nil {
		return err
	}
	folder := unfinished.Folder
	defer func() { a.end(unfinished, verdictOnly(err)) }()
	p := a.newProgress()
	defer p.finish()
	sparing() // a large model's states pass through this process
	r, err := a.compare(ctx, e, f, folder, unfinished, p)
	if err != nil {
		return err
	}
	r.Seconds = time.Since(start).Seconds()
	unfinished.Complete(&r.Started, &r.Seconds, &r.Resumed, &r.Environment)
	p.finish()
	if f.publish {
		if err := leaveOutModel(r, folder, exportAgain(name, settings)); err != nil {
			return err
		}
	}
	return a.finish(r, folder, true)
}

// compare makes one comparison; its record lacks the command's duration. Without unfinished nothing is kept while it is made.
func (a *app) compare(ctx context.Context, e *experiment.Experiment, f runFlags, folder *compare.Folder, unfinished *compare.Unfinished, p *progress) (*record.Run, error) {
	env, err := pytorch.Locate()
	if err != nil {
		return nil, err
	}
	reference, err := a.side(&f.engines, f.engines.reference, env)
	if err != nil {
		return nil, err
	}
	candidate, err := a.side(&f.engines, f.engines.candidate, env)
	if err != nil {
		return nil, err
	}
	candidate.Mutant = f.mutant
	o := compare.Options{
		Command: f.command, Experiment: e, Folder: folder, Threads: f.threads, Timing: f.timing, Profile: f.profile, Prove: f.prove, Runs: f.runs, Save: f.save, Traces: f.traces, Progress: p.phase,
		Reference: reference, Candidate: candidate,
		Third: onnxRuntime(env.ONNXRuntime), Unfinished: unfinished,
	}
	if err := prepareData(ctx, &o, p); err != nil {
		return nil, err
	}
	if err := exportModel(ctx, &o, env, p); err != nil {
		return nil, err
	}
	if err := f.engines.refuse(&o); err != nil {
		return nil, err
	}
	r, err := compare.Run(ctx, o)
	if err != nil {
		return nil, err
	}
	r.Environment.Tandem = version()
	return r, nil
}

// builtins lists the built-in experiments for a message.
func builtins() string {
	names := ""
	for i, b := range experiment.Builtins() {
		if i > 0 {
			names += ", "
		}
		names += b.Name
	}
	return names
}
