package trace

import (
	"context"
	"fmt"
	"slices"

	"tandem/onnx/safetensors"
	"tandem/results/engine"
)

// AddReferenceStep adds a judged step to a reference's trace: e, a fresh process of the same engine, is loaded as
// o.Load says, brought to the step from the nearest earlier state that the trace has, and measured there. It is
// for steps that turn out to matter only when a candidate has been seen. A step that is judged already is left as it is.
func AddReferenceStep(ctx context.Context, e engine.Engine, ref *Reference, step int, o ReferenceOptions) error {
	if step < 0 || step >= len(ref.Losses) || o.WorkDir == "" {
		return fmt.Errorf("adding judged step %d of %d: it must be one of the training's, and a work folder is required", step, len(ref.Losses))
	}
	at, found := slices.BinarySearchFunc(ref.Steps, step, func(s ReferenceStep, step int) int { return s.Step - step })
	if found {
		return nil
	}
	c := &collector{engine: e, dir: o.WorkDir, sample: ref.Sample, activations: o.Activations, progress: o.Progress, total: judgedWork}
	if !c.can(float64Type) || !c.can(float32Type) {
		return c.fail(fmt.Errorf("it offers %v", e.Hello().DTypes), "a reference must compute in float32 and float64")
	}
	var again Common
	if err := c.begin(ctx, o.Load, &again); err != nil {
		return err
	}
	if !slices.EqualFunc(ref.Initial, again.Initial, sameInfo) {
		return c.fail(fmt.Errorf("its initial state is not the one in the trace"), "adding judged step %d", step)
	}
	from := 0
	for _, s := range ref.Steps[:at] {
		if s.State == nil {
			continue
		}
		from = s.Step
		if err := safetensors.WriteFile(c.path("given"), s.State, nil); err != nil {
			return err
		}
	}
	if from > 0 {
		if err := c.setState(ctx, "given"); err != nil {
			return err
		}
	}
	c.total += step - from
	if _, err := c.train(ctx, slices.Clone(ref.Losses[:from]), step, "reference, to the departure"); err != nil {
		return err
	}
	added, err := c.judgedStep(ctx, step)
	if err != nil {
		return fmt.Errorf("judged step %d: %w", step, err)
	}
	added.Departure = true
	ref.Steps = slices.Insert(ref.Steps, at, *added)
	return nil
}

// AddCandidateSteps measures the candidate at the judged steps that its trace lacks. The engine must be loaded, as it is after
// [CollectCandidate]; its state is lost.
func AddCandidateSteps(ctx context.Context, e engine.Engine, ref *Reference, cand *Candidate, o CandidateOptions) error {
	if o.WorkDir == "" {
		return fmt.Errorf("adding to a candidate trace: a work folder is required")
	}
	c := &collector{engine: e, dir: o.WorkDir, sample: ref.Sample, activations: o.Activations, progress: o.Progress}
	c.total = judgedWork * (len(ref.Steps) - len(cand.Steps))
	for i := range ref.Steps {
		s := &ref.Steps[i]
		at, found := slices.BinarySearchFunc(cand.Steps, s.Step, func(s CandidateStep, step int) int { return s.Step - step })
		if found {
			continue
		}
		if s.State == nil {
			return fmt.Errorf("judged step %d has no state to give", s.Step)
		}
		added, err := c.teacherForced(ctx, s, len(ref.Losses))
		if err != nil {
			return fmt.Errorf("judged step %d: %w", s.Step, err)
		}
		cand.Steps = slices.Insert(cand.Steps, at, *added)
	}
	return nil
}
