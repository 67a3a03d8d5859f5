package judge_test

import (
	"maps"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/onnx/tensor"
	"tandem/results/engine"
	"tandem/results/judge"
	"tandem/results/record"
	"tandem/results/trace"
	"tandem/results/trace/tracetest"
)

// traces returns copies of a clean pair whose maps and slices may be changed.
func traces(t *testing.T) (*trace.Reference, *trace.Candidate) {
	t.Helper()
	shared := reference(t, 0, usual)
	ref := *shared
	ref.Steps = slices.Clone(shared.Steps)
	for i := range ref.Steps {
		s := &ref.Steps[i]
		cloneMeasured(&s.Measured)
		s.Before, s.Exact, s.State = maps.Clone(s.Before), maps.Clone(s.Exact), maps.Clone(s.State)
		s.Noise = slices.Clone(s.Noise)
		for k := range s.Noise {
			s.Noise[k].Distance = maps.Clone(s.Noise[k].Distance)
		}
	}
	ref.Losses = slices.Clone(shared.Losses)
	ref.FreeRuns = slices.Clone(shared.FreeRuns)
	for i := range ref.FreeRuns {
		ref.FreeRuns[i].Losses = slices.Clone(ref.FreeRuns[i].Losses)
	}
	ref.Initial = slices.Clone(shared.Initial)
	ref.Loaded.Data = maps.Clone(shared.Loaded.Data)
	clean := cleanCandidate(t, shared)
	cand := *clean
	cand.Steps = slices.Clone(clean.Steps)
	for i := range cand.Steps {
		cloneMeasured(&cand.Steps[i].Measured)
		cand.Steps[i].Held = slices.Clone(cand.Steps[i].Held)
		cand.Steps[i].Replay = slices.Clone(cand.Steps[i].Replay)
	}
	cand.Losses = slices.Clone(clean.Losses)
	cand.Initial = slices.Clone(clean.Initial)
	cand.Loaded.Data = maps.Clone(clean.Loaded.Data)
	cand.Loaded.Parameters = slices.Clone(clean.Loaded.Parameters)
	return &ref, &cand
}

var (
	cleanOnce sync.Once
	clean     *trace.Candidate
)

func cleanCandidate(t *testing.T, ref *trace.Reference) *trace.Candidate {
	cleanOnce.Do(func() {
		clean = collectCandidate(t, &tracetest.Engine{Seed: 0, Order: tracetest.CandidateOrder}, ref, "")
	})
	return clean
}

func cloneMeasured(m *trace.Measured) {
	for _, s := range []*trace.Set{&m.Float32, &m.Float64, &m.Update32, &m.Update64, &m.After} {
		*s = maps.Clone(*s)
	}
}

// set replaces a tensor by one with the given elements in its type.
func set(s trace.Set, name string, f func(i int, v float64) float64) {
	old := s[name]
	values := old.Values.Float64s()
	for i, v := range values {
		values[i] = f(i, v)
	}
	t, err := tensor.Of(values, len(values))
	if err != nil {
		panic(err)
	}
	if t, err = t.Convert(old.Values.DType()); err != nil {
		panic(err)
	}
	s[name] = trace.Sampled{Shape: old.Shape, Values: t}
}

// away moves a tensor to rho times its floor from the float64 result.
func away(p record.Parity, ref *trace.Reference, cand *trace.Candidate, step int, name string, rho float64) {
	i := slices.IndexFunc(p.Steps[step].Gradients, func(e record.TensorError) bool { return "gradients/"+e.Name == name })
	floor := float64(p.Steps[step].Gradients[i].Floor)
	exact := ref.Steps[step].Float64[name].Values.Float64s()
	set(cand.Steps[step].Float32, name, func(k int, _ float64) float64 { return exact[k] * (1 + rho*floor) })
}

// masked gives every third element of an activation a value on either side, at each judged step.
func masked(r *trace.Reference, c *trace.Candidate, reference, candidate float64) {
	third := func(value float64) func(int, float64) float64 {
		return func(i int, v float64) float64 {
			if i%3 == 0 {
				return value
			}
			return v
		}
	}
	for i := range r.Steps {
		for _, s := range []trace.Set{r.Steps[i].Float64, r.Steps[i].Float32} {
			set(s, "activations/z1", third(reference))
		}
		for _, s := range []trace.Set{c.Steps[i].Float64, c.Steps[i].Float32} {
			set(s, "activations/z1", third(candidate))
		}
	}
}

// frozen leaves fc1's bias untrained, on both sides.
func frozen(r *trace.Reference, c *trace.Candidate) {
	const name = "parameters/fc1.bias"
	r.Frozen = []string{"fc1.bias"}
	for i := range r.Steps {
		r, c := &r.Steps[i], &c.Steps[i]
		for _, s := range []trace.Set{r.Float32, r.Float64, c.Float32, c.Float64} {
			delete(s, "gradients/fc1.bias")
		}
		for _, s := range []trace.Set{r.Update32, r.Update64, r.After, r.Exact, c.Update32, c.Update64, c.After} {
			s[name] = r.Before[name]
			for key := range s {
				if strings.HasPrefix(key, "optimizer/") && strings.HasSuffix(key, "/fc1.bias") {
					delete(s, key)
				}
			}
		}
	}
}

func TestCompare(t *testing.T) {
	low := math.Inf(-1)
	const w, b = "gradients/fc1.weight", "gradients/fc1.bias"
	nan := func(int, float64) float64 { return math.NaN() }
	zero := func(int, float64) float64 { return 0 }
	for _, test := range []struct {
		name    string
		edit    func(p record.Parity, ref *trace.Reference, cand *trace.Candidate)
		verdict record.Verdict
		stage   record.Stage
		says    string
		reason  string
	}{
		{"nothing changed", func(record.Parity, *trace.Reference, *trace.Candidate) {}, record.Pass, "", "data tensors", "the pair is clean"},

		{"data not digested", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			r.Loaded.Data, c.Loaded.Data = nil, nil
		}, record.Inconclusive, "", "Nothing was compared", "no comparison is no agreement"},
		{"data not read", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { c.Loaded.Data = nil }, record.Fail, record.StageData, "did not read", ""},
		{"data added", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { c.Loaded.Data["train/y"] = "0" }, record.Fail, record.StageData, "does not have", ""},

		{"no initial state", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { c.Initial = nil }, record.Fail, record.StageWeights, "lacks", ""},
		{"digest said is not the one written", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { c.Loaded.Parameters[0].SHA256 = "abc" }, record.Fail, record.StageWeights, "said after loading", "an engine's word is checked"},
		{"given state not held", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { c.Steps[1].Held[0].SHA256 = "abc" }, record.Fail, record.StageWeights, "before step 3", ""},
		{"initial shape", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { c.Initial[0].Shape = []int{1, 16} }, record.Fail, record.StageWeights, "is float32[1 16]", ""},

		{"a parameter is not trained", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) { frozen(r, c) }, record.Pass, "", "", "the model says so"},
		{"a parameter loses its gradient", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			frozen(r, c)
			r.Frozen = nil
		}, record.Inconclusive, "", `no gradient of "parameters/fc1.bias"`, "nobody said that it is not trained"},
		{"a gradient that should not be", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			given := c.Steps[0].Float32[b]
			frozen(r, c)
			c.Steps[0].Float32[b] = given
		}, record.Fail, record.StageBackward, `"gradients/fc1.bias"`, ""},
		{"the candidate trains what is not trained", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			given := c.Steps[1].Update32["parameters/fc1.bias"]
			frozen(r, c)
			c.Steps[1].Update32["parameters/fc1.bias"] = given
		}, record.Fail, record.StageOptimizer, `The candidate changes "parameters/fc1.bias" at step 3`, ""},
		{"the candidate's step trains what is not trained", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			given := c.Steps[1].After["parameters/fc1.bias"]
			frozen(r, c)
			c.Steps[1].After["parameters/fc1.bias"] = given
		}, record.Fail, record.StageOptimizer, `The candidate changes "parameters/fc1.bias" at step 3`, ""},
		{"the reference trains what is not trained", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			given := r.Steps[1].After["parameters/fc1.bias"]
			frozen(r, c)
			r.Steps[1].After["parameters/fc1.bias"] = given
		}, record.Inconclusive, "", `The reference changes "parameters/fc1.bias" at step 3`, ""},

		{"no judged steps", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) { r.Steps, c.Steps = nil, nil }, record.Inconclusive, "", "no judged step", "a curve alone never passes"},
		{"candidate without steps", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { c.Steps = nil }, record.Inconclusive, "", "no answers at judged step 0", ""},
		{"candidate without one step", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { c.Steps = c.Steps[1:] }, record.Inconclusive, "", "no answers at judged step 0", ""},

		{"output missing", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			delete(c.Steps[0].Float32, "outputs/logits")
		}, record.Fail, record.StageForward, "no output", ""},
		{"no outputs at all", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			for i := range r.Steps {
				for _, s := range []trace.Set{r.Steps[i].Float32, r.Steps[i].Float64, c.Steps[i].Float32, c.Steps[i].Float64} {
					delete(s, "outputs/logits")
				}
			}
		}, record.Inconclusive, "", "No output was compared", "activations alone do not stand for the outputs"},
		{"activation missing", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			delete(c.Steps[0].Float32, "activations/z1")
		}, record.Pass, "", "", "an engine may fuse values away"},
		{"activation of another shape", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			c.Steps[0].Float32["activations/z1"] = trace.Sampled{Shape: []int{128}, Values: c.Steps[0].Float32["activations/z1"].Values}
		}, record.Fail, record.StageForward, "shape [128]", ""},

		{"masked on both sides", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) { masked(r, c, low, low) }, record.Pass, "", "", "the same infinity at the same place"},
		{"masked by the reference alone", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) { masked(r, c, low, 1) }, record.Fail, record.StageForward, "where the reference holds -Inf", ""},
		{"masked by the candidate alone", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) { masked(r, c, 1, low) }, record.Fail, record.StageForward, "where the reference is finite", ""},
		{"masked with the other sign", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) { masked(r, c, low, -low) }, record.Fail, record.StageForward, "holds +Inf in float32, where the reference holds -Inf", ""},
		{"masked, and NaN", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) { masked(r, c, low, math.NaN()) }, record.Fail, record.StageForward, "holds NaN", ""},
		{"NaN on both sides", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) { masked(r, c, math.NaN(), math.NaN()) }, record.Inconclusive, "", "not finite in float64", "NaN is equal to nothing"},
		{"gradient infinite at both", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			for _, s := range []trace.Set{r.Steps[0].Float64, c.Steps[0].Float64, c.Steps[0].Float32} {
				set(s, b, func(i int, v float64) float64 { return low })
			}
		}, record.Inconclusive, "", "not finite in float64", "only values of the forward pass are masked"},

		{"gradient missing", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { delete(c.Steps[2].Float32, b) }, record.Fail, record.StageBackward, `no gradient "gradients/fc1.bias" in float32 at step 20`, ""},
		{"gradient missing in float64", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { delete(c.Steps[2].Float64, b) }, record.Fail, record.StageBackward, "in float64 at step 20", ""},
		{"gradient added", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			c.Steps[0].Float32["gradients/x"] = c.Steps[0].Float32[b]
		}, record.Fail, record.StageBackward, "has not", ""},
		{"gradient transposed in shape", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			c.Steps[0].Float32["gradients/fc2.weight"] = trace.Sampled{Shape: []int{16, 5}, Values: c.Steps[0].Float32["gradients/fc2.weight"].Values}
		}, record.Fail, record.StageBackward, "shape [16 5]", ""},
		{"gradient NaN in float64", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { set(c.Steps[0].Float64, b, nan) }, record.Fail, record.StageBackward, "NaN in float64", ""},
		{"gradient NaN at both", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			set(r.Steps[0].Float64, b, nan)
			set(c.Steps[0].Float64, b, nan)
			set(c.Steps[0].Float32, b, nan)
		}, record.Inconclusive, "", "not finite in float64", "two wrecks do not agree"},
		{"noise infinite", func(_ record.Parity, r *trace.Reference, _ *trace.Candidate) {
			r.Steps[0].Noise[2].Distance[w] = engine.Float(math.Inf(1))
		}, record.Inconclusive, "", "its noise is unknown", "an infinite floor would let everything pass"},
		{"noise not measured", func(_ record.Parity, r *trace.Reference, _ *trace.Candidate) { r.Steps[0].Noise = nil }, record.Inconclusive, "", "was not measured", ""},
		{"noise measured in too few ways", func(_ record.Parity, r *trace.Reference, _ *trace.Candidate) { r.Steps[0].Noise = r.Steps[0].Noise[:4] }, record.Inconclusive, "", "was measured in 4 ways, where 5 are the least", ""},
		{"reference without a gradient", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			for i := range r.Steps {
				delete(r.Steps[i].Float64, b)
				delete(c.Steps[i].Float32, b)
				delete(c.Steps[i].Float64, b)
			}
		}, record.Inconclusive, "", "no gradient of", "what neither has was not judged"},

		{"rho of 3", func(p record.Parity, r *trace.Reference, c *trace.Candidate) {
			for i := range r.Steps {
				away(p, r, c, i, w, 3)
			}
		}, record.Pass, "", "", "within the noise's spread"},
		{"rho of 8 on one step", func(p record.Parity, r *trace.Reference, c *trace.Candidate) { away(p, r, c, 1, w, 8) }, record.Inconclusive, "", "between the 4 of a PASS", ""},
		{"rho of 100 on two steps", func(p record.Parity, r *trace.Reference, c *trace.Candidate) {
			away(p, r, c, 0, w, 100)
			away(p, r, c, 2, w, 100)
		}, record.Inconclusive, "", "only 2 of 3", "a flipped unit on each is possible"},
		{"rho of 20 on three steps", func(p record.Parity, r *trace.Reference, c *trace.Candidate) {
			for i := range r.Steps {
				away(p, r, c, i, w, 20)
			}
		}, record.Fail, record.StageBackward, "3 of 3", ""},
		{"float64 gap in one gradient on one step", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			set(c.Steps[1].Float64, w, func(i int, v float64) float64 { return v * (1 + 1e-3*float64(i%2)) })
		}, record.Inconclusive, "", "a unit exactly at a kink", "forward, loss and the other gradients agree"},
		{"float64 gap in one gradient on all steps", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			for i := range c.Steps {
				set(c.Steps[i].Float64, w, func(_ int, v float64) float64 { return v * (1 + 1e-9) })
			}
		}, record.Fail, record.StageBackward, "3 of 3", "kinks do not flip every time"},
		{"float64 gap in all gradients on one step", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			for name := range c.Steps[1].Float64 {
				if strings.HasPrefix(name, "gradients/") {
					set(c.Steps[1].Float64, name, func(_ int, v float64) float64 { return v * (1 + 1e-9) })
				}
			}
		}, record.Fail, record.StageBackward, "1 of 3", "nothing lies before every gradient"},
		{"float64 gap in an output on one step", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			set(c.Steps[1].Float64, "outputs/logits", func(_ int, v float64) float64 { return v * (1 + 1e-9) })
		}, record.Fail, record.StageForward, "1 of 3", "outputs are continuous at a kink"},
		{"no float64", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			for i := range c.Steps {
				c.Steps[i].Float64, c.Steps[i].Loss64, c.Steps[i].Update64 = nil, nil, nil
			}
		}, record.Pass, "", "", "float64 is offered, not demanded"},

		{"zero by structure", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			for i := range r.Steps {
				set(r.Steps[i].Float64, b, func(i int, _ float64) float64 { return 1e-18 * float64(i%3-1) })
				set(c.Steps[i].Float64, b, zero)
				set(c.Steps[i].Float32, b, func(int, float64) float64 { return 1e-10 })
				for _, n := range r.Steps[i].Noise {
					n.Distance[b] = 1e-10
				}
			}
		}, record.Pass, "", "", "relative to itself the error would be 1e8"},
		{"zero by structure, candidate not", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			for i := range r.Steps {
				set(r.Steps[i].Float64, b, zero)
				set(c.Steps[i].Float64, b, zero)
				for _, n := range r.Steps[i].Noise {
					n.Distance[b] = 0
				}
			}
		}, record.Fail, record.StageBackward, "fc1.bias", ""},
		{"all gradients zero", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			for i := range r.Steps {
				for name := range r.Steps[i].Float64 {
					if strings.HasPrefix(name, "gradients/") {
						set(r.Steps[i].Float64, name, zero)
						for _, n := range r.Steps[i].Noise {
							n.Distance[name] = 0
						}
					}
				}
			}
		}, record.Fail, record.StageBackward, "+Inf", "0/0 is agreement, 1e-3/0 is not"},

		{"moment missing", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			delete(c.Steps[0].Update32, "optimizer/exp_avg_sq/fc1.bias")
		}, record.Fail, record.StageOptimizer, "no updated", ""},
		{"slot added", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			c.Steps[0].Update32["optimizer/momentum_buffer/fc1.bias"] = c.Steps[0].Update32["optimizer/exp_avg/fc1.bias"]
		}, record.Fail, record.StageOptimizer, "momentum_buffer", "another optimizer"},
		{"buffer missing", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			delete(c.Steps[0].After, "buffers/mean")
		}, record.Fail, record.StageBuffers, "no buffer", ""},
		{"float64 gap in a buffer", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			set(c.Steps[1].Float64, "buffers/mean", func(_ int, v float64) float64 { return v * (1 + 1e-9) })
		}, record.Fail, record.StageBuffers, "1 of 3", "a statistic is continuous at a kink"},
		{"buffers of the training step alone", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			for i := range r.Steps {
				delete(r.Steps[i].Float64, "buffers/mean")
				delete(c.Steps[i].Float64, "buffers/mean")
			}
		}, record.Pass, "", "", "an older recording has no others"},
		{"no buffers in float64", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			for i := range c.Steps {
				delete(c.Steps[i].Float64, "buffers/mean")
			}
		}, record.Pass, "", "", "an engine may have its gradients come without them"},

		{"a loss too few", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { c.Losses = c.Losses[:63] }, record.Fail, record.StageCurve, "63 free-running steps", "the last short batch"},
		{"no losses", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) { r.Losses, c.Losses = nil, nil }, record.Inconclusive, "", "no free-running loss", ""},
		{"loss NaN", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { c.Losses[60] = math.NaN() }, record.Fail, record.StageCurve, "NaN at step 60", ""},
		{"reference's loss NaN", func(_ record.Parity, r *trace.Reference, _ *trace.Candidate) { r.Losses[60] = math.NaN() }, record.Inconclusive, "", "reference's own loss is NaN at step 60: a lower learning rate", ""},
		{"reference's loss NaN where targets are left out", func(_ record.Parity, r *trace.Reference, _ *trace.Candidate) {
			r.Losses[60] = math.NaN()
			e := *r.Experiment
			e.Loss.Reduction, e.Loss.IgnoreIndex = "mean", new(int)
			r.Experiment = &e
		}, record.Inconclusive, "", "all targets are loss.ignore_index, 0, is 0/0", "a batch may have no other"},
		{"no nudged runs", func(_ record.Parity, r *trace.Reference, _ *trace.Candidate) { r.FreeRuns = nil }, record.Inconclusive, "", "no nudged runs", ""},
		{"nudged runs too short", func(_ record.Parity, r *trace.Reference, _ *trace.Candidate) { r.FreeRuns[0].Losses = nil }, record.Inconclusive, "", "more than 0.001 apart from step 0", ""},
		{"flat reference", func(_ record.Parity, r *trace.Reference, c *trace.Candidate) {
			for i := range r.Losses {
				r.Losses[i], c.Losses[i] = 1.6, 1.6
			}
			for k := range r.FreeRuns {
				r.FreeRuns[k].Losses = slices.Clone(r.Losses)
			}
			for i := range c.Steps {
				for k := range c.Steps[i].Replay {
					c.Steps[i].Replay[k] = 1.6
				}
			}
		}, record.Inconclusive, "", "train longer (train.epochs)", "the benchmark that this project began from"},
		{"one loss off by a flip", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { c.Losses[40] *= 1 + 3e-4 }, record.Pass, "", "", "a maximum is no gate"},
		{"all losses off from step 30 on", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) {
			for i := 30; i < 64; i++ {
				c.Losses[i] *= 1 + 3e-4
			}
		}, record.Inconclusive, "", "nudged runs at step 30", "a flipped kink does that too, but nothing shows it"},
		{"one loss far off", func(_ record.Parity, _ *trace.Reference, c *trace.Candidate) { c.Losses[60] *= 1.1 }, record.Fail, record.StageCurve, "at step 60", "another batch"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ref, cand := traces(t)
			before := judge.Judge(ref, cand, experiment.DefaultThresholds)
			test.edit(before, ref, cand)
			p := judge.Judge(ref, cand, experiment.DefaultThresholds)
			if p.Verdict != test.verdict || p.Stage != test.stage || len(p.Reasons) == 0 || !strings.Contains(p.Reasons[0], test.says) {
				t.Errorf("%s in the stage %q, want %s in %q with %q first (%s)\n%s", p.Verdict, p.Stage, test.verdict, test.stage, test.says, test.reason, strings.Join(p.Reasons, "\n"))
			}
		})
	}
}

// TestEmpty judges traces with nothing in them.
func TestEmpty(t *testing.T) {
	p := judge.Judge(&trace.Reference{}, &trace.Candidate{}, experiment.DefaultThresholds)
	if p.Verdict == record.Pass {
		t.Errorf("two empty traces pass: %q", p.Reasons)
	}
}

// TestLimits judges by limits that are no limits.
func TestLimits(t *testing.T) {
	ref, cand := traces(t)
	for _, limits := range []func(*experiment.Thresholds){
		func(l *experiment.Thresholds) { *l = experiment.Thresholds{} },
		func(l *experiment.Thresholds) { l.PassRho = math.NaN() },
		func(l *experiment.Thresholds) { l.FailRho = math.Inf(1) },
		func(l *experiment.Thresholds) { l.FailRho = 2 },
		func(l *experiment.Thresholds) { l.Quantile = 2 },
	} {
		l := experiment.DefaultThresholds
		limits(&l)
		if p := judge.Judge(ref, cand, l); p.Verdict != record.Inconclusive || len(p.ChangedThresholds) == 0 {
			t.Errorf("limits %+v: %s, changed %q; want INCONCLUSIVE and the change named", l, p.Verdict, p.ChangedThresholds)
		}
	}
}

// TestNarrowLimits judges by the limits that may be zero.
func TestNarrowLimits(t *testing.T) {
	ref, cand := traces(t)
	l := experiment.DefaultThresholds
	l.LossNoise, l.StructuralZero, l.Learning = 0, 0, 0
	if p := judge.Judge(ref, cand, l); p.Verdict != record.Pass || len(p.ChangedThresholds) != 3 {
		t.Errorf("%s, changed %q; want PASS with three changed limits: %q", p.Verdict, p.ChangedThresholds, p.Reasons)
	}
}

// TestOtherLayout is a candidate with another model: its state cannot be set, and it must fail, not err.
func TestOtherLayout(t *testing.T) {
	ref, _ := traces(t)
	ref.Initial[2].Shape = []int{1, 2, 3}
	cand := collectCandidate(t, &tracetest.Engine{Seed: 0}, ref, "")
	if p := judge.Judge(ref, cand, experiment.DefaultThresholds); p.Verdict != record.Fail || p.Stage != record.StageWeights {
		t.Errorf("%s in the stage %q, want FAIL in the initial weights: %q", p.Verdict, p.Stage, p.Reasons)
	}
}

// TestEveryTensorIsInTheRecord counts what the record of a clean pair has of each judged step: nothing that both sides have may be left out.
func TestEveryTensorIsInTheRecord(t *testing.T) {
	ref, cand := traces(t)
	p := judge.Judge(ref, cand, experiment.DefaultThresholds)
	for i, s := range p.Steps {
		r := &ref.Steps[i]
		if len(s.Variants) != len(tracetest.Variants)+1 {
			t.Errorf("step %d: the noise floor rests on %q, want the plain way and %q", s.Step, s.Variants, tracetest.Variants)
		}
		for _, list := range []struct {
			what   string
			errors []record.TensorError
			want   []string // as prefixes of the trace's names
			from   trace.Set
			gap    bool
		}{
			{"outputs and activations", s.Outputs, []string{"outputs/", "activations/"}, r.Float64, true},
			{"gradients", s.Gradients, []string{"gradients/"}, r.Float64, true},
			{"updated parameters and moments", s.Update, []string{"parameters/", "optimizer/"}, r.Update64, true},
			{"stepped parameters and moments", s.WholeStep, []string{"parameters/", "optimizer/"}, r.Exact, false},
			{"buffers", s.Buffers, []string{"buffers/"}, r.After, true},
		} {
			want := 0
			for name := range list.from {
				if slices.ContainsFunc(list.want, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
					want++
				}
			}
			if len(list.errors) != want || want == 0 {
				t.Errorf("step %d: %d %s in the record, %d in the trace", s.Step, len(list.errors), list.what, want)
			}
			for _, e := range list.errors {
				if rho := float64(e.Rho); math.IsNaN(rho) || math.IsInf(rho, 0) || !(float64(e.Floor) > 0) || list.gap != (e.Float64Gap != nil) {
					t.Errorf("step %d: %s: rho %v, floor %v, float64 gap %v", s.Step, e.Name, e.Rho, e.Floor, e.Float64Gap)
				}
			}
		}
		if s.Loss.Rho == 0 || math.IsNaN(float64(s.Loss.Rho)) || math.IsNaN(float64(s.Loss.CandidateFloat64)) {
			t.Errorf("step %d: the loss is %+v", s.Step, s.Loss)
		}
	}
}
