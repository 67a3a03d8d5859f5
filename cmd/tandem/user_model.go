package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/pflag"

	"tandem/fixtures/experiment"
	"tandem/native/ir"
	"tandem/native/pass"
	"tandem/onnx"
	"tandem/pytorch"
	"tandem/results/compare"
)

// A model of the user's own, named as "file.py:callable" or "model.onnx" in the place of an experiment. What it needs to become one are the
// shapes of its inputs, which an ONNX file says itself; the data are random numbers, and the targets and the loss follow from the shape of its
// first output.

// inputHelp explains the flag --input.
const inputHelp = "an input by `NAME=SHAPE`, without the batch, in the order of forward's arguments: image=3x32x32, tokens=16:int:30522 (whole numbers below 30522), age= (one number)"

// modelInput is an input by example.
type modelInput struct {
	name       string
	shape      []int
	categories int // of whole numbers; 0 for others
}

var (
	inputFlag   = regexp.MustCompile(`^(?:([A-Za-z_][A-Za-z0-9_.]*)=)?([0-9x]*)(?::int:([0-9]+))?$`)
	modelSource = regexp.MustCompile(`^(.+\.py):[^:/]+$|^(.+\.onnx)$`)
)

// isUserModel tells a model's source from an experiment's name.
func isUserModel(name string) bool { return modelSource.MatchString(name) }

// isONNXFile tells a model that is an ONNX file from one that a callable returns.
func isONNXFile(source string) bool { return strings.HasSuffix(source, ".onnx") }

// modelPlace returns the path of the file that a model's source names, and its stem.
func modelPlace(source string) (place, stem string) {
	if isONNXFile(source) {
		return source, strings.TrimSuffix(source, ".onnx")
	}
	place = modelSource.FindStringSubmatch(source)[1]
	return place, strings.TrimSuffix(place, ".py")
}

// parseInputs reads the --input flags.
func parseInputs(flags []string) ([]modelInput, error) {
	var inputs []modelInput
	for i, flag := range flags {
		m := inputFlag.FindStringSubmatch(flag)
		if m == nil && strings.HasSuffix(flag, ":int") && inputFlag.MatchString(flag+":2") {
			return nil, usageError{fmt.Errorf("--input %q does not say how many different whole numbers there are: write %s:30522 for those below 30522", flag, flag)}
		}
		if m == nil {
			return nil, usageError{fmt.Errorf("--input %q is not NAME=SHAPE, such as image=3x32x32 or tokens=16:int:30522", flag)}
		}
		in := modelInput{name: m[1], shape: []int{}}
		if in.name == "" {
			in.name = "input"
			if i > 0 {
				in.name = fmt.Sprintf("input_%d", i+1)
			}
		}
		if m[2] != "" {
			for part := range strings.SplitSeq(m[2], "x") {
				n, err := strconv.Atoi(part)
				if err != nil || n < 1 {
					return nil, usageError{fmt.Errorf("--input %q: %q is no size of a dimension", flag, part)}
				}
				in.shape = append(in.shape, n)
			}
		}
		if m[3] != "" {
			in.categories, _ = strconv.Atoi(m[3])
		}
		if slices.ContainsFunc(inputs, func(o modelInput) bool { return o.name == in.name }) || in.name == "target" {
			return nil, usageError{fmt.Errorf("--input %q: the name is taken", flag)}
		}
		inputs = append(inputs, in)
	}
	if len(inputs) == 0 {
		return nil, usageError{errors.New("say what the model's forward takes, for example --input image=3x32x32; repeat the flag for several inputs")}
	}
	return inputs, nil
}

// target is what a model is trained towards.
type target struct {
	loss    string
	output  string // of the model, where the setting loss.output chose one
	classes int
	shape   []int
}

// targetOf proposes a loss for a model's output, or fits the given one to it.
func targetOf(output onnx.ValueInfo, loss string) (target, error) {
	var dims []int
	for _, d := range output.Shape[min(1, len(output.Shape)):] {
		if d.Value < 0 {
			return target{}, inputError{fmt.Errorf("the model's output is %v: only its first dimension, the batch, may be open", output)}
		}
		dims = append(dims, int(d.Value))
	}
	scores := len(dims) > 0 && len(dims) < 3 && dims[len(dims)-1] > 1
	switch {
	case loss == "" && output.HasShape && len(output.Shape) == 0: // the model's own loss
		loss = "output"
	case loss == "" && scores:
		loss = "cross_entropy"
	case loss == "":
		loss = "mse"
	}
	switch loss {
	case "cross_entropy", "nll":
		if len(dims) == 0 {
			return target{}, inputError{fmt.Errorf("the model's output is %v: the loss %q needs classes as its last dimension", output, loss)}
		}
		return target{loss: loss, classes: dims[len(dims)-1], shape: dims[:len(dims)-1]}, nil
	case "output":
		return target{loss: loss}, nil
	}
	if output.HasShape && len(output.Shape) == 0 {
		return target{}, inputError{fmt.Errorf("the model's output %s is a scalar, which the loss %q cannot be taken of: choose another one by --set loss.output=NAME, or --loss output, where it is the loss itself", output.Name, loss)}
	}
	return target{loss: loss, shape: dims}, nil
}

// experimentText writes an experiment for a model as a commented TOML file.
func experimentText(source string, args map[string]any, inputs []modelInput, t target) (string, error) {
	comment := "the callable returns a torch.nn.Module; the file's path starts from this file's folder"
	trained := "the model in PyTorch"
	arguments := "# [model.args]                    # the callable's keyword arguments\n# width = 128\n"
	if len(args) > 0 {
		table, err := toml.Marshal(args)
		if err != nil {
			return "", err
		}
		arguments = "[model.args]                      # the callable's keyword arguments\n" + string(table)
	}
	if isONNXFile(source) {
		comment = "an ONNX file, which PyTorch and the native trainer both read; its path starts from this file's folder"
		trained, arguments = "the graph in PyTorch", ""
	}
	var names, shapes, categories []string
	for _, in := range inputs {
		names = append(names, strconv.Quote(in.name))
		shapes = append(shapes, fmt.Sprintf("%s = %s", tomlKey(in.name), list(in.shape)))
		if in.categories > 0 {
			categories = append(categories, fmt.Sprintf("%s = %d", tomlKey(in.name), in.categories))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# An experiment for tandem: change it, then
#
#     tandem run THIS_FILE
#
# trains %s and natively from the same weights on the same batches, and says whether the native training is right.
# fixtures/experiment/builtin/mnist-mlp.toml of tandem explains every key.

[model]
source = %q   # %s
# frozen = ["backbone.*"]         # parameters that are not trained on either side, by name; "*" stands for any text

%s
[data]
# Random numbers, with targets that depend on them, for a first try. For data of your own:
#   source = "arrays"             # file = "data.npz" or .safetensors, with arrays named as the inputs and "target",
#                                 # or "train/NAME" and "test/NAME"; or the input's .npy file, with target_file = "targets.npy"
#   source = "my_data.py:build"   # a callable that returns {"train": samples, "test": samples}; samples are a map-style torch Dataset,
#                                 # or NumPy arrays or torch tensors as (inputs, targets) or by name, {"x": ..., "target": ...}
#   source = "csv"                # file = "data.csv", target_columns = ["price"]
#   source = "image-folder"       # dir = "images" with a folder for each class, size = [32, 32]
source = "random"
inputs = [%s]   # the model's inputs in the order of forward's arguments
shapes = { %s }   # of random inputs, without the batch
`, trained, source, comment, arguments, strings.Join(names, ", "), strings.Join(shapes, ", "))
	if len(categories) > 0 {
		fmt.Fprintf(&b, "categories = { %s }   # inputs of whole numbers, from 0 to below this\n", strings.Join(categories, ", "))
	}
	if t.loss != "output" {
		fmt.Fprintf(&b, "target_shape = %s   # of random targets, without the batch\n", list(t.shape))
	}
	if t.classes > 0 {
		fmt.Fprintf(&b, "classes = %d\n", t.classes)
	}
	choice := "# output = \"scores\"               # of several outputs the one that the loss is taken of, by name or position; the first without it"
	if t.output != "" {
		choice = fmt.Sprintf("output = %q   # the one that the loss is taken of, by name or position", t.output)
	}
	fmt.Fprintf(&b, `train = 2000
test = 200

[loss]
# Of class numbers: cross_entropy, nll. Of numbers in the output's shape: mse, l1, huber, smooth_l1, bce_with_logits, kl_div.
# output: the model's output is the loss, as a number for each sample or as a scalar for the batch.
kind = %q
%s

[optimizer]                       # PyTorch's formulas, names and defaults
kind = "adam"                     # or "adamw", "sgd", "rmsprop", "adagrad", "nadam", "lion"
learning_rate = 0.003

[train]
batch = 32
epochs = 4
`, t.loss, choice)
	return b.String(), nil
}

func tomlKey(name string) string {
	if strings.Contains(name, ".") {
		return strconv.Quote(name)
	}
	return name
}

func list(shape []int) string {
	return "[" + strings.Trim(strings.ReplaceAll(fmt.Sprint(shape), " ", ", "), "[]") + "]"
}

// userFlags are what a model of the user's needs beside its source.
type userFlags struct {
	inputs []string
	loss   string
}

func (f *userFlags) add(flags *pflag.FlagSet) {
	flags.StringArrayVar(&f.inputs, "input", nil, inputHelp)
	flags.StringVar(&f.loss, "loss", "", "the loss; by default cross_entropy for scores of classes, output for a scalar, mse for others")
}

// parseUserExperiment reads the text of an experiment with a model of the user's; dir is the folder that paths start from.
func parseUserExperiment(text, source, dir string, settings []experiment.Setting) (*experiment.Experiment, error) {
	_, stem := modelPlace(source)
	e, err := experiment.Parse([]byte(text), filepath.Base(stem)+".toml", settings...)
	if err != nil {
		return nil, inputError{err}
	}
	e.Dir = dir
	if info, err := os.Stat(e.ModelFile()); err != nil || info.IsDir() {
		return nil, inputError{fmt.Errorf("%s: there is no such file", e.ModelFile())}
	}
	return e, nil
}

// exported exports a model of the user's, as far as its inputs are known, and reads it. write, unless nil, takes the file before it is
// thrown away.
func (a *app) exported(ctx context.Context, source string, inputs []modelInput, settings []experiment.Setting, write func(file string) error) (m *onnx.Model, digest string, err error) {
	text, err := experimentText(source, nil, inputs, target{loss: "output"})
	if err != nil {
		return nil, "", err
	}
	var ofModel []experiment.Setting // others may be for a loss that is not known yet
	for _, s := range settings {
		if strings.HasPrefix(s.Key, "model.") || s.Key == "seed" || s.Key == "train.batch" {
			ofModel = append(ofModel, s)
		}
	}
	e, err := parseUserExperiment(text, source, "", ofModel)
	if err != nil {
		return nil, "", err
	}
	e.Data.Train, e.Data.Test = e.Train.Batch, 1
	if e.Model.Static {
		e.Data.Test = e.Train.Batch
	}
	env, err := pytorch.Locate()
	if err != nil {
		return nil, "", err
	}
	dir, err := os.MkdirTemp("", "tandem-")
	if err != nil {
		return nil, "", err
	}
	defer os.RemoveAll(dir)
	folder, err := compare.NewFolder(filepath.Join(dir, "export"), compare.ResultFile)
	if err != nil {
		return nil, "", err
	}
	defer folder.Discard()
	p := a.newProgress()
	defer p.finish()
	o := compare.Options{Experiment: e, Folder: folder}
	if err := prepareData(ctx, &o, p); err != nil {
		return nil, "", err
	}
	if err := exportModel(ctx, &o, env, p); err != nil {
		return nil, "", err
	}
	if m, err = onnx.Load(o.ModelFile); err == nil && write != nil {
		err = write(o.ModelFile)
	}
	return m, o.Model.SHA256, err
}

// callableInputs returns the inputs that the flags say a callable's module has, and the output that the loss is taken of.
func (a *app) callableInputs(ctx context.Context, source string, flags []string, settings []experiment.Setting) ([]modelInput, onnx.ValueInfo, error) {
	inputs, err := parseInputs(flags)
	if err != nil {
		return nil, onnx.ValueInfo{}, err
	}
	m, _, err := a.exported(ctx, source, inputs, settings, nil)
	if err != nil {
		return nil, onnx.ValueInfo{}, err
	}
	i, err := outputOf(m, settings)
	if err != nil {
		return nil, onnx.ValueInfo{}, err
	}
	return inputs, m.Graph.Outputs[i], nil
}

// outputOf returns the position of the output that the settings say the loss is taken of.
func outputOf(m *onnx.Model, settings []experiment.Setting) (int, error) {
	i, err := onnx.OutputIndex(m.Graph.OutputNames(), chosenOutput(settings))
	if err != nil {
		return 0, inputError{fmt.Errorf("loss.output: %w", err)}
	}
	return i, nil
}

func chosenOutput(settings []experiment.Setting) (output string) {
	for _, s := range settings {
		if s.Key == "loss.output" {
			output = strings.Trim(s.Value, `"'`)
		}
	}
	return output
}

// fileInputs returns the inputs of an ONNX file and the output that the loss is taken of. A flag is needed for an input of whole numbers, of which the file does not
// say how many different ones there are; flags for others must say what the file says.
func fileInputs(file string, flags []string, settings []experiment.Setting) ([]modelInput, onnx.ValueInfo, error) {
	fail := func(format string, args ...any) ([]modelInput, onnx.ValueInfo, error) {
		return nil, onnx.ValueInfo{}, inputError{fmt.Errorf(file+": "+format, args...)}
	}
	var told []modelInput
	if len(flags) > 0 {
		var err error
		if told, err = parseInputs(flags); err != nil {
			return nil, onnx.ValueInfo{}, err
		}
	}
	m, err := trainableFile(file)
	if err != nil {
		return nil, onnx.ValueInfo{}, err
	}
	g, err := pass.Import(m, map[string]int{"batch": 2})
	if err != nil {
		return nil, onnx.ValueInfo{}, inputError{err}
	}
	var inputs []modelInput
	for _, v := range g.Inputs {
		if len(v.Shape) == 0 {
			return fail("the input %s is a scalar; its first dimension must be the batch", v.Name)
		}
		in := modelInput{name: v.Name, shape: v.Shape[1:]}
		i := slices.IndexFunc(told, func(t modelInput) bool { return t.name == v.Name })
		if i >= 0 && !slices.Equal(told[i].shape, in.shape) {
			return fail("the input %s has the shape %v without the batch, and --input says %v", v.Name, in.shape, told[i].shape)
		}
		if v.Type == ir.Int64 {
			if i < 0 || told[i].categories == 0 {
				return nil, onnx.ValueInfo{}, usageError{fmt.Errorf("the input %s of %s has whole numbers: say how many different ones, for example --input %s=%s:int:1000",
					v.Name, file, v.Name, strings.Trim(strings.ReplaceAll(fmt.Sprint(in.shape), " ", "x"), "[]"))}
			}
			in.categories = told[i].categories
		}
		inputs = append(inputs, in)
	}
	for _, t := range told {
		if !slices.ContainsFunc(inputs, func(in modelInput) bool { return in.name == t.name }) {
			return fail("--input names %s, which is no input of the file", t.name)
		}
	}
	i, err := outputOf(m, settings)
	if err != nil {
		return nil, onnx.ValueInfo{}, err
	}
	output := m.Graph.Outputs[i]
	output.HasShape, output.Shape = true, nil
	for _, n := range g.Outputs[i].Shape {
		output.Shape = append(output.Shape, onnx.Dim{Value: int64(n)})
	}
	return inputs, output, nil
}

// proposed returns an experiment for a model of the user's, as text; the path of its source is written as seen from a folder.
func (a *app) proposed(ctx context.Context, source, from string, f *userFlags, settings []experiment.Setting) (string, error) {
	var inputs []modelInput
	var output onnx.ValueInfo
	var err error
	if isONNXFile(source) {
		inputs, output, err = fileInputs(source, f.inputs, settings)
	} else {
		inputs, output, err = a.callableInputs(ctx, source, f.inputs, settings)
	}
	if err != nil {
		return "", err
	}
	t, err := targetOf(output, f.loss)
	if err != nil {
		return "", err
	}
	t.output = chosenOutput(settings)
	place, _ := modelPlace(source)
	file, err := filepath.Abs(place)
	if err == nil {
		from, err = filepath.Abs(from)
	}
	if err != nil {
		return "", err
	}
	if relative, err := filepath.Rel(from, file); err == nil {
		file = filepath.ToSlash(relative)
	}
	args := map[string]any{}
	for _, s := range settings {
		if name, is := strings.CutPrefix(s.Key, "model.args."); is {
			var v map[string]any
			if toml.Unmarshal([]byte("v = "+s.Value), &v) != nil {
				v = map[string]any{"v": s.Value} // text, as elsewhere
			}
			args[name] = v["v"]
		}
	}
	return experimentText(file+strings.TrimPrefix(source, place), args, inputs, t)
}

// userExperiment returns an experiment for a model of the user's, from flags alone.
func (a *app) userExperiment(ctx context.Context, source string, f *userFlags, settings []experiment.Setting) (*experiment.Experiment, error) {
	text, err := a.proposed(ctx, source, ".", f, settings)
	if err != nil {
		return nil, err
	}
	return parseUserExperiment(text, source, "", settings)
}
