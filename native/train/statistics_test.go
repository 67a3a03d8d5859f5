package train

import (
	"math"
	"slices"
	"testing"

	"tandem/onnx"
	"tandem/onnx/tensor"
)

// normalizing builds a linear layer behind a BatchNormalization of its inputs.
func normalizing(t testing.TB, inputs, classes int) *onnx.Model {
	t.Helper()
	filled := func(value float32, shape ...int) *tensor.Tensor {
		w := tensor.New(tensor.Float32, shape...)
		for i := range tensor.View[float32](w) {
			tensor.View[float32](w)[i] = value + float32(i%5)/8
		}
		return w
	}
	m, err := onnx.NewBuilder("normalizing", 20).
		Input("x", tensor.Float32, -1, inputs).
		Initializer("bn.weight", filled(1, inputs)).Initializer("bn.bias", filled(0, inputs)).
		Initializer("bn.running_mean", filled(0.5, inputs)).Initializer("bn.running_var", filled(2, inputs)).
		Initializer("fc.weight", filled(-0.25, classes, inputs)).
		Node("BatchNormalization", []string{"x", "bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"}, []string{"n", "mean", "var"}, map[string]any{"training_mode": 1, "momentum": 0.75}).
		Node("Gemm", []string{"n", "fc.weight"}, []string{"y"}, map[string]any{"transB": 1}).
		Output("y", tensor.Float32, -1, classes).
		Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRunningStatistics: a step moves them by ONNX's formula (the model has no manifest that would say it is PyTorch's), a
// gradient does not, and evaluation reads them.
func TestRunningStatistics(t *testing.T) {
	const inputs, classes, rows = 3, 4, 6
	tr := newTrainer[float64](t, normalizing(t, inputs, classes), adamConfig, 2)
	buffers := func() [][]float64 {
		var out [][]float64
		for _, b := range tr.Buffers() {
			out = append(out, slices.Clone(b.Data))
		}
		return out
	}
	before := buffers()
	if len(before) != 2 {
		t.Fatalf("the model has %d buffers, want 2", len(before))
	}
	g, err := tr.GradientBatch(rows, true)
	if err != nil {
		t.Fatal(err)
	}
	fill(g, 0, classes)
	if _, err := tr.Gradient(g); err != nil {
		t.Fatal(err)
	}
	for i, b := range buffers() {
		if !slices.Equal(b, before[i]) {
			t.Errorf("Gradient changed %s", tr.Buffers()[i].Name)
		}
	}
	foretold := g.Buffers()

	b, err := tr.TrainingBatch(rows)
	if err != nil {
		t.Fatal(err)
	}
	fill(b, 0, classes)
	x := slices.Clone(b.Input("x"))
	if _, err := tr.Step(b); err != nil {
		t.Fatal(err)
	}
	after := buffers()
	for i, b := range tr.Buffers() {
		if got := foretold[b.Name]; got == nil || !slices.Equal(tensor.View[float64](got), after[i]) {
			t.Errorf("%s is %v after a step, Gradient's batch had %v", b.Name, after[i], got)
		}
	}
	for c := range inputs {
		var mean, variance float64
		for r := range rows {
			mean += x[r*inputs+c] / rows
		}
		for r := range rows {
			variance += (x[r*inputs+c] - mean) * (x[r*inputs+c] - mean) / rows
		}
		for i, want := range []float64{0.75*before[0][c] + 0.25*mean, 0.75*before[1][c] + 0.25*variance} {
			if !(math.Abs(after[i][c]-want) <= 1e-14) {
				t.Errorf("%s[%d] = %v after a step, want %v", tr.Buffers()[i].Name, c, after[i][c], want)
			}
		}
	}

	e, err := tr.EvaluationBatch(1) // one row has no statistics of its own
	if err != nil {
		t.Fatal(err)
	}
	copy(e.Input("x"), x[:inputs])
	if err := tr.Forward(e); err != nil {
		t.Fatal(err)
	}
	parameters := map[string][]float64{}
	for _, p := range tr.Parameters() {
		parameters[p.Name] = p.Data
	}
	got := tensor.View[float64](e.Outputs()["y"])
	for k := range classes {
		var want float64
		for c := range inputs {
			n := (x[c]-after[0][c])/math.Sqrt(after[1][c]+1e-5)*parameters["bn.weight"][c] + parameters["bn.bias"][c]
			want += n * parameters["fc.weight"][k*inputs+c]
		}
		if !(math.Abs(got[k]-want) <= 1e-12) {
			t.Errorf("output %d in evaluation is %v, want %v", k, got[k], want)
		}
	}
}
