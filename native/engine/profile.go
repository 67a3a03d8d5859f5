package engine

import (
	"context"

	"tandem/native/kernel"
	"tandem/native/train"
	"tandem/results/engine"
)

// profileWarmUp is the number of steps before a profile: the first ones fill caches and touch memory.
const profileWarmUp = 10

// Profile trains steps as Step does, and then as many in which each call is timed. The machine's limits are measured before and after; the
// higher ones count.
func (n *Native) Profile(ctx context.Context, p engine.ProfileParams) (*engine.Profile, error) {
	if err := n.ready(); err != nil {
		return nil, err
	}
	out, err := n.profile(ctx, p.Steps)
	return out, asProtocolError(err)
}

func (n *Native) profile(ctx context.Context, steps int) (*engine.Profile, error) {
	if n.train.Accumulate > 1 {
		return nil, engine.Errorf(engine.KindUnsupported, "the native engine profiles no steps whose gradients are added up over several batches; profile with train.accumulate = 1")
	}
	if _, err := n.Step(ctx, min(profileWarmUp, steps)); err != nil {
		return nil, err
	}
	limits := n.trainer.Limits()
	whole, err := n.Step(ctx, steps)
	if err != nil {
		return nil, err
	}
	largest := n.data.sizes[len(n.data.sizes)-1]
	batch, err := n.trainer.TrainingBatch(largest)
	if err != nil {
		return nil, err
	}
	calls, err := n.trainer.Profile(batch, steps, func() error {
		if err := ctx.Err(); err != nil {
			return err
		}
		for step := n.trainer.Steps(); ; step++ { // a shorter batch is passed over
			rows, err := n.data.batch(step)
			if err != nil {
				return err
			}
			if len(rows.rows) == largest {
				return fill(n.data, n.data.train, batch, rows)
			}
		}
	})
	if err != nil {
		return nil, err
	}
	return profileAnswer(whole.Seconds, limits.Higher(n.trainer.Limits()), calls), nil
}

// profileAnswer is the answer in the protocol's words.
func profileAnswer(seconds []float64, limits kernel.Limits, calls []train.Call) *engine.Profile {
	out := &engine.Profile{StepSeconds: seconds, OperationsPerSecond: limits.Peak}
	for _, b := range limits.Bandwidths {
		out.Bandwidths = append(out.Bandwidths, engine.Bandwidth{SetBytes: int64(b.Set), BytesPerSecond: b.BytesPerSecond})
	}
	for _, c := range calls {
		out.Calls = append(out.Calls, engine.ProfileCall{
			Phase: c.Node.Origin.Phase.String(), Operator: c.Node.Op,
			Layer: c.Layer.Origin.Node, LayerOperator: c.Layer.Op, Module: c.Layer.Origin.ModulePath, Algorithm: c.Algorithm,
			Seconds: c.Seconds, Operations: c.Work.Operations, Bytes: c.Work.Bytes,
		})
	}
	return out
}
