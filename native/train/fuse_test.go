package train

import (
	"fmt"
	"slices"
	"testing"

	"tandem/native/kernel"
	"tandem/native/optim"
)

// TestFusionKeepsTheBits trains with and without pass.Fuse, on every path and with each optimizer: losses, gradients and the whole state
// must be the same bit by bit.
func TestFusionKeepsTheBits(t *testing.T) {
	configs := []optim.Config{
		adamConfig,
		{Kind: "adamw", LearningRate: 1e-2, Betas: [2]float64{0.8, 0.99}, Eps: 1e-6, WeightDecay: 0.1},
		{Kind: "sgd", LearningRate: 0.1},
		{Kind: "sgd", LearningRate: 0.1, Momentum: 0.9, Nesterov: true, WeightDecay: 0.01},
		{Kind: "adam", LearningRate: 1e-3, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, ClipNorm: 0.5},
		{Kind: "rmsprop", LearningRate: 1e-3, Alpha: 0.9, Eps: 1e-6, Momentum: 0.5, Centered: true, WeightDecay: 0.1},
		{Kind: "adagrad", LearningRate: 1e-2, Eps: 1e-8, LRDecay: 0.1, InitialAccumulator: 0.1},
		{Kind: "nadam", LearningRate: 1e-3, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, MomentumDecay: 4e-3, DecoupledDecay: true, WeightDecay: 0.1},
		{Kind: "lion", LearningRate: 1e-3, Betas: [2]float64{0.9, 0.99}, WeightDecay: 0.1},
	}
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
		for i, c := range configs {
			for _, p := range []float64{0, 0.25, 1} {
				name := fmt.Sprintf("%s/%s %d/dropout %g", path, c.Kind, i, p)
				t.Run(name+"/float32", func(t *testing.T) { fusionKeepsTheBits[float32](t, c, p) })
				if path == "generic" {
					t.Run(name+"/float64", func(t *testing.T) { fusionKeepsTheBits[float64](t, c, p) })
				}
			}
		}
	}
}

func fusionKeepsTheBits[T kernel.Float](t *testing.T, c optim.Config, p float64) {
	m := mlp(t, 211, 65, 7, p)
	fused, unfused := newTrainer[T](t, m, c, 2), newTrainer[T](t, m, c, 2)
	unfused.unfused = true
	const rows, classes = 13, 7
	for step := range 3 {
		gradients := func(tr *Trainer[T]) map[string][]float64 {
			b, err := tr.GradientBatch(rows, false)
			if err != nil {
				t.Fatal(err)
			}
			fill(b, step, classes)
			if _, err := tr.Gradient(b); err != nil {
				t.Fatal(err)
			}
			out := map[string][]float64{}
			for name, g := range b.Gradients() {
				out[name] = g.Float64s()
			}
			return out
		}
		want := gradients(unfused)
		for name, got := range gradients(fused) {
			if !slices.Equal(got, want[name]) {
				t.Errorf("step %d: the gradient of %s has other bits", step, name)
			}
		}
		if got, want := steps(t, fused, 1, rows, classes), steps(t, unfused, 1, rows, classes); !slices.Equal(got, want) {
			t.Errorf("step %d: loss %v, unfused %v", step, got, want)
		}
	}
	want := unfused.State()
	for name, got := range fused.State() {
		if !slices.Equal(got.Float64s(), want[name].Float64s()) {
			t.Errorf("%s has other bits", name)
		}
	}
	batch := func(tr *Trainer[T]) int {
		b, err := tr.TrainingBatch(rows)
		if err != nil {
			t.Fatal(err)
		}
		return len(b.program.Calls)
	}
	if n, m := batch(fused), batch(unfused); n >= m {
		t.Errorf("%d calls, unfused %d: nothing was fused", n, m)
	}
}

// TestUpdatesBesideTheLastKeepTheBits trains a model whose last update is large enough for several threads, which do the others beside it.
func TestUpdatesBesideTheLastKeepTheBits(t *testing.T) {
	m := mlp(t, 784, 128, 10, 0.25)
	const rows, classes = 32, 10
	unfused := newTrainer[float32](t, m, adamConfig, 1)
	unfused.unfused = true
	losses := steps(t, unfused, 3, rows, classes)
	want := unfused.State()
	for threads := 1; threads <= 3; threads++ {
		tr := newTrainer[float32](t, m, adamConfig, threads)
		if got := steps(t, tr, 3, rows, classes); !slices.Equal(got, losses) {
			t.Errorf("%d threads: losses %v, want %v", threads, got, losses)
		}
		for name, got := range tr.State() {
			if !got.Equal(want[name]) {
				t.Errorf("%d threads: %s has other bits", threads, name)
			}
		}
		b, err := tr.TrainingBatch(rows)
		if err != nil {
			t.Fatal(err)
		}
		if last := b.program.Nodes[len(b.program.Nodes)-1]; last.Op != "tandem.optim.adam.product" || last.Inputs[1].Shape[1] != 784 {
			t.Errorf("the last node is %v", last)
		}
	}
}

// TestLargeLayersKeepTheBits trains a layer whose rows are summed in parts, and a weight of whose gradient the squares are summed early, with any number of threads and
// without pass.Near: the state must be the same bit by bit.
func TestLargeLayersKeepTheBits(t *testing.T) {
	const rows, inputs, hidden, classes = 530, 70, 500, 7
	m := mlp(t, inputs, hidden, classes, 0)
	c := optim.Config{Kind: "adam", LearningRate: 1e-3, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, ClipNorm: 0.01}
	unfused := newTrainer[float32](t, m, c, 2)
	unfused.unfused = true
	steps(t, unfused, 2, rows, classes)
	want := unfused.State()
	for threads := 1; threads <= 3; threads++ {
		tr := newTrainer[float32](t, m, c, threads)
		steps(t, tr, 2, rows, classes)
		for name, got := range tr.State() {
			if !slices.Equal(got.Float64s(), want[name].Float64s()) {
				t.Errorf("%d threads: %s has other bits", threads, name)
			}
		}
		b, err := tr.TrainingBatch(rows)
		if err != nil {
			t.Fatal(err)
		}
		count := map[string]int{}
		for _, n := range b.program.Nodes {
			count[n.Op]++
		}
		if count["tandem.SquareSums"] != 1 || count["tandem.ClipScale"] != 1 {
			t.Errorf("the squares of %d gradients are summed early, want those of one; there are %d scales", count["tandem.SquareSums"], count["tandem.ClipScale"])
		}
	}
}
