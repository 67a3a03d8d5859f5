package trace

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"tandem/onnx/safetensors"
	"tandem/results/engine"
)

// CollectCandidate collects the trace of a candidate engine against a reference: teacher-forced at each of the
// reference's judged steps, then trained freely as long as the reference was.
//
// A candidate whose parameters have other names, types or shapes cannot be given the reference's state. Its trace
// ends there, without steps and losses; the judge says what is wrong with it.
func CollectCandidate(ctx context.Context, e engine.Engine, ref *Reference, o CandidateOptions) (*Candidate, error) {
	if o.WorkDir == "" {
		return nil, fmt.Errorf("collecting a candidate trace: a work folder is required")
	}
	c := &collector{
		engine: e, dir: o.WorkDir, sample: ref.Sample, activations: o.Activations, progress: o.Progress,
		total: len(ref.Losses) + judgedWork*len(ref.Steps),
	}
	if !c.can(float32Type) {
		return nil, c.fail(fmt.Errorf("it offers %v", e.Hello().DTypes), "a candidate must compute in float32")
	}
	out := &Candidate{Sample: ref.Sample}
	if err := c.begin(ctx, o.Load, &out.Common); err != nil {
		return nil, err
	}
	if !sameLayout(ref.Initial, out.Initial) || o.Enough != nil && o.Enough(out) {
		return out, nil
	}
	for i := range ref.Steps {
		step, err := c.teacherForced(ctx, &ref.Steps[i], len(ref.Losses))
		if err != nil {
			return nil, fmt.Errorf("judged step %d: %w", ref.Steps[i].Step, err)
		}
		out.Steps = append(out.Steps, *step)
	}
	if o.Enough != nil && o.Enough(out) {
		return out, nil
	}
	losses, final, err := c.freeRun(ctx, "initial", len(ref.Losses))
	if err != nil {
		return nil, err
	}
	out.Losses = losses
	out.Final = final.info
	out.FinalValues = only(final.sampled, "parameters/")
	out.EvalTrained, err = c.forward(ctx)
	return out, err
}

// teacherForced gives the candidate the reference's state before a judged step and measures it; steps is the training's length.
func (c *collector) teacherForced(ctx context.Context, ref *ReferenceStep, steps int) (*CandidateStep, error) {
	out := &CandidateStep{}
	out.Step = ref.Step
	given := "initial"
	if ref.State != nil {
		given = "given"
		if err := safetensors.WriteFile(c.path(given), ref.State, nil); err != nil {
			return nil, err
		}
	}
	if err := c.setState(ctx, given); err != nil {
		return nil, err
	}
	err := c.measure(ctx, &out.Measured, whole{outputPrefixes, outputPrefixes}, func() (string, error) {
		gradients := Tensors{}
		for name, s := range ref.Float32 {
			if !strings.HasPrefix(name, "gradients/") {
				continue
			}
			t, err := s.Whole()
			if err != nil {
				return "", fmt.Errorf("the reference's %s is not whole: %w", name, err)
			}
			gradients[name] = t
		}
		return c.path("grad-given"), safetensors.WriteFile(c.path("grad-given"), gradients, nil)
	})
	if err != nil {
		return nil, err
	}
	held, err := c.lookAtState(ctx, "held")
	if err != nil {
		return nil, err
	}
	out.Held = held.info
	if err := c.ownStep(ctx, &out.Measured); err != nil {
		return nil, err
	}
	if n := min(ReplaySteps, steps-ref.Step-1); n > 0 {
		result, err := c.engine.Step(ctx, n)
		if err != nil {
			return nil, c.fail(err, "training on from judged step %d", ref.Step)
		}
		if len(result.Losses) != n {
			return nil, c.fail(fmt.Errorf("%d losses", len(result.Losses)), "training %d steps on from judged step %d", n, ref.Step)
		}
		out.Replay = result.Losses
	}
	c.advance(judgedWork, "judged step %d of the candidate", ref.Step)
	return out, nil
}

// sameLayout reports whether a state can stand for the other: the same names, types and shapes.
func sameLayout(a, b []engine.TensorInfo) bool {
	return slices.EqualFunc(a, b, func(x, y engine.TensorInfo) bool {
		return x.Name == y.Name && x.DType == y.DType && slices.Equal(x.Shape, y.Shape)
	})
}
