package tracetest

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// The training's sizes: the last batch of an epoch is short.
const (
	samples = 60
	batch   = 8
	perPass = (samples + batch - 1) / batch // batches of an epoch
)

// ShortBatch is the first step whose batch is short.
const ShortBatch = perPass - 1

// Variants are the orders of summation; a reference's first float32 result uses none of them.
var Variants = []string{"reverse", "pairwise", "stride 2", "stride 3", "stride 5"}

// CandidateOrder is an order of summation that is none of the Variants, for a candidate that rounds in its own way.
const CandidateOrder = "stride 4"

// Mutants are the mistakes that an engine can be asked for in load.
var Mutants = []string{
	"loss sum for mean", "softmax applied twice", "labels shifted", "mean over the nominal batch", "loss not a number",
	"gradient scaled by 1/B twice", "gradient scaled on the short batch", "gradient of the wrong sign", "gradient in half precision",
	"gradient off by 1e-5", "gradient off by 1e-8", "bias gradient missing", "gradient not a number", "gradient infinite",
	"gradients not zeroed between steps",
	"eps inside the root", "eps before the bias correction", "no bias correction", "bias correction one step late",
	"optimizer state reset", "L2 for decoupled weight decay", "learning rate doubled", "optimizer never steps", "counter stands still",
	"dropout unscaled", "dropout mask reused", "weight transposed where square",
	"weights rounded to half precision", "weights in half precision inside", "other initial weights",
	"other data", "data scaled unseen", "last batch dropped", "one batch repeated", "one batch repeated in training alone",
	"running mean with the other momentum", "float64 in float32",
}

// Engine is the program. The zero Order is the reference's.
type Engine struct {
	engine.Unimplemented
	Seed      uint64 // of weights, data, batches and masks
	Order     string
	NoFloat64 bool
	Flat      bool // learning is impossible: labels are drawn apart from the inputs, which are zero

	mutant  string
	step    int64
	state   map[string][]float32
	shapes  map[string][]int
	x       []float32
	labels  []int
	order   []int
	carried map[string][]float32 // gradients that were not zeroed
}

// Hello describes the engine.
func (e *Engine) Hello() engine.Hello {
	h := engine.Hello{
		Protocol: engine.Version, Name: "tracetest" + e.Order, Version: "1", Device: "cpu", DTypes: []string{"float32", "float64"},
		Variants: Variants, Mutants: Mutants, SharedRandom: true, Activations: true,
	}
	if e.NoFloat64 {
		h.DTypes = h.DTypes[:1]
	}
	return h
}

// Load makes weights and data.
func (e *Engine) Load(_ context.Context, p engine.LoadParams) (*engine.Loaded, error) {
	if p.Mutant != "" && !slices.Contains(Mutants, p.Mutant) {
		return nil, engine.Errorf(engine.KindInput, "no mutant %q", p.Mutant)
	}
	e.mutant, e.step, e.carried = p.Mutant, 0, nil
	seed := e.Seed
	if e.mutant == "other initial weights" {
		seed += 1000
	}
	e.weights(seed)
	e.makeData()

	out := &engine.Loaded{Threads: 1, Sites: 1, Data: map[string]string{}}
	for _, name := range []string{"fc1.bias", "fc1.weight", "fc2.bias", "fc2.weight"} {
		t := e.tensor("parameters/" + name)
		out.Parameters = append(out.Parameters, engine.TensorInfo{Name: name, DType: "float32", Shape: t.Shape(), SHA256: t.SHA256()})
	}
	xs, err := tensor.Of(e.x, samples, inputs)
	if err != nil {
		return nil, err
	}
	out.Data["train/x"] = xs.SHA256()
	if e.mutant == "data scaled unseen" {
		for i := range e.x {
			e.x[i] *= 255.0 / 256
		}
	}
	return out, nil
}

// weights makes the initial state.
func (e *Engine) weights(seed uint64) {
	random := rand.New(rand.NewPCG(seed, 1))
	e.shapes = map[string][]int{"fc1.weight": {hidden, inputs}, "fc1.bias": {hidden}, "fc2.weight": {classes, hidden}, "fc2.bias": {classes}}
	e.state = map[string][]float32{"buffers/mean": make([]float32, hidden)}
	for _, name := range slices.Sorted(maps.Keys(e.shapes)) {
		n := 1
		for _, d := range e.shapes[name] {
			n *= d
		}
		w := make([]float32, n)
		for i := range w {
			w[i] = float32((2*random.Float64() - 1) / math.Sqrt(inputs))
			if e.mutant == "weights rounded to half precision" {
				w[i] = half(w[i])
			}
		}
		e.state["parameters/"+name] = w
		e.state["optimizer/exp_avg/"+name] = make([]float32, n)
		e.state["optimizer/exp_avg_sq/"+name] = make([]float32, n)
	}
	for name, shape := range maps.Clone(e.shapes) {
		e.shapes["parameters/"+name] = shape
		e.shapes["optimizer/exp_avg/"+name] = shape
		e.shapes["optimizer/exp_avg_sq/"+name] = shape
	}
	e.shapes["buffers/mean"] = []int{hidden}
}

func (e *Engine) makeData() {
	seed := e.Seed
	if e.mutant == "other data" {
		seed += 1000
	}
	random := rand.New(rand.NewPCG(seed, 2))
	centres := make([]float64, classes*inputs)
	for i := range centres {
		centres[i] = random.NormFloat64()
	}
	e.x, e.labels = make([]float32, samples*inputs), make([]int, samples)
	for s := range samples {
		e.labels[s] = random.IntN(classes)
		for d := range inputs {
			if !e.Flat {
				e.x[s*inputs+d] = float32(centres[e.labels[s]*inputs+d] + 0.7*random.NormFloat64())
			}
		}
	}
	e.order = nil
	for range 64 {
		e.order = append(e.order, random.Perm(samples)...)
	}
}

// rows returns the samples of a step's batch.
func (e *Engine) rows(step int64, training bool) []int {
	k := int(step)
	if e.mutant == "one batch repeated" && k == 5 || e.mutant == "one batch repeated in training alone" && k == 5 && training {
		k = 4
	}
	batches := perPass
	if e.mutant == "last batch dropped" {
		batches--
	}
	epoch, i := k/batches, k%batches
	begin := epoch%64*samples + i*batch
	return e.order[begin:min(begin+batch, (epoch%64+1)*samples)]
}

// kept draws the dropout mask from a hash of seed, step and element.
func (e *Engine) kept(step int64) func(int) bool {
	if e.mutant == "dropout mask reused" {
		step = 0
	}
	return func(i int) bool {
		z := e.Seed*0x9E3779B97F4A7C15 + uint64(step)*0xBF58476D1CE4E5B9 + uint64(i)*0x94D049BB133111EB
		z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
		z = (z ^ z>>27) * 0x94D049BB133111EB
		return float64(z>>11)/(1<<53) < keep
	}
}

func values[T float](e *Engine, name string) []T {
	out := make([]T, len(e.state[name]))
	for i, v := range e.state[name] {
		if e.mutant == "weights in half precision inside" {
			v = half(v)
		}
		out[i] = T(v)
	}
	return out
}

func gradient[T float](e *Engine, order string, training bool) *pass[T] {
	rows := e.rows(e.step, training)
	p := &pass[T]{
		order: order, mutant: e.mutant, kept: e.kept(e.step), nominal: batch,
		w1: values[T](e, "parameters/fc1.weight"), b1: values[T](e, "parameters/fc1.bias"),
		w2: values[T](e, "parameters/fc2.weight"), b2: values[T](e, "parameters/fc2.bias"),
	}
	for _, r := range rows {
		for d := range inputs {
			p.x = append(p.x, T(e.x[r*inputs+d]))
		}
		p.labels = append(p.labels, e.labels[r])
	}
	p.run()
	return p
}

func (p *pass[T]) gradients() map[string][]T {
	return map[string][]T{"fc1.weight": p.gw1, "fc1.bias": p.gb1, "fc2.weight": p.gw2, "fc2.bias": p.gb2}
}

// Grad writes loss, gradients, outputs and activations.
func (e *Engine) Grad(_ context.Context, p engine.GradParams) (*engine.GradResult, error) {
	order := e.Order
	if p.Variant != "" {
		order = p.Variant
	}
	if p.DType == "float64" && e.mutant != "float64 in float32" {
		return writeGrad(e, gradient[float64](e, order, false), p, order)
	}
	return writeGrad(e, gradient[float32](e, order, false), p, order)
}

// runningMean is the buffer after a pass: the mean of the first layer's outputs, with a momentum of 0.1.
func runningMean[T float](e *Engine, p *pass[T], order string) []T {
	momentum, rows := T(0.1), len(p.labels)
	if e.mutant == "running mean with the other momentum" {
		momentum = 0.9
	}
	out := values[T](e, "buffers/mean")
	for h := range out {
		mean := sum(order, rows, func(b int) T { return p.z1[b*hidden+h] }) / T(rows)
		out[h] += momentum * (mean - out[h])
	}
	return out
}

func writeGrad[T float](e *Engine, g *pass[T], p engine.GradParams, order string) (*engine.GradResult, error) {
	n := len(g.labels)
	out := map[string]*tensor.Tensor{}
	var err error
	put := func(name string, v []T, shape ...int) {
		t, bad := tensor.Of(v, shape...)
		if bad != nil {
			err = bad
			return
		}
		d, bad := tensor.ParseDType(p.DType)
		if bad == nil {
			t, bad = t.Convert(d)
		}
		if bad != nil {
			err = bad
			return
		}
		out[name] = t
	}
	put("loss", []T{g.loss})
	put("outputs/logits", g.logits, n, classes)
	if p.Activations {
		put("activations/z1", g.z1, n, hidden)
		put("activations/a1", g.a1, n, hidden)
	}
	put("buffers/mean", runningMean(e, g, order), hidden)
	for name, v := range g.gradients() {
		put("gradients/"+name, v, e.shapes[name]...)
	}
	if err != nil {
		return nil, err
	}
	return &engine.GradResult{Loss: engine.Float(g.loss)}, safetensors.WriteFile(p.File, out, nil)
}

// Update writes the state after an update with a file's gradients.
func (e *Engine) Update(_ context.Context, p engine.UpdateParams) (*engine.StateInfo, error) {
	content, err := safetensors.ReadFile(p.Gradients)
	if err != nil {
		return nil, err
	}
	var after map[string]*tensor.Tensor
	if p.DType == "float64" && e.mutant != "float64 in float32" {
		after, err = updated[float64](e, content.Tensors)
	} else {
		after, err = updated[float32](e, content.Tensors)
	}
	if err != nil {
		return nil, err
	}
	dtype, err := tensor.ParseDType(p.DType)
	if err != nil {
		return nil, err
	}
	for name, t := range after {
		if after[name], err = t.Convert(dtype); err != nil {
			return nil, err
		}
	}
	step := e.step + 1
	if e.mutant == "counter stands still" {
		step = e.step
	}
	if after["step"], err = tensor.Of([]int64{step}); err != nil {
		return nil, err
	}
	return &engine.StateInfo{Step: e.step}, safetensors.WriteFile(p.File, after, nil)
}

func updated[T float](e *Engine, gradients map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	out := map[string]*tensor.Tensor{}
	for _, name := range []string{"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"} {
		g := gradients["gradients/"+name]
		if g == nil {
			return nil, engine.Errorf(engine.KindInput, "no gradient of %s", name)
		}
		grad := make([]T, g.Len())
		for i, v := range g.Float64s() {
			grad[i] = T(v)
		}
		p, m, v := values[T](e, "parameters/"+name), values[T](e, "optimizer/exp_avg/"+name), values[T](e, "optimizer/exp_avg_sq/"+name)
		adamW(e.Order, e.mutant, e.step, p, m, v, grad)
		for slot, x := range map[string][]T{"parameters/": p, "optimizer/exp_avg/": m, "optimizer/exp_avg_sq/": v} {
			t, err := tensor.Of(x, e.shapes[name]...)
			if err != nil {
				return nil, err
			}
			out[slot+name] = t
		}
	}
	return out, nil
}

// Step trains.
func (e *Engine) Step(ctx context.Context, n int) (*engine.StepResult, error) {
	out := &engine.StepResult{}
	for range n {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		p := gradient[float32](e, e.Order, true)
		grads := p.gradients()
		if e.mutant == "gradients not zeroed between steps" {
			for name, g := range grads {
				for i := range g {
					if c := e.carried[name]; c != nil {
						g[i] += c[i]
					}
				}
			}
			e.carried = grads
		}
		if e.mutant != "optimizer never steps" {
			for name, g := range grads {
				adamW(e.Order, e.mutant, e.step, e.state["parameters/"+name], e.state["optimizer/exp_avg/"+name], e.state["optimizer/exp_avg_sq/"+name], g)
			}
		}
		e.state["buffers/mean"] = runningMean(e, p, e.Order)
		if e.mutant != "counter stands still" {
			e.step++
		}
		out.Losses = append(out.Losses, engine.Float(p.loss))
		out.Seconds = append(out.Seconds, 1e-6)
	}
	out.Step = e.step
	return out, nil
}

func (e *Engine) tensor(name string) *tensor.Tensor {
	t, err := tensor.Of(e.state[name], e.shapes[name]...)
	if err != nil {
		panic(fmt.Sprint("tracetest: ", err)) // the shapes are the engine's own
	}
	return t
}

// GetState writes the state.
func (e *Engine) GetState(_ context.Context, file string) (*engine.StateInfo, error) {
	out := map[string]*tensor.Tensor{}
	for name := range e.state {
		out[name] = e.tensor(name)
	}
	var err error
	if out["step"], err = tensor.Of([]int64{e.step}); err != nil {
		return nil, err
	}
	return &engine.StateInfo{Step: e.step}, safetensors.WriteFile(file, out, nil)
}

// SetState reads a state.
func (e *Engine) SetState(_ context.Context, file string) (*engine.StateInfo, error) {
	content, err := safetensors.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for name := range e.state {
		t := content.Tensors[name]
		if t == nil || t.DType() != tensor.Float32 || !slices.Equal(t.Shape(), e.shapes[name]) {
			return nil, engine.Errorf(engine.KindInput, "the state's %q is %v", name, t)
		}
		e.state[name] = slices.Clone(tensor.View[float32](t))
	}
	e.step = tensor.View[int64](content.Tensors["step"])[0]
	e.carried = nil
	return &engine.StateInfo{Step: e.step}, nil
}

// Forward writes outputs for the training rows, which serve as test rows too.
func (e *Engine) Forward(_ context.Context, p engine.ForwardParams) (*engine.ForwardResult, error) {
	g := &pass[float32]{
		order: e.Order, w1: values[float32](e, "parameters/fc1.weight"), b1: values[float32](e, "parameters/fc1.bias"),
		w2: values[float32](e, "parameters/fc2.weight"), b2: values[float32](e, "parameters/fc2.bias"),
		x: e.x, labels: e.labels, nominal: samples, kept: func(int) bool { return true },
	}
	g.run()
	t, err := tensor.Of(g.logits, samples, classes)
	if err != nil {
		return nil, err
	}
	return &engine.ForwardResult{Rows: samples}, safetensors.WriteFile(p.File, map[string]*tensor.Tensor{"outputs/logits": t}, nil)
}
