package train

import (
	"math"
	"testing"

	"tandem/native/optim"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// TestLossOverSequences holds the loss and the gradient of scores (batch, length, classes) to the formulas written out.
func TestLossOverSequences(t *testing.T) {
	const rows, length, width, classes = 3, 4, 5, 6
	w := tensor.New(tensor.Float32, width, classes)
	for i := range tensor.View[float32](w) {
		tensor.View[float32](w)[i] = float32(math.Sin(float64(i)))
	}
	m, err := onnx.NewBuilder("sequences", 20).
		Input("x", tensor.Float32, -1, length, width).Initializer("w", w).
		Node("MatMul", []string{"x", "w"}, []string{"y"}, nil).
		Output("y", tensor.Float32, -1, length, classes).
		Build()
	if err != nil {
		t.Fatal(err)
	}
	tr := newTrainer[float64](t, m, optim.Config{Kind: "sgd", LearningRate: 0.1}, 1)
	b, err := tr.GradientBatch(rows, false)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(b.Targets()); got != rows*length {
		t.Fatalf("the batch takes %d targets, want %d", got, rows*length)
	}
	x := b.Input("x")
	for i := range x {
		x[i] = math.Cos(float64(3 * i))
	}
	for i := range b.Targets() {
		b.Targets()[i] = int64(i % classes)
	}
	want, gradient := 0.0, make([]float64, width*classes)
	for r := range rows * length {
		scores, sum := [classes]float64{}, 0.0
		for c := range scores {
			for i := range width {
				scores[c] += x[r*width+i] * w.Float64s()[i*classes+c]
			}
			sum += math.Exp(scores[c])
		}
		want += (math.Log(sum) - scores[r%classes]) / (rows * length)
		for c := range scores {
			d := math.Exp(scores[c]) / sum
			if c == r%classes {
				d--
			}
			for i := range width {
				gradient[i*classes+c] += d / (rows * length) * x[r*width+i]
			}
		}
	}
	loss, err := tr.Gradient(b)
	if err != nil {
		t.Fatal(err)
	}
	if !(math.Abs(loss-want) < 1e-13) {
		t.Errorf("the loss is %.17g, want %.17g", loss, want)
	}
	for i, got := range b.Gradients()["w"].Float64s() {
		if !(math.Abs(got-gradient[i]) < 1e-13) {
			t.Errorf("gradient %d is %g, want %g", i, got, gradient[i])
		}
	}
	b.Targets()[rows*length-1] = classes
	if _, err := tr.Gradient(b); err == nil {
		t.Error("a class that the model has no score for was accepted")
	}
}
