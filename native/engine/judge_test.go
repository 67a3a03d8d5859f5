package engine_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/fixtures/dataset"
	"tandem/fixtures/experiment"
	native "tandem/native/engine"
	"tandem/onnx"
	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/engine"
	"tandem/results/judge"
	"tandem/results/record"
	"tandem/results/trace"
)

// The test model: dropout on the input, where no hidden unit's number decides its mask, and two hidden layers.
const (
	inputs  = 784
	first   = 24
	second  = 12
	classes = 10
)

// network is a model of this form. Before the layers, with words, the input is not pixels but numbers of words, which are looked up in an
// embedding; with attention, these then look at the words before them; with convolution, the pixels are an image that is filtered and pooled.
type network struct {
	first, second int
	activation    string
	words         bool
	attention     bool
	convolution   bool
}

// pixels is the test model, unless a test needs another.
var pixels = network{first: first, second: second, activation: "Relu"}

// Of words, each sample is so many numbers below vocabulary, each of which stands for a vector of that length.
const (
	words      = 6
	vocabulary = 12
	vector     = 8
)

func (net network) model(t testing.TB) *onnx.Model {
	t.Helper()
	random := rand.New(rand.NewPCG(3, 1))
	uniform := func(bound float64, shape ...int) *tensor.Tensor {
		w := tensor.New(tensor.Float32, shape...)
		for i := range tensor.View[float32](w) {
			tensor.View[float32](w)[i] = float32(bound * (2*random.Float64() - 1))
		}
		return w
	}
	p, err := tensor.Of([]float32{0.2})
	if err != nil {
		t.Fatal(err)
	}
	yes, err := tensor.Of([]bool{true})
	if err != nil {
		t.Fatal(err)
	}
	if p, err = p.Reshape(); err != nil {
		t.Fatal(err)
	}
	if yes, err = yes.Reshape(); err != nil {
		t.Fatal(err)
	}
	linear := map[string]any{"transB": 1}
	b := onnx.NewBuilder("mlp", 20).Initializer("p", p).Initializer("yes", yes)
	width, x := inputs, "input"
	switch {
	case net.words:
		width, x = net.embedding(t, b, uniform)
	case net.convolution:
		width, x = convolution(t, b, uniform)
	default:
		b.Input("input", tensor.Float32, -1, inputs)
	}
	b.Initializer("fc1.weight", uniform(1/math.Sqrt(float64(width)), net.first, width)).Initializer("fc1.bias", uniform(1.0/28, net.first)).
		Initializer("fc2.weight", uniform(0.2, net.second, net.first)).Initializer("fc2.bias", uniform(0.2, net.second)).
		Initializer("fc3.weight", uniform(0.3, classes, net.second)).Initializer("fc3.bias", uniform(0.3, classes)).
		Node("Dropout", []string{x, "p", "yes"}, []string{"d"}, nil).
		Node("Gemm", []string{"d", "fc1.weight", "fc1.bias"}, []string{"z1"}, linear).
		Node(net.activation, []string{"z1"}, []string{"a1"}, nil).
		Node("Gemm", []string{"a1", "fc2.weight", "fc2.bias"}, []string{"z2"}, linear).
		Node(net.activation, []string{"z2"}, []string{"a2"}, nil).
		Node("Gemm", []string{"a2", "fc3.weight", "fc3.bias"}, []string{"logits"}, linear).
		Output("logits", tensor.Float32, -1, classes)
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	if net.convolution {
		m, err = b.Manifest(manifest(m)).Build()
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// embedding adds what turns words into numbers and returns how many there are of a sample and where.
func (net network) embedding(t testing.TB, b *onnx.Builder, uniform func(bound float64, shape ...int) *tensor.Tensor) (width int, x string) {
	t.Helper()
	b.Input("input", tensor.Int64, -1, words).Initializer("embedding.weight", uniform(1, vocabulary, vector)).
		Node("Gather", []string{"embedding.weight", "input"}, []string{"vectors"}, nil)
	x = "vectors"
	if net.attention {
		seen := make([]bool, words*words)
		for i := range seen {
			seen[i] = i%words <= i/words
		}
		mask, err := tensor.Of(seen, words, words)
		if err != nil {
			t.Fatal(err)
		}
		b.Initializer("mask", mask).
			Initializer("norm.weight", uniform(1, vector)).Initializer("norm.bias", uniform(0.1, vector)).
			Node("LayerNormalization", []string{"vectors", "norm.weight", "norm.bias"}, []string{"normal"}, map[string]any{"epsilon": 1e-5}).
			Node("Constant", nil, []string{"scale"}, map[string]any{"value_float": 1 / math.Sqrt(vector)}).
			Node("Constant", nil, []string{"hidden"}, map[string]any{"value_float": -1e4})
		for _, name := range []string{"query", "key", "value"} {
			b.Initializer(name+".weight", uniform(0.6, vector, vector)).
				Node("MatMul", []string{"normal", name + ".weight"}, []string{name}, nil)
		}
		b.Node("Transpose", []string{"key"}, []string{"turned"}, map[string]any{"perm": []int64{0, 2, 1}}).
			Node("MatMul", []string{"query", "turned"}, []string{"products"}, nil).
			Node("Mul", []string{"products", "scale"}, []string{"scores"}, nil).
			Node("Where", []string{"mask", "scores", "hidden"}, []string{"masked"}, nil).
			Node("Softmax", []string{"masked"}, []string{"shares"}, map[string]any{"axis": -1}).
			Node("MatMul", []string{"shares", "value"}, []string{"seen"}, nil).
			Node("Add", []string{"vectors", "seen"}, []string{"sum"}, nil)
		x = "sum"
	}
	reshape(t, b, x, "flat", -1, words*vector)
	return words * vector, "flat"
}

// convolution adds filters, a pool and a normalization of images of 28 by 28 pixels.
func convolution(t testing.TB, b *onnx.Builder, uniform func(bound float64, shape ...int) *tensor.Tensor) (width int, x string) {
	t.Helper()
	const filters = 3
	b.Input("input", tensor.Float32, -1, inputs)
	reshape(t, b, "input", "image", -1, 1, 28, 28)
	variance := uniform(0, filters)
	for i := range tensor.View[float32](variance) {
		tensor.View[float32](variance)[i] = 1
	}
	b.Initializer("conv.weight", uniform(0.3, filters, 1, 3, 3)).Initializer("conv.bias", uniform(0.3, filters)).
		Initializer("bn.weight", uniform(1, filters)).Initializer("bn.bias", uniform(0.3, filters)).
		Initializer("bn.running_mean", uniform(0.1, filters)).Initializer("bn.running_var", variance).
		Node("Conv", []string{"image", "conv.weight", "conv.bias"}, []string{"filtered"}, map[string]any{"pads": []int64{1, 1, 1, 1}, "strides": []int64{2, 2}}).
		Node("MaxPool", []string{"filtered"}, []string{"pooled"}, map[string]any{"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}}).
		Node("BatchNormalization", []string{"pooled", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"}, []string{"normal", "bn.mean", "bn.var"}, map[string]any{"training_mode": 1, "momentum": 0.9}).
		Node("Relu", []string{"normal"}, []string{"positive"}, nil)
	reshape(t, b, "positive", "flat", -1, filters*7*7)
	return filters * 7 * 7, "flat"
}

// reshape adds a Reshape.
func reshape(t testing.TB, b *onnx.Builder, from, to string, shape ...int64) {
	t.Helper()
	v, err := tensor.Of(shape, len(shape))
	if err != nil {
		t.Fatal(err)
	}
	b.Initializer(to+" shape", v).Node("Reshape", []string{from, to + " shape"}, []string{to}, nil)
}

// manifest says that the BatchNormalization is PyTorch's.
func manifest(m *onnx.Model) *onnx.Manifest {
	out := &onnx.Manifest{Version: onnx.ManifestVersion}
	for _, init := range m.Graph.Initializers {
		switch {
		case strings.HasPrefix(init.Name, "bn.running"):
			out.Buffers = append(out.Buffers, init.Name)
		case init.Tensor.DType() == tensor.Float32 && init.Name != "p":
			out.Parameters = append(out.Parameters, onnx.Parameter{Name: init.Name, RequiresGrad: true})
		default:
			out.Constants = append(out.Constants, init.Name)
		}
	}
	for _, n := range m.Graph.Nodes {
		switch n.OpType {
		case "BatchNormalization":
			out.BatchNorm = append(out.BatchNorm, onnx.BatchNorm{Node: n.Name, Mean: n.Input(3), Var: n.Input(4), MeanOutput: n.Output(1), VarOutput: n.Output(2), Momentum: 0.1})
		case "Dropout":
			out.Dropout = append(out.Dropout, onnx.DropoutSite{Node: n.Name, Operator: "Dropout", P: 0.2})
		}
	}
	return out
}

// shuffled is the native engine with its hidden units in another order inside, and in the model's outside. The order decides in
// which order inner products are summed and nothing else, so it rounds as a legitimate other program does.
type shuffled struct {
	*native.Native
	dir    string
	orders [2][]int // of the units of the hidden layers: inside, unit i is unit orders[i] outside
	// variants are other orders that grad can be asked for; nil for none. load is kept for them.
	variants map[string]*shuffled
}

// newShuffled draws the orders from seed; 0 leaves the units where they are.
func newShuffled(t testing.TB, net network, seed uint64) *shuffled {
	random := rand.New(rand.NewPCG(seed, 2))
	s := &shuffled{Native: native.New("test"), dir: t.TempDir()}
	for i, n := range []int{net.first, net.second} {
		s.orders[i] = random.Perm(n)
		if seed == 0 {
			for k := range n {
				s.orders[i][k] = k
			}
		}
	}
	return s
}

// withVariants makes a reference: an engine that measures its own noise.
func withVariants(t testing.TB, net network, s *shuffled) *shuffled {
	s.variants = map[string]*shuffled{}
	for k := range 5 {
		s.variants[fmt.Sprintf("units in order %d", k+1)] = newShuffled(t, net, uint64(100+k))
	}
	return s
}

func (s *shuffled) Hello() engine.Hello {
	h := s.Native.Hello()
	h.Variants = nil
	for name := range s.variants {
		h.Variants = append(h.Variants, name)
	}
	return h
}

func (s *shuffled) Load(ctx context.Context, p engine.LoadParams) (*engine.Loaded, error) {
	loaded, err := s.Native.Load(ctx, p)
	if err != nil {
		return nil, err
	}
	for _, v := range s.variants {
		if _, err := v.Load(ctx, p); err != nil {
			return nil, err
		}
	}
	plain := filepath.Join(s.dir, "plain")
	if _, err := s.Native.GetState(ctx, plain); err != nil {
		return nil, err
	}
	_, err = s.SetState(ctx, plain)
	return loaded, err
}

func (s *shuffled) SetState(ctx context.Context, file string) (*engine.StateInfo, error) {
	inside := filepath.Join(s.dir, "inside")
	if err := s.rewrite(file, inside, true); err != nil {
		return nil, err
	}
	return s.Native.SetState(ctx, inside)
}

func (s *shuffled) GetState(ctx context.Context, file string) (*engine.StateInfo, error) {
	info, err := s.Native.GetState(ctx, file)
	if err != nil {
		return nil, err
	}
	return info, s.rewrite(file, file, false)
}

func (s *shuffled) Grad(ctx context.Context, p engine.GradParams) (*engine.GradResult, error) {
	if v := s.variants[p.Variant]; v != nil {
		state := filepath.Join(s.dir, "state")
		if _, err := s.GetState(ctx, state); err != nil {
			return nil, err
		}
		if _, err := v.SetState(ctx, state); err != nil {
			return nil, err
		}
		p.Variant = ""
		return v.Grad(ctx, p)
	}
	result, err := s.Native.Grad(ctx, p)
	if err != nil {
		return nil, err
	}
	return result, s.rewrite(p.File, p.File, false)
}

func (s *shuffled) Update(ctx context.Context, p engine.UpdateParams) (*engine.StateInfo, error) {
	inside := filepath.Join(s.dir, "gradients")
	if err := s.rewrite(p.Gradients, inside, true); err != nil {
		return nil, err
	}
	p.Gradients = inside
	info, err := s.Native.Update(ctx, p)
	if err != nil {
		return nil, err
	}
	return info, s.rewrite(p.File, p.File, false)
}

// rewrite puts the units of all tensors of a file in the inner or the outer order.
func (s *shuffled) rewrite(from, to string, inward bool) error {
	f, err := safetensors.ReadFile(from)
	if err != nil {
		return err
	}
	out := maps.Clone(f.Tensors)
	for name := range f.Tensors {
		for layer, order := range s.orders {
			// The units are the rows of their own layer and the columns of the next one.
			switch rows, columns := fmt.Sprintf("fc%d.", layer+1), fmt.Sprintf("fc%d.weight", layer+2); {
			case strings.Contains(name, "/"+rows):
				out[name] = permuted(out[name], order, 0, inward)
			case strings.HasSuffix(name, "/"+columns):
				out[name] = permuted(out[name], order, 1, inward)
			case name == fmt.Sprintf("activations/z%d", layer+1), name == fmt.Sprintf("activations/a%d", layer+1):
				out[name] = permuted(out[name], order, 1, inward)
			}
		}
	}
	return safetensors.WriteFile(to, out, nil)
}

// permuted moves the slices along an axis of a vector or matrix: outer slice order[i] is inner slice i.
func permuted(t *tensor.Tensor, order []int, axis int, inward bool) *tensor.Tensor {
	out := t.Clone()
	size := t.DType().Size()
	outer, inner := 1, size
	for i, d := range t.Shape() {
		if i < axis {
			outer *= d
		} else if i > axis {
			inner *= d
		}
	}
	for o := range outer {
		for inside, outside := range order {
			to, from := inside, outside
			if !inward {
				to, from = outside, inside
			}
			copy(out.Bytes()[(o*len(order)+to)*inner:][:inner], t.Bytes()[(o*len(order)+from)*inner:][:inner])
		}
	}
	return out
}

// setting is a small experiment on synthetic images: 200 in batches of 32, the last of each epoch of 8.
type setting struct {
	network    network
	experiment *experiment.Experiment
	load       engine.LoadParams
	steps      int
}

func newSetting(t testing.TB, net network, changes ...experiment.Setting) *setting {
	t.Helper()
	e, err := experiment.Load("mnist-mlp", append([]experiment.Setting{
		{Key: "data.source", Value: "synthetic"},
		{Key: "data.train", Value: "200"},
		{Key: "data.test", Value: "20"},
		{Key: "train.epochs", Value: "9"},
		{Key: "parity.judged_steps", Value: "[0, 1, 2, 6, 7, 20, -1]"},
	}, changes...)...)
	if err != nil {
		t.Fatal(err)
	}
	d, err := dataset.Load(context.Background(), e, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	order, offsets, err := dataset.Order(e, d.TrainRows())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s := &setting{network: net, experiment: e, steps: len(offsets) - 1}
	s.load = engine.LoadParams{
		Experiment: filepath.Join(dir, "experiment.json"), Model: filepath.Join(dir, "model.onnx"), Data: filepath.Join(dir, "data.safetensors"),
		Threads: 1, Random: engine.RandomShared,
	}
	text, err := e.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(s.load.Experiment, text, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := net.model(t).Save(s.load.Model); err != nil {
		t.Fatal(err)
	}
	if net.words {
		err = writeWords(s.load.Data, d.TrainRows(), d.TestRows(), order, offsets)
	} else {
		_, err = dataset.WriteFile(s.load.Data, d, &dataset.Batches{Order: order, Offsets: offsets})
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// writeWords writes samples of random words, of which the first one decides the class.
func writeWords(file string, train, test int, order, offsets []int64) error {
	random := rand.New(rand.NewPCG(5, 5))
	out := map[string]*tensor.Tensor{}
	var err error
	add := func(name string, data []int64, shape ...int) {
		if err == nil {
			out[name], err = tensor.Of(data, shape...)
		}
	}
	for i, rows := range []int{train, test} {
		name := []string{"train", "test"}[i]
		var input, target []int64
		for range rows {
			for i := range words {
				input = append(input, random.Int64N(vocabulary))
				if i == 0 {
					target = append(target, input[len(input)-1]%classes)
				}
			}
		}
		add(name+"/input", input, rows, words)
		add(name+"/target", target, rows)
	}
	add("order", order, len(order))
	add("offsets", offsets, len(offsets))
	if err != nil {
		return err
	}
	return safetensors.WriteFile(file, out, nil)
}

func (s *setting) reference(t testing.TB) *trace.Reference {
	t.Helper()
	ref, err := trace.CollectReference(context.Background(), withVariants(t, s.network, newShuffled(t, s.network, 0)), trace.ReferenceOptions{
		Load: s.load, Experiment: s.experiment, Steps: s.steps, JudgedSteps: trace.JudgedSteps(s.experiment.Parity.JudgedSteps, s.steps),
		Nudges: trace.DefaultNudges, Seed: 1, Activations: true, WorkDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func (s *setting) candidate(t testing.TB, ref *trace.Reference, seed uint64, mutant string) record.Parity {
	t.Helper()
	load := s.load
	load.Mutant = mutant
	cand, err := trace.CollectCandidate(context.Background(), newShuffled(t, s.network, seed), ref, trace.CandidateOptions{Load: load, Activations: true, WorkDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	return judge.Judge(ref, cand, s.experiment.Parity.Thresholds)
}

// TestJudged compares the native trainer with itself, its hidden units in another order: a correct candidate passes.
func TestJudged(t *testing.T) {
	s := newSetting(t, pixels)
	ref := s.reference(t)
	for seed := range uint64(3) {
		p := s.candidate(t, ref, 1+seed, "")
		if p.Verdict != record.Pass {
			t.Errorf("units in order %d: %s in the stage %q\n%s", 1+seed, p.Verdict, p.Stage, strings.Join(p.Reasons, "\n"))
		}
		differs := false
		for _, step := range p.Steps {
			for _, e := range step.Gradients {
				differs = differs || e.Float64Gap != nil && *e.Float64Gap > 0
			}
		}
		if !differs {
			t.Errorf("units in order %d: the candidate computes the reference's very bits, so it is no second program", 1+seed)
		}
	}
}
