package evidence_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/pytorch"
	"tandem/results/engine"
	"tandem/results/evidence"
	"tandem/results/judge"
	"tandem/results/judge/fingerprint"
	"tandem/results/record"
	"tandem/results/trace"
	"tandem/results/trace/tracetest"
)

// source collects the traces of a planted mistake and diagnoses it.
func source(t *testing.T, ref *trace.Reference, mutant string) (evidence.Source, *record.Parity) {
	t.Helper()
	e := &tracetest.Engine{Seed: 1, Order: tracetest.CandidateOrder}
	cand, err := trace.CollectCandidate(context.Background(), e, ref, trace.CandidateOptions{
		Load: engine.LoadParams{Mutant: mutant}, Activations: true, WorkDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	m := fingerprint.Material{}
	if m.Model, err = tracetest.Model(1); err != nil {
		t.Fatal(err)
	}
	tensors, err := tracetest.Data(1)
	if err != nil {
		t.Fatal(err)
	}
	if m.Data, err = fingerprint.NewData(tensors); err != nil {
		t.Fatal(err)
	}
	limits := experiment.DefaultThresholds
	p := judge.Judge(ref, cand, limits)
	return evidence.Source{Reference: ref, Candidate: cand, Limits: limits, Diagnosis: judge.Diagnose(ref, cand, limits, &p, m), Material: m}, &p
}

func reference(t *testing.T, sample int) *trace.Reference {
	t.Helper()
	ref, err := trace.CollectReference(context.Background(), &tracetest.Engine{Seed: 1}, trace.ReferenceOptions{
		Experiment: tracetest.Experiment(), Steps: 24, JudgedSteps: []int{0, 3, 7, 20}, Nudges: trace.DefaultNudges, Seed: 1, Activations: true,
		Sample: sample, WorkDir: t.TempDir(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func located(t *testing.T) *pytorch.Environment {
	t.Helper()
	env, err := pytorch.Locate()
	if err != nil {
		if slices.Contains(strings.Split(os.Getenv("TANDEM_REQUIRE"), ","), "pytorch") {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	return env
}

// replay runs the script as somebody without tandem does: isolated from the user's packages and from tandem's.
func replay(t *testing.T, env *pytorch.Environment, dir string) (output string, status int) {
	t.Helper()
	cmd := exec.Command(env.Python, "-I", "replay.py")
	cmd.Dir = dir
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return out.String(), exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	return out.String(), 0
}

func TestReplay(t *testing.T) {
	env := located(t)
	whole, sampled := reference(t, 0), reference(t, 10)
	for _, test := range []struct {
		mutant string
		ref    *trace.Reference
		files  string
		says   []string
	}{
		{
			"weight transposed where square", whole, "model.onnx test_data_set_0/input_2.pb test_data_set_0/output_0.pb test_data_set_0/candidate_0.pb",
			[]string{"Gemm, node Gemm_0", "candidate (tracetest", "DIFFERS", "reference against ONNX Runtime", "ONNX Runtime", "sides with the reference"},
		},
		{"weights in half precision inside", whole, "model.onnx", []string{"sides with the reference"}},
		{"dropout unscaled", whole, "model.onnx", []string{"candidate = 0.79999", "draws random numbers"}},
		{"softmax applied twice", whole, "test_data_set_0/input_2.pb", []string{"reference's loss against numpy's from its own outputs", "agrees", "candidate's loss against numpy's"}},
		{"gradient scaled by 1/B twice", whole, "test_data_set_0/output_0.pb", []string{"stage backward", "candidate = 0.125"}},
		{"gradient off by 1e-8", whole, "test_data_set_0/output_0.pb", []string{"candidate = 1.00000001 x reference"}},
		{"eps inside the root", whole, "test_data_set_0/input_3.pb", []string{"reference's parameter against the formula in numpy", "candidate's parameter against the formula in numpy: relative distance", "candidate's exp_avg against the formula"}},
		{"learning rate doubled", sampled, "test_data_set_0/input_3.pb", []string{"a sample of the elements is compared", "candidate's parameter against the formula"}},
		{"optimizer never steps", whole, "test_data_set_0/input_3.pb", []string{"candidate's exp_avg against the formula in numpy: relative distance 1 (DIFFERS"}},
		{"running mean with the other momentum", whole, "test_data_set_0/input_0.pb", []string{"changes since before the step", "candidate = 8.99999"}},
		{"weights rounded to half precision", whole, "model.onnx", []string{"fc1.weight: SHA-256 in the model", "DIFFERS"}},
	} {
		t.Run(test.mutant, func(t *testing.T) {
			t.Parallel()
			s, p := source(t, test.ref, test.mutant)
			dir := filepath.Join(t.TempDir(), "evidence")
			ok, err := evidence.Write(dir, s)
			if !ok || err != nil {
				t.Fatalf("%s in the stage %q: no evidence, error %v", p.Verdict, p.Stage, err)
			}
			for _, name := range strings.Fields("replay.py case.json " + test.files) {
				if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
					t.Error(err)
				}
			}
			out, status := replay(t, env, dir)
			if status != 1 {
				t.Errorf("exit status %d, want 1: the failure is there", status)
			}
			for _, words := range test.says {
				if !strings.Contains(out, words) {
					t.Errorf("the script does not say %q", words)
				}
			}
			if t.Failed() {
				t.Log(out)
			}
		})
	}
}

// TestReplayCanAgree puts the reference's result in the candidate's place, and then takes it away: a script that always sees a difference shows none.
func TestReplayCanAgree(t *testing.T) {
	env := located(t)
	s, _ := source(t, reference(t, 0), "weight transposed where square")
	dir := filepath.Join(t.TempDir(), "evidence")
	if ok, err := evidence.Write(dir, s); !ok || err != nil {
		t.Fatal(ok, err)
	}
	right, err := os.ReadFile(filepath.Join(dir, "test_data_set_0", "output_0.pb"))
	if err != nil {
		t.Fatal(err)
	}
	candidate := filepath.Join(dir, "test_data_set_0", "candidate_0.pb")
	if err := os.WriteFile(candidate, right, 0o666); err != nil {
		t.Fatal(err)
	}
	if out, status := replay(t, env, dir); status != 0 {
		t.Errorf("exit status %d, want 0 for a right candidate:\n%s", status, out)
	}
	if err := os.Remove(candidate); err != nil {
		t.Fatal(err)
	}
	if out, status := replay(t, env, dir); status != 2 {
		t.Errorf("exit status %d, want 2 for a folder that lacks a file:\n%s", status, out)
	}
}

func TestNothingToReplay(t *testing.T) {
	ref := reference(t, 0)
	for _, mutant := range []string{"", "other data", "one batch repeated", "counter stands still"} {
		s, p := source(t, ref, mutant)
		dir := filepath.Join(t.TempDir(), "evidence")
		if ok, err := evidence.Write(dir, s); ok || err != nil {
			t.Errorf("%q (%s in %q): evidence %t, error %v; want none", mutant, p.Verdict, p.Stage, ok, err)
		}
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%q: an empty folder was left", mutant)
		}
	}
}
