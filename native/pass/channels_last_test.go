package pass_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/pass"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// imageModel is an ONNX file of layers of images.
type imageModel struct{ *onnx.Builder }

func newImageModel(name string) imageModel {
	b := onnx.NewBuilder(name, 20).Input("x", tensor.Float32, -1, 3, 12, 12)
	axes, _ := tensor.Of([]int64{2, 3}, 2)
	return imageModel{b.Initializer("axes", axes)}
}

func (b imageModel) convolution(y, x string, outputs, inputs, size, stride, groups int) {
	b.Initializer(y+"/weights", tensor.New(tensor.Float32, outputs, inputs/groups, size, size))
	attributes := map[string]any{"strides": []int{stride, stride}, "pads": []int{size / 2, size / 2, size / 2, size / 2}, "group": groups}
	b.Node("Conv", []string{x, y + "/weights"}, []string{y}, attributes)
}

func (b imageModel) normalization(y, x string, channels int) {
	for _, name := range []string{"/scale", "/shift", "/mean", "/variance"} {
		b.Initializer(y+name, tensor.New(tensor.Float32, channels))
	}
	b.Node("BatchNormalization", []string{x, y + "/scale", y + "/shift", y + "/mean", y + "/variance"}, []string{y, y + "/mean.new", y + "/variance.new"}, map[string]any{"training_mode": 1})
}

// training ends the model with the mean of all pixels and a linear layer and differentiates it. The outputs are the loss, the last value of an operator, all gradients and the new statistics.
func (b imageModel) training(t *testing.T, in string, channels int, pooling, operator string) *ir.Graph {
	t.Helper()
	if pooling == "ReduceMean" {
		b.Node("ReduceMean", []string{in, "axes"}, []string{"mean"}, map[string]any{"keepdims": 1})
	} else {
		b.Node("GlobalAveragePool", []string{in}, []string{"mean"}, nil)
	}
	b.Initializer("fc/weights", tensor.New(tensor.Float32, 5, channels)).Initializer("fc/bias", tensor.New(tensor.Float32, 5))
	m, err := b.Node("Flatten", []string{"mean"}, []string{"flat"}, nil).
		Node("Gemm", []string{"flat", "fc/weights", "fc/bias"}, []string{"scores"}, map[string]any{"transB": 1}).Output("scores", tensor.Float32, -1, 5).Build()
	if err != nil {
		t.Fatal(err)
	}
	g, err := pass.Import(m, map[string]int{"batch": 4})
	if err != nil {
		t.Fatal(err)
	}
	loss, err := pass.Loss(g, pass.LossConfig{Kind: "cross_entropy", Reduction: "mean"})
	if err != nil {
		t.Fatal(err)
	}
	var middle *ir.Value // of the forward pass, which a program may be asked for
	for _, n := range g.Nodes {
		if n.Op == operator {
			middle = n.Outputs[0]
		}
	}
	gradients, err := pass.Differentiate(g, loss)
	if err != nil {
		t.Fatal(err)
	}
	g.Outputs = []*ir.Value{loss, middle}
	for _, v := range g.State {
		if d := gradients[v]; d != nil {
			g.Outputs = append(g.Outputs, d)
		}
	}
	for _, n := range g.Nodes {
		if n.Op == "BatchNormalization" {
			g.Outputs = append(g.Outputs, n.Outputs[1], n.Outputs[2])
		}
	}
	if err := pass.Prune(g); err != nil {
		t.Fatal(err)
	}
	return g
}

// residual builds a small residual network: a stem with max-pooling, a block that halves the image and one that keeps it.
func residual(t *testing.T, width int, pooling string) *ir.Graph {
	b := newImageModel("residual")
	b.convolution("stem", "x", width, 3, 3, 1, 1)
	b.normalization("stem/norm", "stem", width)
	b.Node("Relu", []string{"stem/norm"}, []string{"stem/relu"}, nil)
	b.Node("MaxPool", []string{"stem/relu"}, []string{"pool"}, map[string]any{"kernel_shape": []int{3, 3}, "strides": []int{2, 2}, "pads": []int{1, 1, 1, 1}})
	in := "pool"
	for i, stride := range []int{2, 1} {
		name := fmt.Sprintf("block%d", i)
		inputs := width << i
		b.convolution(name+"/conv1", in, 2*width, inputs, 3, stride, 1)
		b.normalization(name+"/norm1", name+"/conv1", 2*width)
		b.Node("Relu", []string{name + "/norm1"}, []string{name + "/relu1"}, nil)
		b.convolution(name+"/conv2", name+"/relu1", 2*width, 2*width, 3, 1, 1)
		b.normalization(name+"/norm2", name+"/conv2", 2*width)
		shortcut := in
		if stride > 1 {
			b.convolution(name+"/conv3", in, 2*width, inputs, 1, stride, 1)
			b.normalization(name+"/norm3", name+"/conv3", 2*width)
			shortcut = name + "/norm3"
		}
		b.Node("Add", []string{name + "/norm2", shortcut}, []string{name + "/sum"}, nil)
		b.Node("Relu", []string{name + "/sum"}, []string{name}, nil)
		in = name
	}
	return b.training(t, in, 2*width, pooling, "Relu")
}

// mobile builds blocks of the kind of MobileNet's, EfficientNet's, ShuffleNet's and ConvNeXt's: convolutions of single channels between those of single pixels, gates of vectors of channels, and
// channels that part and join.
func mobile(t *testing.T, width int, pooling string) *ir.Graph {
	b := newImageModel("mobile")
	number := func(name string, x float32) {
		v, _ := tensor.Of([]float32{x})
		b.Initializer(name, v)
	}
	number("zero", 0)
	number("six", 6)
	b.convolution("stem", "x", width, 3, 3, 1, 1)
	b.normalization("stem/norm", "stem", width)
	b.Node("Clip", []string{"stem/norm", "zero", "six"}, []string{"stem/clip"}, nil)
	b.convolution("single", "stem/clip", width, width, 3, 2, width)
	b.normalization("single/norm", "single", width)
	b.Node("HardSwish", []string{"single/norm"}, []string{"swish"}, nil)
	b.Node("GlobalAveragePool", []string{"swish"}, []string{"squeeze"}, nil)
	b.convolution("excite", "squeeze", width, width, 1, 1, 1)
	b.Node("HardSigmoid", []string{"excite"}, []string{"gate"}, nil)
	b.Node("Mul", []string{"gate", "swish"}, []string{"gated"}, nil)
	b.convolution("point", "gated", 2*width, width, 1, 1, 1)
	b.Node("Split", []string{"point"}, []string{"left", "right"}, map[string]any{"axis": 1, "num_outputs": 2})
	b.convolution("wide", "right", width, width, 5, 1, width)
	b.Node("Sigmoid", []string{"wide"}, []string{"wide/sigmoid"}, nil)
	b.Node("Mul", []string{"wide", "wide/sigmoid"}, []string{"wide/silu"}, nil)
	b.Node("Concat", []string{"left", "wide/silu"}, []string{"joined"}, map[string]any{"axis": 1})
	// ConvNeXt's layer normalization and scale of channels.
	b.Node("Transpose", []string{"joined"}, []string{"rows"}, map[string]any{"perm": []int{0, 2, 3, 1}})
	b.Initializer("rows/scale", tensor.New(tensor.Float32, 2*width)).Initializer("rows/shift", tensor.New(tensor.Float32, 2*width)).Initializer("layer/scale", tensor.New(tensor.Float32, 2*width, 1, 1))
	b.Node("LayerNormalization", []string{"rows", "rows/scale", "rows/shift"}, []string{"rows/norm"}, nil)
	b.Node("Transpose", []string{"rows/norm"}, []string{"planes"}, map[string]any{"perm": []int{0, 3, 1, 2}})
	b.Node("Mul", []string{"layer/scale", "planes"}, []string{"scaled"}, nil)
	b.Node("Add", []string{"scaled", "joined"}, []string{"layer"}, nil)
	b.convolution("last", "layer", 2*width, 2*width, 1, 1, 1)
	return b.training(t, "last", 2*width, pooling, "Sigmoid")
}

// results runs a graph with inputs and state that its values' names decide.
func results[T kernel.Float](t *testing.T, g *ir.Graph, threads int) (all [][]T) {
	t.Helper()
	plan, err := pass.NewPlan(g)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(threads)
	defer pool.Close()
	draw := func(x []T, name string) {
		seed := uint64(0)
		for _, r := range name {
			seed = seed*31 + uint64(r)
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		for i := range x {
			x[i] = T(float32(0.3 * rng.NormFloat64()))
		}
	}
	state := map[*ir.Value][]T{}
	p, err := pass.Bind(g, plan, &op.Run{}, pool, func(v *ir.Value) []T {
		if state[v] == nil {
			state[v] = make([]T, v.Len())
			draw(state[v], v.Name)
		}
		return state[v]
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range g.Inputs {
		b, err := p.Buffer(v)
		if err != nil {
			t.Fatal(err)
		}
		draw(b.Float, v.Name)
		for i := range b.Int {
			b.Int[i] = int64(i % 5)
		}
	}
	for range 2 { // a second run must not see what the first one left
		for _, call := range p.Calls {
			call()
		}
	}
	for _, v := range g.Outputs {
		b, err := p.Buffer(v)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, slices.Clone(b.Float))
	}
	return all
}

// TestChannelsLast compares a network with channels last with the same network as the model has it, in float64: loss, activation, gradients and running statistics. Both with channels that fill
// vectors and with fewer.
func TestChannelsLast(t *testing.T) {
	for _, one := range []struct {
		name    string
		build   func(t *testing.T, width int, pooling string) *ir.Graph
		width   int
		pooling string
	}{
		{"residual", residual, 5, "ReduceMean"},
		{"residual", residual, 16, "ReduceMean"},
		{"residual", residual, 5, "GlobalAveragePool"},
		{"residual", residual, 16, "GlobalAveragePool"},
		{"mobile", mobile, 5, "ReduceMean"},
		{"mobile", mobile, 24, "GlobalAveragePool"},
	} {
		t.Run(fmt.Sprintf("%s, %s, %d channels", one.name, one.pooling, one.width), func(t *testing.T) {
			want := results[float64](t, one.build(t, one.width, one.pooling), 1)
			last := func() *ir.Graph {
				g := one.build(t, one.width, one.pooling)
				if err := pass.ChannelsLast(g); err != nil {
					t.Fatal(err)
				}
				if err := g.Verify(); err != nil {
					t.Fatal(err)
				}
				return g
			}
			g := last()
			transposes := 0
			for _, n := range g.Nodes {
				switch n.Op {
				case "Conv", "tandem.ConvData", "tandem.ConvWeights", "BatchNormalization", "tandem.BatchNormalizationGradient":
					t.Errorf("%s keeps the model's layout", n)
				case "Relu", "tandem.ReluGradient", "Add":
					if n.Op == "Add" && one.name == "mobile" {
						continue // the gradients of a gate's two operands
					}
					t.Errorf("%s takes a pass over memory of its own", n)
				case "Transpose":
					transposes++
				}
			}
			// The model's input and the activation that is an output.
			if transposes > 2 {
				t.Errorf("%d transposes, want at most 2", transposes)
			}
			compare := func(what string, got [][]float64, limit float64) {
				for k := range want {
					var d, n float64
					for i, w := range want[k] {
						d += (got[k][i] - w) * (got[k][i] - w)
						n += w * w
					}
					if !(math.Sqrt(d) <= limit*math.Sqrt(n)) {
						t.Errorf("%s: output %s is off by %g of %g", what, g.Outputs[k].Name, math.Sqrt(d), math.Sqrt(n))
					}
				}
			}
			compare("float64", results[float64](t, g, 2), 1e-11)
			one := results[float32](t, last(), 1)
			wide := make([][]float64, len(one))
			for k := range one {
				for _, x := range one[k] {
					wide[k] = append(wide[k], float64(x))
				}
			}
			compare("float32", wide, 1e-3) // one rectifier that flips is worth as much
			for k, x := range results[float32](t, last(), 2) {
				if !slices.Equal(x, one[k]) {
					t.Errorf("output %s has other bits with two threads", g.Outputs[k].Name)
				}
			}
		})
	}
}
