package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tandem/fixtures/experiment"
	native "tandem/native/engine"
	"tandem/native/op"
	"tandem/native/schedule"
	"tandem/onnx"
	"tandem/pytorch"
	"tandem/results/compare"
)

// inspectFlags are the flags of inspect.
type inspectFlags struct {
	runFlags
	batch int
}

func (a *app) inspectCommand() *cobra.Command {
	var f inspectFlags
	c := &cobra.Command{
		ValidArgsFunction: completeExperiments,
		Use:               "inspect FILE.onnx|EXPERIMENT|FILE.py:CALLABLE",
		Short:             "Show a model before it is trained, and whether the native trainer can train it",
		Long: `Show a model's inputs, outputs, parameters, buffers, dropout sites and operators, whether the native trainer supports
each of them, and the memory that a training step will take. What is not supported is named with its node, the PyTorch
module and the line of Python that it comes from. Nothing is trained.

An experiment's model is exported from PyTorch first, into a folder that is thrown away. For a file the optimizer is
taken to be Adam and the loss the one that "tandem run" would take for its output, unless an experiment is inspected.

Exit status 0 when the model can be trained natively, 2 when not.`,
		Example: `  tandem inspect runs/mnist-mlp/model.onnx
  tandem inspect mnist-mlp --batch 256
  tandem inspect my_model.py:build --input image=3x32x32
  tandem inspect my-experiment.toml --json`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return usageError{errors.New("inspect: name one ONNX file or one experiment")}
			}
			return nil
		},
		RunE: func(c *cobra.Command, args []string) error {
			if f.batch < 0 {
				return usageError{fmt.Errorf("inspect: --batch is %d, must be at least 1", f.batch)}
			}
			return a.inspect(c.Context(), args[0], f)
		},
	}
	flags := c.Flags()
	flags.IntVar(&f.batch, "batch", 0, "rows of a batch, for the memory (default the experiment's, for a file 32)")
	flags.StringArrayVar(&f.sets, "set", nil, "change a `KEY=VALUE` of the experiment, such as model.args.dropout=0")
	f.user.add(flags)
	f.seed = -1
	return c
}

func (a *app) inspect(ctx context.Context, name string, f inspectFlags) error {
	e, m, err := a.inspected(ctx, name, f)
	if err != nil {
		return err
	}
	batch := f.batch
	if batch == 0 {
		batch = e.Train.Batch
	}
	o := native.TrainOptions(e)
	o.Schedule = schedule.Config{} // its length depends on the data
	s := inspectModel(name, m, o, batch)
	if a.json {
		if err := a.printJSON(s); err != nil {
			return err
		}
	} else if err := s.print(a.stdout, a.verbose, a.quiet); err != nil {
		return err
	}
	if !s.Trainable {
		return inputError{fmt.Errorf("%s: the native trainer cannot train this model (%d problems, named above)", name, len(s.Problems))}
	}
	return nil
}

// inspected loads a file, or exports an experiment's model.
func (a *app) inspected(ctx context.Context, name string, f inspectFlags) (*experiment.Experiment, *onnx.Model, error) {
	if isModelFile(name) {
		if len(f.sets) > 0 {
			return nil, nil, usageError{errors.New("inspect: --set changes an experiment, and this is a file")}
		}
		m, err := onnx.Load(name)
		if err != nil {
			return nil, nil, inputError{err}
		}
		return fileExperiment(m, f.user.loss), m, nil
	}
	settings, err := f.settings()
	if err != nil {
		return nil, nil, err
	}
	e, err := a.experiment(ctx, name, &f.user, settings)
	if err != nil {
		return nil, nil, err
	}
	env, err := pytorch.Locate()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "tandem-")
	if err != nil {
		return nil, nil, err
	}
	defer os.RemoveAll(dir)
	folder, err := compare.NewFolder(filepath.Join(dir, "inspect"), compare.ResultFile)
	if err != nil {
		return nil, nil, err
	}
	defer folder.Discard()
	p := a.newProgress()
	defer p.finish()
	o := compare.Options{Experiment: e, Folder: folder}
	if err := prepareData(ctx, &o, p); err != nil {
		return nil, nil, err
	}
	if err := exportModel(ctx, &o, env, p); err != nil {
		return nil, nil, err
	}
	m, err := onnx.Load(o.ModelFile)
	return e, m, err
}

// isModelFile tells a model from an experiment: by its name, or because it is a file that no experiment has the name of.
func isModelFile(name string) bool {
	switch filepath.Ext(name) {
	case ".onnx":
		return true
	case ".toml":
		return false
	}
	if isUserModel(name) {
		return false
	}
	for _, b := range experiment.Builtins() {
		if b.Name == name {
			return false
		}
	}
	info, err := os.Stat(name)
	return err == nil && !info.IsDir()
}

// fileExperiment is what a file is inspected for, since it says nothing about its training: the loss is the one that "tandem run" would take.
func fileExperiment(m *onnx.Model, loss string) *experiment.Experiment {
	if len(m.Graph.Outputs) > 0 {
		if t, err := targetOf(m.Graph.Outputs[0], loss); err == nil {
			loss = t.loss
		}
	}
	return &experiment.Experiment{
		Loss:      experiment.Loss{Kind: loss, Reduction: "mean"},
		Optimizer: experiment.Optimizer{Kind: "adam", LearningRate: 1e-3, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8},
		Train:     experiment.Train{Batch: 32},
	}
}

// printJSON writes a command's result to standard output.
func (a *app) printJSON(v any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// shownParameters is how many parameters are listed without --verbose.
const shownParameters = 40

func (s *inspection) print(w io.Writer, verbose, quiet bool) error {
	verdict := "the native trainer can train it"
	if !s.Trainable {
		verdict = "the native trainer cannot train it"
	}
	var out strings.Builder
	fmt.Fprintf(&out, "%s: %s\n", s.File, verdict)
	for _, p := range s.Problems {
		fmt.Fprintf(&out, "  - %s\n", p)
		if p.Advice != "" {
			fmt.Fprintf(&out, "    %s\n", p.Advice)
		}
	}
	if !quiet {
		s.details(&out, verbose)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (p problem) String() string {
	var parts []string
	if p.Operator != "" {
		parts = append(parts, "operator "+p.Operator)
	}
	if p.Node != "" {
		parts = append(parts, fmt.Sprintf("node %q", p.Node))
	}
	if p.Module != "" {
		parts = append(parts, "PyTorch module "+p.Module)
	}
	if p.Source != "" {
		parts = append(parts, "from "+p.Source)
	}
	if len(parts) == 0 {
		return p.Problem
	}
	return strings.Join(parts, ", ") + ": " + p.Problem
}

func (s *inspection) details(out *strings.Builder, verbose bool) {
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer t.Flush()
	section := func(format string, args ...any) {
		t.Flush()
		fmt.Fprintf(out, "\n"+format+"\n", args...)
	}
	section("Model")
	fmt.Fprintf(t, "  format\tONNX, %s, IR version %d, written by %s\n", opsets(s.Opset), s.IRVersion, orUnknown(s.Producer))
	if e := s.Exporter; e != nil {
		fmt.Fprintf(t, "  exporter\t%s %s with torch %s, onnxscript %s\n", e.Name, e.Tandem, e.Torch, e.ONNXScript)
	}
	for _, v := range s.Inputs {
		fmt.Fprintf(t, "  input\t%s %s[%s]\n", v.Name, v.DType, strings.Join(v.Shape, " "))
	}
	for _, v := range s.Outputs {
		fmt.Fprintf(t, "  output\t%s %s[%s]\n", v.Name, v.DType, strings.Join(v.Shape, " "))
	}
	guessed := ""
	if s.Guessed {
		guessed = " (guessed)"
	}
	section("Parameters%s: %s in %d tensors", guessed, grouped(s.Elements), len(s.Parameters))
	for i, p := range s.Parameters {
		if i == shownParameters && !verbose {
			fmt.Fprintf(t, "  and %d more (--verbose)\n", len(s.Parameters)-i)
			break
		}
		extra := ""
		if p.Frozen {
			extra += ", not trained"
		}
		if len(p.Aliases) > 0 {
			extra += ", also called " + strings.Join(p.Aliases, ", ")
		}
		fmt.Fprintf(t, "  %s\t%s\t%s%s\n", p.Name, strings.ReplaceAll(strings.Trim(fmt.Sprint(p.Shape), "[]"), " ", "×"), grouped(p.Elements), extra)
	}
	if len(s.Buffers) > 0 {
		section("Buffers: %s", strings.Join(s.Buffers, ", "))
	}
	if len(s.Dropout) > 0 {
		section("Dropout")
		for _, d := range s.Dropout {
			fmt.Fprintf(t, "  site %d\tp %v\tnode %s\t%s\n", d.Site, d.P, d.Node, d.Module)
		}
	}
	section("Operators")
	for _, o := range s.Operators {
		state := "supported"
		if !o.Supported {
			state = "NOT SUPPORTED"
		}
		fmt.Fprintf(t, "  %s\t%d\t%s\n", o.Operator, o.Count, state)
	}
	if slices.ContainsFunc(s.Operators, func(o operatorInfo) bool { return !o.Supported }) {
		t.Flush()
		fmt.Fprintf(out, "  the native trainer has %s\n", strings.Join(op.Names(), ", "))
	}
	if m := s.Memory; m != nil {
		section("Memory of a native training step, batch %d, float32", m.Batch)
		fmt.Fprintf(t, "  values\t%s\tone arena for all intermediate values\n", bytesText(m.ValuesBytes))
		fmt.Fprintf(t, "  state\t%s\tparameters, buffers and the optimizer's moments\n", bytesText(m.StateBytes))
	}
	if len(s.Checks) > 0 {
		section("What the exporter checked")
		for _, c := range s.Checks {
			fmt.Fprintf(out, "  - %s\n", c)
		}
	}
	if len(s.Notes) > 0 {
		section("Note")
		for _, n := range s.Notes {
			fmt.Fprintf(out, "  %s\n", n)
		}
	}
}

func opsets(versions map[string]int64) string {
	var parts []string
	for domain, v := range versions {
		if domain == "" {
			parts = append(parts, fmt.Sprintf("operator set %d", v))
		} else {
			parts = append(parts, fmt.Sprintf("%s %d", domain, v))
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func orUnknown(s string) string {
	if s == "" {
		return "an unknown program"
	}
	return s
}

// grouped writes a number with commas between thousands.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// bytesText writes a size in the usual binary units.
func bytesText(n int) string {
	const k = 1024
	switch f := float64(n); {
	case n < k:
		return fmt.Sprintf("%d B", n)
	case n < k*k:
		return fmt.Sprintf("%.1f KiB", f/k)
	case n < k*k*k:
		return fmt.Sprintf("%.1f MiB", f/k/k)
	default:
		return fmt.Sprintf("%.1f GiB", f/k/k/k)
	}
}
