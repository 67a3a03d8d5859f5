package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tandem/fixtures/experiment"
	"tandem/results/compare"
	"tandem/results/record"
	"tandem/results/report"
	"tandem/results/roofline"
)

func (a *app) benchCommand() *cobra.Command {
	f := runFlags{command: "bench", timing: true}
	var sweep []string
	var kernels string
	c := &cobra.Command{
		ValidArgsFunction: completeExperiments,
		Use:               "bench EXPERIMENT",
		Short:             "Measure the speed thoroughly, with the verdict that it rests on",
		Long: `Compare as "tandem run" does, with PyTorch timed in every mode that it has: as it comes, with the foreach and the fused optimizer, and
compiled. The record, the report and the exit status are those of a run.

With --profile there is a table of the layers as well, in the report, the record and as Markdown here: operator and algorithm, forward, backward
and update time, operations and bytes, the limit by peaks that were measured in the same process, and what the time beyond it is spent on.
"tandem run" has the flag too: with --timing=false the profile and the verdict alone are made.

With --sweep the comparison is made at each point of a grid of settings, shorter: judged at the steps 0 and 1 and over 200 steps of training,
and timed in the experiment's own modes with as many threads on each side. There is one record, table and chart of all points
(tandem.sweep/1 in results/record/SCHEMA.md). What a sweep can change:

` + sweepKeys() + `  any other key of an experiment, such as optimizer.learning_rate or model.args.hidden

Several flags, or several keys in one, make a grid; commas in brackets separate nothing.`,
		Example: `  tandem bench mnist-mlp
  tandem bench mnist-mlp --threads 1 --prove --out runs/mnist-mlp-1-thread
  tandem bench mnist-mlp --sweep batch=32,256,1024 --sweep threads=1,2
  tandem bench transformer-small --profile
  tandem bench --kernels runs/bench/kernels.txt
  tandem bench mnist-mlp --sweep width=64,128,256,512
  tandem bench mnist-mlp --sweep model.args.hidden=[64,32],[256,128] --set timing.modes=["fused","compile"]`,
		Args: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("kernels") {
				return noArguments(c, args)
			}
			if resumed, err := resumeArguments(c, args); resumed {
				return err
			}
			if len(args) != 1 {
				return usageError{fmt.Errorf("bench: name one experiment: %s, or a TOML file", builtins())}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if c.Flags().Changed("kernels") {
				return a.kernels(kernels)
			}
			if f.resume != "" {
				return a.resume(c, f.resume)
			}
			if f.threads < 1 {
				return usageError{fmt.Errorf("bench: --threads is %d, must be at least 1", f.threads)}
			}
			if f.runs < 0 {
				return usageError{fmt.Errorf("bench: --runs is %d, must not be negative", f.runs)}
			}
			if err := f.engines.check(); err != nil {
				return err
			}
			if !c.Flags().Changed("sweep") {
				modes := experiment.AllModes()
				all := f                                                              // the flags keep what the user gave
				all.sets = append([]string{modes.Key + "=" + modes.Value}, f.sets...) // the user's own come later, and count
				return a.run(c, args[0], all)
			}
			if f.profile {
				return usageError{errors.New("bench: --profile is of one experiment, not of a sweep's points; give one of the two")}
			}
			axes, err := experiment.ParseSweep(sweep)
			if err != nil {
				return usageError{err}
			}
			return a.sweep(c, args[0], f, axes)
		},
	}
	flags := c.Flags()
	flags.StringVarP(&f.out, "out", "o", "", "folder for the result (default runs/EXPERIMENT-bench-TIME)")
	flags.IntVar(&f.threads, "threads", runtime.GOMAXPROCS(0), "threads of each engine, where the sweep does not say it")
	flags.StringArrayVar(&sweep, "sweep", nil, "measure with each of `KEY=VALUE,VALUE,...`; more keys make a grid")
	flags.StringArrayVar(&f.sets, "set", nil, "change a `KEY=VALUE` of the experiment, such as timing.blocks=40")
	flags.StringVar(&f.data, "data", "", "data.source: fashion-mnist-slice, fashion-mnist, mnist, idx or synthetic")
	flags.StringVar(&f.dir, "data-dir", "", "data.dir: folder of IDX files")
	flags.Int64Var(&f.seed, "seed", -1, "seed of weights, order and dropout (default the experiment's)")
	flags.BoolVar(&f.deterministic, "deterministic", false, deterministicUsage)
	flags.BoolVar(&f.profile, "profile", false, "show what the candidate's step is spent on, layer by layer, and how far that is from the machine's limits; not with --sweep")
	flags.BoolVar(&f.prove, "prove", false, "have the judge prove itself; not at the points of a sweep")
	flags.IntVar(&f.runs, "runs", 0, "further trainings of both sides with other seeds, as of run; not at the points of a sweep")
	flags.StringVar(&f.resume, "resume", "", resumeUsage)
	flags.StringVar(&kernels, "kernels", "", "make tables of limits from `FILE`, the output of Go's benchmarks of the kernels (\"make bench\")")
	f.addPublish(flags)
	f.engines.add(flags)
	return c
}

// kernels prints how near the benchmarks of a file come to the limits in it.
func (a *app) kernels(file string) error {
	f, err := os.Open(file)
	if err != nil {
		return inputError{err}
	}
	defer f.Close()
	run, err := roofline.Read(f, file)
	if err != nil {
		return inputError{err}
	}
	if err := run.Markdown(a.stdout); err != nil {
		return inputError{fmt.Errorf("%s: %w", file, err)}
	}
	return nil
}

// sweepKeys lists the short names for the help.
func sweepKeys() string {
	var b strings.Builder
	for _, k := range experiment.SweepKeys {
		fmt.Fprintf(&b, "  %-10s %s\n", k.Name, k.Meaning)
	}
	return b.String()
}

// shorter are the settings that make a point of a sweep shorter than a run, where the user says nothing else.
var shorter = []experiment.Setting{
	{Key: "parity.judged_steps", Value: "[0, 1]"},
	{Key: "train.max_steps", Value: "200"},
	{Key: "timing.threads", Value: "[]"},
	{Key: "timing.block_steps", Value: "20"},
}

// sweep makes a comparison at each point of a grid.
func (a *app) sweep(c *cobra.Command, name string, f runFlags, axes []experiment.Axis) (err error) {
	start := time.Now()
	settings, err := f.settings()
	if err != nil {
		return err
	}
	settings = append(append([]experiment.Setting{}, shorter...), settings...)
	base, err := experiment.Load(name, settings...)
	if err != nil {
		return inputError{err}
	}
	points, err := base.Grid(axes)
	if err != nil {
		return inputError{err}
	}
	// A value that cannot be is found before the first point costs its half minute.
	experiments := make([]*experiment.Experiment, len(points))
	for i, p := range points {
		if experiments[i], err = experiment.Load(name, append(append([]experiment.Setting{}, settings...), p.Settings...)...); err != nil {
			return inputError{err}
		}
	}
	out := f.out
	if out == "" {
		out = filepath.Join("runs", base.Name+"-bench-"+start.Format("20060102-150405"))
	}
	unfinished, err := a.begin(c, name, out)
	if err != nil {
		return err
	}
	folder := unfinished.Folder
	defer func() { a.end(unfinished, verdictOnly(err)) }()
	if err := unfinished.Experiment(&compare.Options{Experiment: base, Threads: f.threads}); err != nil {
		return err
	}
	s := &record.Sweep{Schema: record.SweepSchema, Command: "bench", Started: start.UTC(), Experiment: base}
	for _, x := range axes {
		s.Axes = append(s.Axes, record.SweepAxis{Name: x.Name, Key: x.Key, Values: x.Values})
	}
	p := a.newProgress()
	defer p.finish()
	var worst error
	threads := f.threads
	done, head := unfinished.Points()
	if head != nil && len(done) <= len(points) {
		s.Points, s.Data, s.Engines = done, head.Data, head.Engines
		for i := range done {
			if done[i].Verdict != record.Pass {
				worst = worse(worst, verdictError{done[i].Verdict})
			}
		}
	}
	s.Environment = unfinished.Setup.Environment
	for i, point := range points {
		if i < len(done) {
			continue
		}
		threads := threads
		if point.Threads > 0 {
			threads = point.Threads
		}
		p.prefix = fmt.Sprintf("point %d of %d (%s)%s: ", i+1, len(points), describePoint(axes, point), timeLeft(time.Since(start), i-len(done), len(points)-len(done)))
		f.threads, f.prove, f.runs = threads, false, 0
		r, err := a.point(c, experiments[i], f, folder.WorkFile(fmt.Sprintf("point-%d", i)), p)
		if err != nil {
			return fmt.Errorf("%s%w", p.prefix, err)
		}
		if i == 0 {
			s.Data, s.Engines, s.Environment = r.Data, r.Engines, r.Environment
			head = &compare.SweepHead{Data: r.Data, Engines: r.Engines}
		}
		s.Environment.LoadAfter = r.Environment.LoadAfter
		s.Points = append(s.Points, record.Point(point.Values, r))
		if r.Parity.Verdict != record.Pass {
			worst = worse(worst, verdictError{r.Parity.Verdict})
		}
		unfinished.KeepPoints(s.Points, head)
	}
	s.Seconds = time.Since(start).Seconds()
	s.Environment.Tandem = version()
	unfinished.Complete(&s.Started, &s.Seconds, &s.Resumed, &s.Environment)
	p.finish()
	if err := a.finishSweep(s, folder); err != nil {
		return err
	}
	return worst
}

func describePoint(axes []experiment.Axis, p experiment.Point) string {
	var parts []string
	for i, v := range p.Values {
		parts = append(parts, axes[i].Name+" "+v)
	}
	return strings.Join(parts, ", ")
}

// point makes one comparison in a folder that is thrown away.
func (a *app) point(c *cobra.Command, e *experiment.Experiment, f runFlags, dir string, p *progress) (*record.Run, error) {
	folder, err := compare.NewFolder(dir, compare.ResultFile)
	if err != nil {
		return nil, err
	}
	defer folder.Discard()
	return a.compare(c.Context(), e, f, folder, nil, p)
}

// finishSweep writes record, report and chart, moves them to their place and prints the table.
func (a *app) finishSweep(s *record.Sweep, folder *compare.Folder) error {
	if err := record.WriteSweep(folder.File(compare.ResultFile), s); err != nil {
		return err
	}
	if err := report.SweepMarkdown(folder.Dir, s); err != nil {
		return err
	}
	if err := report.HTMLFile(folder.File(report.FileHTML), report.Entry{Sweep: s}); err != nil {
		return err
	}
	dir, err := folder.Commit()
	if err != nil {
		return err
	}
	return a.sweepSummary(s, dir)
}

// sweepSummary prints the table for people, or the record.
func (a *app) sweepSummary(s *record.Sweep, dir string) error {
	if err := report.SweepTerminal(a.human(), s, a.summaryOptions(dir)); err != nil {
		return err
	}
	if a.json {
		return a.printJSON(s)
	}
	return nil
}
