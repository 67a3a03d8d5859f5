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

// trained computes the model's outputs, the loss and the gradients, by name, with or without Simplify, and returns the forward operators.
func trained[T kernel.Float](t *testing.T, m *onnx.Model, simplify bool) (values map[string][]T, operators []string) {
	t.Helper()
	g, err := pass.Import(m, map[string]int{"batch": 2})
	if err != nil {
		t.Fatal(err)
	}
	loss, err := pass.Loss(g, pass.LossConfig{Kind: "cross_entropy", Reduction: "mean"})
	if err != nil {
		t.Fatal(err)
	}
	if simplify {
		if err := pass.Simplify(g, loss); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range g.Nodes {
		if n.Origin.Phase == ir.Forward && !op.Lookup(n.Op).View {
			operators = append(operators, n.Op)
		}
	}
	gradients, err := pass.Differentiate(g, loss)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]*ir.Value{"loss": loss}
	for _, v := range g.Outputs {
		names[v.Name] = v
	}
	for p, d := range gradients {
		names["gradient of "+p.Name] = d
	}
	g.Outputs = nil
	for _, v := range names {
		g.Outputs = append(g.Outputs, v)
	}
	if err := pass.Prune(g); err != nil {
		t.Fatal(err)
	}
	plan, err := pass.NewPlan(g)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(2)
	t.Cleanup(pool.Close)
	state := map[*ir.Value][]T{}
	for _, v := range g.State {
		for _, x := range v.Const.Float64s() {
			state[v] = append(state[v], T(x))
		}
	}
	p, err := pass.Bind(g, plan, &op.Run{Seed: 3, Step: 5}, pool, func(v *ir.Value) []T { return state[v] })
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 9))
	for _, v := range g.Inputs {
		b, err := p.Buffer(v)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Float {
			b.Float[i] = T(float32(rng.NormFloat64()))
		}
		for i := range b.Int {
			b.Int[i] = rng.Int64N(3)
		}
	}
	for _, call := range p.Calls {
		call()
	}
	values = map[string][]T{}
	for name, v := range names {
		b, err := p.Buffer(v)
		if err != nil {
			t.Fatal(err)
		}
		values[name] = slices.Clone(b.Float)
	}
	return values, operators
}

// simplifies holds a model to the operators that Simplify is to leave, and its results to those of the graph as it was: within so many units in
// the last place of the largest element of each.
func simplifies(t *testing.T, m *onnx.Model, want []string, ulps float64) {
	t.Helper()
	wide, _ := trained[float64](t, m, false)
	got64, operators := trained[float64](t, m, true)
	if !slices.Equal(operators, want) {
		t.Errorf("there are the operators %v, want %v", operators, want)
	}
	got32, _ := trained[float32](t, m, true)
	narrow, _ := trained[float32](t, m, false)
	agree(t, "float64", got64, wide, ulps*0x1p-53, 0)
	agree(t, "float32", got32, narrow, ulps*0x1p-24, 0)
}

// agree compares results element by element: within limit times the largest element of each, or times least if that is more.
func agree[T kernel.Float](t *testing.T, what string, got, want map[string][]T, limit, least float64) {
	t.Helper()
	if len(got) != len(want) || len(want) < 2 {
		t.Fatalf("%s: there are %d results, want %d", what, len(got), len(want))
	}
	for name, w := range want {
		size := 0.0
		for _, x := range w {
			size = max(size, math.Abs(float64(x)))
		}
		if len(got[name]) != len(w) || size == 0 && least == 0 {
			t.Errorf("%s: %s has %d elements up to %g, want %d", what, name, len(got[name]), size, len(w))
			continue
		}
		size = max(size, least)
		for i, x := range w {
			if d := math.Abs(float64(got[name][i]) - float64(x)); !(d <= limit*size) {
				t.Errorf("%s: %s: element %d is %v, want %v: off by %g of %g", what, name, i, got[name][i], x, d/limit, size)
				break
			}
		}
	}
}

// drawn is a tensor of normally distributed numbers.
func drawn(t *testing.T, seed uint64, shape ...int) *tensor.Tensor {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 4))
	v := tensor.New(tensor.Float32, shape...)
	for i := range tensor.View[float32](v) {
		tensor.View[float32](v)[i] = float32(rng.NormFloat64()) / 2
	}
	return v
}

// TestSimplifyKeepsWhatIsRead: a value inside a pattern that is an output or has another reader is not taken away.
func TestSimplifyKeepsWhatIsRead(t *testing.T) {
	layer := func() *onnx.Builder {
		return onnx.NewBuilder("m", 20).Input("x", tensor.Float32, -1, 3, 4).
			Initializer("w", drawn(t, 1, 3, 4)).Initializer("b", drawn(t, 2, 3)).
			Node("Transpose", []string{"w"}, []string{"wT"}, map[string]any{"perm": []int64{1, 0}}).
			Node("MatMul", []string{"x", "wT"}, []string{"p"}, nil).
			Node("Add", []string{"p", "b"}, []string{"y"}, nil)
	}
	tests := []struct {
		name  string
		model *onnx.Builder
		want  []string
	}{
		{"an output", layer().Output("y", tensor.Float32).Output("p", tensor.Float32), []string{"Gemm", "Add"}},
		{"another reader", layer().Node("Mul", []string{"p", "y"}, []string{"z"}, nil).Output("z", tensor.Float32), []string{"Gemm", "Add", "Mul"}},
		{"another reader of the transpose", layer().Node("MatMul", []string{"y", "w"}, []string{"z"}, nil).Node("MatMul", []string{"z", "wT"}, []string{"v"}, nil).Output("v", tensor.Float32), []string{"Gemm", "Gemm", "Gemm"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { simplifies(t, build(t, tt.model), tt.want, 16) })
	}
}

func TestSimplifyLinear(t *testing.T) {
	tests := []struct {
		name   string
		x, w   []int
		turned bool
		bias   []int
		first  bool // the bias is the sum's first operand
		want   []string
	}{
		{name: "as PyTorch exports it", x: []int{-1, 3, 4}, w: []int{5, 4}, turned: true, bias: []int{5}, want: []string{"Gemm"}},
		{name: "bias first", x: []int{-1, 3, 4}, w: []int{5, 4}, turned: true, bias: []int{5}, first: true, want: []string{"Gemm"}},
		{name: "no bias", x: []int{-1, 2, 3, 4}, w: []int{5, 4}, turned: true, want: []string{"Gemm"}},
		{name: "weight as it is", x: []int{-1, 3, 4}, w: []int{4, 5}, bias: []int{5}, want: []string{"Gemm"}},
		{name: "matrix", x: []int{-1, 4}, w: []int{5, 4}, turned: true, bias: []int{5}, want: []string{"Gemm"}},
		{name: "plain product of matrices", x: []int{-1, 4}, w: []int{4, 5}, want: []string{"MatMul"}},
		{name: "a bias for each position", x: []int{-1, 3, 4}, w: []int{5, 4}, turned: true, bias: []int{3, 5}, want: []string{"Gemm", "Add"}},
		{name: "a row as bias", x: []int{-1, 3, 4}, w: []int{5, 4}, turned: true, bias: []int{1, 5}, want: []string{"Gemm", "Add"}},
		{name: "a right factor for each sample", x: []int{-1, 3, 4}, w: []int{2, 4, 5}, bias: []int{5}, want: []string{"MatMul", "Add"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := onnx.NewBuilder("m", 20).Input("x", tensor.Float32, tt.x...).Initializer("w", drawn(t, 1, tt.w...))
			weight, last := "w", "p"
			if tt.turned {
				b.Node("Transpose", []string{"w"}, []string{"wT"}, map[string]any{"perm": []int64{1, 0}})
				weight = "wT"
			}
			b.Node("MatMul", []string{"x", weight}, []string{"p"}, nil)
			if tt.bias != nil {
				operands := []string{"p", "b"}
				if tt.first {
					operands = []string{"b", "p"}
				}
				last = "y"
				b.Initializer("b", drawn(t, 2, tt.bias...)).Node("Add", operands, []string{"y"}, nil)
			}
			// The sums begin with the bias instead of ending with it: rounding alone.
			simplifies(t, build(t, b.Output(last, tensor.Float32)), tt.want, 16)
		})
	}
}

// attentionModel is an attention of two heads of width 3 over five positions, in the ways in which models are written.
type attentionModel struct {
	apart, transposed, unmerged bool   // three projections; heads with their positions inside; the result stays so
	scale, mask                 string // an operator, and which kind of mask
	drop                        bool
	shared                      bool // queries are keys
	axis                        int64
	weights                     bool // the weights are an output
}

func (a attentionModel) build(t *testing.T) *onnx.Model {
	const heads, width, length, classes = 2, 3, 5, 4
	ints := func(v ...int64) *tensor.Tensor { return of(t, v, len(v)) }
	b := onnx.NewBuilder("attention", 20).Input("x", tensor.Float32, -1, length, 6).Initializer("out", drawn(t, 9, 6, classes)).
		Initializer("headed", ints(0, length, heads, width)).Initializer("merged", ints(0, length, heads*width)).
		Initializer("factor", of(t, []float32{0.577})).Initializer("infinite", of(t, []float32{float32(math.Inf(-1))})).Initializer("large", of(t, []float32{-3})).
		Initializer("bias", drawn(t, 12, heads, length, length))
	m := &onnx.Manifest{
		Version: onnx.ManifestVersion, Parameters: []onnx.Parameter{{Name: "out", RequiresGrad: true}, {Name: "bias", RequiresGrad: true}},
		Constants: []string{"headed", "merged", "factor", "infinite", "large", "causal", "holes", "added", "p", "yes"},
	}
	parameter := func(name string, shape ...int) {
		b.Initializer(name, drawn(t, uint64(len(name)+int(name[0])), shape...))
		m.Parameters = append(m.Parameters, onnx.Parameter{Name: name, RequiresGrad: true})
	}
	if a.apart {
		for _, name := range []string{"q", "k", "v"} {
			parameter(name+".weight", 6, 6)
			b.Node("MatMul", []string{"x", name + ".weight"}, []string{name}, nil)
		}
	} else {
		parameter("qkv.weight", 6, 18)
		b.Node("MatMul", []string{"x", "qkv.weight"}, []string{"qkv"}, nil).
			Node("Split", []string{"qkv"}, []string{"q", "k", "v"}, map[string]any{"axis": 2, "num_outputs": 3})
	}
	for _, name := range []string{"q", "k", "v"} {
		b.Node("Reshape", []string{name, "headed"}, []string{name + ".headed"}, nil).
			Node("Transpose", []string{name + ".headed"}, []string{name + ".heads"}, map[string]any{"perm": []int64{0, 2, 1, 3}})
	}
	keys := "k.heads"
	if a.shared {
		keys = "q.heads"
	}
	b.Node("Transpose", []string{keys}, []string{"kT"}, map[string]any{"perm": []int64{0, 1, 3, 2}}).
		Node("MatMul", []string{"q.heads", "kT"}, []string{"scores"}, nil)
	last := "scores"
	then := func(operator string, inputs ...string) {
		next := fmt.Sprintf("%s.%s", last, operator)
		b.Node(operator, inputs, []string{next}, map[string]any{})
		last = next
	}
	switch a.scale {
	case "Mul", "Div":
		then(a.scale, last, "factor")
	case "factor first":
		then("Mul", "factor", last)
	}
	causal, holes := make([]bool, length*length), make([]bool, length*length)
	for i := range causal {
		causal[i], holes[i] = i%length <= i/length, i%3 != 1
	}
	b.Initializer("causal", of(t, causal, 1, 1, length, length)).Initializer("holes", of(t, holes, length, length)).
		Initializer("added", drawn(t, 11, length, length)).Initializer("p", of(t, []float32{0.25})).Initializer("yes", of(t, []bool{true}))
	switch a.mask {
	case "causal":
		then("Where", "causal", last, "infinite")
	case "hidden":
		then("Not", "causal")
		hidden := last
		last = "scores.Mul"
		then("Where", hidden, "infinite", last)
	case "holes":
		then("Where", "holes", last, "large")
	case "added":
		then("Add", last, "added")
	case "learnt":
		then("Add", last, "bias")
	}
	b.Node("Softmax", []string{last}, []string{"weights"}, map[string]any{"axis": a.axis})
	last = "weights"
	if a.drop {
		b.Node("Dropout", []string{"weights", "p", "yes"}, []string{"dropped"}, nil)
		last = "dropped"
	}
	b.Node("MatMul", []string{last, "v.heads"}, []string{"mixed"}, nil)
	result := "mixed"
	if !a.unmerged {
		b.Node("Transpose", []string{"mixed"}, []string{"turned"}, map[string]any{"perm": []int64{0, 2, 1, 3}})
		result = "turned"
		if !a.transposed {
			b.Node("Reshape", []string{"turned", "merged"}, []string{"together"}, nil).
				Node("MatMul", []string{"together", "out"}, []string{"y"}, nil)
			result = "y"
		}
	}
	b.Output(result, tensor.Float32)
	if a.weights {
		b.Output("weights", tensor.Float32)
	}
	return build(t, b.Manifest(m))
}

func TestSimplifyAttention(t *testing.T) {
	packed := []string{"Gemm", "tandem.Attention", "Gemm"}
	kept := func(operators ...string) []string {
		all := []string{"Gemm", "Split", "Transpose", "Transpose", "Transpose", "Transpose", "MatMul"}
		return append(append(all, operators...), "MatMul", "Transpose", "Gemm")
	}
	tests := []struct {
		name string
		attentionModel
		want []string
	}{
		{"as PyTorch exports it", attentionModel{scale: "Mul", mask: "causal", drop: true, axis: -1}, packed},
		{"masked_fill", attentionModel{scale: "Mul", mask: "hidden", axis: 3}, packed},
		{"no mask, no scale", attentionModel{axis: -1}, packed},
		{"divided", attentionModel{scale: "Div", mask: "holes", axis: -1}, packed},
		{"factor first, added mask", attentionModel{scale: "factor first", mask: "added", drop: true, axis: -1}, packed},
		{"three projections", attentionModel{apart: true, scale: "Mul", mask: "causal", axis: -1}, []string{"Gemm", "Gemm", "Gemm", "tandem.Attention", "Gemm"}},
		{"transposed result", attentionModel{transposed: true, axis: -1}, []string{"Gemm", "tandem.Attention"}},
		{"plain result", attentionModel{unmerged: true, scale: "Mul", axis: -1}, []string{"Gemm", "tandem.Attention"}},
		{"another axis", attentionModel{scale: "Mul", axis: 2}, kept("Mul", "Softmax")},
		{"a learnt bias", attentionModel{mask: "learnt", axis: -1}, kept("Add", "Softmax")},
		{"queries as keys", attentionModel{shared: true, scale: "Mul", axis: -1}, []string{"Gemm", "Split", "Transpose", "Transpose", "Transpose", "MatMul", "Mul", "Softmax", "MatMul", "Transpose", "Gemm"}},
		{"weights are an output", attentionModel{scale: "Mul", axis: -1, weights: true}, kept("Mul", "Softmax")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// The factor is multiplied with a sum instead of with what the sum is part of: rounding alone.
			simplifies(t, tt.build(t), tt.want, 32)
		})
	}
}

// TestSimplifyViews: of the views around two linear layers, those of the input, one for each reader, and that of the end stay.
func TestSimplifyViews(t *testing.T) {
	model := func() *onnx.Model {
		b := onnx.NewBuilder("m", 20).Input("x", tensor.Float32, -1, 3, 4).
			Initializer("w", drawn(t, 1, 6, 4)).Initializer("b", drawn(t, 2, 6)).Initializer("v", drawn(t, 3, 4, 6)).
			Initializer("scale", drawn(t, 4, 4)).Initializer("shift", drawn(t, 5, 4)).Initializer("gain", drawn(t, 6, 4)).Initializer("place", drawn(t, 7, 3, 4)).
			Initializer("p", of(t, []float32{0.25})).Initializer("yes", of(t, []bool{true}))
		return build(t, b.
			Node("Transpose", []string{"w"}, []string{"wT"}, map[string]any{"perm": []int64{1, 0}}).
			Node("Transpose", []string{"v"}, []string{"vT"}, map[string]any{"perm": []int64{1, 0}}).
			Node("MatMul", []string{"x", "wT"}, []string{"h0"}, nil).
			Node("Add", []string{"h0", "b"}, []string{"h"}, nil).
			Node("Gelu", []string{"h"}, []string{"g"}, nil).
			Node("MatMul", []string{"g", "vT"}, []string{"d0"}, nil).
			Node("Dropout", []string{"d0", "p", "yes"}, []string{"d"}, nil).
			Node("Add", []string{"x", "d"}, []string{"r"}, nil).
			Node("LayerNormalization", []string{"r", "scale", "shift"}, []string{"n"}, nil).
			Node("Mul", []string{"gain", "n"}, []string{"m"}, nil).
			Node("Add", []string{"m", "place"}, []string{"y"}, nil). // different for each position: the view stays before it
			Output("y", tensor.Float32))
	}
	simplifies(t, model(), []string{"Gemm", "Gelu", "Gemm", "Dropout", "Add", "LayerNormalization", "Mul", "Add"}, 16)
	g, err := pass.Import(model(), map[string]int{"batch": 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := pass.Simplify(g); err != nil {
		t.Fatal(err)
	}
	var operators []string
	for _, n := range g.Nodes {
		operators = append(operators, n.Op)
	}
	want := []string{"tandem.ReshapeTo", "tandem.ReshapeTo", "Gemm", "Gelu", "Gemm", "Dropout", "Add", "LayerNormalization", "Mul", "tandem.ReshapeTo", "Add"}
	slices.Sort(operators)
	slices.Sort(want)
	if !slices.Equal(operators, want) {
		t.Errorf("there are the nodes %v, want %v", operators, want)
	}
}

// randomSequences is a chain of layers on sequences of width 4, with values read again later and views between.
func randomSequences(t *testing.T, rng *rand.Rand) *onnx.Model {
	const length, width = 3, 4
	b := onnx.NewBuilder("random", 20).Input("x", tensor.Float32, -1, length, width).
		Initializer("p", of(t, []float32{0.25})).Initializer("yes", of(t, []bool{true})).
		Initializer("rows", of(t, []int64{-1, width}, 2)).Initializer("sequences", of(t, []int64{-1, length, width}, 3)).
		Initializer("four", of(t, []int64{0, 0, 2, 2}, 4)).Initializer("three", of(t, []int64{0, 0, width}, 3))
	m := &onnx.Manifest{Version: onnx.ManifestVersion, Constants: []string{"p", "yes", "rows", "sequences", "four", "three"}}
	names, last, count := []string{"x"}, "x", 0
	parameter := func(shape ...int) string {
		count++
		name := fmt.Sprintf("w%d", count)
		b.Initializer(name, drawn(t, rng.Uint64(), shape...))
		m.Parameters = append(m.Parameters, onnx.Parameter{Name: name, RequiresGrad: true})
		return name
	}
	node := func(operator string, attributes map[string]any, inputs ...string) string {
		count++
		name := fmt.Sprintf("v%d", count)
		b.Node(operator, inputs, []string{name}, attributes)
		return name
	}
	either := func(a, b string) (string, string) {
		if rng.IntN(2) == 0 {
			return b, a
		}
		return a, b
	}
	layer := func(from string) string {
		w := parameter(width, width)
		if rng.IntN(3) > 0 {
			w = node("Transpose", map[string]any{"perm": []int64{1, 0}}, w)
		}
		y := node("MatMul", nil, from, w)
		if rng.IntN(3) > 0 {
			u, v := either(y, parameter([][]int{{width}, {width}, {1, width}, {length, width}, {1}}[rng.IntN(5)]...))
			y = node("Add", nil, u, v)
		}
		return y
	}
	heads := func(from string) string {
		return node("Transpose", map[string]any{"perm": []int64{0, 2, 1, 3}}, node("Reshape", nil, from, "four"))
	}
	for range 3 + rng.IntN(6) {
		switch rng.IntN(9) {
		case 0, 1, 2:
			last = layer(last)
		case 3:
			last = node("Gelu", nil, last)
		case 4:
			last = node("Dropout", nil, last, "p", "yes")
		case 5:
			u, v := either(last, names[rng.IntN(len(names))])
			last = node([]string{"Add", "Mul", "Sub"}[rng.IntN(3)], nil, u, v)
		case 6:
			last = node("LayerNormalization", map[string]any{"axis": -1}, last, parameter(width), parameter(width))
		case 7: // to a matrix of rows and back
			matrix := node("Reshape", nil, last, "rows")
			if rng.IntN(2) == 0 {
				matrix = node("MatMul", nil, matrix, parameter(width, width))
			}
			last = node("Reshape", nil, matrix, "sequences")
		case 8:
			q, k, v := heads(layer(last)), heads(layer(names[rng.IntN(len(names))])), heads(last)
			scores := node("MatMul", nil, q, node("Transpose", map[string]any{"perm": []int64{0, 1, 3, 2}}, k))
			weights := node("Softmax", map[string]any{"axis": -1}, scores)
			if rng.IntN(2) == 0 {
				weights = node("Dropout", nil, weights, "p", "yes")
			}
			mixed := node("MatMul", nil, weights, v)
			last = node("Reshape", nil, node("Transpose", map[string]any{"perm": []int64{0, 2, 1, 3}}, mixed), "three")
		}
		names = append(names, last)
	}
	last = layer(last)
	return build(t, b.Output(last, tensor.Float32).Manifest(m))
}

// TestSimplifyRandomSequences compares the graphs of random models before and after, in float64, where only a mistake is larger than the bound.
func TestSimplifyRandomSequences(t *testing.T) {
	counts := map[string]int{}
	for seed := range uint64(100) {
		m := randomSequences(t, rand.New(rand.NewPCG(seed, 21)))
		want, _ := trained[float64](t, m, false)
		got, operators := trained[float64](t, m, true)
		// Chains of up to nine layers, some of which multiply, spread rounding; a gradient may vanish but for that.
		agree(t, fmt.Sprintf("seed %d", seed), got, want, 1e-11, 1e-3)
		for _, o := range operators {
			counts[o]++
		}
		if t.Failed() {
			t.Fatalf("the operators are %v", operators)
		}
	}
	if counts["Gemm"] < 100 || counts["tandem.Attention"] < 25 {
		t.Errorf("there were %v: the test says little", counts)
	}
}
