package judge_test

import (
	"os"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/results/judge"
	"tandem/results/record"
	"tandem/results/trace"
	"tandem/results/trace/tracetest"
)

// TestRecorded judges against references that were sampled, written and read again: what a recording leaves out must
// make no correct candidate fail and no mistake pass.
func TestRecorded(t *testing.T) {
	for seed := range uint64(2) {
		live := collectReference(t, &tracetest.Engine{Seed: seed}, collection{steps: 64, judged: []int{0, 3, 20}, sample: 20})
		live.Steps[0].State, live.Steps[0].InitialState = nil, true
		dir := t.TempDir()
		if err := trace.WriteReference(dir, live); err != nil {
			t.Fatal(err)
		}
		ref, err := trace.ReadReference(os.DirFS(dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range []struct {
			mutant string
			want   record.Verdict
			stage  record.Stage
		}{
			{"", record.Pass, ""},
			{"dropout mask reused", record.Fail, record.StageForward},
			{"gradient off by 1e-8", record.Fail, record.StageBackward},
			{"bias gradient missing", record.Fail, record.StageBackward},
			{"eps inside the root", record.Fail, record.StageOptimizer},
			{"optimizer never steps", record.Fail, record.StageOptimizer},
			{"one batch repeated", record.Fail, record.StageCurve},
		} {
			cand := collectCandidate(t, &tracetest.Engine{Seed: seed, Order: tracetest.CandidateOrder}, ref, m.mutant)
			if p := judge.Judge(ref, cand, experiment.DefaultThresholds); p.Verdict != m.want || p.Stage != m.stage {
				t.Errorf("seed %d, mutant %q: %s in the stage %q, want %s in %q: %q", seed, m.mutant, p.Verdict, p.Stage, m.want, m.stage, p.Reasons)
			}
		}
	}
}

// TestFlat trains on inputs that are all alike: nothing can be learned, and agreement proves nothing.
func TestFlat(t *testing.T) {
	ref := collectReference(t, &tracetest.Engine{Seed: 1, Flat: true}, collection{steps: 260, judged: []int{0, 3, 20}})
	ref.Losses = ref.Losses[200:] // after the class frequencies are learned
	for i := range ref.FreeRuns {
		ref.FreeRuns[i].Losses = ref.FreeRuns[i].Losses[200:]
	}
	cand := collectCandidate(t, &tracetest.Engine{Seed: 1, Flat: true}, ref, "")
	cand.Losses = ref.Losses
	p := judge.Judge(ref, cand, experiment.DefaultThresholds)
	if p.Verdict == record.Pass {
		t.Errorf("a training that learns nothing passes: %q", p.Reasons)
	}
}
