package fingerprint

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/results/engine"
	"tandem/results/judge/updateformula"
	"tandem/results/record"
	"tandem/results/trace"
)

// scene is a made-up step 1 of a training with two judged steps, of a model that is one square product and a dropout.
type scene struct {
	*Look
	random *rand.Rand
}

const (
	rows, width, classes = 8, 6, 3
	samples              = 20
	keep                 = 0.75
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (s scene) normal(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = s.random.NormFloat64()
	}
	return out
}

func sampled(x []float64, shape ...int) trace.Sampled {
	return trace.Sampled{Shape: shape, Values: vector(x)}
}

func singles(x []float64, shape ...int) *tensor.Tensor {
	return must(must(tensor.Of(x, shape...)).Convert(tensor.Float32))
}

// slots are those of all optimizers.
var slots = []string{
	updateformula.FirstMoment, updateformula.SecondMoment, updateformula.Momentum, updateformula.SquareAverage, updateformula.GradientAverage, updateformula.Sum,
}

func newScene(seed uint64, stage record.Stage) scene {
	s := scene{random: rand.New(rand.NewPCG(seed, 7))}
	e := &experiment.Experiment{
		Loss:      experiment.Loss{Kind: "cross_entropy", Reduction: "mean"},
		Optimizer: experiment.Optimizer{Kind: "adamw", LearningRate: 0.01, Betas: [2]float64{0.9, 0.999}, Eps: 1e-6, WeightDecay: 0.1, Momentum: 0.9, Alpha: 0.9, LRDecay: 0.1, MomentumDecay: 0.04},
		Schedule:  experiment.Schedule{Kind: "constant"},
		Train:     experiment.Train{Batch: rows},
	}
	w, b := s.normal(width*width), s.normal(width)
	for i := range w {
		w[i] = float64(float32(w[i]))
	}
	for i := range b {
		b[i] = float64(float32(b[i]))
	}
	scalar := func(t *tensor.Tensor) *tensor.Tensor { return must(t.Reshape()) }
	model := must(onnx.NewBuilder("scene", 20).Input("x", tensor.Float32, -1, width).
		Initializer("w", singles(w, width, width)).Initializer("b", singles(b, width)).
		Initializer("p", scalar(must(tensor.Of([]float32{1 - keep})))).Initializer("yes", scalar(must(tensor.Of([]bool{true})))).
		Node("Gemm", []string{"x", "w", "b"}, []string{"z"}, map[string]any{"transB": 1}).
		Node("Relu", []string{"z"}, []string{"r"}, nil).
		Node("Dropout", []string{"r", "p", "yes"}, []string{"d"}, nil).
		Output("d", tensor.Float32, -1, width).Build())
	target, ids := make([]int64, samples), make([]int64, 2*samples)
	for i := range target {
		target[i] = s.random.Int64N(classes)
	}
	for i := range ids {
		ids[i] = s.random.Int64N(10)
	}
	order := make([]int64, 2*samples)
	for i := range order {
		order[i] = int64(i % samples)
	}
	s.random.Shuffle(samples, func(i, j int) { order[i], order[j] = order[j], order[i] })
	s.random.Shuffle(samples, func(i, j int) { order[samples+i], order[samples+j] = order[samples+j], order[samples+i] })
	data := must(NewData(map[string]*tensor.Tensor{
		"train/x": singles(s.normal(samples*width), samples, width), "train/ids": must(tensor.Of(ids, samples, 2)),
		"train/target": must(tensor.Of(target, samples)), "order": must(tensor.Of(order, 2*samples)),
		"offsets": must(tensor.Of([]int64{0, 8, 16, 20, 28, 36, 40}, 7)),
	}))
	ref := &trace.Reference{Experiment: e}
	ref.Losses = make([]float64, 40)
	cand := &trace.Candidate{}
	for i := range ref.Losses {
		ref.Losses[i] = 2 + s.random.Float64()
	}
	for step := range 2 {
		r := trace.ReferenceStep{Rows: rows, State: trace.Tensors{}, Before: trace.Set{}}
		r.Step = step
		x := data.Input("x", step).Float64s()
		z := times(x, w, b, rows, width, width, true)
		relu, d := slices.Clone(z), make([]float64, len(z))
		for i, v := range z {
			relu[i] = max(v, 0)
			if s.random.Float64() < keep {
				d[i] = relu[i] / keep
			}
		}
		logits := s.normal(rows * classes)
		loss := engine.Float(crossEntropy(logits, classes, data.Targets(step), true))
		r.Loss64, r.Loss32 = &loss, loss
		r.Float64 = trace.Set{
			"activations/z": sampled(z, rows, width), "activations/r": sampled(relu, rows, width), "activations/d": sampled(d, rows, width), "outputs/logits": sampled(logits, rows, classes),
			"gradients/w": sampled(s.normal(width*width), width, width), "gradients/b": sampled(s.normal(width), width),
		}
		r.Float32 = maps.Clone(r.Float64)
		r.Update64 = trace.Set{}
		r.State["parameters/w"], r.State["parameters/b"] = singles(w, width, width), singles(b, width)
		r.State["buffers/mean"] = singles(s.normal(width), width)
		for name, t := range r.State {
			if after, ok := strings.CutPrefix(name, "parameters/"); ok {
				r.Before[name] = trace.Sample(t, 0)
				for _, slot := range slots {
					m := s.normal(t.Len())
					for i := range m {
						m[i] = math.Abs(m[i])
						switch slot { // a mean's square is below the mean of squares
						case updateformula.SquareAverage:
							m[i]++
						case updateformula.GradientAverage:
							m[i] /= 10
						}
					}
					r.State["optimizer/"+slot+"/"+after] = singles(m, t.Shape()...)
				}
			}
		}
		ref.Steps = append(ref.Steps, r)
		c := trace.CandidateStep{}
		c.Step, c.UpdateStep, c.AfterStep = step, int64(step)+1, int64(step)+1
		c.Loss32, c.Loss64, c.StepLoss, c.Float32, c.Float64 = loss, &loss, loss, maps.Clone(r.Float64), maps.Clone(r.Float64)
		cand.Steps = append(cand.Steps, c)
	}
	for name, t := range ref.Steps[0].State {
		info := engine.TensorInfo{Name: name, DType: "float32", Shape: t.Shape(), SHA256: t.SHA256()}
		ref.Initial, cand.Initial = append(ref.Initial, info), append(cand.Initial, info)
	}
	ref.Loaded.Data, cand.Loaded.Data = map[string]string{}, map[string]string{}
	for name, t := range data.tensors {
		ref.Loaded.Data[name], cand.Loaded.Data[name] = t.SHA256(), t.SHA256()
	}
	cand.Losses = slices.Clone(ref.Losses)
	s.Look = &Look{
		Material: Material{Model: model, Data: data}, Stage: stage, Step: 1, Experiment: e, Limits: experiment.DefaultThresholds, Ref: ref, Cand: cand,
		R: &ref.Steps[1], C: &cand.Steps[1],
	}
	if stage == record.StageData || stage == record.StageWeights {
		s.Step, s.R, s.C = -1, nil, nil
	}
	return s
}

// is makes the suspect: a tensor of the reference of which the candidate has got.
func (s scene) is(name string, exact, got []float64, shape ...int) {
	p := Pair{Name: name, Shape: shape, GotShape: shape, Exact: exact, Got: got, Off: true, Tolerance: 1e-10, Size: trace.Norm(exact), Double: true}
	s.Pairs = append(s.Pairs, p)
	s.Suspect = &s.Pairs[0]
	for _, n := range s.Model.Graph.Nodes {
		if "activations/"+n.Output(0) == name {
			s.Node = n
		}
	}
}

// becomes makes the suspect of one of the reference's tensors by f.
func (s scene) becomes(name string, f func(i int, v float64) float64) {
	t := s.R.Float64[name]
	exact := t.Values.Float64s()
	got := make([]float64, len(exact))
	for i, v := range exact {
		got[i] = f(i, v)
	}
	s.is(name, exact, got, t.Shape...)
}

// losing makes the loss the suspect.
func (s scene) losing(got float64) {
	loss := engine.Float(got)
	s.C.Loss64, s.C.Loss32 = &loss, loss
	s.is("loss", []float64{float64(*s.R.Loss64)}, []float64{got}, 1)
}

// updated makes the update by a rule the candidate's; the reference's is right.
func (s scene) updated(r recipe, kind string) {
	s.Experiment.Optimizer.Kind = kind
	slots := updateformula.Slots(s.Experiment.Optimizer)
	for _, name := range []string{"b", "w"} {
		for _, slot := range slots {
			s.R.Update64["optimizer/"+slot+"/"+name] = trace.Sampled{}
		}
	}
	compute := func(r recipe, name string) updateformula.State {
		after, ok := s.update(r, name)
		if !ok {
			panic("the state before is not known")
		}
		return after
	}
	for _, slot := range append(slots, "") {
		for _, name := range []string{"b", "w"} {
			full := "parameters/" + name
			if slot != "" {
				full = "optimizer/" + slot + "/" + name
			}
			right := after(compute(recipe{rule: updateformula.Right(s.settings(0))}, name), slot)
			p := Pair{Name: full, Shape: []int{len(right)}, GotShape: []int{len(right)}, Exact: right, Got: after(compute(r, name), slot), Tolerance: 1e-10, Double: true}
			if slot == "" {
				p.Before = s.stateValues(full, trace.Sampled{})
			}
			p.Size = trace.Norm(p.change(right))
			p.Off = trace.Distance(p.Got, p.Exact) > 1e-10*p.Size
			s.Pairs = append(s.Pairs, p)
		}
	}
	for i := range s.Pairs {
		if s.Pairs[i].Off {
			s.Suspect = &s.Pairs[i]
			return
		}
	}
	panic("the rule changes nothing")
}

// digested gives the candidate's initial tensor the digest of another.
func (s scene) digested(name string, f func(t *tensor.Tensor) *tensor.Tensor) {
	for i := range s.Cand.Initial {
		if s.Cand.Initial[i].Name == name {
			s.Cand.Initial[i].SHA256 = f(s.Ref.Steps[0].State[name]).SHA256()
		}
	}
}

func (s scene) dataDigested(name string, f func(x []int64) []int64) {
	s.Cand.Loaded.Data[name] = ints(s.Data.tensors[name], f).SHA256()
}

func rule(s scene, name string) recipe {
	for _, r := range updateformula.Rules(s.Experiment.Optimizer) {
		if r.Name == name {
			return recipe{rule: r}
		}
	}
	panic("no rule " + name)
}

func TestFingerprints(t *testing.T) {
	times := func(c float64) func(int, float64) float64 { return func(_ int, v float64) float64 { return c * v } }
	type row struct {
		want  string
		stage record.Stage
		plant func(s scene)
	}
	table := []row{
		{NotFinite, record.StageForward, func(s scene) {
			s.becomes("activations/z", func(i int, v float64) float64 { return []float64{v, math.NaN()}[i%2] })
		}},
		{CounterStill, record.StageOptimizer, func(s scene) { s.C.UpdateStep = 1 }},
		{LabelsShifted, record.StageLoss, func(s scene) {
			target := s.Data.Targets(1)
			for i := range target {
				target[i] = (target[i] + 1) % classes
			}
			s.losing(crossEntropy(s.C.Float64["outputs/logits"].Values.Float64s(), classes, target, true))
		}},
		{LabelsShifted, record.StageData, func(s scene) {
			s.dataDigested("train/target", func(x []int64) []int64 {
				for i := range x {
					x[i] = (x[i] + 1) % classes
				}
				return x
			})
		}},
		{ShortBatchDropped, record.StageForward, func(s scene) {
			s.R.Rows = 4
			s.is("activations/z", s.normal(4*width), nil, 4, width)
			s.Suspect.GotShape = []int{rows, width}
		}},
		{ShortBatchDropped, record.StageData, func(s scene) {
			s.dataDigested("offsets", func([]int64) []int64 { return []int64{0, 8, 16, 24, 32} })
		}},
		{BatchesPermuted, record.StageData, func(s scene) {
			s.dataDigested("order", func(x []int64) []int64 {
				for i := range x {
					x[i] = int64(i % samples)
				}
				return x
			})
		}},
		{Augmentation, record.StageData, func(s scene) {
			s.images(otherwise(func(engine.Change) engine.Change { return engine.Change{} }), same)
		}},
		{Augmentation, record.StageData, func(s scene) {
			s.images(otherwise(func(c engine.Change) engine.Change { c.Flip = false; return c }), same)
		}},
		{Augmentation, record.StageData, func(s scene) {
			s.images(func(pixels []float32, c engine.Change, original, _ []float32) {
				engine.Augmented(pixels, original, []int{2, 4, 5}, []float32{0, 0}, c)
			}, same)
		}},
		{ChannelOrder, record.StageData, func(s scene) {
			s.images(func(pixels []float32, _ engine.Change, _, _ []float32) {
				copy(pixels, slices.Concat(pixels[20:], pixels[:20]))
			}, same)
		}},
		{NotNormalized, record.StageData, func(s scene) {
			s.images(func(pixels []float32, _ engine.Change, _, _ []float32) {
				for i := range pixels {
					c := i / 20
					pixels[i] = (pixels[i] - []float32{0.5, 0.25}[c]) / []float32{0.25, 0.125}[c]
				}
			}, same)
		}},
		{BatchDiffers, record.StageData, func(s scene) {
			s.images(func(pixels []float32, _ engine.Change, _, _ []float32) { pixels[7]++ }, same)
		}},
		{LabelsShifted, record.StageData, func(s scene) { s.images(nil, func(c int64) int64 { return (c + 1) % classes }) }},
		{OtherBatch, record.StageData, func(s scene) { s.batchOf(func(step int) int { return max(step-1, 0) }) }},
		{ShortBatchDropped, record.StageData, func(s scene) {
			s.Ref.Steps[1].Step, s.Cand.Steps[1].Step = 3, 3 // after the short batch
			s.batchOf(func(step int) int { return []int{0, 1, 3, 4}[step] })
		}},
		{InputScaled, record.StageData, func(s scene) {
			s.Cand.Loaded.Data["train/x"] = mapped(s.Data.Inputs["x"], func(v float32) float32 { return v * 255 }).SHA256()
		}},
		{WeightsHalf, record.StageWeights, func(s scene) {
			s.digested("parameters/w", func(t *tensor.Tensor) *tensor.Tensor { return mapped(t, toFloat16) })
		}},
		{WeightsTransposed, record.StageWeights, func(s scene) {
			s.digested("parameters/w", func(t *tensor.Tensor) *tensor.Tensor {
				return singles(transposed(t.Float64s(), t.Shape()), t.Shape()...)
			})
		}},
		{WeightsZero, record.StageWeights, func(s scene) {
			s.digested("parameters/b", func(t *tensor.Tensor) *tensor.Tensor { return tensor.New(t.DType(), t.Shape()...) })
		}},
		{OtherLayout, record.StageWeights, func(s scene) { s.Cand.Initial = s.Cand.Initial[1:] }},
		{OtherWeights, record.StageWeights, func(s scene) {
			s.digested("parameters/w", func(t *tensor.Tensor) *tensor.Tensor { return singles(s.normal(t.Len()), t.Shape()...) })
		}},
		{StateNotTaken, record.StageWeights, func(scene) {}},
		{OtherBatch, record.StageLoss, func(s scene) {
			s.losing(crossEntropy(s.C.Float64["outputs/logits"].Values.Float64s(), classes, s.Data.Targets(0), true))
		}},
		{DropoutOff, record.StageForward, func(s scene) {
			in := s.R.Float64["activations/r"].Values.Float64s()
			s.becomes("activations/d", func(i int, _ float64) float64 { return in[i] })
		}},
		{DropoutUnscaled, record.StageForward, func(s scene) { s.becomes("activations/d", times(keep)) }},
		{DropoutMask, record.StageForward, func(s scene) {
			in := s.R.Float64["activations/r"].Values.Float64s()
			s.becomes("activations/d", func(i int, _ float64) float64 { return []float64{0, 1, 1, 1}[(i+1)%4] * in[i] / keep })
		}},
		{Identity, record.StageForward, func(s scene) {
			in := s.R.Float64["activations/z"].Values.Float64s()
			s.becomes("activations/r", func(i int, _ float64) float64 { return in[i] })
		}},
		{ProductOfOther, record.StageForward, func(s scene) {
			x, w, b, shape, plain := s.product0()
			s.becomes("activations/z", func(i int, _ float64) float64 { return timesOnce(x, w, b, shape, !plain)[i] })
		}},
		{WeightsUsedHalf, record.StageForward, func(s scene) {
			x, w, b, shape, plain := s.product0()
			s.becomes("activations/z", func(i int, _ float64) float64 { return timesOnce(x, apply(w, toFloat16), b, shape, plain)[i] })
		}},
		{GeluForm, record.StageForward, func(s scene) {
			x := s.R.Float64["activations/z"].Values.Float64s()
			exact, got := make([]float64, len(x)), make([]float64, len(x))
			for i, v := range x {
				exact[i] = v / 2 * (1 + math.Erf(v/math.Sqrt2))
				got[i] = v / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
			}
			s.is("activations/gelu", exact, got, rows, width)
		}},
		{NormalizedVar, record.StageForward, func(s scene) { s.becomes("activations/z", times(math.Sqrt(5.0/6))) }},
		{AttentionScale, record.StageForward, func(s scene) {
			x := s.normal(2 * 4 * 4)
			y := slices.Clone(x)
			for i := range y {
				y[i] *= math.Sqrt(4)
			}
			s.is("activations/scores", x, y, 2, 4, 4)
		}},
		{LossReduction, record.StageLoss, func(s scene) { s.losing(rows * float64(*s.R.Loss64)) }},
		{NominalDivisor, record.StageLoss, func(s scene) { s.R.Rows = 4; s.losing(0.5 * float64(*s.R.Loss64)) }},
		{LossSettings, record.StageLoss, func(s scene) {
			s.Experiment.Loss.LabelSmoothing = 0.1
			logits := s.C.Float64["outputs/logits"].Values.Float64s()
			s.losing(crossEntropy(logits, classes, s.Data.Targets(1), true))
		}},
		{SoftmaxTwice, record.StageLoss, func(s scene) {
			logits := s.C.Float64["outputs/logits"].Values.Float64s()
			s.losing(crossEntropy(softmax(logits, classes), classes, s.Data.Targets(1), true))
		}},
		{GradientMissing, record.StageBackward, func(s scene) { s.becomes("gradients/b", times(0)) }},
		{Clipped, record.StageBackward, func(s scene) {
			norm := math.Hypot(trace.Norm(s.R.Float64["gradients/w"].Values.Float64s()), trace.Norm(s.R.Float64["gradients/b"].Values.Float64s()))
			s.becomes("gradients/b", times(1/norm))
			s.becomes("gradients/w", times(1/norm))
			s.Suspect = &s.Pairs[0]
		}},
		{BranchGradient, record.StageBackward, func(s scene) {
			s.Model = must(onnx.NewBuilder("branch", 20).Input("x", tensor.Float32, -1, width).
				Initializer("w", tensor.New(tensor.Float32, width, width)).Initializer("b", tensor.New(tensor.Float32, width)).
				Node("MatMul", []string{"x", "w"}, []string{"v"}, nil).
				Node("Add", []string{"v", "b"}, []string{"branch"}, nil).
				Node("Add", []string{"v", "branch"}, []string{"y"}, nil).
				Output("y", tensor.Float32, -1, width).Build())
			s.becomes("gradients/w", func(_ int, v float64) float64 { return v + s.random.NormFloat64() })
			s.Pairs = append(s.Pairs, Pair{Name: "gradients/b"})
		}},
		{BatchFactor, record.StageBackward, func(s scene) { s.becomes("gradients/w", times(1.0/rows)) }},
		{AccumulationFactor, record.StageBackward, func(s scene) {
			s.Experiment.Train = experiment.Train{Batch: rows / 2, Accumulate: 2}
			s.becomes("gradients/w", times(float64(s.Experiment.Train.Parts(rows))))
		}},
		{GradientAccumulated, record.StageBackward, func(s scene) {
			before := s.Ref.Steps[0].Float64["gradients/w"].Values.Float64s()
			s.becomes("gradients/w", func(i int, v float64) float64 { return v + before[i] })
		}},
		{DecayInGradient, record.StageBackward, func(s scene) {
			w := s.R.State["parameters/w"].Float64s()
			s.becomes("gradients/w", func(i int, v float64) float64 { return v + 0.03*w[i] })
		}},
		{RowsOverwritten, record.StageBackward, func(s scene) {
			count := map[int]int{}
			for _, v := range s.Data.Input("ids", 1).Float64s() {
				count[int(v)]++
			}
			exact, got := s.normal(10*4), []float64{}
			for i, v := range exact {
				if count[i/4] == 0 {
					exact[i], v = 0, 0
				}
				if count[i/4] > 1 {
					v = v/2 + 0.1*float64(i%4)
				}
				got = append(got, v)
			}
			s.is("gradients/embedding", exact, got, 10, 4)
		}},
		{ScheduleOffByOne, record.StageOptimizer, func(s scene) {
			s.Experiment.Schedule = experiment.Schedule{Kind: "linear", WarmUp: 5}
			s.updated(recipe{rule: updateformula.Right(s.settings(1))}, "adamw")
		}},
		{ClippingMissing, record.StageOptimizer, func(s scene) {
			s.Experiment.Optimizer.ClipNorm = 1
			s.updated(recipe{rule: updateformula.Right(s.settings(0)), clip: unclipped}, "adamw")
		}},
		{ClippingEach, record.StageOptimizer, func(s scene) {
			s.Experiment.Optimizer.ClipNorm = 1
			s.updated(recipe{rule: updateformula.Right(s.settings(0)), clip: clipEach}, "adamw")
		}},
		{ClippingValues, record.StageOptimizer, func(s scene) {
			s.Experiment.Optimizer.ClipNorm = 1
			s.updated(recipe{rule: updateformula.Right(s.settings(0)), clip: clipValues}, "adamw")
		}},
		{ClippingDecay, record.StageOptimizer, func(s scene) {
			s.Experiment.Optimizer.ClipNorm, s.Experiment.Optimizer.Kind = 1, "adam"
			o := s.settings(0)
			o.WeightDecay = 0
			s.updated(recipe{rule: updateformula.Right(o), clip: clipAfterDecay}, "adam")
		}},
		{Epsilon, record.StageForward, func(s scene) { s.attends("normed", func(a *attention) { a.epsilon = 1e-6 }) }},
		{Epsilon, record.StageForward, func(s scene) { s.attends("projected", func(a *attention) { a.epsilon = 0 }) }},
		{KernelFlipped, record.StageForward, func(s scene) { s.convolves("filtered", func(f *filter) { f.flipped = true }) }},
		{StrideOffset, record.StageForward, func(s scene) { s.convolves("filtered", func(f *filter) { f.before = 0 }) }},
		{Epsilon, record.StageForward, func(s scene) { s.convolves("normed", func(f *filter) { f.epsilon = 1e-3 }) }},
		{NormalizedVar, record.StageForward, func(s scene) { s.attends("normed", func(a *attention) { a.unbiased = true }) }},
		{AttentionScale, record.StageForward, func(s scene) { s.attends("projected", func(a *attention) { a.scale = 1.0 / headWidth }) }},
		{AttentionScale, record.StageForward, func(s scene) { s.attends("projected", func(a *attention) { a.scale = 1 }) }},
		{AttentionMask, record.StageForward, func(s scene) { s.attends("projected", func(a *attention) { a.ahead = 1 }) }},
		{AttentionMask, record.StageForward, func(s scene) { s.attends("projected", func(a *attention) { a.ahead = length }) }},
		{DropoutOff, record.StageForward, func(s scene) { s.attends("projected", func(a *attention) { a.eval = true }) }},
		{DecayGroups, record.StageOptimizer, func(s scene) {
			s.Experiment.Optimizer.NoDecay = []string{"b"}
			s.updated(recipe{rule: updateformula.Right(s.settings(0)), allDecay: true}, "adamw")
		}},
		{DecayGroups, record.StageOptimizer, func(s scene) {
			s.updated(recipe{rule: updateformula.Right(s.settings(0)), matrices: true}, "adamw")
		}},
		{LearningRate, record.StageOptimizer, func(s scene) {
			o := s.settings(0)
			o.LearningRate *= 2
			s.updated(recipe{rule: updateformula.Right(o)}, "adamw")
		}},
		{OtherDecay, record.StageOptimizer, func(s scene) {
			s.updated(recipe{rule: updateformula.WithDecay(s.settings(0), 0.037)}, "adamw")
		}},
		{OtherDecay, record.StageOptimizer, func(s scene) {
			s.Experiment.Optimizer.Kind = "rmsprop"
			s.updated(recipe{rule: updateformula.WithDecay(s.settings(0), 0.037)}, "rmsprop")
		}},
		{OtherDecay, record.StageOptimizer, func(s scene) {
			s.Experiment.Optimizer.Kind, s.Experiment.Optimizer.Centered = "rmsprop", true
			s.updated(recipe{rule: updateformula.WithDecay(s.settings(0), 0.037)}, "rmsprop")
		}},
		{OtherDecay, record.StageOptimizer, func(s scene) {
			s.Experiment.Optimizer.Kind = "adagrad"
			s.updated(recipe{rule: updateformula.WithDecay(s.settings(0), 0)}, "adagrad")
		}},
		{OtherDecay, record.StageOptimizer, func(s scene) {
			s.Experiment.Optimizer.Kind = "lion"
			s.updated(recipe{rule: updateformula.WithDecay(s.settings(0), 0.037)}, "lion")
		}},
		{BufferUnchanged, record.StageBuffers, func(s scene) {
			before := s.R.State["buffers/mean"].Float64s()
			s.is("buffers/mean", s.normal(width), before, width)
		}},
		{BufferMomentum, record.StageBuffers, func(s scene) {
			before, x, y := s.R.State["buffers/mean"].Float64s(), s.normal(width), make([]float64, width)
			for i := range x {
				y[i] = before[i] + 9*(x[i]-before[i])
			}
			s.is("buffers/mean", x, y, width)
		}},
		{VarianceBiased, record.StageBuffers, func(s scene) {
			s.Model.Manifest = &onnx.Manifest{BatchNorm: []onnx.BatchNorm{{Mean: "m", Var: "mean", Momentum: 0.1}}}
			before, x, y := s.R.State["buffers/mean"].Float64s(), make([]float64, width), make([]float64, width)
			for i, v := range s.normal(width) {
				x[i] = before[i] + 0.1*(v*v-before[i])
				y[i] = before[i] + 0.1*(v*v*15/16-before[i]) // 16 = rows times 2 positions
			}
			s.is("buffers/mean", x, y, width)
		}},
		{CarriedBetweenStep, record.StageCurve, func(s scene) {
			for i := range s.Cand.Steps {
				c := &s.Cand.Steps[i]
				for k := range 8 {
					c.Replay = append(c.Replay, engine.Float(s.Ref.Losses[c.Step+1+k]*(1+0.01*float64(min(k, 1)))))
				}
			}
		}},
		{BatchesMisaligned, record.StageCurve, func(s scene) {
			for t := s.Step; t+1 < len(s.Cand.Losses); t++ {
				s.Cand.Losses[t] = s.Ref.Losses[t+1] * 1.001
			}
		}},
		{OtherBatchOnce, record.StageCurve, func(s scene) { s.Cand.Losses[1] *= 1.2; s.Cand.Losses[2] *= 1.001 }},
		{Sign, record.StageBackward, func(s scene) { s.becomes("gradients/w", times(-1)) }},
		{Transposed, record.StageBackward, func(s scene) {
			other := transposed(s.R.Float64["gradients/w"].Values.Float64s(), []int{width, width})
			s.becomes("gradients/w", func(i int, _ float64) float64 { return other[i] })
		}},
		{Shifted, record.StageForward, func(s scene) {
			x := s.normal(rows * width)
			y := s.normal(rows * width)
			for i := range y {
				if i%width+1 < width {
					y[i+1] = x[i]
				}
			}
			s.is("activations/conv", x, y, rows, width)
		}},
		{HalfPrecision, record.StageBackward, func(s scene) {
			s.becomes("gradients/w", func(_ int, v float64) float64 { return float64(toFloat16(float32(v))) })
		}},
		{PreviousStep, record.StageBackward, func(s scene) {
			other := s.Ref.Steps[0].Float64["gradients/w"].Values.Float64s()
			s.becomes("gradients/w", func(i int, _ float64) float64 { return other[i] })
		}},
		{AllZero, record.StageForward, func(s scene) { s.becomes("activations/z", times(0)) }},
		{LastRows, record.StageForward, func(s scene) {
			s.becomes("activations/z", func(i int, v float64) float64 {
				if i >= (rows-2)*width {
					return 3*v + float64(i%width)
				}
				return v
			})
		}},
		{RowScaled, record.StageForward, func(s scene) {
			s.becomes("activations/z", func(i int, v float64) float64 { return v * (1 + 1e-4*float64(i/width)) })
		}},
		{Scaled, record.StageBackward, func(s scene) { s.becomes("gradients/w", times(1.0001)) }},
		{MissingTensor, record.StageForward, func(s scene) { s.is("outputs/logits", s.normal(8), nil, 8); s.Suspect.GotShape = nil }},
	}
	for _, m := range updateformula.Mistakes {
		for _, kind := range updateformula.Kinds() {
			s := newScene(0, record.StageOptimizer)
			s.Experiment.Optimizer.Kind = kind
			if !slices.ContainsFunc(updateformula.Rules(s.Experiment.Optimizer), func(r updateformula.Rule) bool { return r.Name == m.Name }) {
				continue
			}
			table = append(table, row{m.Name, record.StageOptimizer, func(s scene) {
				s.Experiment.Optimizer.Kind = kind
				s.updated(rule(s, m.Name), kind)
			}})
		}
	}
	tested := map[string]bool{}
	for i, test := range table {
		tested[test.want] = true
		t.Run(fmt.Sprintf("%s in %s %d", test.want, test.stage, i), func(t *testing.T) {
			for seed := range uint64(3) {
				s := newScene(seed, test.stage)
				test.plant(s)
				causes := Causes([]*Look{s.Look})
				if len(causes) == 0 || causes[0].Name != test.want {
					t.Errorf("seed %d: causes %+v, want %s first", seed, causes, test.want)
				}
			}
		})
	}
	for _, f := range Table {
		if !tested[f.Name] {
			t.Errorf("no row for the fingerprint %q", f.Name)
		}
	}
}

// product0 is the product's factors before there is a suspect.
func (s scene) product0() (x, w, b []float64, shape [3]int, transposed bool) {
	return s.Data.Input("x", s.Step).Float64s(), s.R.State["parameters/w"].Float64s(), s.R.State["parameters/b"].Float64s(), [3]int{rows, width, width}, true
}

func timesOnce(x, w, b []float64, shape [3]int, transposed bool) []float64 {
	return times(x, w, b, shape[0], shape[1], shape[2], transposed)
}

// TestNoneInNoise has suspects that are off by noise of every size, and random ones: no fingerprint may be found.
func TestNoneInNoise(t *testing.T) {
	for seed := range uint64(20) {
		for _, size := range []float64{1e-9, 1e-6, 1e-3, 1, 1e3} {
			for stage, names := range map[record.Stage][]string{
				record.StageForward:  {"activations/z", "activations/r", "activations/d", "outputs/logits"},
				record.StageBackward: {"gradients/w", "gradients/b"},
				record.StageBuffers:  {"buffers/mean"},
			} {
				for _, name := range names {
					s := newScene(seed, stage)
					if stage == record.StageBuffers {
						s.R.Float64[name] = sampled(s.normal(width), width)
					}
					scale := trace.Norm(s.R.Float64[name].Values.Float64s()) / math.Sqrt(float64(s.R.Float64[name].Len()))
					s.becomes(name, func(_ int, v float64) float64 { return v + size*scale*s.random.NormFloat64() })
					if causes := Causes([]*Look{s.Look}); len(causes) > 0 {
						t.Errorf("seed %d, %s, noise %g: %+v", seed, name, size, causes)
					}
				}
			}
			s := newScene(seed, record.StageLoss)
			s.losing(float64(*s.R.Loss64) * (1 + size*s.random.NormFloat64()))
			if causes := Causes([]*Look{s.Look}); len(causes) > 0 {
				t.Errorf("seed %d, loss, noise %g: %+v", seed, size, causes)
			}
			for _, kind := range []string{"adam", "adamw", "sgd"} {
				s := newScene(seed, record.StageOptimizer)
				s.updated(rule(s, NeverSteps), kind)
				for i := range s.Pairs {
					p := &s.Pairs[i]
					for k, v := range p.Exact {
						p.Got[k] = v + size*p.Size*s.random.NormFloat64()
					}
					p.Off = true
				}
				if causes := Causes([]*Look{s.Look}); len(causes) > 0 {
					t.Errorf("seed %d, %s, noise %g: %+v", seed, kind, size, causes)
				}
			}
			s = newScene(seed, record.StageCurve)
			for i := range s.Cand.Losses {
				s.Cand.Losses[i] += size * s.random.NormFloat64()
			}
			if causes := slices.DeleteFunc(Causes([]*Look{s.Look}), func(c record.Cause) bool { return c.Certainty == record.Possible }); len(causes) > 0 {
				t.Errorf("seed %d, curve, noise %g: %+v", seed, size, causes)
			}
		}
	}
}

// TestMostStepsMustBearIt shows a fingerprint at one of three failing steps.
func TestMostStepsMustBearIt(t *testing.T) {
	looks := func(planted int) (out []*Look) {
		for i := range 3 {
			s := newScene(uint64(i), record.StageBackward)
			s.becomes("gradients/w", func(_ int, v float64) float64 {
				if i < planted {
					return 2 * v
				}
				return v + s.random.NormFloat64()
			})
			out = append(out, s.Look)
		}
		return out
	}
	for planted, want := range []int{0, 0, 1, 1} {
		if got := Causes(looks(planted)); len(got) != want {
			t.Errorf("at %d of 3 steps: %+v, want %d causes", planted, got, want)
		}
	}
}

// TestTable holds the table itself.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range Table {
		if f.Name == "" || f.Looks == "" || f.Find == nil || len(f.Stages) == 0 || certainty(f.Certainty) < 0 || seen[f.Name] {
			t.Errorf("incomplete or twice: %+v", f)
		}
		seen[f.Name] = true
	}
}
