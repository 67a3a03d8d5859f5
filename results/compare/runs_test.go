package compare_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tandem/fixtures/dataset"
	native "tandem/native/engine"
	"tandem/results/compare"
	"tandem/results/engine"
	"tandem/results/record"
)

// lazy trains as it should on the data of the comparison's own training, and not at all on any other.
type lazy struct{ *native.Native }

func (l lazy) Load(ctx context.Context, p engine.LoadParams) (*engine.Loaded, error) {
	if filepath.Base(p.Data) != "data.safetensors" {
		p.Mutant = "optimizer-never-steps"
	}
	return l.Native.Load(ctx, p)
}

// severally adds further trainings to a comparison.
func severally(t *testing.T, o *compare.Options, runs int) {
	t.Helper()
	o.Timing, o.Save, o.Traces, o.Runs = false, false, false, runs
	d, err := dataset.Load(t.Context(), o.Experiment, dataset.Options{})
	if err != nil {
		t.Fatal(err)
	}
	o.Data.Reordered = func(seed uint64) (string, error) {
		e := *o.Experiment
		e.Seed = seed
		batches, err := d.Draw(&e)
		if err != nil {
			return "", err
		}
		file := o.Folder.WorkFile("reordered.safetensors")
		_, err = dataset.WriteFile(file, d, batches)
		return file, err
	}
}

func TestFurtherTrainings(t *testing.T) {
	o := options(t)
	severally(t, &o, 4)
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
	if r.Parity.Verdict != record.Pass || r.Runs == nil || r.Runs.Verdict != record.Pass || len(r.Runs.Trainings) != 5 {
		t.Fatalf("verdict %s, runs %+v: %q", r.Parity.Verdict, r.Runs, r.Parity.Reasons)
	}
	seen := map[record.Float]bool{}
	for i, x := range r.Runs.Trainings {
		if x.Seed != o.Experiment.Seed+uint64(i) || len(x.Reference.Losses) != 24 || x.Reference.Accuracy == nil || x.Candidate.Accuracy == nil {
			t.Errorf("training %d: %+v", i, x)
		}
		if x.Reference.LastTenth != x.Candidate.LastTenth || *x.Reference.Accuracy != *x.Candidate.Accuracy {
			t.Errorf("training %d: an engine differs from itself: %+v", i, x)
		}
		seen[x.Reference.LastTenth] = true
	}
	if len(seen) != 5 {
		t.Errorf("the trainings end with %d different losses, want 5: each has an order and masks of its own", len(seen))
	}
	if !strings.Contains(strings.Join(r.Parity.Reasons, "\n"), "Runs: over 5 trainings") {
		t.Errorf("the reasons do not say what the runs are: %q", r.Parity.Reasons)
	}
}

func TestTooFewFurtherTrainingsAreInconclusive(t *testing.T) {
	o := options(t)
	severally(t, &o, 1)
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Parity.Verdict != record.Inconclusive || !strings.Contains(r.Parity.Reasons[0], "2 trainings are too few") {
		t.Errorf("verdict %s: %q", r.Parity.Verdict, r.Parity.Reasons)
	}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
}

// TestFurtherTrainingsSeeWhatTheFirstDoesNot has a candidate that is right in the first training alone: only further ones can see it.
func TestFurtherTrainingsSeeWhatTheFirstDoesNot(t *testing.T) {
	o := options(t)
	severally(t, &o, 8) // the first, without a difference, makes the spread of fewer too wide
	o.Candidate = compare.Side{Start: func(ctx context.Context, _ int) (*engine.Client, error) {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), engineVariable+"=lazy")
		return engine.Start(ctx, cmd, engine.Options{})
	}}
	r, err := compare.Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Parity.Verdict != record.Fail || r.Parity.Stage != record.StageCurve || r.Runs.Verdict != record.Fail || !strings.HasPrefix(r.Parity.Reasons[0], "Runs: ") {
		t.Errorf("verdict %s in stage %q: %q", r.Parity.Verdict, r.Parity.Stage, r.Parity.Reasons)
	}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
}
