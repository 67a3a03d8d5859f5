package timing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tandem/results/engine"
)

// Cold is one start of an engine from nothing to its first finished step, in seconds. It is a single sample (n = 1):
// the state of the disk's cache decides much of it, and a repetition would measure the warm cache.
type Cold struct {
	StartSeconds     float64 // the process and its imports, until it said hello
	LoadSeconds      float64 // experiment, model and data
	FirstStepSeconds float64 // the first step by the engine's own clock; a compiler works in it
	TotalSeconds     float64 // all that by the clock here, from the start of the process
}

// Closer is an [engine.Engine] that can be ended, as an *[engine.Client].
type Closer interface {
	engine.Engine
	Close() error
}

// ColdStart starts an engine, loads the experiment and takes one step. The engine is returned alive, so that what was
// started and perhaps compiled can be a contender; the caller closes it. After an error it has been closed.
func ColdStart[E Closer](ctx context.Context, start func(context.Context) (E, error), p engine.LoadParams) (E, *engine.Loaded, *Cold, error) {
	return coldStart(ctx, time.Now, start, p)
}

func coldStart[E Closer](ctx context.Context, now func() time.Time, start func(context.Context) (E, error), p engine.LoadParams) (E, *engine.Loaded, *Cold, error) {
	var none E
	began := now()
	e, err := start(ctx)
	if err != nil {
		return none, nil, nil, err
	}
	started := now()
	loaded, err := e.Load(ctx, p)
	if err != nil {
		return none, nil, nil, errors.Join(err, e.Close())
	}
	ready := now()
	r, err := e.Step(ctx, 1)
	if err != nil {
		return none, nil, nil, errors.Join(err, e.Close())
	}
	end := now()
	if r == nil || len(r.Seconds) != 1 || !(r.Seconds[0] >= 0) {
		return none, nil, nil, errors.Join(fmt.Errorf("engine %s: the first step was not answered with its time", e.Hello().Name), e.Close())
	}
	return e, loaded, &Cold{
		StartSeconds:     started.Sub(began).Seconds(),
		LoadSeconds:      ready.Sub(started).Seconds(),
		FirstStepSeconds: r.Seconds[0],
		TotalSeconds:     end.Sub(began).Seconds(),
	}, nil
}
