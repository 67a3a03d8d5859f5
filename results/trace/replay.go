package trace

import (
	"context"
	"fmt"

	"tandem/onnx/safetensors"
	"tandem/results/engine"
)

// ReplaySteps is the number of steps that a candidate trains on from each judged state: enough for what one step hands to
// the next to show, and too few for rounding to grow in most trainings. How far it does grow is measured: see [ReferenceStep].
const ReplaySteps = 8

// replayNudges is the number of the reference's own replays of a judged state. What is made of them is the furthest at each age, times a
// factor, and more of them would cost as much as the judged step itself.
const replayNudges = 3

// nudgedReplays has the reference train on from a judged step's state, nudged by one unit in the last place, as a candidate will, and returns
// it to where it was: right after the step, whose state is in the file "after".
func (c *collector) nudgedReplays(ctx context.Context, out *ReferenceStep, steps int, seed uint64) error {
	n := 1 + min(ReplaySteps, steps-out.Step-1)
	for i := range replayNudges {
		run := 1<<32 + uint64(out.Step)*replayNudges + uint64(i) // none of the free runs'
		if err := safetensors.WriteFile(c.path("nudged"), Nudge(out.State, seed, run), nil); err != nil {
			return err
		}
		if err := c.setState(ctx, "nudged"); err != nil {
			return err
		}
		result, err := c.engine.Step(ctx, n)
		if err != nil {
			return c.fail(err, "training on from judged step %d, nudged", out.Step)
		}
		if len(result.Losses) != n {
			return c.fail(fmt.Errorf("%d losses", len(result.Losses)), "training %d steps on from judged step %d, nudged", n, out.Step)
		}
		out.Replays = append(out.Replays, append([]engine.Float{}, result.Losses[1:]...))
	}
	return c.setState(ctx, "after")
}
