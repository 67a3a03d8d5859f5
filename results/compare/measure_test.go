package compare_test

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	native "tandem/native/engine"
	"tandem/results/compare"
	"tandem/results/engine"
	"tandem/results/record"
)

// moded is the native engine with modes as PyTorch has them, of which one cannot run here.
type moded struct{ *native.Native }

func (m moded) Hello() engine.Hello {
	h := m.Native.Hello()
	h.Name, h.Modes = "moded", []string{"eager", "fused", "compile"}
	return h
}

func (m moded) Load(ctx context.Context, p engine.LoadParams) (*engine.Loaded, error) {
	if p.Mode == "compile" {
		return nil, engine.Errorf(engine.KindUnsupported, "there is no compiler")
	}
	p.Mode = ""
	return m.Native.Load(ctx, p)
}

func modedSide() compare.Side {
	return compare.Side{Start: func(ctx context.Context, _ int) (*engine.Client, error) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), engineVariable+"=moded")
		return engine.Start(ctx, cmd, engine.Options{})
	}}
}

func TestEveryModeAndNumberOfThreadsIsTimed(t *testing.T) {
	o := options(t)
	o.Reference = modedSide()
	o.Experiment.Timing.Modes = []string{"compile", "eager", "fused"}
	o.Experiment.Timing.Threads = []int{1, 3}
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	var modes []string
	for _, e := range r.Timing.Modes {
		modes = append(modes, e.Mode)
	}
	if !slices.Equal(modes, []string{"eager", "fused"}) {
		t.Errorf("the modes %v were timed", modes)
	}
	if left := r.Timing.LeftOut; len(left) != 1 || left[0] != (record.LeftOut{Mode: "compile", Threads: 1, Reason: "there is no compiler"}) {
		t.Errorf("left out: %+v", left)
	}
	others := map[string]int{}
	for _, e := range r.Timing.Others {
		if e.Threads != 3 || len(e.BlockMedians) != r.Timing.Blocks {
			t.Errorf("with other threads: %+v", e)
		}
		others[e.Engine]++
	}
	if others["moded"] != 2 || others["native"] != 1 {
		t.Errorf("timed with other threads: %v", others)
	}
	alike := 0
	for _, c := range r.Timing.Comparisons {
		if c.Kind == record.LikeForLike && c.Reference.Threads == 3 && c.Candidate.Threads == 3 {
			alike++
		}
	}
	if alike != 1 {
		t.Errorf("comparisons %+v", r.Timing.Comparisons)
	}
	for role, e := range map[string]record.EngineTiming{"reference": r.Timing.Reference, "candidate": r.Timing.Candidate} {
		// Both processes were started for it, so neither time can be absent, and the step is part of the start.
		if !(e.FirstStepSeconds > 0) || !(e.ColdStartSeconds > e.FirstStepSeconds) {
			t.Errorf("%s: cold start %v s, first step %v s", role, e.ColdStartSeconds, e.FirstStepSeconds)
		}
	}
}

func TestNoModeThatRuns(t *testing.T) {
	o := options(t)
	o.Reference = modedSide()
	o.Experiment.Timing.Modes = []string{"compile"}
	if _, err := compare.Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "none of its modes: there is no compiler") {
		t.Errorf("got %v", err)
	}
}

// TestACandidateIsTimedInItsFastestMode: PyTorch is at its best on either side.
func TestACandidateIsTimedInItsFastestMode(t *testing.T) {
	o := options(t)
	o.Candidate = modedSide()
	o.Experiment.Timing.Modes = []string{"compile", "eager", "fused"}
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	if mode := r.Timing.Candidate.Mode; r.Timing.Candidate.Engine != "moded" || mode != "eager" && mode != "fused" {
		t.Errorf("the candidate %s was timed in mode %q", r.Timing.Candidate.Engine, mode)
	}
	if r.Timing.Reference.Mode != "" {
		t.Errorf("the reference was timed in mode %q, but it has none", r.Timing.Reference.Mode)
	}
	o.Experiment.Timing.Modes = []string{"compile-update"}
	if r, err = compare.Run(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if r.Timing.Candidate.Mode != "" {
		t.Errorf("the candidate was timed in mode %q, but it has none of the experiment's", r.Timing.Candidate.Mode)
	}
}
