package judge

import (
	"math"
	"slices"
	"strings"

	"tandem/results/engine"
	"tandem/results/record"
	"tandem/results/trace"
)

// step returns the candidate's answers at a judged step, or nil.
func (j *judgement) step(step int) *trace.CandidateStep {
	for i := range j.cand.Steps {
		if j.cand.Steps[i].Step == step {
			return &j.cand.Steps[i]
		}
	}
	return nil
}

// forced judges the teacher-forced steps.
func (j *judgement) forced() []record.JudgedStep {
	forward, loss := j.stages[record.StageForward], j.stages[record.StageLoss]
	backward, optimizer, buffers := j.stages[record.StageBackward], j.stages[record.StageOptimizer], j.stages[record.StageBuffers]
	if len(j.ref.Steps) == 0 {
		forward.doubt("The reference has no judged step: without teacher forcing a comparison proves nothing.")
	}
	var out []record.JudgedStep
	var outputs, losses, stepLosses, gradients, noisy, updates, whole, after []stepErrors
	for i := range j.ref.Steps {
		r := &j.ref.Steps[i]
		c := j.step(r.Step)
		if c == nil {
			forward.doubt("The candidate's trace has no answers at judged step %d.", r.Step)
			continue
		}
		result := record.JudgedStep{Step: r.Step, Rows: r.Rows, Refused: r.Refused}
		for _, n := range r.Noise {
			result.Variants = append(result.Variants, n.Variant)
		}
		if len(r.Noise) < trace.LeastVariants {
			backward.doubt("The reference's noise at step %d was measured in %d ways, where %d are the least: its rounding is not known.", r.Step, len(r.Noise), trace.LeastVariants)
		}

		result.Outputs = j.compare(forward, family{
			what: "output", prefix: "outputs/", trim: true, step: r.Step, sample: j.ref.Sample,
			exact: r.Float64, noise: r.Noise, single: c.Float32, double: c.Float64, masked: true,
		})
		if len(result.Outputs) == 0 {
			forward.doubt("No output was compared at step %d.", r.Step)
		}
		result.Outputs = append(result.Outputs, j.compare(forward, family{
			what: "activation", prefix: "activations/", step: r.Step, sample: j.ref.Sample, optional: true,
			exact: r.Float64, noise: r.Noise, single: c.Float32, double: c.Float64, masked: true,
		})...)

		lossErrors, stepLoss := j.loss(loss, r, c, &result)

		result.Gradients = j.compare(backward, family{
			what: "gradient", prefix: "gradients/", trim: true, step: r.Step, sample: j.ref.Sample,
			exact: r.Float64, noise: r.Noise, single: c.Float32, double: c.Float64,
		})
		j.everyParameter(backward, r)

		j.kept(optimizer, r, c)
		for _, prefix := range slots(r.Update64, c.Update32) {
			result.Update = append(result.Update, j.compare(optimizer, family{
				what: "updated", prefix: prefix, step: r.Step, sample: j.ref.Sample,
				exact: r.Update64, noise: updateNoise(r), single: c.Update32, double: c.Update64,
				before: r.Before, stored: true,
			})...)
			result.WholeStep = append(result.WholeStep, j.compare(optimizer, family{
				what: "stepped", prefix: prefix, step: r.Step, sample: j.ref.Sample,
				exact: r.Exact, noise: r.StepNoise, single: c.After, before: r.Before, stored: true,
			})...)
		}
		if c.UpdateStep != int64(r.Step)+1 || c.AfterStep != int64(r.Step)+1 {
			optimizer.fail("The candidate's step counter is %d after an update and %d after a training step of step %d; both must be %d.", c.UpdateStep, c.AfterStep, r.Step, r.Step+1)
		}

		of := family{what: "buffer", prefix: "buffers/", trim: true, step: r.Step, sample: j.ref.Sample, single: c.After}
		if of.exact, of.bare = exactBuffers(r); !of.bare {
			of.noise, of.stored = r.Noise, true
			if has(c.Float64, of.prefix) {
				of.double = c.Float64
			}
		}
		result.Buffers = j.compare(buffers, of)

		outputs = append(outputs, stepErrors{r.Step, result.Outputs})
		losses = append(losses, stepErrors{r.Step, lossErrors})
		stepLosses = append(stepLosses, stepErrors{r.Step, stepLoss})
		gradients = append(gradients, stepErrors{r.Step, result.Gradients})
		updates = append(updates, stepErrors{r.Step, result.Update})
		if !(r.Departure && j.exact(result.Outputs, lossErrors, result.Gradients)) {
			noisy = append(noisy, stepErrors{r.Step, result.Gradients})
			whole = append(whole, stepErrors{r.Step, result.WholeStep})
		}
		after = append(after, stepErrors{r.Step, result.Buffers})
		out = append(out, result)
	}
	forwardRule := rule{what: "Forward pass", continuous: true}
	forward.judgeRho(outputs, j.limits, forwardRule)
	forward.judgeGap(outputs, j.limits, forwardRule.what, nil)
	lossRule := rule{what: "Loss", continuous: true}
	loss.judgeRho(losses, j.limits, lossRule)
	loss.judgeGap(losses, j.limits, lossRule.what, nil)
	loss.judgeRho(stepLosses, j.limits, rule{what: "Loss reported by the training step", continuous: true, loose: true})
	backwardRule := rule{what: "Gradients"}
	backward.judgeRho(noisy, j.limits, backwardRule)
	backward.judgeGap(gradients, j.limits, backwardRule.what, j.kinked(outputs, losses))
	optimizerRule := rule{what: "Optimizer, on the reference's gradients", continuous: true}
	optimizer.judgeRho(updates, j.limits, optimizerRule)
	optimizer.judgeGap(updates, j.limits, optimizerRule.what, nil)
	optimizer.judgeRho(whole, j.limits, rule{what: "A whole training step", loose: true})
	buffers.judgeRho(after, j.limits, rule{what: "Buffers", continuous: true})
	buffers.judgeGap(after, j.limits, "Buffers", nil)
	return out
}

// exactBuffers returns what buffers are measured by: the reference's float64 ones, or, in a recording from before gradients came with buffers, its
// own float32 ones, which are bare of a measured noise.
func exactBuffers(r *trace.ReferenceStep) (exact trace.Set, bare bool) {
	if has(r.Float64, "buffers/") {
		return r.Float64, false
	}
	return r.After, true
}

// has reports whether a name of the set begins with prefix.
func has(s trace.Set, prefix string) bool {
	for name := range s {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// loss compares the loss of a step: from grad, and as the training step itself reported it.
func (j *judgement) loss(s *stage, r *trace.ReferenceStep, c *trace.CandidateStep, out *record.JudgedStep) (fromGrad, fromStep []record.TensorError) {
	nan := engine.Float(math.NaN())
	out.Loss = record.LossError{
		Reference: r.Loss32, Candidate: c.Loss32,
		ReferenceFloat64: nan, CandidateFloat64: nan, Rho: nan,
	}
	if r.Loss64 == nil {
		s.doubt("The reference has no float64 loss at step %d.", r.Step)
		return nil, nil
	}
	out.Loss.ReferenceFloat64 = *r.Loss64
	f := family{what: "loss", step: r.Step, exact: scalar("loss", *r.Loss64), noise: r.Noise, single: scalar("loss", c.Loss32)}
	if len(r.Noise) > 0 {
		f.noise = append(slices.Clone(r.Noise), trace.Noise{Variant: "weights' rounding", Distance: map[string]engine.Float{"loss": engine.Float(j.lossSensitivity(r))}})
	}
	if c.Loss64 != nil {
		out.Loss.CandidateFloat64 = *c.Loss64
		f.double = scalar("loss", *c.Loss64)
	}
	fromGrad = j.compare(s, f)
	if len(fromGrad) == 1 {
		out.Loss.Rho = fromGrad[0].Rho
	}
	f.what, f.single, f.double = "training step's loss", scalar("loss", c.StepLoss), nil
	return fromGrad, j.compare(s, f)
}

// lossSensitivity is how far the loss moves, to first order, when each weight w moves by its unit roundoff, 2^-24 |w|, in the
// direction that hurts: 2^-24 times the sum of |w dL/dw|, the componentwise condition number of the loss times the backward
// error of one rounding. Of a sampled tensor the sum is extrapolated. It is 0 where something is missing, which is said elsewhere.
func (j *judgement) lossSensitivity(r *trace.ReferenceStep) float64 {
	sum := 0.0
	for _, name := range sorted(r.Before) {
		if j.frozen(name) {
			continue // it is the same number on both sides, rounded once
		}
		weights, err := r.Before[name].Float64s(j.ref.Sample)
		if err != nil || len(weights) == 0 {
			return 0
		}
		gradient, ok := r.Float64["gradients/"+strings.TrimPrefix(name, "parameters/")]
		if !ok {
			return 0
		}
		g, err := gradient.Float64s(j.ref.Sample)
		if err != nil || len(g) != len(weights) {
			return 0
		}
		part := 0.0
		for i := range g {
			part += math.Abs(g[i] * weights[i])
		}
		sum += part * float64(r.Before[name].Len()) / float64(len(weights))
	}
	if notFinite(sum) {
		return 0
	}
	return sum * roundings / 2
}

// everyParameter demands a gradient for each trained parameter, so that a reference that lost some is noticed.
func (j *judgement) everyParameter(s *stage, r *trace.ReferenceStep) {
	for _, name := range sorted(r.Before) {
		if j.frozen(name) {
			continue
		}
		gradient := "gradients/" + strings.TrimPrefix(name, "parameters/")
		if _, ok := r.Float64[gradient]; !ok {
			s.doubt("The reference has no gradient of %q at step %d, so its update rests on nothing that was judged.", name, r.Step)
		}
	}
}

// frozen reports whether a parameter, named as in a state, is one that the model has not trained.
func (j *judgement) frozen(name string) bool {
	return slices.Contains(j.ref.Frozen, strings.TrimPrefix(name, "parameters/"))
}

// kept demands that parameters that are not trained have the same numbers after an update and a training step as before, on both sides.
func (j *judgement) kept(s *stage, r *trace.ReferenceStep, c *trace.CandidateStep) {
	for _, name := range sorted(r.Before) {
		if !j.frozen(name) {
			continue
		}
		before, err := r.Before[name].Float64s(j.ref.Sample)
		if err != nil {
			continue // the comparison of the states has said so
		}
		same := func(after trace.Set) bool {
			t, ok := after[name]
			if !ok {
				return true // likewise
			}
			values, err := t.Float64s(j.ref.Sample)
			return err == nil && slices.Equal(values, before)
		}
		switch {
		case !same(r.Update32) || !same(r.After):
			s.doubt("The reference changes %q at step %d, which the model has not trained (model.frozen, requires_grad).", name, r.Step)
		case !same(c.Update32) || !same(c.After):
			s.fail("The candidate changes %q at step %d, which the model has not trained (model.frozen, requires_grad).", name, r.Step)
		}
	}
}

// exact reports whether all of the errors have a float64 gap and none is beyond the limit. At the candidate's departure a unit is expected to
// flip. There float32 gradients prove nothing against a candidate that computes the same in float64.
func (j *judgement) exact(lists ...[]record.TensorError) bool {
	n := 0
	for _, list := range lists {
		for _, e := range list {
			if e.Float64Gap == nil || beyond(e, j.limits) {
				return false
			}
			n++
		}
	}
	return n > 0
}

// kinked returns whether a kink could explain a step's float64 gaps in the gradients. At a kink (ReLU at zero, a tie
// in max-pooling) the function is continuous, so outputs and loss of that step must agree; and the flipped unit
// changes only what lies before it, so some gradient must agree as well.
func (j *judgement) kinked(outputs, losses []stepErrors) func(stepErrors) bool {
	return func(gradients stepErrors) bool {
		for _, list := range [][]stepErrors{outputs, losses} {
			for _, s := range list {
				if s.step != gradients.step {
					continue
				}
				for _, e := range s.errors {
					if beyond(e, j.limits) {
						return false
					}
				}
			}
		}
		for _, e := range gradients.errors {
			if !beyond(e, j.limits) {
				return true
			}
		}
		return false
	}
}

// slots lists the families of a state that an update changes: the parameters, and each slot of the optimizer, for a
// second moment is no neighbour in size of a first.
func slots(sets ...trace.Set) []string {
	found := map[string]bool{}
	for _, set := range sets {
		for name := range set {
			switch {
			case strings.HasPrefix(name, "parameters/"):
				found["parameters/"] = true
			case strings.HasPrefix(name, "optimizer/"):
				slot, _, _ := strings.Cut(strings.TrimPrefix(name, "optimizer/"), "/")
				found["optimizer/"+slot+"/"] = true
			}
		}
	}
	return sorted(found)
}

// updateNoise is the distance of the reference's float32 update from its float64 one.
func updateNoise(r *trace.ReferenceStep) []trace.Noise {
	out := trace.Noise{Distance: map[string]engine.Float{}}
	for name, exact := range r.Update64 {
		single, ok := r.Update32[name]
		if !ok {
			continue
		}
		// Both were sampled in the same way, or neither was.
		if x, o := single.Values.Float64s(), exact.Values.Float64s(); len(x) == len(o) {
			out.Distance[name] = engine.Float(trace.Distance(x, o))
		}
	}
	return []trace.Noise{out}
}
