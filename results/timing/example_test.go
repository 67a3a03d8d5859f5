package timing_test

import (
	"context"
	"fmt"

	"tandem/results/engine"
	"tandem/results/record"
	"tandem/results/timing"
)

// metronome is an engine whose steps always take the same time.
type metronome struct {
	engine.Unimplemented
	seconds float64
}

func (metronome) Hello() engine.Hello { return engine.Hello{Name: "metronome"} }

func (m metronome) Step(_ context.Context, n int) (*engine.StepResult, error) {
	r := &engine.StepResult{}
	for range n {
		r.Seconds = append(r.Seconds, m.seconds)
		r.Losses = append(r.Losses, 1)
	}
	return r, nil
}

func ExampleMeasure() {
	contenders := []timing.Contender{
		{Part: timing.ReferenceMode, Name: "pytorch", Mode: "eager", Threads: 1, Engine: metronome{seconds: 0.004}},
		{Part: timing.ReferenceMode, Name: "pytorch", Mode: "fused", Threads: 1, Engine: metronome{seconds: 0.003}},
		{Part: timing.Twin, Name: "pytorch", Mode: "fused", Threads: 1, Engine: metronome{seconds: 0.003}},
		{Part: timing.Candidate, Name: "native", Threads: 1, Engine: metronome{seconds: 0.0015}},
	}
	res, err := timing.Measure(context.Background(), contenders, timing.Options{Blocks: 10, Pause: -1}, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	timing.Claim(&res.Timing, record.Pass, "")
	fmt.Println(res.Timing.Claim)
	timing.Claim(&res.Timing, record.Fail, "")
	fmt.Println(res.Timing.Claim)
	// Output:
	// native is 2.00 times faster than pytorch fused at 1 thread each (95 % interval 2.00 to 2.00)
	// no speed-up is claimed: the verdict is FAIL
}
