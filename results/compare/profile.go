package compare

import (
	"context"
	"errors"
	"fmt"

	"tandem/results/engine"
	"tandem/results/profile"
	"tandem/results/record"
)

// profiledSteps is the number of steps whose times a profile takes the median of: as many as fit profiledSeconds, but not fewer than the
// first and not more than the second.
const (
	fewestProfiled, mostProfiled = 10, 300
	profiledSeconds              = 3
)

// profile asks a fresh process of the candidate what its step is spent on. An engine need not know.
func (o *Options) profile(ctx context.Context, r *record.Run) (err error) {
	o.progress("profiling the candidate", 0, 0)
	c, err := o.start(ctx, record.Candidate, o.Threads)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	if !c.Hello().Profile {
		r.Warnings = append(r.Warnings, fmt.Sprintf("there is no profile: the engine %s does not offer one", c.Hello().Name))
		return nil
	}
	loaded, err := c.Load(ctx, o.load(o.Candidate, engine.RandomOwn, ""))
	if err != nil {
		return err
	}
	first, err := c.Step(ctx, 3)
	if err != nil {
		return err
	}
	steps := int(profiledSeconds / max(first.Seconds[2], 1e-6))
	answer, err := c.Profile(ctx, engine.ProfileParams{Steps: min(max(steps, fewestProfiled), mostProfiled)})
	if err != nil {
		return err
	}
	if r.Profile, err = profile.Make(c.Hello().Name, loaded.Threads, answer); err != nil {
		return fmt.Errorf("engine %s: %w", c.Hello().Name, err)
	}
	return nil
}
