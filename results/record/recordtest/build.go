package recordtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tandem/fixtures/experiment"
	"tandem/results/engine"
	"tandem/results/record"
)

// steps of the default run: 5 epochs of 157 batches, the last of 8 rows.
const steps = 785

// batchNoise is the standard deviation of one batch's loss around the mean curve, as a share of it.
const batchNoise = 0.12

var tensors = []struct {
	name  string
	shape []int
}{
	{"net.0.weight", []int{128, 784}},
	{"net.0.bias", []int{128}},
	{"net.3.weight", []int{64, 128}},
	{"net.3.bias", []int{64}},
	{"net.6.weight", []int{10, 64}},
	{"net.6.bias", []int{10}},
}

// Faster is a PASS whose candidate is about 2.3 times faster.
func Faster() *record.Run {
	r := base()
	r.Timing = timing(0.312e-3)
	r.Timing.Claim = fmt.Sprintf("native is %.2f times faster than pytorch fused at 1 thread each (95 %% interval %.2f to %.2f)",
		r.Timing.Measured.Median, r.Timing.Measured.Low, r.Timing.Measured.High)
	claim(r)
	return r
}

// Profiled is Faster with what a step of the candidate is spent on.
func Profiled() *record.Run {
	r := Faster()
	r.Profile = &record.Profile{
		Engine: "native", Threads: 1, StepSeconds: record.Quantile{Median: 312e-6, Low: 310e-6, High: 317e-6, N: 300, Confidence: 0.954},
		CallsSeconds: 310.4e-6, LimitSeconds: 212e-6, SerialSeconds: 242e-6, OperationsPerSecond: 175.4e9,
		Bandwidths: []engine.Bandwidth{{SetBytes: 64 << 10, BytesPerSecond: 212e9}, {SetBytes: 16 << 20, BytesPerSecond: 28.4e9}},
		Calls: []record.ProfileCall{
			{Phase: "forward", Operator: "Conv", Layer: "node_conv2d", Algorithm: "winograd F(4x4)", Seconds: 120e-6, LimitSeconds: 100e-6, Operations: 17.5e6, Bytes: 400_000},
			{Phase: "forward", Operator: "Gemm", Layer: "node_linear", Seconds: 4e-6, LimitSeconds: 2e-6, Operations: 0.2e6, Bytes: 33_000},
			{Phase: "loss", Operator: "SoftmaxCrossEntropyLoss", Layer: "loss", Seconds: 0.4e-6, LimitSeconds: 0.1e-6, Bytes: 1320},
			{Phase: "backward", Operator: "tandem.ConvWeights", Layer: "node_conv2d", Algorithm: "direct", Seconds: 186e-6, LimitSeconds: 109.9e-6, Operations: 17.5e6, Bytes: 400_000},
		},
		Layers: []record.ProfileLayer{
			{
				Layer: "node_conv2d", Module: "stem|conv", Operator: "Conv", Algorithms: []string{"winograd F(4x4)", "direct"},
				ForwardSeconds: 120e-6, BackwardSeconds: 186e-6, Operations: 35e6, Bytes: 800_000, LimitSeconds: 209.9e-6,
			},
			{Layer: "node_linear", Module: "net.0", Operator: "Gemm", ForwardSeconds: 4e-6, Operations: 0.2e6, Bytes: 33_000, LimitSeconds: 2e-6},
			{Layer: "loss", Operator: "SoftmaxCrossEntropyLoss", ForwardSeconds: 0.4e-6, Bytes: 1320, LimitSeconds: 0.1e-6},
		},
		Operators: []record.ProfileOperator{
			{Phase: "backward", Operator: "tandem.ConvWeights", Calls: 1, Seconds: 186e-6, LimitSeconds: 109.9e-6},
			{Phase: "forward", Operator: "Conv", Calls: 1, Seconds: 120e-6, LimitSeconds: 100e-6},
			{Phase: "forward", Operator: "Gemm", Calls: 1, Seconds: 4e-6, LimitSeconds: 2e-6},
			{Phase: "loss", Operator: "SoftmaxCrossEntropyLoss", Calls: 1, Seconds: 0.4e-6, LimitSeconds: 0.1e-6},
		},
	}
	return r
}

// Slower is a PASS whose candidate is about 6.1 times slower.
func Slower() *record.Run {
	r := base()
	r.Timing = timing(4.36e-3)
	r.Timing.Claim = fmt.Sprintf("native is %.2f times slower than pytorch fused at 1 thread each (95 %% interval %.2f to %.2f)",
		1/r.Timing.Measured.Median, 1/r.Timing.Measured.High, 1/r.Timing.Measured.Low)
	claim(r)
	return r
}

// Failed is a FAIL in the backward stage: the gradient of one layer has a wrong scale.
func Failed() *record.Run {
	r := Faster()
	r.Engines[1].Mutant = "gradient scaled by 1/B twice"
	p := &r.Parity
	p.Verdict, p.Stage = record.Fail, record.StageBackward
	p.Reasons = []string{
		"gradients: net.0.weight at step 0 is off by 0.97 relative to float64, 6.43e+06 times the reference's own noise of 1.5e-07; more than 16 times was seen on 5 of 5 judged steps.",
		"gradients: in float64, net.0.weight at step 0 is off by 0.97 relative, where 1e-10 is allowed; rounding shrinks by 5e8 when the precision doubles, a mistake does not (5 of 5 judged steps).",
	}
	for i := range p.Steps {
		for j := range p.Steps[i].Gradients {
			g := &p.Steps[i].Gradients[j]
			g.Error, g.Rho = 0.96875, 0.96875/g.Floor
			g.Float64Gap = new(record.Float(0.96875))
		}
	}
	setStage(p, record.StageBackward, record.Fail, "net.0.weight at step 0")
	worst := p.Steps[0].Gradients[len(p.Steps[0].Gradients)-1]
	p.Diagnosis = &record.Diagnosis{
		Stage: record.StageBackward, Step: 0, FailingSteps: []int{0, 1, 157, 400, 784}, Tensor: "gradients/net.6.bias",
		Error: &worst.Error, Rho: &worst.Rho, Float64Gap: worst.Float64Gap,
		Operator: &record.Operator{Node: "node_linear_2", Op: "Gemm", Module: "net.6", Source: "mlp.py:14: return self.net(x)", Among: []string{"node_dropout_1"}},
		Causes: []record.Cause{{
			Name: "batch-factor", Certainty: record.Exact, Residual: new(record.Float(8.1e-17)), Steps: []int{0, 1, 157, 400, 784},
			Text: "gradients/net.6.bias is the reference's times 1/B: it is divided by the batch twice (B = 32), as 6 of the 6 tensors that are off are",
		}},
		Summary: "gradients/net.6.bias leaves the noise first at step 0, at node \"node_linear_2\" (Gemm) of the module net.6; nothing between it and " +
			"node_dropout_1 was compared, so those may be to blame as well. Cause: gradients/net.6.bias is the reference's times 1/B: it is divided by the batch twice (B = 32), " +
			"as 6 of the 6 tensors that are off are.",
		Evidence: "evidence",
	}
	unclaim(r, "no speed-up is claimed: the verdict is FAIL")
	r.Accuracy.Candidate = 0.802
	return r
}

// Undecided is an INCONCLUSIVE between the two limits.
func Undecided() *record.Run {
	r := Faster()
	p := &r.Parity
	p.Verdict = record.Inconclusive
	p.Reasons = []string{
		"gradients: net.0.weight at step 157 is off by 7.3 times the reference's own noise, between the 4 of a PASS and the 16 of a FAIL; so it is on 1 of 5 judged steps.",
	}
	setStage(p, record.StageBackward, record.Inconclusive, "net.0.weight at step 157")
	for j := range p.Steps[2].Gradients {
		g := &p.Steps[2].Gradients[j]
		g.Rho = 7.3 - record.Float(j)*0.4
		g.Error = g.Rho * g.Floor
	}
	unclaim(r, "no speed-up is claimed: the verdict is INCONCLUSIVE")
	r.Warnings = append(r.Warnings, "The A/A run is wide (5 %): something else used the processor.")
	return r
}

// Checked is a PASS of the command check: against a recorded reference, without timing.
func Checked() *record.Run {
	r := base()
	r.Command = "check"
	r.Seconds = 3.2
	r.Engines[0].Recorded = true
	r.Timing = nil
	r.TimingAbsent = "speed needs a live reference: tandem run mnist-mlp measures it"
	r.Memory = nil
	r.Forward = r.Forward[:1]
	r.Environment.CommandLine = []string{"tandem", "check", "mnist-mlp"}
	r.Warnings = nil
	return r
}

// claim makes the measured ratios the claimed ones.
func claim(r *record.Run) {
	claimed := func(m record.Speedup) *record.Speedup {
		m.Ratios = slices.Clone(m.Ratios)
		return &m
	}
	r.Timing.Speedup = claimed(r.Timing.Measured)
	for i := range r.Timing.Comparisons {
		c := &r.Timing.Comparisons[i]
		c.Speedup = claimed(c.Measured)
		x, word := c.Measured, "faster"
		if x.Median < 1 {
			x, word = record.Speedup{Median: 1 / x.Median, Low: 1 / x.High, High: 1 / x.Low}, "slower"
		}
		at := "at 2 threads each"
		if c.Candidate.Threads != c.Reference.Threads {
			at = "at 2 threads, itself at 1 thread"
		}
		c.Claim = fmt.Sprintf("native is %.2f times %s than pytorch fused %s (95 %% interval %.2f to %.2f)", x.Median, word, at, x.Low, x.High)
	}
}

// unclaim leaves the measured ratios without a claim.
func unclaim(r *record.Run, words string) {
	r.Timing.Speedup, r.Timing.Claim = nil, words
	for i := range r.Timing.Comparisons {
		r.Timing.Comparisons[i].Speedup, r.Timing.Comparisons[i].Claim = nil, words
	}
}

func setStage(p *record.Parity, s record.Stage, v record.Verdict, worst string) {
	for i := range p.Stages {
		if p.Stages[i].Stage == s {
			p.Stages[i].Verdict, p.Stages[i].Worst, p.Stages[i].Summary = v, worst, p.Reasons[0]
		}
	}
}

// base is a PASS of the default run without its timing.
func base() *record.Run {
	return &record.Run{
		Schema:     record.Schema,
		Command:    "run",
		Started:    time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC),
		Seconds:    48.7,
		Experiment: mlp(),
		Data: record.Data{
			Source:      "fashion-mnist-slice",
			Description: "Fashion-MNIST, the first 5,000 training and 1,000 test images (embedded)",
			License:     "MIT",
			TrainRows:   5000, TestRows: 1000, Steps: steps,
			SHA256: map[string]string{
				"train/input": digest(1), "train/target": digest(2), "test/input": digest(3), "test/target": digest(4),
				"order": digest(5), "offsets": digest(6),
			},
		},
		Model: model(),
		Engines: []record.Engine{
			{
				Role: record.Reference, Name: "pytorch", Version: "1", Device: "cpu", Threads: 1, Mode: "eager",
				Versions: map[string]string{"torch": "2.15.0+cpu", "python": "3.11.9", "onnx": "1.23.2"},
			},
			{
				Role: record.Candidate, Name: "native", Version: "0.1.0", Device: "cpu", Threads: 1,
				Versions: map[string]string{"go": "go1.26.8"},
			},
		},
		Parity: parity(),
		Loss:   losses(),
		Accuracy: &record.Accuracy{
			Rows: 1000, Reference: 0.823, Candidate: 0.823, Initial: 0.094,
		},
		Forward: []record.ForwardLook{
			{Weights: "initial", A: "pytorch", B: "native", Rows: 1000, MaxDiff: 2.31e-7, Limit: 1e-5, OK: true},
			{Weights: "initial", A: "pytorch", B: "onnxruntime", Rows: 1000, MaxDiff: 2.74e-7, Limit: 1e-5, OK: true},
			{Weights: "reference's trained", A: "pytorch", B: "native", Rows: 1000, MaxDiff: 3.02e-7, Limit: 1e-5, OK: true},
			{Weights: "candidate's trained", A: "native", B: "onnxruntime", Rows: 1000, Limit: 1e-5, Skipped: "built without cgo"},
		},
		TimingAbsent: "",
		Memory: map[record.Role]record.MemoryUse{
			record.Reference: {
				BaselineBytes: 526_385_152, PeakBytes: 697_303_040, DataBytes: 19_070_512, BaselineOwnBytes: 221_249_536, PeakOwnBytes: 377_487_360,
				Samples: []record.MemorySample{{Steps: 1, Bytes: 688_914_432}, {Steps: 171, Bytes: 696_254_464}, {Steps: 221, Bytes: 697_303_040}},
			},
			record.Candidate: {
				BaselineBytes: 8_912_896, PeakBytes: 36_175_872, BaselineOwnBytes: 3_145_728, PeakOwnBytes: 28_311_552,
				Samples: []record.MemorySample{{Steps: 1, Bytes: 34_603_008}, {Steps: 21, Bytes: 34_603_008}, {Steps: 71, Bytes: 34_865_152}},
			},
		},
		Environment: record.Environment{
			Tandem: "0.1.0", Go: "go1.26.8", OS: "linux", Arch: "amd64", Kernel: "6.12.0",
			CPU: "AMD EPYC 9R14 96-Core Processor", CPUFeatures: []string{"avx2", "fma", "avx512f"}, Cores: 2, MemoryBytes: 8 << 30,
			LoadBefore: []float64{0.31, 0.22, 0.18}, LoadAfter: []float64{1.04, 0.61, 0.33}, FrequencyMHz: []float64{3689.1, 3701.4},
			Variables:   map[string]string{"OMP_NUM_THREADS": "1"},
			CommandLine: []string{"tandem", "run", "mnist-mlp", "--threads", "1"},
		},
		Warnings: []string{"The load was 1.04 when the timing ended: another program may have slowed both engines."},
	}
}

func mlp() *experiment.Experiment {
	return &experiment.Experiment{
		Name:        "mnist-mlp",
		Description: "784-128-64-10, ReLU, dropout 0.2, on 28x28 images",
		Seed:        42,
		Model:       experiment.Model{Source: "tandem.models:mlp", Args: map[string]any{"dropout": 0.2}, Opset: 18},
		Data: experiment.Data{
			Source: "fashion-mnist-slice", Train: 5000, Test: 1000, Flatten: true, Shuffle: true, InputName: "input",
		},
		Loss:      experiment.Loss{Kind: "cross_entropy", Reduction: "mean"},
		Optimizer: experiment.Optimizer{Kind: "adam", LearningRate: 1e-3, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8},
		Train:     experiment.Train{Batch: 32, Epochs: 5},
		Parity:    experiment.Parity{JudgedSteps: []int{0, 1, 157, 400, -1}, Thresholds: experiment.DefaultThresholds},
		Timing:    experiment.Timing{Blocks: 20, BlockSteps: 50, WarmUp: 50, Modes: []string{"eager", "fused"}},
	}
}

func model() record.Model {
	m := record.Model{
		File: "model.onnx", SHA256: digest(7), Exporter: "torch.onnx 2.15.0", Opset: 18, DropoutSites: 2,
		ExporterChecks: []string{"2 Dropout nodes kept with training_mode true", "6 initializers under PyTorch's parameter names"},
	}
	for i, t := range tensors {
		n := 1
		for _, d := range t.shape {
			n *= d
		}
		m.Parameters += n
		m.Tensors = append(m.Tensors, engine.TensorInfo{Name: t.name, DType: "float32", Shape: t.shape, SHA256: digest(10 + i)})
	}
	return m
}

// losses are two curves that part slowly, as rounding makes two right trainings part.
func losses() record.Losses {
	rng := rand.New(rand.NewPCG(1, 2))
	var l record.Losses
	for i := range steps {
		mean := 0.42 + 1.88*math.Exp(-float64(i)/45) + 0.1*math.Exp(-float64(i)/400)
		loss := mean * (1 + batchNoise*rng.NormFloat64())
		if i == 0 {
			loss = 2.3147
		}
		envelope := min(1.5e-7*math.Exp(float64(i)/52), 0.03)
		if i > 0 {
			envelope = max(envelope, float64(l.Envelope[i-1]))
		}
		apart := 0.5 * envelope * rng.NormFloat64() / 1.5
		if i%40 == 0 { // now and then both engines round alike
			apart = 0
		}
		l.Reference = append(l.Reference, record.Float(float32(loss)))
		l.Candidate = append(l.Candidate, record.Float(float32(float64(float32(loss))*(1+apart))))
		l.Envelope = append(l.Envelope, record.Float(envelope))
	}
	return l
}

func parity() record.Parity {
	rng := rand.New(rand.NewPCG(3, 4))
	errs := func(prefix string) []record.TensorError {
		var out []record.TensorError
		for _, t := range tensors {
			floor := 1.19e-7 * (1 + rng.Float64())
			rho := 0.4 + 1.1*rng.Float64()
			out = append(out, record.TensorError{
				Name: prefix + t.name, Error: record.Float(rho * floor), Floor: record.Float(floor), Rho: record.Float(rho),
				Float64Gap: new(record.Float(1e-16 * (1 + rng.Float64()))),
			})
		}
		return out
	}
	p := record.Parity{
		Verdict:               record.Pass,
		InitialStateIdentical: true, DataIdentical: true,
		Stages: []record.StageResult{
			{Stage: record.StageData, Checked: 6, Summary: "All 6 data tensors are the same bits."},
			{Stage: record.StageWeights, Checked: 114, Summary: "All 114 tensors of the initial state and of the given states are the same bits."},
			{Stage: record.StageForward, Checked: 30, Worst: "logits at step 400", Summary: within("forward", 30, 1.4)},
			{Stage: record.StageLoss, Checked: 5, Worst: "loss at step 157", Summary: within("loss", 5, 0.48)},
			{Stage: record.StageBackward, Checked: 30, Worst: "net.0.weight at step 1", Summary: within("backward", 30, 1.5)},
			{Stage: record.StageOptimizer, Checked: 90, Worst: "net.0.weight at step 1", Summary: within("optimizer", 90, 1.5)},
			{
				Stage: record.StageCurve, Checked: 785, Worst: "step 231",
				Summary: "The free-running losses stay inside the envelope of the reference's nudged runs for all 785 steps, typically 0.31 times " +
					"as far from the reference as those are before they part by 0.001 at step 458, and beyond 4 times at 0 % of these steps.",
			},
		},
		Curve: &record.Curve{
			Steps: steps, Horizon: 458, Variants: []string{"threads-2", "no-onednn", "permuted-rows", "nudged-up", "nudged-down"},
			WorstStep: 231, WorstRelative: 1.06e-5, WorstRatio: 0.83, MedianRatio: 0.31, LargestAfter: 0.0213, FirstTenth: 1.4412, LastTenth: 0.4327,
		},
		FinalWeights: errs(""),
		Proof:        &record.Proof{Applicable: 31, Caught: 31},
	}
	for i := range p.Stages {
		p.Stages[i].Verdict = record.Pass
		p.Reasons = append(p.Reasons, p.Stages[i].Summary) // as the judge gives a PASS its reasons
	}
	for _, s := range []int{0, 1, 157, 400, 784} {
		rows := 32
		if s == 784 {
			rows = 8
		}
		p.Steps = append(p.Steps, record.JudgedStep{
			Step: s, Rows: rows,
			Loss:      record.LossError{Reference: 0.51, Candidate: 0.51, ReferenceFloat64: 0.51, CandidateFloat64: 0.51, Rho: record.Float(rng.Float64())},
			Gradients: errs(""), Outputs: errs("activation of ")[:3], Update: errs("parameters/"), WholeStep: errs("optimizer/exp_avg/"),
		})
	}
	return p
}

// within is the judge's sentence for a stage that passed.
func within(stage string, checked int, rho float64) string {
	return fmt.Sprintf("The stage %q agrees in %d comparisons: the largest error is %.2g times the reference's own noise, where 4 may be, and the largest float64 gap is "+
		"2.0e-16, where 1e-10 may be.", stage, checked, rho)
}

// timing is of twenty paired blocks; the candidate's step takes about the given seconds.
func timing(candidate float64) *record.Timing {
	rng := rand.New(rand.NewPCG(5, 6))
	const blocks = 20
	samples := func(seconds float64) []float64 {
		var out []float64
		for range blocks {
			out = append(out, seconds*(1+0.012*math.Abs(rng.NormFloat64())))
		}
		return out
	}
	quantile := func(xs []float64) record.Quantile {
		s := slices.Sorted(slices.Values(xs))
		// The 6th and 15th of 20 ordered samples hold the median with 95.9 %.
		return record.Quantile{Median: (s[9] + s[10]) / 2, Low: s[5], High: s[14], N: blocks, Confidence: 0.959}
	}
	contender := func(name, mode string, seconds, first, cold float64) record.EngineTiming {
		xs := samples(seconds)
		return record.EngineTiming{
			Engine: name, Mode: mode, Threads: 1, StepSeconds: quantile(xs), BlockMedians: xs,
			FirstStepSeconds: first, ColdStartSeconds: cold,
		}
	}
	ratio := func(a, b []float64) record.Speedup {
		var xs []float64
		for i := range a {
			xs = append(xs, a[i]/b[i])
		}
		q := quantile(xs)
		return record.Speedup{Median: q.Median, Low: q.Low, High: q.High, N: q.N, Ratios: xs}
	}
	eager := contender("pytorch", "eager", 0.993e-3, 0.0121, 2.41)
	fused := contender("pytorch", "fused", 0.712e-3, 0.0118, 2.38)
	native := contender("native", "", candidate, 0.00131, 0.0472)
	threads := func(e record.EngineTiming, n int) record.EngineTiming {
		e.Threads = n
		return e
	}
	fused2, native2 := threads(contender("pytorch", "fused", 0.689e-3, 0.0131, 2.42), 2), threads(contender("native", "", 0.55*candidate, 0.00119, 0.0469), 2)
	compare := func(kind record.ComparisonKind, a, b record.EngineTiming) record.Comparison {
		return record.Comparison{
			Kind: kind, Reference: record.Setup{Mode: a.Mode, Threads: a.Threads}, Candidate: record.Setup{Mode: b.Mode, Threads: b.Threads},
			Measured: ratio(a.BlockMedians, b.BlockMedians),
		}
	}
	return &record.Timing{
		Others:      []record.EngineTiming{fused2, native2},
		Comparisons: []record.Comparison{compare(record.LikeForLike, fused2, native2), compare(record.AtItsBest, fused2, native)},
		LeftOut:     []record.LeftOut{{Mode: "compile", Threads: 1, Reason: `mode "compile": torch.compile needs a C++ compiler, and there is no g++`}},
		Blocks:      blocks, BlockSteps: 50, Reference: fused, Candidate: native, Modes: []record.EngineTiming{eager, fused},
		Measured:   ratio(fused.BlockMedians, native.BlockMedians),
		Resolution: ratio(samples(0.712e-3), samples(0.712e-3)), ResolutionMode: "fused",
	}
}

// digest is a made-up SHA-256.
func digest(i int) string {
	rng := rand.New(rand.NewPCG(uint64(i), 9))
	return fmt.Sprintf("%016x%016x%016x%016x", rng.Uint64(), rng.Uint64(), rng.Uint64(), rng.Uint64())
}
