package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// transformer is one pre-norm block of two heads on embedded classes, as PyTorch's exporter writes it, with every kind of dropout.
func transformer(t testing.TB, length, width, classes int) *onnx.Model {
	t.Helper()
	return languageModel{length: length, width: width, classes: classes, blocks: 1, heads: 2}.build(t)
}

// languageModel is some pre-norm blocks on embedded classes. The values of the second block and those behind it begin with the block's number.
type languageModel struct {
	length, width, classes, blocks, heads int
	// whole adds what the built-in experiment's model has besides: dropout on the embeddings, and a normalization in front of the head.
	whole bool
}

func (l languageModel) build(t testing.TB) *onnx.Model {
	t.Helper()
	length, width, classes := l.length, l.width, l.classes
	rng := rand.New(rand.NewPCG(3, 2))
	b := onnx.NewBuilder("transformer", 20).Input("x", tensor.Int64, -1, length)
	m := &onnx.Manifest{Version: onnx.ManifestVersion}
	parameter := func(name string, shape ...int) {
		w := tensor.New(tensor.Float32, shape...)
		for i := range tensor.View[float32](w) {
			tensor.View[float32](w)[i] = float32(rng.NormFloat64() / math.Sqrt(float64(width)))
		}
		b.Initializer(name, w)
		m.Parameters = append(m.Parameters, onnx.Parameter{Name: name, RequiresGrad: true})
	}
	constant := func(name string, v *tensor.Tensor, err error) {
		if err != nil {
			t.Fatal(err)
		}
		b.Initializer(name, v)
		m.Constants = append(m.Constants, name)
	}
	ints := func(name string, v ...int64) {
		c, err := tensor.Of(v, len(v))
		constant(name, c, err)
	}
	number := func(name string, x float32) {
		c, err := tensor.Of([]float32{x})
		constant(name, c, err)
	}
	causal := make([]bool, length*length)
	for i := range causal {
		causal[i] = i%length <= i/length
	}
	mask, err := tensor.Of(causal, 1, 1, length, length)
	constant("causal", mask, err)
	yes, err := tensor.Of([]bool{true})
	constant("yes", yes, err)
	ints("headed", 0, int64(length), int64(l.heads), int64(width/l.heads))
	ints("merged", 0, int64(length), int64(width))
	number("p", 0.25)
	number("factor", 0.5)
	number("infinite", float32(math.Inf(-1)))
	parameter("token", classes, width)
	parameter("position", length, width)
	site := 0
	dropout := func(in, out string) {
		b.Node("Dropout", []string{in, "p", "yes"}, []string{out}, map[string]any{"seed": site})
		site++
	}
	linear := func(name, in, out string, from, to int) {
		parameter(name+".weight", to, from)
		parameter(name+".bias", to)
		b.Node("Transpose", []string{name + ".weight"}, []string{name + ".turned"}, map[string]any{"perm": []int64{1, 0}}).
			Node("MatMul", []string{in, name + ".turned"}, []string{name + ".product"}, nil).
			Node("Add", []string{name + ".product", name + ".bias"}, []string{out}, nil)
	}
	norm := func(name, in, out string) {
		parameter(name+".weight", width)
		parameter(name+".bias", width)
		b.Node("LayerNormalization", []string{in, name + ".weight", name + ".bias"}, []string{out}, map[string]any{"axis": -1, "epsilon": 1e-5})
	}
	b.Node("Gather", []string{"token", "x"}, []string{"embedded"}, nil).Node("Add", []string{"embedded", "position"}, []string{"x0"}, nil)
	x := "x0"
	if l.whole {
		dropout("x0", "x0.dropped")
		x = "x0.dropped"
	}
	for block := range l.blocks {
		at := func(name string) string { return name }
		if block > 0 {
			at = func(name string) string { return fmt.Sprintf("%d.%s", block, name) }
		}
		norm(at("norm1"), x, at("n1"))
		linear(at("qkv"), at("n1"), at("qkv"), width, 3*width)
		b.Node("Split", []string{at("qkv")}, []string{at("q"), at("k"), at("v")}, map[string]any{"axis": 2, "num_outputs": 3})
		for _, name := range []string{at("q"), at("k"), at("v")} {
			b.Node("Reshape", []string{name, "headed"}, []string{name + ".headed"}, map[string]any{"allowzero": 0}).
				Node("Transpose", []string{name + ".headed"}, []string{name + ".heads"}, map[string]any{"perm": []int64{0, 2, 1, 3}})
		}
		b.Node("Transpose", []string{at("k.heads")}, []string{at("kT")}, map[string]any{"perm": []int64{0, 1, 3, 2}}).
			Node("MatMul", []string{at("q.heads"), at("kT")}, []string{at("products")}, nil).
			Node("Mul", []string{at("products"), "factor"}, []string{at("scaled")}, nil).
			Node("Where", []string{"causal", at("scaled"), "infinite"}, []string{at("scores")}, nil).
			Node("Softmax", []string{at("scores")}, []string{at("weights")}, map[string]any{"axis": -1})
		dropout(at("weights"), at("dropped"))
		b.Node("MatMul", []string{at("dropped"), at("v.heads")}, []string{at("mixed")}, nil).
			Node("Transpose", []string{at("mixed")}, []string{at("turned")}, map[string]any{"perm": []int64{0, 2, 1, 3}}).
			Node("Reshape", []string{at("turned"), "merged"}, []string{at("together")}, nil)
		linear(at("projection"), at("together"), at("projected"), width, width)
		dropout(at("projected"), at("d1"))
		b.Node("Add", []string{x, at("d1")}, []string{at("x1")}, nil)
		norm(at("norm2"), at("x1"), at("n2"))
		linear(at("up"), at("n2"), at("wide"), width, 4*width)
		b.Node("Gelu", []string{at("wide")}, []string{at("active")}, nil)
		linear(at("down"), at("active"), at("narrow"), 4*width, width)
		dropout(at("narrow"), at("d2"))
		b.Node("Add", []string{at("x1"), at("d2")}, []string{at("x2")}, nil)
		x = at("x2")
	}
	if l.whole {
		norm("norm", x, "normalized")
		x = "normalized"
	}
	b.Node("Transpose", []string{"token"}, []string{"head"}, map[string]any{"perm": []int64{1, 0}}). // tied to the embedding
														Node("MatMul", []string{x, "head"}, []string{"y"}, nil).Output("y", tensor.Float32, -1, length, classes)
	model, err := b.Manifest(m).Build()
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// fillTokens writes a batch of tokens that depends on the step alone; each is to be followed by the next number.
func fillTokens[T kernel.Float](b *Batch[T], step, classes int) {
	rng := rand.New(rand.NewPCG(uint64(step), 5))
	x := b.IntInput("x")
	for i := range x {
		x[i] = rng.Int64N(int64(classes))
		b.Targets()[i] = (x[i] + 1) % int64(classes)
	}
}

func tokenSteps[T kernel.Float](t testing.TB, tr *Trainer[T], n, rows, classes int) (losses []float64) {
	t.Helper()
	for range n {
		b, err := tr.TrainingBatch(rows)
		if err != nil {
			t.Fatal(err)
		}
		fillTokens(b, int(tr.Steps()), classes)
		loss, err := tr.Step(b)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, float64(loss))
	}
	return losses
}

// TestTransformerLearns trains in both precisions: they take the same way as long as rounding is small, and it leads down.
func TestTransformerLearns(t *testing.T) {
	m := transformer(t, 9, 16, 11)
	c := adamConfig
	c.LearningRate = 1e-2
	wide := tokenSteps(t, newTrainer[float64](t, m, c, 1), 60, 5, 11)
	narrow := tokenSteps(t, newTrainer[float32](t, m, c, 2), 60, 5, 11)
	for i := range 5 {
		if !(math.Abs(wide[i]-narrow[i]) < 1e-5*wide[i]) {
			t.Errorf("step %d: the loss is %g in float32, %g in float64", i, narrow[i], wide[i])
		}
	}
	if !(narrow[59] < narrow[0]/4 && wide[59] < wide[0]/4) {
		t.Errorf("the loss goes from %g to %g, in float64 from %g to %g: it should fall to less than a quarter", narrow[0], narrow[59], wide[0], wide[59])
	}
}

func TestTransformerHasTheSameBitsForAnyNumberOfThreads(t *testing.T) {
	m := transformer(t, 33, 48, 64)
	one := newTrainer[float32](t, m, adamConfig, 1)
	tokenSteps(t, one, 2, 7, 64)
	for threads := 2; threads <= 4; threads++ {
		many := newTrainer[float32](t, m, adamConfig, threads)
		tokenSteps(t, many, 2, 7, 64)
		for name, v := range one.State() {
			if !v.Equal(many.State()[name]) {
				t.Errorf("%d threads: %s has other bits", threads, name)
			}
		}
	}
}

func TestTransformerStepAllocatesNothing(t *testing.T) {
	m := transformer(t, 16, 32, 64)
	for _, threads := range []int{1, 2} {
		tr := newTrainer[float32](t, m, adamConfig, threads)
		b, err := tr.TrainingBatch(4)
		if err != nil {
			t.Fatal(err)
		}
		fillTokens(b, 0, 64)
		if n := testing.AllocsPerRun(20, func() {
			if _, err := tr.Step(b); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%d threads: a step makes %g allocations", threads, n)
		}
	}
}

// TestTransformerIsSimplified holds the program that trains to the single nodes, and what it computes to the values of the forward pass, which
// come from a program that has every node.
func TestTransformerIsSimplified(t *testing.T) {
	tr := newTrainer[float64](t, transformer(t, 9, 16, 11), adamConfig, 1)
	b, err := tr.GradientBatch(3, true)
	if err != nil {
		t.Fatal(err)
	}
	var forward []string
	for _, n := range b.program.Nodes {
		if n.Origin.Phase == ir.Forward {
			forward = append(forward, n.Op)
		}
	}
	want := []string{
		"Gather", "Add", "LayerNormalization", "Gemm", "tandem.Attention", "Gemm", "tandem.DropoutAdd", "LayerNormalization", "tandem.Gemm", "Gemm", "tandem.DropoutAdd", "Gemm",
	}
	if !slices.Equal(forward, want) {
		t.Errorf("the forward pass has the operators %v, want %v", forward, want)
	}
	fillTokens(b, 0, 11)
	if _, err := tr.Gradient(b); err != nil {
		t.Fatal(err)
	}
	values := b.Activations()
	for _, name := range []string{"products", "scaled", "weights", "dropped", "qkv.product", "x2", "y"} {
		if values[name] == nil {
			t.Errorf("the value %s was not kept", name)
		}
	}
	y, node := b.Outputs()["y"].Float64s(), values["y"].Float64s()
	for i := range y {
		if !(math.Abs(y[i]-node[i]) < 1e-13) {
			t.Fatalf("output %d is %g, and %g node by node", i, y[i], node[i])
		}
	}
}

// withoutDropout lets the model drop nothing.
func withoutDropout(m *onnx.Model) *onnx.Model {
	for _, n := range m.Graph.Nodes {
		if n.OpType == "Dropout" {
			n.OpType, n.Inputs, n.Attributes = "Identity", n.Inputs[:1], onnx.Attributes{}
		}
	}
	return m
}

// TestFusionKeepsTheTransformersBits trains with and without pass.Recompute and pass.Fuse, on every path. The gradients of both normalizations are put together with
// those along the residual connections.
func TestFusionKeepsTheTransformersBits(t *testing.T) {
	t.Run("dropout", func(t *testing.T) { keepsBits(t, transformer(t, 33, 48, 64)) })
	t.Run("no dropout", func(t *testing.T) { keepsBits(t, withoutDropout(transformer(t, 33, 48, 64))) })
}

func keepsBits(t *testing.T, m *onnx.Model) {
	before := kernel.Path()
	defer func() {
		if err := kernel.Use(before); err != nil {
			t.Fatal(err)
		}
	}()
	for _, path := range kernel.Paths() {
		if err := kernel.Use(path); err != nil {
			t.Fatal(err)
		}
		fused, unfused := newTrainer[float32](t, m, adamConfig, 2), newTrainer[float32](t, m, adamConfig, 2)
		unfused.unfused = true
		if got, want := tokenSteps(t, fused, 3, 7, 64), tokenSteps(t, unfused, 3, 7, 64); !slices.Equal(got, want) {
			t.Errorf("%s: losses %v, unfused %v", path, got, want)
		}
		want := unfused.State()
		for name, got := range fused.State() {
			if !got.Equal(want[name]) {
				t.Errorf("%s: %s has other bits", path, name)
			}
		}
		b, err := fused.TrainingBatch(7)
		if err != nil {
			t.Fatal(err)
		}
		together, again := 0, 0
		for _, n := range b.program.Nodes {
			if n.Op == "tandem.LayerNormalizationAgain" || n.Op == "tandem.AttentionAgain" || n.Op == "tandem.Gemm" && n.Attributes.Has("gelu_gradient") && len(n.Outputs) == 2 {
				again++
			}
			if n.Op == "tandem.LayerNormalizationGradient" && len(n.Inputs) == 6 {
				together++
			}
			if n.Op == "tandem.Attention" && n.Outputs[1] != nil {
				t.Errorf("%s: the softmax of an attention is kept, though it is computed a second time", path)
			}
		}
		if again != 4 {
			t.Errorf("%s: %d nodes compute a normalization, the attention or the GELU a second time, want 4", path, again)
		}
		if together != 2 {
			t.Errorf("%s: %d gradients of normalizations are put together with a residual's, want 2", path, together)
		}
	}
}
