package train

import (
	"math/rand/v2"
	"testing"

	"tandem/native/optim"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// TestHalfPrecisionParameters trains a model whose weights are stored in 16 bits: they are computed in the trainer's type, and rounded when
// the model is written.
func TestHalfPrecisionParameters(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, d := range []tensor.DType{tensor.Float16, tensor.BFloat16} {
		initial := make([]float32, 12)
		for i := range initial {
			initial[i] = float32(rng.NormFloat64())
		}
		wide, err := tensor.Of(initial, 4, 3)
		if err != nil {
			t.Fatal(err)
		}
		w, err := wide.Convert(d)
		if err != nil {
			t.Fatal(err)
		}
		m, err := onnx.NewBuilder("half", 20).Input("x", tensor.Float32, -1, 4).Initializer("w", w).
			Node("MatMul", []string{"x", "w"}, []string{"y"}, nil).Output("y", tensor.Float32, -1, 3).Build()
		if err != nil {
			t.Fatal(err)
		}
		tr := newTrainer[float32](t, m, optim.Config{Kind: "sgd", LearningRate: 0.1}, 1)
		before := tr.Parameters()[0].Data[0]
		if before != float32(w.Float64s()[0]) {
			t.Errorf("%v: the first weight is %g, want %g", d, before, w.Float64s()[0])
		}
		steps(t, tr, 2, 8, 3)
		trained, err := tr.Trained()
		if err != nil {
			t.Fatal(err)
		}
		got := trained.Graph.Initializer("w")
		want, err := newTensor(tr.Parameters()[0].Data, w.Shape()).Convert(d)
		if err != nil || got.DType() != d || !got.Equal(want) || tr.Parameters()[0].Data[0] == before {
			t.Errorf("%v: the trained weights are %v %v, want %v (%v)", d, got, got.Float64s(), want.Float64s(), err)
		}
	}
}
