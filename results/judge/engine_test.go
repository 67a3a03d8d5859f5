package judge_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/results/engine"
	"tandem/results/judge"
	"tandem/results/record"
	"tandem/results/trace"
	"tandem/results/trace/tracetest"
)

// collection says how a test's traces are collected.
type collection struct {
	steps  int
	judged []int
	sample int
}

var usual = collection{steps: 64, judged: []int{0, 3, 20}}

func collectReference(t testing.TB, e engine.Engine, c collection) *trace.Reference {
	t.Helper()
	ref, err := trace.CollectReference(context.Background(), e, trace.ReferenceOptions{
		Experiment: tracetest.Experiment(), Steps: c.steps, JudgedSteps: c.judged, Sample: c.sample,
		Nudges: trace.DefaultNudges, Seed: 1, Activations: true, WorkDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func collectCandidate(t testing.TB, e engine.Engine, ref *trace.Reference, mutant string) *trace.Candidate {
	t.Helper()
	cand, err := trace.CollectCandidate(context.Background(), e, ref, trace.CandidateOptions{
		Load: engine.LoadParams{Mutant: mutant}, Activations: true, WorkDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return cand
}

var references sync.Map // by seed and collection; a reference is read only

func reference(t testing.TB, seed uint64, c collection) *trace.Reference {
	key := fmt.Sprint(seed, c)
	if r, ok := references.Load(key); ok {
		return r.(*trace.Reference)
	}
	r := collectReference(t, &tracetest.Engine{Seed: seed}, c)
	references.Store(key, r)
	return r
}

var candidates sync.Map // by seed, collection and mutant; read only as well

func candidate(t testing.TB, seed uint64, mutant string, c collection) *trace.Candidate {
	t.Helper()
	key := fmt.Sprint(seed, c, mutant)
	if found, ok := candidates.Load(key); ok {
		return found.(*trace.Candidate)
	}
	cand := collectCandidate(t, &tracetest.Engine{Seed: seed, Order: tracetest.CandidateOrder}, reference(t, seed, c), mutant)
	candidates.Store(key, cand)
	return cand
}

func judgeMutant(t testing.TB, seed uint64, mutant string, c collection) record.Parity {
	t.Helper()
	ref, cand := reference(t, seed, c), candidate(t, seed, mutant, c)
	return judge.Judge(ref, cand, experiment.DefaultThresholds)
}

// TestCleanRuns judges correct candidates: none may fail, and most must pass.
func TestCleanRuns(t *testing.T) {
	const seeds = 30
	counts := map[record.Verdict]int{}
	for seed := range uint64(seeds) {
		p := judgeMutant(t, seed, "", usual)
		counts[p.Verdict]++
		if p.Verdict != record.Pass {
			t.Logf("seed %d: %s %q", seed, p.Verdict, p.Reasons)
		}
		if p.Verdict == record.Fail {
			t.Errorf("seed %d: a correct candidate fails: %q", seed, p.Reasons)
		}
	}
	t.Logf("%d correct candidates: %v", seeds, counts)
	if counts[record.Inconclusive] > seeds/10 {
		t.Errorf("%d of %d correct candidates are INCONCLUSIVE: a judge that cannot decide is no judge", counts[record.Inconclusive], seeds)
	}
}
