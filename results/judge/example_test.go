package judge_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"tandem/fixtures/experiment"
	"tandem/results/engine"
	"tandem/results/judge"
	"tandem/results/trace"
	"tandem/results/trace/tracetest"
)

// Two engines that were never heard of are compared: one that adds in another order, and one whose Adam has its epsilon
// inside the root.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "judge")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	ref, err := trace.CollectReference(ctx, &tracetest.Engine{Seed: 1}, trace.ReferenceOptions{
		Experiment: &experiment.Experiment{Name: "example"}, Steps: 40, JudgedSteps: []int{0, 3, 20},
		Nudges: trace.DefaultNudges, Activations: true, WorkDir: dir,
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, mistake := range []string{"", "eps inside the root"} {
		cand, err := trace.CollectCandidate(ctx, &tracetest.Engine{Seed: 1, Order: "stride 4"}, ref, trace.CandidateOptions{
			Load: engine.LoadParams{Mutant: mistake}, Activations: true, WorkDir: dir,
		})
		if err != nil {
			log.Fatal(err)
		}
		verdict := judge.Judge(ref, cand, experiment.DefaultThresholds)
		fmt.Printf("%s %q\n", verdict.Verdict, verdict.Stage)
	}
	// Output:
	// PASS ""
	// FAIL "optimizer"
}
