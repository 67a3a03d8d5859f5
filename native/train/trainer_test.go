package train

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/native/kernel"
	"tandem/native/optim"
	"tandem/native/philox"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// mlp builds a small two-layer perceptron with dropout, as PyTorch's exporter would write it.
func mlp(t testing.TB, inputs, hidden, classes int, p float64) *onnx.Model {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	weights := func(shape ...int) *tensor.Tensor {
		w := tensor.New(tensor.Float32, shape...)
		for i := range tensor.View[float32](w) {
			tensor.View[float32](w)[i] = float32(rng.NormFloat64() / math.Sqrt(float64(shape[len(shape)-1])))
		}
		return w
	}
	ratio, _ := tensor.Of([]float32{float32(p)})
	yes, _ := tensor.Of([]bool{true})
	m, err := onnx.NewBuilder("mlp", 20).
		Input("x", tensor.Float32, -1, inputs).
		Initializer("fc1.weight", weights(hidden, inputs)).Initializer("fc1.bias", weights(hidden)).
		Initializer("fc2.weight", weights(classes, hidden)).Initializer("fc2.bias", weights(classes)).
		Initializer("ratio", ratio).Initializer("yes", yes).
		Node("Gemm", []string{"x", "fc1.weight", "fc1.bias"}, []string{"h"}, map[string]any{"transB": 1}).
		Node("Relu", []string{"h"}, []string{"r"}, nil).
		Node("Dropout", []string{"r", "ratio", "yes"}, []string{"d"}, nil).
		Node("Gemm", []string{"d", "fc2.weight", "fc2.bias"}, []string{"y"}, map[string]any{"transB": 1}).
		Output("y", tensor.Float32, -1, classes).
		Build()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var adamConfig = optim.Config{Kind: "adam", LearningRate: 1e-3, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8}

func newTrainer[T kernel.Float](t testing.TB, m *onnx.Model, o optim.Config, threads int) *Trainer[T] {
	t.Helper()
	tr, err := New[T](m, Options{Loss: Loss{Kind: "cross_entropy", Reduction: "mean"}, Optimizer: o, Seed: 77, Threads: threads})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

// fill writes a batch that depends on the step alone.
func fill[T kernel.Float](b *Batch[T], step, classes int) {
	rng := rand.New(rand.NewPCG(uint64(step), 5))
	x := b.Input("x")
	for i := range x {
		x[i] = T(float32(rng.NormFloat64()))
	}
	for i := range b.Targets() {
		b.Targets()[i] = int64(rng.IntN(classes))
	}
}

func steps[T kernel.Float](t testing.TB, tr *Trainer[T], n, rows, classes int) (losses []float64) {
	t.Helper()
	for range n {
		b, err := tr.TrainingBatch(rows)
		if err != nil {
			t.Fatal(err)
		}
		fill(b, int(tr.Steps()), classes)
		loss, err := tr.Step(b)
		if err != nil {
			t.Fatal(err)
		}
		losses = append(losses, float64(loss))
	}
	return losses
}

// byHand is the same network and Adam, written out in float64 with no graph.
func byHand(t *testing.T, m *onnx.Model, n, rows, classes int, p float64) (losses []float64) {
	w := map[string][]float64{}
	for _, name := range []string{"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"} {
		w[name] = m.Graph.Initializer(name).Float64s()
	}
	shape := m.Graph.Initializer("fc1.weight").Shape()
	hidden, inputs := shape[0], shape[1]
	first, second := map[string][]float64{}, map[string][]float64{}
	for step := range n {
		rng := rand.New(rand.NewPCG(uint64(step), 5))
		x := make([]float64, rows*inputs)
		for i := range x {
			x[i] = float64(float32(rng.NormFloat64()))
		}
		target := make([]int, rows)
		for i := range target {
			target[i] = rng.IntN(classes)
		}
		keep := make([]bool, rows*hidden)
		philox.Stream{Seed: 77, Step: uint64(step)}.Keep(keep, 0, p)
		g := map[string][]float64{}
		for name, v := range w {
			g[name] = make([]float64, len(v))
		}
		loss := 0.0
		for r := range rows {
			h := make([]float64, hidden)
			for j := range h {
				h[j] = w["fc1.bias"][j]
				for i := range inputs {
					h[j] += w["fc1.weight"][j*inputs+i] * x[r*inputs+i]
				}
				if h[j] < 0 || !keep[r*hidden+j] {
					h[j] = 0
				}
				h[j] /= 1 - p
			}
			y := make([]float64, classes)
			sum := 0.0
			for c := range y {
				y[c] = w["fc2.bias"][c]
				for j := range h {
					y[c] += w["fc2.weight"][c*hidden+j] * h[j]
				}
				sum += math.Exp(y[c])
			}
			loss += (math.Log(sum) - y[target[r]]) / float64(rows)
			dh := make([]float64, hidden)
			for c := range y {
				dy := math.Exp(y[c]) / sum / float64(rows)
				if c == target[r] {
					dy -= 1 / float64(rows)
				}
				g["fc2.bias"][c] += dy
				for j := range h {
					g["fc2.weight"][c*hidden+j] += dy * h[j]
					dh[j] += dy * w["fc2.weight"][c*hidden+j]
				}
			}
			for j := range dh {
				if h[j] == 0 {
					continue
				}
				d := dh[j] / (1 - p)
				g["fc1.bias"][j] += d
				for i := range inputs {
					g["fc1.weight"][j*inputs+i] += d * x[r*inputs+i]
				}
			}
		}
		losses = append(losses, loss)
		for name := range w {
			if first[name] == nil {
				first[name], second[name] = make([]float64, len(w[name])), make([]float64, len(w[name]))
			}
			for i, d := range g[name] {
				m, v := &first[name][i], &second[name][i]
				*m = 0.9**m + 0.1*d
				*v = 0.999**v + 0.001*d*d
				bias1, bias2 := 1-math.Pow(0.9, float64(step+1)), 1-math.Pow(0.999, float64(step+1))
				w[name][i] -= 1e-3 * (*m / bias1) / (math.Sqrt(*v/bias2) + 1e-8)
			}
		}
	}
	return losses
}

func TestTrainingAgreesWithTheFormulasWrittenOut(t *testing.T) {
	m := mlp(t, 11, 7, 5, 0.25)
	want := byHand(t, m, 40, 6, 5, 0.25)
	got64 := steps(t, newTrainer[float64](t, m, adamConfig, 1), 40, 6, 5)
	got32 := steps(t, newTrainer[float32](t, m, adamConfig, 2), 40, 6, 5)
	for i := range want {
		if d := math.Abs(got64[i]-want[i]) / want[i]; !(d < 1e-12) {
			t.Fatalf("step %d: the float64 loss %.17g differs from %.17g by %g", i, got64[i], want[i], d)
		}
		if d := math.Abs(got32[i]-want[i]) / want[i]; !(d < 1e-5) {
			t.Fatalf("step %d: the float32 loss %.9g differs from %.9g by %g", i, got32[i], want[i], d)
		}
	}
	if !(want[39] != want[0]) {
		t.Error("the loss does not move: the comparison proves nothing")
	}
}

func TestSameBitsForAnyNumberOfThreads(t *testing.T) {
	m := mlp(t, 300, 130, 10, 0.2) // large enough that the kernels do split
	one := newTrainer[float32](t, m, adamConfig, 1)
	steps(t, one, 3, 33, 10)
	for threads := 2; threads <= 4; threads++ {
		many := newTrainer[float32](t, m, adamConfig, threads)
		steps(t, many, 3, 33, 10)
		for name, v := range one.State() {
			if !v.Equal(many.State()[name]) {
				t.Errorf("%d threads: %s has other bits", threads, name)
			}
		}
	}
}

func TestStateGoesOutAndIn(t *testing.T) {
	m := mlp(t, 11, 7, 5, 0.25)
	a, b := newTrainer[float32](t, m, adamConfig, 1), newTrainer[float32](t, m, adamConfig, 1)
	steps(t, a, 5, 4, 5)
	if err := b.SetState(a.State()); err != nil {
		t.Fatal(err)
	}
	if want, got := steps(t, a, 5, 4, 5), steps(t, b, 5, 4, 5); !slices.Equal(want, got) {
		t.Errorf("after the state was taken over the losses are %v, want %v", got, want)
	}
	bad := a.State()
	delete(bad, "optimizer/exp_avg/fc1.bias")
	if err := b.SetState(bad); err == nil {
		t.Error("a state without a moment was accepted")
	}
	bad = a.State()
	bad["parameters/other"] = tensor.New(tensor.Float32, 1)
	if err := b.SetState(bad); err == nil {
		t.Error("a state with a stranger was accepted")
	}
	bad = a.State()
	bad["parameters/fc1.bias"] = tensor.New(tensor.Float32, 8)
	if err := b.SetState(bad); err == nil {
		t.Error("a state with a wrong shape was accepted")
	}
}

func TestGradientAndUpdatedChangeNothingAndMakeAStep(t *testing.T) {
	m := mlp(t, 11, 7, 5, 0.25)
	tr := newTrainer[float32](t, m, adamConfig, 1)
	steps(t, tr, 2, 4, 5)
	before := tr.State()
	b, err := tr.GradientBatch(4, true)
	if err != nil {
		t.Fatal(err)
	}
	fill(b, 2, 5)
	if _, err := tr.Gradient(b); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"h", "r", "d", "y"} {
		if b.Activations()[name] == nil {
			t.Errorf("the value %s was not kept", name)
		}
	}
	after, err := tr.Updated(b.Gradients())
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range tr.State() {
		if !v.Equal(before[name]) {
			t.Errorf("%s changed", name)
		}
	}
	steps(t, tr, 1, 4, 5)
	for name, v := range tr.State() {
		if !v.Equal(after[name]) {
			t.Errorf("%s: gradient and update give other bits than a step", name)
		}
	}
}

// TestProgramsAllocateNothing runs every kind of program, as a training, its gradients and its evaluation do again and again.
func TestProgramsAllocateNothing(t *testing.T) {
	for _, model := range []struct {
		name string
		m    *onnx.Model
		o    optim.Config
	}{
		{"mlp, adam", mlp(t, 64, 32, 10, 0.2), adamConfig},
		{"mlp, clipped sgd", mlp(t, 64, 32, 10, 0), optim.Config{Kind: "sgd", LearningRate: 0.1, Momentum: 0.9, ClipNorm: 1}},
		{"batch normalization, adamw", normalizing(t, 64, 10), optim.Config{Kind: "adamw", LearningRate: 0.01, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, WeightDecay: 0.1}},
	} {
		for _, threads := range []int{1, 2} {
			t.Run(fmt.Sprintf("%s, threads %d", model.name, threads), func(t *testing.T) {
				allocateNothing[float32](t, model.m, model.o, threads)
				allocateNothing[float64](t, model.m, model.o, threads)
			})
		}
	}
}

func allocateNothing[T kernel.Float](t *testing.T, m *onnx.Model, o optim.Config, threads int) {
	t.Helper()
	tr := newTrainer[T](t, m, o, threads)
	for _, program := range []struct {
		name string
		make func() (*Batch[T], error)
		run  func(b *Batch[T]) error
	}{
		{"step", func() (*Batch[T], error) { return tr.TrainingBatch(8) }, func(b *Batch[T]) error { _, err := tr.Step(b); return err }},
		{"gradient", func() (*Batch[T], error) { return tr.GradientBatch(8, false) }, func(b *Batch[T]) error { _, err := tr.Gradient(b); return err }},
		{"gradient with activations", func() (*Batch[T], error) { return tr.GradientBatch(8, true) }, func(b *Batch[T]) error { _, err := tr.Gradient(b); return err }},
		{"evaluation", func() (*Batch[T], error) { return tr.EvaluationBatch(8) }, tr.Forward},
	} {
		b, err := program.make()
		if err != nil {
			t.Fatal(err)
		}
		fill(b, 0, 10)
		if n := testing.AllocsPerRun(30, func() {
			if err := program.run(b); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%T: a %s makes %g allocations", T(0), program.name, n)
		}
	}
}

func TestForwardSwitchesDropoutOff(t *testing.T) {
	m := mlp(t, 11, 7, 5, 0.9)
	tr := newTrainer[float64](t, m, adamConfig, 1)
	b, err := tr.EvaluationBatch(3)
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.Input("x") {
		b.Input("x")[i] = float64(i%5) - 2
	}
	if err := tr.Forward(b); err != nil {
		t.Fatal(err)
	}
	w1, b1 := m.Graph.Initializer("fc1.weight").Float64s(), m.Graph.Initializer("fc1.bias").Float64s()
	w2, b2 := m.Graph.Initializer("fc2.weight").Float64s(), m.Graph.Initializer("fc2.bias").Float64s()
	y := tensor.View[float64](b.Outputs()["y"])
	for r := range 3 {
		for c := range 5 {
			want := b2[c]
			for j := range 7 {
				h := b1[j]
				for i := range 11 {
					h += w1[j*11+i] * b.Input("x")[r*11+i]
				}
				want += w2[c*7+j] * max(h, 0)
			}
			if !(math.Abs(y[r*5+c]-want) < 1e-12) {
				t.Fatalf("output %d of row %d is %g, want %g", c, r, y[r*5+c], want)
			}
		}
	}
}

func TestTargetsAreChecked(t *testing.T) {
	tr := newTrainer[float32](t, mlp(t, 3, 2, 2, 0), adamConfig, 1)
	b, err := tr.TrainingBatch(2)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range []int64{-1, 2} {
		b.Targets()[1] = bad
		if _, err := tr.Step(b); err == nil {
			t.Errorf("class %d of 2 was accepted", bad)
		}
	}
}

func TestTrainedModelHoldsTheTrainedWeights(t *testing.T) {
	m := mlp(t, 11, 7, 5, 0.25)
	tr := newTrainer[float32](t, m, adamConfig, 1)
	steps(t, tr, 3, 4, 5)
	trained, err := tr.Trained()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range tr.Parameters() {
		got := trained.Graph.Initializer(p.Name)
		if !slices.Equal(tensor.View[float32](got), p.Data) {
			t.Errorf("%s is not the trained one", p.Name)
		}
		if got.Equal(m.Graph.Initializer(p.Name)) {
			t.Errorf("%s did not train", p.Name)
		}
	}
}
