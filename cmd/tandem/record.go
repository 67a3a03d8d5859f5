package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"tandem/fixtures/experiment"
	"tandem/fixtures/reference"
	"tandem/pytorch"
	"tandem/results/compare"
)

func (a *app) recordCommand() *cobra.Command {
	var f recordFlags
	c := &cobra.Command{
		ValidArgsFunction: completeExperiments,
		Use:               "record EXPERIMENT",
		Short:             "Record a PyTorch reference for check",
		Long: `Train an experiment in PyTorch and write down what it did: initial weights, losses, gradients in float32 and float64,
states after steps, the rounding noise, the versions of everything. "tandem check" judges the native trainer against such a recording
without Python.`,
		Example: `  tandem record mnist-mlp --out fixtures/reference/recorded/mnist-mlp
  tandem record my-experiment.toml --out my-reference
  tandem check my-reference`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{fmt.Errorf("record: name one experiment: %s, or a TOML file", builtins())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error { return a.record(c, args[0], f) },
	}
	flags := c.Flags()
	flags.StringVarP(&f.out, "out", "o", "", "folder for the recording (default recordings/EXPERIMENT)")
	flags.IntVar(&f.threads, "threads", 1, "threads of PyTorch")
	flags.IntSliceVar(&f.steps, "judged-steps", nil, "steps whose gradients and update are recorded; -1 is the last (default 0, the last one of the first epoch, and the first one of the second)")
	flags.StringArrayVar(&f.sets, "set", nil, "change a `KEY=VALUE` of the experiment, such as train.epochs=1")
	return c
}

type recordFlags struct {
	out     string
	threads int
	steps   []int
	sets    []string
}

// recording is the JSON of the command.
type recording struct {
	Folder   string            `json:"folder"`
	Engine   string            `json:"engine"`
	Versions map[string]string `json:"versions"`
	Threads  int               `json:"threads"`
	Steps    int               `json:"steps"`
	Judged   int               `json:"judged_steps"` // how many
}

func (a *app) record(c *cobra.Command, name string, f recordFlags) error {
	ctx := c.Context()
	settings, err := parseSettings(f.sets)
	if err != nil {
		return err
	}
	e, err := experiment.Load(name, settings...)
	if err != nil {
		return inputError{err}
	}
	if f.out == "" {
		f.out = "recordings/" + e.Name
	}
	env, err := pytorch.Locate()
	if err != nil {
		return err
	}
	folder, err := compare.NewFolder(f.out, reference.ModelFile, "trace.json")
	if err != nil {
		return inputError{err}
	}
	defer folder.Discard()
	p := a.newProgress()
	defer p.finish()
	side, err := a.side(&engineFlags{}, enginePyTorch, env)
	if err != nil {
		return err
	}
	o := compare.Options{Experiment: e, Folder: folder, Threads: f.threads, Progress: p.phase, Reference: side}
	if err := prepareData(ctx, &o, p); err != nil {
		return err
	}
	if err := exportModel(ctx, &o, env, p); err != nil {
		return err
	}
	if f.steps == nil {
		second := e.StepsPerEpoch(o.Data.Record.TrainRows)
		f.steps = []int{0, second - 1, second}
	}
	ref, err := compare.Record(ctx, o, f.steps)
	if err != nil {
		return err
	}
	dir, err := folder.Commit()
	if err != nil {
		return err
	}
	p.finish()
	if a.json {
		if err := a.printJSON(recording{dir, ref.Engine.Name, ref.Engine.Versions, ref.Loaded.Threads, len(ref.Losses), len(ref.Steps)}); err != nil {
			return err
		}
	}
	if a.quiet {
		return nil
	}
	fmt.Fprintf(a.human(), "%s: %d steps of %s %s with %d thread(s), %d of them judged\n",
		shorten(dir), len(ref.Losses), ref.Engine.Name, ref.Engine.Versions["torch"], ref.Loaded.Threads, len(ref.Steps))
	return nil
}
