package pass_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/optim"
	"tandem/native/pass"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

func build(t testing.TB, b *onnx.Builder) *onnx.Model {
	t.Helper()
	m, err := b.Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func of[E tensor.Element](t testing.TB, data []E, shape ...int) *tensor.Tensor {
	t.Helper()
	v, err := tensor.Of(data, shape...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// linear is y = relu(x w^T + b), x of shape (batch, 2).
func linear(t testing.TB) *onnx.Builder {
	return onnx.NewBuilder("linear", 20).
		Input("x", tensor.Float32, -1, 2).
		Initializer("w", of(t, []float32{1, 2, 3, 4, 5, 6}, 3, 2)).Initializer("b", of(t, []float32{1, 2, 3}, 3)).
		Node("Gemm", []string{"x", "w", "b"}, []string{"h"}, map[string]any{"transB": 1}).
		Node("Relu", []string{"h"}, []string{"y"}, nil).
		Output("y", tensor.Float32, -1, 3)
}

func TestImportFillsInTheBatch(t *testing.T) {
	g, err := pass.Import(build(t, linear(t)), map[string]int{"batch": 5})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(g.Inputs[0].Shape, []int{5, 2}) || !slices.Equal(g.Outputs[0].Shape, []int{5, 3}) {
		t.Errorf("input %v, output %v", g.Inputs[0], g.Outputs[0])
	}
	var state []string
	for _, v := range g.State {
		state = append(state, v.Role.String()+" "+v.Name)
	}
	if !slices.Equal(state, []string{"parameter w", "parameter b"}) {
		t.Errorf("the state is %v", state)
	}
	for _, n := range g.Nodes {
		if n.Origin.Phase != ir.Forward || n.Origin.Node == "" || n.Version != 20 {
			t.Errorf("%v has origin %+v, version %d", n, n.Origin, n.Version)
		}
	}
}

// TestImportRefuses holds each error to name what a user needs to find the place, and to say which kind it is.
func TestImportRefuses(t *testing.T) {
	tests := []struct {
		name  string
		model *onnx.Builder
		want  []string // all in the error
	}{
		{
			"a dimension that nothing gives", onnx.NewBuilder("m", 20).Input("x", tensor.Float32, 2, -1).
				Node("Relu", []string{"x"}, []string{"y"}, nil).Output("y", tensor.Float32, 2, -1),
			[]string{`"x"`, "dimension 1", "only the batch may be left open"},
		},
		{
			"an element type", onnx.NewBuilder("m", 20).Input("x", tensor.Uint8, 2).
				Node("Relu", []string{"x"}, []string{"y"}, nil).Output("y", tensor.Uint8, 2),
			[]string{`"x"`, "uint8"},
		},
		{
			"an initializer's type", linear(t).Initializer("u", of(t, []uint16{1})),
			[]string{`"u"`, "uint16"},
		},
		{
			"an operator", linear(t).Node("NonMaxSuppression", []string{"y"}, []string{"z"}, nil),
			[]string{"operator NonMaxSuppression", `node "NonMaxSuppression_2"`, "y float[1 3]", "it supports", "Gemm", "Softmax"},
		},
		{
			"an attribute", linear(t).Node("Gelu", []string{"y"}, []string{"z"}, map[string]any{"approximate": "cubic"}),
			[]string{"operator Gelu", `node "Gelu_2"`, `"cubic"`, "none or tanh"},
		},
		{
			"an old operator set", onnx.NewBuilder("m", 12).Input("x", tensor.Float32, 2, 3).
				Node("Softmax", []string{"x"}, []string{"y"}, nil).Output("y", tensor.Float32, 2, 3),
			[]string{"operator Softmax", "operator set 12", "from operator set 13 on"},
		},
		{
			"a shape that is computed", linear(t).Input("s", tensor.Int64, 2).Node("Reshape", []string{"y", "s"}, []string{"z"}, nil),
			[]string{"operator Reshape", "input 1 (s)", "not a constant"},
		},
		{
			"a further output", linear(t).Node("Relu", []string{"y"}, []string{"z", "zz"}, nil),
			[]string{"operator Relu", "output 1"},
		},
		{
			"a ratio that is computed", linear(t).Input("p", tensor.Float32).Node("Dropout", []string{"y", "p"}, []string{"z"}, nil),
			[]string{"operator Dropout", "a ratio that is not a constant"},
		},
		{
			"a string constant", linear(t).Node("Constant", nil, []string{"c"}, map[string]any{"value_string": "s"}),
			[]string{`"Constant_2"`, "value_string"},
		},
	}
	for _, tt := range tests {
		_, err := pass.Import(build(t, tt.model), map[string]int{"batch": 1})
		if !errors.Is(err, op.ErrUnsupported) {
			t.Errorf("%s: the error %v is not op.ErrUnsupported", tt.name, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error does not have %q: %v", tt.name, want, err)
			}
		}
	}
}

// TestImportRefusesBadShapes: these models are wrong, not beyond what is supported.
func TestImportRefusesBadShapes(t *testing.T) {
	tests := []struct {
		name  string
		model *onnx.Builder
		want  []string
	}{
		{"factors that do not fit", linear(t).Node("Gemm", []string{"y", "w"}, []string{"z"}, map[string]any{"transA": 1}), []string{"operator Gemm", `node "Gemm_2"`, "must agree"}},
		{"shapes that do not broadcast", linear(t).Node("Add", []string{"y", "w"}, []string{"z"}, nil), []string{"operator Add", "y float[2 3]", "w float[3 2]", "do not broadcast"}},
		{"a missing input", linear(t).Node("Add", []string{"", "w"}, []string{"z"}, nil), []string{"operator Add", "input 0 is missing"}},
		{"too many inputs", linear(t).Node("Relu", []string{"y", "w"}, []string{"z"}, nil), []string{"operator Relu", "has 2 inputs, takes 1 to 1"}},
		{"an axis outside the shape", linear(t).Node("Softmax", []string{"y"}, []string{"z"}, map[string]any{"axis": 2}), []string{"operator Softmax", "axis 2"}},
		{"an attribute of another type", linear(t).Node("Softmax", []string{"y"}, []string{"z"}, map[string]any{"axis": "last"}), []string{"operator Softmax", `"axis"`}},
	}
	for _, tt := range tests {
		_, err := pass.Import(build(t, tt.model), map[string]int{"batch": 2})
		var node *op.NodeError
		if !errors.As(err, &node) {
			t.Errorf("%s: the error %v names no node", tt.name, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s: the error does not have %q: %v", tt.name, want, err)
			}
		}
	}
}

func TestErrorsNameTheModulePath(t *testing.T) {
	n := &ir.Node{Op: "Nonsense", Origin: ir.Origin{File: "m.onnx", Node: "n7", ModulePath: "layers.2.mlp", Source: "model.py:12: x = f(x)"}}
	err := op.Infer(n)
	for _, want := range []string{"m.onnx", "operator Nonsense", `node "n7"`, "PyTorch module layers.2.mlp", "model.py:12", "supports Abs, Acos"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not have %q: %v", want, err)
		}
	}
}

// gradients imports a model, takes the cross-entropy loss and differentiates.
func gradients(t *testing.T, m *onnx.Model) (*ir.Graph, map[string]*ir.Value) {
	t.Helper()
	g, err := pass.Import(m, map[string]int{"batch": 2})
	if err != nil {
		t.Fatal(err)
	}
	loss, err := pass.Loss(g, pass.LossConfig{Kind: "cross_entropy", Reduction: "mean"})
	if err != nil {
		t.Fatal(err)
	}
	d, err := pass.Differentiate(g, loss)
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]*ir.Value{}
	for p, v := range d {
		byName[p.Name] = v
	}
	return g, byName
}

func manifest(frozen ...string) *onnx.Manifest {
	m := &onnx.Manifest{Version: onnx.ManifestVersion}
	for _, name := range []string{"w", "b"} {
		m.Parameters = append(m.Parameters, onnx.Parameter{Name: name, RequiresGrad: !slices.Contains(frozen, name)})
	}
	return m
}

func TestFrozenParametersHaveNoGradient(t *testing.T) {
	g, d := gradients(t, build(t, linear(t).Manifest(manifest("w"))))
	if d["w"] != nil || d["b"] == nil || len(d) != 1 {
		t.Errorf("gradients of %v, want b alone", d)
	}
	for _, n := range g.Nodes {
		if n.Op == "Gemm" && n.Origin.Phase == ir.Backward {
			t.Errorf("%v computes a gradient that nobody wants", n)
		}
	}
	g, err := pass.Import(build(t, linear(t).Manifest(manifest("w", "b"))), map[string]int{"batch": 2})
	if err != nil {
		t.Fatal(err)
	}
	loss, err := pass.Loss(g, pass.LossConfig{Kind: "cross_entropy", Reduction: "mean"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pass.Differentiate(g, loss); err == nil || !strings.Contains(err.Error(), "no trained parameter") {
		t.Errorf("a model without trained parameters: %v", err)
	}
}

// evaluate runs a graph in float64 with its parameters at their initial values and its inputs filled by fill.
func evaluate(t *testing.T, g *ir.Graph, fill func(v *ir.Value, b op.Buffer[float64])) *pass.Program[float64] {
	t.Helper()
	plan, err := pass.NewPlan(g)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(1)
	t.Cleanup(pool.Close)
	state := map[*ir.Value][]float64{}
	for _, v := range g.State {
		state[v] = v.Const.Float64s()
	}
	p, err := pass.Bind(g, plan, &op.Run{}, pool, func(v *ir.Value) []float64 { return state[v] })
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range g.Inputs {
		b, err := p.Buffer(v)
		if err != nil {
			t.Fatal(err)
		}
		fill(v, b)
	}
	for _, call := range p.Calls {
		call()
	}
	return p
}

// TestTwoConsumersGradientsAreAdded: y = h + h*h with h = x w, whose gradient needs both ways through h.
func TestTwoConsumersGradientsAreAdded(t *testing.T) {
	m := build(t, onnx.NewBuilder("m", 20).Input("x", tensor.Float32, -1, 2).
		Initializer("w", of(t, []float32{0.5, -1, 2, 0.25}, 2, 2)).
		Node("MatMul", []string{"x", "w"}, []string{"h"}, nil).
		Node("Mul", []string{"h", "h"}, []string{"s"}, nil).
		Node("Add", []string{"h", "s"}, []string{"y"}, nil).
		Output("y", tensor.Float32, -1, 2))
	x, target := []float64{1, 2, -1, 0.5}, []int{0, 1}
	loss := func(w []float64) (sum float64) {
		for r := range 2 {
			var y [2]float64
			for c := range y {
				h := x[2*r]*w[c] + x[2*r+1]*w[2+c]
				y[c] = h + h*h
			}
			sum += (math.Log(math.Exp(y[0])+math.Exp(y[1])) - y[target[r]]) / 2
		}
		return sum
	}
	g, d := gradients(t, m)
	g.Outputs = append(g.Outputs, d["w"])
	p := evaluate(t, g, func(v *ir.Value, b op.Buffer[float64]) {
		copy(b.Float, x)
		for i := range b.Int {
			b.Int[i] = int64(target[i])
		}
	})
	b, err := p.Buffer(d["w"])
	if err != nil {
		t.Fatal(err)
	}
	w := []float64{0.5, -1, 2, 0.25}
	for i := range w {
		const h = 1e-6
		up, down := slices.Clone(w), slices.Clone(w)
		up[i], down[i] = w[i]+h, w[i]-h
		if want := (loss(up) - loss(down)) / (2 * h); !(math.Abs(b.Float[i]-want) <= 1e-7*(1+math.Abs(want))) {
			t.Errorf("element %d of the gradient is %g, want %g", i, b.Float[i], want)
		}
	}
}

func TestPrune(t *testing.T) {
	m := build(t, linear(t).Node("Exp", []string{"h"}, []string{"unused"}, nil).Node("Sqrt", []string{"unused"}, []string{"unused too"}, nil))
	g, err := pass.Import(m, map[string]int{"batch": 2})
	if err != nil {
		t.Fatal(err)
	}
	if err := pass.Prune(g); err != nil {
		t.Fatal(err)
	}
	if len(g.Nodes) != 2 || g.Nodes[0].Op != "Gemm" || g.Nodes[1].Op != "Relu" {
		t.Errorf("what is left is %v", g.Nodes)
	}
	// An update has no output, and what it reads is needed.
	d := &ir.Value{Name: "d", Type: ir.Float, Shape: g.State[0].Shape, Role: ir.Input}
	if err := pass.Update(g, map[*ir.Value]*ir.Value{g.State[0]: d}, optim.Config{Kind: "sgd"}); err != nil {
		t.Fatal(err)
	}
	g.Outputs = nil
	if err := pass.Prune(g); err != nil {
		t.Fatal(err)
	}
	if len(g.Nodes) != 1 || g.Nodes[0].Writes[0] != g.State[0] {
		t.Errorf("what is left is %v, want the update", g.Nodes)
	}
}

// TestEvaluateSwitchesDropoutOff compares what goes into a Dropout with what comes out.
func TestEvaluateSwitchesDropoutOff(t *testing.T) {
	m := build(t, linear(t).Initializer("p", of(t, []float32{0.9})).Initializer("yes", of(t, []bool{true})).
		Node("Dropout", []string{"y", "p", "yes"}, []string{"z", "mask"}, nil).Output("z", tensor.Float32, -1, 3))
	g, err := pass.Import(m, map[string]int{"batch": 50})
	if err != nil {
		t.Fatal(err)
	}
	fill := func(_ *ir.Value, b op.Buffer[float64]) {
		for i := range b.Float {
			b.Float[i] = float64(i%7) + 1
		}
	}
	outputs := func() (y, z []float64) {
		p := evaluate(t, g, fill)
		for i, dst := range []*[]float64{&y, &z} {
			b, err := p.Buffer(g.Outputs[i])
			if err != nil {
				t.Fatal(err)
			}
			*dst = b.Float
		}
		return y, z
	}
	if y, z := outputs(); slices.Equal(y, z) || !slices.Contains(z, 0) {
		t.Error("the dropout drops nothing in training: the test proves nothing")
	}
	if err := pass.Evaluate(g); err != nil {
		t.Fatal(err)
	}
	if y, z := outputs(); !slices.Equal(y, z) || slices.Contains(z, 0) {
		t.Error("the dropout changes its input in evaluation")
	}
}

func TestLossRefuses(t *testing.T) {
	for _, tt := range []struct{ kind, reduction string }{{"hinge", "mean"}, {"cross_entropy", "median"}} {
		g, err := pass.Import(build(t, linear(t)), map[string]int{"batch": 2})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pass.Loss(g, pass.LossConfig{Kind: tt.kind, Reduction: tt.reduction}); !errors.Is(err, op.ErrUnsupported) {
			t.Errorf("loss %s, %s: %v", tt.kind, tt.reduction, err)
		}
	}
}

// TestLossOverPositions: scores for each position of a sample are so many rows of scores.
func TestLossOverPositions(t *testing.T) {
	table := of(t, []float32{1, 2, 3, 4, 5, 7}, 3, 2)
	builder := func(shape ...int) *onnx.Model {
		return build(t, onnx.NewBuilder("m", 20).Input("x", tensor.Int64, shape...).Initializer("table", table).
			Node("Gather", []string{"table", "x"}, []string{"y"}, nil).Output("y", tensor.Float32, append(shape, 2)...))
	}
	result := func(m *onnx.Model, rows int) []float64 {
		g, err := pass.Import(m, map[string]int{"batch": rows})
		if err != nil {
			t.Fatal(err)
		}
		loss, err := pass.Loss(g, pass.LossConfig{Kind: "cross_entropy", Reduction: "mean"})
		if err != nil {
			t.Fatal(err)
		}
		d, err := pass.Differentiate(g, loss)
		if err != nil {
			t.Fatal(err)
		}
		gradient := d[g.StateValue(ir.Parameter, "table")]
		g.Outputs = []*ir.Value{loss, gradient}
		p := evaluate(t, g, func(v *ir.Value, b op.Buffer[float64]) {
			copy(b.Int, []int64{0, 1, 2, 1})
			if v.Name == pass.Target {
				copy(b.Int, []int64{1, 0, 0, 1})
			}
		})
		var out []float64
		for _, v := range g.Outputs {
			b, err := p.Buffer(v)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, b.Float...)
		}
		return out
	}
	flat, deep := result(builder(-1), 4), result(builder(-1, 2), 2)
	if !slices.Equal(flat, deep) || slices.Contains(flat, 0) {
		t.Errorf("loss and gradients are %v for 4 rows, %v for 2 rows of 2 positions", flat, deep)
	}
}

// TestDifferentiateRefusesWhatHasNoGradient names the operator and why.
func TestDifferentiateRefusesWhatHasNoGradient(t *testing.T) {
	m := build(t, onnx.NewBuilder("m", 20).Input("x", tensor.Float32, -1, 2).
		Initializer("w", of(t, []float32{1, 2}, 2)).Initializer("low", of(t, []float32{0}, 1)).
		Node("Mul", []string{"x", "w"}, []string{"h"}, nil).
		Node("ReduceSum", []string{"low"}, []string{"bound"}, map[string]any{"keepdims": int64(0)}).
		Node("Clip", []string{"x", "bound"}, []string{"c"}, nil).
		Node("Add", []string{"h", "c"}, []string{"y"}, nil).
		Output("y", tensor.Float32, -1, 2))
	g, err := pass.Import(m, map[string]int{"batch": 2})
	if err != nil {
		t.Fatal(err)
	}
	loss, err := pass.Loss(g, pass.LossConfig{Kind: "cross_entropy", Reduction: "mean"})
	if err != nil {
		t.Fatal(err)
	}
	// Without a manifest what the bound is computed from counts as a trained parameter, and Clip has no gradient for the bound.
	_, err = pass.Differentiate(g, loss)
	if !errors.Is(err, op.ErrUnsupported) || !strings.Contains(err.Error(), "operator Clip") || !strings.Contains(err.Error(), "input 1") {
		t.Errorf("the error is %v", err)
	}
}

// TestEmbeddingPaddingHasNoGradient: PyTorch's padding_idx is not in the ONNX file but in the manifest.
func TestEmbeddingPaddingHasNoGradient(t *testing.T) {
	b := func(m *onnx.Manifest) *onnx.Model {
		m.Parameters = []onnx.Parameter{{Name: "table", RequiresGrad: true}}
		return build(t, onnx.NewBuilder("m", 20).Input("x", tensor.Int64, -1).
			Initializer("table", of(t, []float32{1, 2, 3, 4, 5, 6}, 3, 2)).
			Node("Gather", []string{"table", "x"}, []string{"y"}, nil).Output("y", tensor.Float32, -1, 2).Manifest(m))
	}
	rows := func(m *onnx.Manifest) (out [3]bool) { // those that have a gradient
		g, d := gradients(t, b(m))
		g.Outputs = append(g.Outputs, d["table"])
		p := evaluate(t, g, func(v *ir.Value, b op.Buffer[float64]) {
			copy(b.Int, []int64{0, -2}) // the same as 0, 1
			if v.Name == pass.Target {
				clear(b.Int)
			}
		})
		buffer, err := p.Buffer(d["table"])
		if err != nil {
			t.Fatal(err)
		}
		for r := range out {
			out[r] = buffer.Float[2*r] != 0 && buffer.Float[2*r+1] != 0
		}
		return out
	}
	if got := rows(&onnx.Manifest{Version: onnx.ManifestVersion}); got != [3]bool{true, true, false} {
		t.Errorf("without padding the rows with a gradient are %v", got)
	}
	padded := &onnx.Manifest{Version: onnx.ManifestVersion, EmbeddingPadding: []onnx.EmbeddingPadding{{Weight: "table", Row: 1}}}
	if got := rows(padded); got != [3]bool{true, false, false} {
		t.Errorf("with row 1 as padding the rows with a gradient are %v", got)
	}
}

// TestShapeArithmeticIsFolded: x.view(x.size(0), -1) as an exporter writes it for an open batch, and further integer operators.
func TestShapeArithmeticIsFolded(t *testing.T) {
	ints := func(v ...int64) *tensor.Tensor { return of(t, v, len(v)) }
	m := build(t, onnx.NewBuilder("m", 20).Input("x", tensor.Float32, -1, 4, 3).
		Initializer("zero", of(t, []int64{0})).Initializer("axes", ints(0)).Initializer("minus", ints(-1)).
		Initializer("two", of(t, []int64{2})).Initializer("yes", of(t, []bool{true})).
		Node("Shape", []string{"x"}, []string{"s"}, nil).
		Node("Gather", []string{"s", "zero"}, []string{"n"}, nil).
		Node("Mul", []string{"n", "two"}, []string{"n2"}, nil).
		Node("Div", []string{"n2", "two"}, []string{"n3"}, nil).
		Node("Equal", []string{"n", "n3"}, []string{"same"}, nil).
		Node("Where", []string{"same", "n3", "zero"}, []string{"n4"}, nil).
		Node("Unsqueeze", []string{"n4", "axes"}, []string{"u"}, nil).
		Node("Concat", []string{"u", "minus"}, []string{"shape"}, map[string]any{"axis": 0}).
		Node("Reshape", []string{"x", "shape"}, []string{"y"}, nil).
		Output("y", tensor.Float32, -1, 12))
	g, err := pass.Import(m, map[string]int{"batch": 7})
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Nodes) != 1 || g.Nodes[0].Op != "Reshape" || !slices.Equal(g.Outputs[0].Shape, []int{7, 12}) {
		t.Errorf("the graph is %v with output %v, want a Reshape to [7 12] alone", g.Nodes, g.Outputs[0])
	}
}

func TestFoldKeepsFloatingPointInTheGraph(t *testing.T) {
	listed := manifest()
	listed.Constants = []string{"two"}
	m := build(t, linear(t).Manifest(listed).Initializer("two", of(t, []float32{2})).
		Node("Sqrt", []string{"two"}, []string{"root"}, nil).
		Node("Mul", []string{"y", "root"}, []string{"z"}, nil))
	g, err := pass.Import(m, map[string]int{"batch": 1})
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Nodes) != 4 {
		t.Errorf("the nodes are %v, want all four", g.Nodes)
	}
}

// TestScalarsAreTheDoublesOfTheSource: the file has attention's 1/sqrt(32) as a float32 alone.
func TestScalarsAreTheDoublesOfTheSource(t *testing.T) {
	factor := 1 / math.Sqrt(32)
	listed := manifest()
	listed.Constants = []string{"factor"}
	listed.Scalars = []onnx.Scalar{{Value: "factor", Number: factor}}
	m := build(t, linear(t).Manifest(listed).Initializer("factor", of(t, []float32{float32(factor)})).
		Node("Mul", []string{"y", "factor"}, []string{"z"}, nil))
	g, err := pass.Import(m, map[string]int{"batch": 1})
	if err != nil {
		t.Fatal(err)
	}
	v := g.Nodes[len(g.Nodes)-1].Inputs[1]
	if got := v.Const.Float64s()[0]; got != factor || v.Role != ir.Constant {
		t.Errorf("the graph multiplies with %v (%v), want %v", got, v.Role, factor)
	}
}

func TestConstantIndexOutOfRangeIsRefused(t *testing.T) {
	m := build(t, linear(t).Initializer("i", of(t, []int64{3}, 1)).Node("Gather", []string{"w", "i"}, []string{"z"}, nil))
	if _, err := pass.Import(m, map[string]int{"batch": 1}); err == nil || !strings.Contains(err.Error(), "index 3 is outside axis 0 of shape [3 2]") {
		t.Errorf("the error is %v", err)
	}
}
