//go:build unix

package main

import (
	"errors"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/results/compare"
	"tandem/results/record"
)

// The smallest comparison with the real PyTorch in which both sides learn.
var real = []string{
	"run", "mnist-mlp", "--set", "data.source=synthetic", "--set", "data.train=128", "--set", "data.test=32", "--set", "train.epochs=2",
	"--set", "optimizer.learning_rate=0.01", "--set", "parity.judged_steps=[0]", "--timing=false", "--threads=1", "--quiet",
}

// realTandem runs tandem with the real PyTorch in a folder of its own.
func realTandem(t *testing.T, args ...string) (status int, stdout, stderr, dir string) {
	t.Helper()
	env := located(t)
	dir = t.TempDir()
	cmd := exec.Command("tandem", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "TANDEM_ENV="+env.Folder)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), out.String(), errs.String(), dir
}

// TestRealComparisons has the pairs of engines that no other test has.
func TestRealComparisons(t *testing.T) {
	t.Parallel()
	for _, sides := range [][2]string{{"pytorch", "pytorch"}, {"native", "pytorch"}, {"native", "native"}} {
		t.Run(sides[0]+" and "+sides[1], func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr, dir := realTandem(t, append(real, "--reference", sides[0], "--candidate", sides[1], "--out", "run")...)
			if status != statusOK {
				t.Fatalf("status %d\n%s%s", status, stdout, stderr)
			}
			r, err := record.Read(filepath.Join(dir, "run", compare.ResultFile))
			if err != nil {
				t.Fatal(err)
			}
			if r.Parity.Verdict != record.Pass || len(r.Engines) != 2 || r.Engines[0].Name != sides[0] || r.Engines[1].Name != sides[1] {
				t.Errorf("verdict %s of %+v", r.Parity.Verdict, r.Engines)
			}
		})
	}
}

// TestRealResNet trains narrow ResNets on both sides: convolutions, batch normalization with its running statistics, pooling. One has torchvision's
// stem, the other is the built-in experiment with crops and flips, and a schedule of steps whose milestone is judged.
func TestRealResNet(t *testing.T) {
	t.Parallel()
	cifar := []string{"run", "resnet18-cifar"}
	for _, setting := range []string{
		"data.source=fashion-mnist-rgb", "data.train=60", "data.test=16", "model.args.width=4", "model.args.blocks=[1,1]", "train.batch=16", "train.epochs=6",
		"optimizer.nesterov=true", "schedule.kind=step", "schedule.milestones=[12]", "parity.judged_steps=[0,3]", "train.max_steps=0", "seed=3",
	} {
		cifar = append(cifar, "--set", setting)
	}
	file := filepath.Join(t.TempDir(), "narrow-resnet.toml")
	if err := os.WriteFile(file, []byte(`[model]
source = "tandem_pytorch.models.resnet:build"
[model.args]
channels = 1
width = 4
blocks = [1, 1]
stem = "imagenet"
[data]
source = "fashion-mnist-slice"
train = 96
test = 16
[loss]
kind = "cross_entropy"
[optimizer]
kind = "sgd"
learning_rate = 0.05
momentum = 0.9
weight_decay = 5e-4
[train]
batch = 32
epochs = 4
[parity]
judged_steps = [0, 1, 5]
`), 0o666); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args  []string
		steps []int
		data  int // tensors of the data file, and of the judged steps' batches
	}{"imagenet": {[]string{"run", file}, []int{0, 1, 5}, 6 + 2*3}, "cifar": {cifar, []int{0, 3, 12}, 8 + 2*3}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr, dir := realTandem(t, append(c.args, "--timing=false", "--threads=1", "--quiet", "--out", "run")...)
			if status != statusOK {
				t.Fatalf("status %d\n%s%s", status, stdout, stderr)
			}
			r, err := record.Read(filepath.Join(dir, "run", compare.ResultFile))
			if err != nil {
				t.Fatal(err)
			}
			statistics, batches := false, false
			for _, s := range r.Parity.Stages {
				statistics = statistics || s.Stage == record.StageBuffers && s.Verdict == record.Pass && s.Checked > 0
				batches = batches || s.Stage == record.StageData && s.Verdict == record.Pass && s.Checked == c.data
			}
			if r.Parity.Verdict != record.Pass || !statistics || !batches {
				t.Errorf("verdict %s, running statistics judged: %v, batches compared: %v", r.Parity.Verdict, statistics, batches)
			}
			var judged []int
			for _, s := range r.Parity.Steps {
				judged = append(judged, s.Step)
			}
			for _, step := range c.steps {
				if !slices.Contains(judged, step) {
					t.Errorf("the judged steps are %v, %d is not among them", judged, step)
				}
			}
		})
	}
}

// TestRealUsersModel trains a model of a user's own on both sides: whole numbers and others as inputs, two outputs, targets that are no classes, an
// optimizer whose state has a number beside its tensors, and gradients of three batches that are added up before they are clipped. Of 160 samples
// the sixth step, the last of an epoch, has ten.
func TestRealUsersModel(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"two.py": `import torch
from torch import nn


class Two(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(20, 4)
        self.left = nn.Linear(12, 8)
        self.right = nn.Linear(6, 8)
        self.head = nn.Linear(16, 3)
        self.dropout = nn.Dropout(0.2)

    def forward(self, tokens, features):
        left = torch.relu(self.left(self.embedding(tokens).flatten(1)))
        return self.head(self.dropout(torch.cat([left, torch.tanh(self.right(features))], dim=1))), left.mean(1)
`,
		"two.toml": `[model]
source = "two.py:Two"
[data]
source = "random"
inputs = ["tokens", "features"]
shapes = { tokens = [3], features = [6] }
categories = { tokens = 20 }
target_shape = [3]
train = 160
test = 20
[loss]
kind = "huber"
delta = 0.5
[optimizer]
kind = "nadam"
learning_rate = 0.02
clip_norm = 0.5
[train]
batch = 10
accumulate = 3
epochs = 5
[parity]
judged_steps = [0, 4, 5]
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	status, stdout, stderr, out := realTandem(t, "run", filepath.Join(dir, "two.toml"), "--timing=false", "--threads=1", "--quiet", "--out", "run")
	if status != statusOK {
		t.Fatalf("status %d\n%s%s", status, stdout, stderr)
	}
	r, err := record.Read(filepath.Join(out, "run", compare.ResultFile))
	if err != nil {
		t.Fatal(err)
	}
	if l := r.TestLoss; r.Parity.Verdict != record.Pass || r.Accuracy != nil || l == nil || l.Rows != 20 || !(l.Candidate < l.Initial) {
		t.Errorf("verdict %s, test loss %+v", r.Parity.Verdict, l)
	}
}

// TestRealOwnLoss trains a model that computes its loss itself, as those of transformers do when they are given labels, in all that a user may make
// of it: its own loss of a step of one part and of several, and losses of its other output.
func TestRealOwnLoss(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	model := filepath.Join(dir, "own.py")
	if err := os.WriteFile(model, []byte(`import torch
import torch.nn.functional as F
from torch import nn


class Own(nn.Module):
    def __init__(self, scores):
        super().__init__()
        self.scores, self.hidden, self.head, self.dropout = scores, nn.Linear(6, 16), nn.Linear(16, 4), nn.Dropout(0.1)

    def forward(self, x, labels):
        scores = self.head(self.dropout(torch.relu(self.hidden(x))))
        loss = F.cross_entropy(scores, labels, label_smoothing=0.1)
        return {"loss": loss, "scores": scores} if self.scores else loss


def build(scores=True):
    return Own(scores)
`), 0o666); err != nil {
		t.Fatal(err)
	}
	small := []string{
		"--input", "x=6", "--input", "labels=:int:4", "--loss", "output", "--set", "data.train=160", "--set", "data.test=300", "--set", "train.batch=16", "--set", "train.epochs=8", "--set", "optimizer.learning_rate=0.02",
		"--set", "parity.judged_steps=[0,3]", "--timing=false", "--threads=1", "--quiet", "--out", "run",
	}
	for _, c := range []struct {
		name  string
		flags []string
	}{
		{"with scores", nil},
		{"alone, in parts", []string{"--set", "model.args.scores=false", "--set", "train.accumulate=2"}},
		{"scores", []string{"--loss", "cross_entropy", "--set", "loss.output=scores"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr, out := realTandem(t, append(append([]string{"run", model + ":build"}, small...), c.flags...)...)
			if status != statusOK {
				t.Fatalf("status %d\n%s%s", status, stdout, stderr)
			}
			r, err := record.Read(filepath.Join(out, "run", compare.ResultFile))
			if err != nil {
				t.Fatal(err)
			}
			if r.Parity.Verdict != record.Pass {
				t.Errorf("verdict %s: %q", r.Parity.Verdict, r.Parity.Reasons)
			}
			for _, l := range r.Forward {
				if !l.OK || l.Rows != 300 { // two passes: both sides and ONNX Runtime divide the rows alike
					t.Errorf("the look %+v", l)
				}
			}
			if l := r.TestLoss; r.Experiment.Loss.Kind == "output" && (l == nil || l.Rows != 300) {
				t.Errorf("test loss %+v", l)
			}
		})
	}
	status, _, stderr, _ := realTandem(t, append([]string{"run", model + ":build", "--set", "loss.output=logits"}, small...)...)
	if want := `the model has no output "logits": it may be one of loss, scores`; status != statusUsage || !strings.Contains(stderr, want) {
		t.Errorf("status %d without %q: %s", status, want, stderr)
	}
}

// TestRealFrozen leaves parameters untrained: of a PyTorch model, beside one that it freezes itself, and of a file of another exporter.
func TestRealFrozen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	module, file := filepath.Join(dir, "part.py"), filepath.Join(dir, "part.onnx")
	if err := os.WriteFile(module, []byte(`from torch import nn


class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.second.bias.requires_grad_(False)

    def forward(self, x):
        return self.head(self.second(self.first(x).tanh()).tanh())
`), 0o666); err != nil {
		t.Fatal(err)
	}
	weights := func(shape ...int) *tensor.Tensor {
		w := tensor.New(tensor.Float32, shape...)
		for i := range w.Len() {
			tensor.View[float32](w)[i] = 0.4 * float32(math.Sin(float64(7*i+len(shape))))
		}
		return w
	}
	linear := map[string]any{"transB": 1}
	m, err := onnx.NewBuilder("part", 20).Input("x", tensor.Float32, -1, 6).
		Initializer("first.weight", weights(8, 6)).Initializer("first.bias", weights(8)).
		Initializer("second.weight", weights(8, 8)).Initializer("second.bias", weights(8)).
		Initializer("head.weight", weights(3, 8)).Initializer("head.bias", weights(3)).
		Node("Gemm", []string{"x", "first.weight", "first.bias"}, []string{"z1"}, linear).Node("Tanh", []string{"z1"}, []string{"a1"}, nil).
		Node("Gemm", []string{"a1", "second.weight", "second.bias"}, []string{"z2"}, linear).Node("Tanh", []string{"z2"}, []string{"a2"}, nil).
		Node("Gemm", []string{"a2", "head.weight", "head.bias"}, []string{"y"}, linear).Output("y", tensor.Float32, -1, 3).Build()
	if err == nil {
		err = m.Save(file)
	}
	if err != nil {
		t.Fatal(err)
	}
	small := []string{
		"--loss", "cross_entropy", "--set", "data.train=160", "--set", "data.test=20", "--set", "train.batch=16", "--set", "train.epochs=12", "--set", "optimizer.learning_rate=0.02",
		"--set", "optimizer.kind=adamw", "--set", "optimizer.weight_decay=0.01", "--set", "optimizer.clip_norm=0.5", "--set", "parity.judged_steps=[0,3]", "--timing=false", "--threads=1", "--quiet", "--save", "--out", "run",
	}
	for _, c := range []struct {
		source []string
		kept   []string
		wrong  string // of model.frozen, and what is said then
		want   string
	}{
		{
			[]string{module + ":Part", "--input", "x=6"},
			[]string{"first.weight", "first.bias", "second.bias"},
			`["first"]`, `no parameter's name fits the pattern "first" of model.frozen; the parameters are first.weight, `,
		},
		{[]string{file}, []string{"first.weight", "first.bias"}, `["*"]`, "model.frozen, *, leaves no parameter to train"},
	} {
		name := filepath.Base(c.source[0])
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := append(append([]string{"run"}, c.source...), small...)
			status, stdout, stderr, out := realTandem(t, append(args, "--set", `model.frozen=["first.*"]`)...)
			if status != statusOK {
				t.Fatalf("status %d\n%s%s", status, stdout, stderr)
			}
			before, err := onnx.Load(filepath.Join(out, "run", modelFile))
			if err != nil {
				t.Fatal(err)
			}
			after, err := onnx.Load(filepath.Join(out, "run", "trained.onnx"))
			if err != nil {
				t.Fatal(err)
			}
			if n := len(before.Manifest.Parameters); n != 6 {
				t.Errorf("%d parameters", n)
			}
			for _, p := range before.Manifest.Parameters {
				same := slices.Equal(before.Graph.Initializer(p.Name).Float64s(), after.Graph.Initializer(p.Name).Float64s())
				if frozen := slices.Contains(c.kept, p.Name); same != frozen || p.RequiresGrad == frozen {
					t.Errorf("%s: it kept its numbers: %v, requires_grad is %v", p.Name, same, p.RequiresGrad)
				}
			}
			status, stdout, stderr, _ = realTandem(t, append(args, "--set", "model.frozen="+c.wrong)...)
			if status != statusUsage || !strings.Contains(stderr, c.want) {
				t.Errorf("%s: status %d without %q\n%s%s", c.wrong, status, c.want, stdout, stderr)
			}
		})
	}
}

// TestRealStatic trains a model that writes the batch's size into its shapes, at the newest operator set.
func TestRealStatic(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	model := filepath.Join(dir, "fixed.py")
	if err := os.WriteFile(model, []byte(`import torch
from torch import nn


class Fixed(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.norm, self.head, self.dropout = nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Linear(16, 3), nn.Dropout(0.1)

    def forward(self, x):
        x = self.norm(self.hidden(x.view(16, 6)))
        return self.head(self.dropout(torch.relu(x)))
`), 0o666); err != nil {
		t.Fatal(err)
	}
	run := func(flags ...string) (status int, stdout, stderr, out string) {
		args := []string{
			"run", model + ":Fixed", "--input", "x=2x3", "--set", "model.static=true", "--set", "model.opset=25", "--set", "train.batch=16", "--set", "train.epochs=4",
			"--set", "optimizer.learning_rate=0.02", "--set", "parity.judged_steps=[0,3]", "--timing=false", "--threads=1", "--quiet", "--out", "run",
		}
		return realTandem(t, append(args, flags...)...)
	}
	status, stdout, stderr, out := run("--set", "data.train=160", "--set", "data.test=32", "--set", "train.accumulate=2")
	if status != statusOK {
		t.Fatalf("status %d\n%s%s", status, stdout, stderr)
	}
	r, err := record.Read(filepath.Join(out, "run", compare.ResultFile))
	if err != nil {
		t.Fatal(err)
	}
	if r.Parity.Verdict != record.Pass || r.Model.Opset != 25 || !strings.Contains(strings.Join(r.Model.ExporterChecks, "\n"), "batches of 16 rows alone") {
		t.Errorf("verdict %s, opset %d: %q", r.Parity.Verdict, r.Model.Opset, r.Model.ExporterChecks)
	}
	for _, l := range r.Forward {
		if !l.OK || l.Rows != 32 {
			t.Errorf("the look %+v", l)
		}
	}
	if status, _, stderr, _ = run("--set", "data.train=150", "--set", "data.test=32"); status != statusUsage || !strings.Contains(stderr, "set data.train = 144") {
		t.Errorf("a short batch: status %d: %s", status, stderr)
	}
	file := filepath.Join(dir, "fixed.onnx")
	if status, stdout, stderr, _ := realTandem(t, "export", model+":Fixed", "--input", "x=2x3", "--static", "16", "-o", file); status != statusOK || !strings.Contains(stdout, "batches of 16 rows alone") {
		t.Errorf("export: status %d: %s%s", status, stdout, stderr)
	}
	if status, _, stderr, _ := realTandem(t, "export", model+":Fixed", "--input", "x=2x3", "-o", file); status != statusUsage || !strings.Contains(stderr, "--static ROWS") {
		t.Errorf("export of any batch: status %d: %s", status, stderr)
	}
}

// TestRealCallableData trains on what a user's callable returns: a torch Dataset for the training, arrays by name for the test.
func TestRealCallableData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{
		"rings.py": `import numpy as np
import torch
from torch import nn
from torch.utils.data import Dataset


class Rings(Dataset):
    def __init__(self, rows, noise):
        self.points, self.ring = points(rows, noise)

    def __len__(self):
        return len(self.ring)

    def __getitem__(self, i):
        return torch.from_numpy(self.points[i]), int(self.ring[i])


def points(rows, noise):
    angle, ring = np.random.rand(rows) * 2 * np.pi, np.random.randint(0, 3, rows)
    radius = 1 + ring + noise * np.random.randn(rows)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), ring


def data(rows, noise):
    print("drawing", rows)
    x, y = points(40, noise)
    return {"train": Rings(rows, noise), "test": {"point": x, "target": torch.from_numpy(y)}}


def wrong():
    return np.full((9, 2), np.nan), np.zeros(9, int)


def model():
    return nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 3))
`,
		"rings.toml": `[model]
source = "rings.py:model"
[data]
source = "rings.py:data"
args = { rows = 150, noise = 0.1 }
inputs = ["point"]
[loss]
kind = "cross_entropy"
[optimizer]
kind = "adam"
learning_rate = 0.03
[train]
batch = 20
epochs = 6
[parity]
judged_steps = [0, 7]
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "rings.toml")
	var digests []map[string]string
	for _, reference := range []string{"pytorch", "native"} {
		status, stdout, stderr, out := realTandem(t, "run", file, "--reference", reference, "--timing=false", "--threads=1", "--quiet", "--out", "run")
		if status != statusOK {
			t.Fatalf("status %d\n%s%s", status, stdout, stderr)
		}
		r, err := record.Read(filepath.Join(out, "run", compare.ResultFile))
		if err != nil {
			t.Fatal(err)
		}
		d := r.Data
		if r.Parity.Verdict != record.Pass || d.Source != "rings.py:data" || d.TrainRows != 150 || d.TestRows != 40 || len(d.SHA256) != 6 {
			t.Errorf("verdict %s on %+v", r.Parity.Verdict, d)
		}
		if r.Accuracy == nil || !(r.Accuracy.Candidate > r.Accuracy.Initial) {
			t.Errorf("accuracy %+v", r.Accuracy)
		}
		digests = append(digests, d.SHA256)
	}
	if !maps.Equal(digests[0], digests[1]) {
		t.Errorf("the seed does not decide the data: %v", digests)
	}
	status, _, stderr, _ := realTandem(t, "run", file, "--set", "data.source="+filepath.Join(dir, "rings.py")+":wrong", "--set", "data.args={}", "--timing=false")
	if status != statusUsage || !strings.Contains(stderr, `NaN in "point", first in sample 0`) {
		t.Errorf("status %d for NaN: %s", status, stderr)
	}
}

// TestRealTransformer trains the smallest Transformer in all of its forms, each at least once: head tied or not, attention as PyTorch's fused
// operator or written out (which fills scores with minus infinity), both formulas of GELU.
func TestRealTransformer(t *testing.T) {
	t.Parallel()
	small := []string{"run", "transformer-small", "--timing=false", "--threads=1", "--quiet", "--out", "run"}
	for _, setting := range []string{
		"data.source=synthetic-text", "data.train=240", "data.test=4", "data.sequence=16", "model.args.sequence=16", "model.args.vocabulary=128",
		"model.args.width=32", "model.args.layers=1", "model.args.heads=2", "model.args.feed_forward=64", "optimizer.learning_rate=0.003",
		"schedule.warm_up=5", "train.batch=4", "train.max_steps=60", "parity.judged_steps=[0,20]",
	} {
		small = append(small, "--set", setting)
	}
	forms := [][3]string{{"true", "fused", "none"}, {"false", "plain", "tanh"}}
	if *exhaustive { // each two of the settings together
		forms = append(forms, [3]string{"true", "plain", "tanh"}, [3]string{"false", "fused", "tanh"}, [3]string{"false", "plain", "none"})
	}
	for _, form := range forms {
		t.Run("tied "+form[0]+", attention "+form[1]+", gelu "+form[2], func(t *testing.T) {
			t.Parallel()
			args := append(slices.Clone(small), "--set", "model.args.tied="+form[0], "--set", "model.args.attention="+form[1], "--set", "model.args.approximate="+form[2])
			status, stdout, stderr, dir := realTandem(t, args...)
			if status != statusOK {
				t.Fatalf("status %d\n%s%s", status, stdout, stderr)
			}
			r, err := record.Read(filepath.Join(dir, "run", compare.ResultFile))
			if err != nil {
				t.Fatal(err)
			}
			if r.Parity.Verdict != record.Pass || r.Model.DropoutSites != 4 {
				t.Errorf("verdict %s with %d dropout sites: %q", r.Parity.Verdict, r.Model.DropoutSites, r.Parity.Reasons)
			}
		})
	}
}

// TestRealUnsupported follows an operator that the native trainer lacks from the line of Python to the message.
func TestRealUnsupported(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	write("model.py", `import torch

class Determinant(torch.nn.Module):
    def forward(self, x):
        return x + torch.linalg.det(x.view(-1, 4, 4))[:, None]

def build():
    return torch.nn.Sequential(torch.nn.Linear(784, 16), Determinant(), torch.nn.Linear(16, 10))
`)
	experiment := write("determinant.toml", `[model]
source = "model.py:build"
[data]
source = "synthetic"
train = 64
test = 16
flatten = true
[loss]
kind = "cross_entropy"
[optimizer]
kind = "adam"
[train]
batch = 32
epochs = 1
`)
	status, stdout, stderr, out := realTandem(t, "run", experiment, "--timing=false")
	for _, want := range []string{"the model exported from model.py:build: operator Det", "model.py:5", "it supports", "Gemm"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("the message lacks %q:\n%s", want, stderr)
		}
	}
	if status != statusUsage || stdout != "" || strings.Contains(stderr, "starting the reference") {
		t.Errorf("status %d, standard output %q: the model must be refused before anything is trained\n%s", status, stdout, stderr)
	}
	if runs, err := os.ReadDir(filepath.Join(out, "runs")); err == nil && len(runs) > 0 {
		t.Errorf("%v was left", runs)
	}
}

// TestRealInterrupt sends SIGINT while PyTorch computes.
func TestRealInterrupt(t *testing.T) {
	t.Parallel()
	env := located(t)
	args := []string{"run", "mnist-mlp", "--timing=false", "--threads=1"}
	status, said := interrupted(t, "judged step 0 of the reference", false, []string{"TANDEM_ENV=" + env.Folder}, args...)
	if status != statusTrouble || !strings.Contains(said, "tandem: interrupted; nothing was written") {
		t.Errorf("status %d, want %d; it said\n%s", status, statusTrouble, said)
	}
}
