package judge_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/results/judge"
	"tandem/results/judge/fingerprint"
	"tandem/results/record"
	"tandem/results/trace/tracetest"
)

func material(t testing.TB, seed uint64) fingerprint.Material {
	t.Helper()
	tensors, err := tracetest.Data(seed)
	if err != nil {
		t.Fatal(err)
	}
	d, err := fingerprint.NewData(tensors)
	if err != nil {
		t.Fatal(err)
	}
	m, err := tracetest.Model(seed)
	if err != nil {
		t.Fatal(err)
	}
	return fingerprint.Material{Model: m, Data: d}
}

func TestDiagnose(t *testing.T) {
	late := collection{steps: 64, judged: []int{0, 3, tracetest.ShortBatch, 20}}
	early := collection{steps: 64, judged: []int{0, 3, 4}}
	neighbours := collection{steps: 64, judged: []int{0, 3, 4, 20}}
	for _, test := range []struct {
		mutant string
		judged collection
		tensor string // that leaves the noise first
		node   string // that it comes from
		among  string
		cause  string // the first one; "" for none
		reason string
	}{
		{"loss sum for mean", usual, "loss", "", "", fingerprint.LossReduction, ""},
		{"softmax applied twice", usual, "loss", "", "", fingerprint.SoftmaxTwice, ""},
		{"labels shifted", usual, "loss", "", "", fingerprint.LabelsShifted, ""},
		{"mean over the nominal batch", late, "loss", "", "", fingerprint.NominalDivisor, ""},
		{"loss not a number", usual, "loss", "", "", fingerprint.NotFinite, ""},
		{"gradient scaled by 1/B twice", usual, "gradients/fc2.bias", "Gemm_3", "", fingerprint.BatchFactor, ""},
		{"gradient scaled on the short batch", late, "gradients/fc2.bias", "Gemm_3", "", fingerprint.BatchFactor, ""},
		{"gradient of the wrong sign", usual, "gradients/fc2.bias", "Gemm_3", "", fingerprint.Sign, ""},
		{"gradient in half precision", usual, "gradients/fc2.bias", "Gemm_3", "", fingerprint.HalfPrecision, ""},
		{"gradient off by 1e-5", usual, "gradients/fc2.bias", "Gemm_3", "", fingerprint.Scaled, ""},
		{"gradient off by 1e-8", usual, "gradients/fc2.bias", "Gemm_3", "", fingerprint.Scaled, "in float64"},
		{"bias gradient missing", usual, "gradients/fc1.bias", "Gemm_0", "", fingerprint.GradientMissing, "the weight's gradient is right, so is what comes into the node"},
		{"gradient not a number", usual, "gradients/fc2.weight", "Gemm_3", "", fingerprint.NotFinite, ""},
		{"gradient infinite", usual, "gradients/fc1.weight", "Gemm_0", "", fingerprint.NotFinite, ""},
		{"gradients not zeroed between steps", usual, "", "", "", fingerprint.CarriedBetweenStep, ""},
		{"eps inside the root", usual, "parameters/fc1.bias", "", "", fingerprint.EpsilonInside, ""},
		{"eps before the bias correction", usual, "parameters/fc1.bias", "", "", fingerprint.ONNXAdam, ""},
		{"no bias correction", usual, "parameters/fc1.bias", "", "", fingerprint.NoBiasCorrection, ""},
		{"bias correction one step late", usual, "parameters/fc1.bias", "", "", fingerprint.BiasCorrectionLate, ""},
		{"optimizer state reset", neighbours, "optimizer/exp_avg/fc1.bias", "", "", fingerprint.StateReset, ""},
		{"L2 for decoupled weight decay", usual, "optimizer/exp_avg/fc1.bias", "", "", fingerprint.DecayKind, ""},
		{"learning rate doubled", usual, "parameters/fc1.bias", "", "", fingerprint.LearningRate, ""},
		{"optimizer never steps", usual, "optimizer/exp_avg/fc1.bias", "", "", fingerprint.NeverSteps, "of the training step, for the update is right"},
		{"counter stands still", usual, "", "", "", fingerprint.CounterStill, ""},
		{"dropout unscaled", usual, "activations/a1", "Dropout_2", "Relu_1", fingerprint.DropoutUnscaled, ""},
		{"dropout mask reused", usual, "activations/a1", "Dropout_2", "Relu_1", fingerprint.DropoutMask, ""},
		{"weight transposed where square", usual, "activations/z1", "Gemm_0", "", fingerprint.ProductOfOther, ""},
		{"weights rounded to half precision", usual, "", "", "", fingerprint.WeightsHalf, ""},
		{"weights in half precision inside", usual, "activations/z1", "Gemm_0", "", fingerprint.WeightsUsedHalf, ""},
		{"other initial weights", usual, "", "", "", fingerprint.OtherWeights, ""},
		{"other data", usual, "", "", "", "", "digests of unknown data say nothing"},
		{"data scaled unseen", usual, "activations/z1", "Gemm_0", "", "", "the input was not compared"},
		{"last batch dropped", late, "activations/z1", "Gemm_0", "", fingerprint.ShortBatchDropped, "another number of rows"},
		{"last batch dropped", early, "", "", "", "", "at this learning rate a loss changes from step to step as much as from batch to batch"},
		{"one batch repeated", usual, "", "", "", fingerprint.OtherBatchOnce, ""},
		{"one batch repeated in training alone", usual, "", "", "", fingerprint.OtherBatchOnce, ""},
		{"running mean with the other momentum", usual, "buffers/mean", "", "", fingerprint.BufferMomentum, ""},
		{"float64 in float32", usual, "activations/z1", "Gemm_0", "", "", "rounding has no fingerprint"},
	} {
		t.Run(test.mutant, func(t *testing.T) {
			for seed := range uint64(2) {
				ref := reference(t, seed, test.judged)
				cand := candidate(t, seed, test.mutant, test.judged)
				p := judge.Judge(ref, cand, experiment.DefaultThresholds)
				d := judge.Diagnose(ref, cand, experiment.DefaultThresholds, &p, material(t, seed))
				if d == nil {
					t.Fatalf("seed %d: no diagnosis of %s", seed, p.Verdict)
				}
				node, among, cause := "", "", ""
				if d.Operator != nil {
					node, among = d.Operator.Node, strings.Join(d.Operator.Among, " ")
				}
				if len(d.Causes) > 0 {
					cause = d.Causes[0].Name
				}
				if d.Tensor != test.tensor || node != test.node || among != test.among || cause != test.cause {
					t.Errorf("seed %d: %q at %q (%q), cause %q; want %q at %q (%q), cause %q (%s)\n%s\n%s", seed, d.Tensor, node, among, cause,
						test.tensor, test.node, test.among, test.cause, test.reason, d.Summary, causes(d))
				}
			}
		})
	}
}

func causes(d *record.Diagnosis) string {
	var out []string
	for _, c := range d.Causes {
		out = append(out, fmt.Sprintf("%s (%s): %s, residual %v, steps %v", c.Name, c.Certainty, c.Text, c.Residual, c.Steps))
	}
	return strings.Join(out, "\n")
}

// TestDiagnoseWithoutMaterial has neither model nor data: the tensor is named all the same, and nothing goes wrong.
func TestDiagnoseWithoutMaterial(t *testing.T) {
	ref := reference(t, 0, usual)
	for _, mutant := range tracetest.Mutants {
		cand := candidate(t, 0, mutant, usual)
		p := judge.Judge(ref, cand, experiment.DefaultThresholds)
		d := judge.Diagnose(ref, cand, experiment.DefaultThresholds, &p, fingerprint.Material{})
		if p.Verdict != record.Fail {
			if d != nil {
				t.Errorf("%s: a diagnosis of %s", mutant, p.Verdict)
			}
			continue
		}
		if d == nil || d.Summary == "" || d.Operator != nil {
			t.Errorf("%s: %+v", mutant, d)
		}
	}
}

// TestNoFingerprintOnNoise claims of clean pairs that each stage failed: no cause may be found.
func TestNoFingerprintOnNoise(t *testing.T) {
	for seed := range uint64(4) {
		ref := reference(t, seed, usual)
		cand := candidate(t, seed, "", usual)
		p := judge.Judge(ref, cand, experiment.DefaultThresholds)
		for _, stage := range []record.Stage{
			record.StageData, record.StageWeights, record.StageForward, record.StageLoss, record.StageBackward, record.StageOptimizer, record.StageBuffers, record.StageCurve,
		} {
			p.Verdict, p.Stage = record.Fail, stage
			d := judge.Diagnose(ref, cand, experiment.DefaultThresholds, &p, material(t, seed))
			if d.Causes = slices.DeleteFunc(d.Causes, func(c record.Cause) bool { return c.Name == fingerprint.StateNotTaken }); len(d.Causes) > 0 || d.Tensor != "" {
				t.Errorf("seed %d, stage %q: tensor %q\n%s", seed, stage, d.Tensor, causes(d))
			}
		}
	}
}
