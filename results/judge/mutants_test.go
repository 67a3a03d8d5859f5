package judge_test

import (
	"strings"
	"testing"

	"tandem/results/record"
	"tandem/results/trace/tracetest"
)

// TestMutants plants every mistake that the test engine knows. Each must fail in its own stage: a verdict that cannot
// fail says nothing.
func TestMutants(t *testing.T) {
	late := collection{steps: 64, judged: []int{0, 3, tracetest.ShortBatch, 20}}
	early := collection{steps: 64, judged: []int{0, 3, 4}}
	judged := map[string]bool{}
	for _, m := range []struct {
		mutant string
		stage  record.Stage
		judged collection
		says   string // part of the first reason
		reason string
	}{
		{"loss sum for mean", record.StageLoss, usual, "Loss", "outputs agree, the loss is B times too large"},
		{"softmax applied twice", record.StageLoss, usual, "Loss", "the outputs are still logits"},
		{"labels shifted", record.StageLoss, usual, "Loss", "the targets do not touch the forward pass"},
		{"mean over the nominal batch", record.StageLoss, late, "step 7", "only the short batch shows it, on one judged step; float64 decides"},
		{"loss not a number", record.StageLoss, usual, "NaN", "NaN is never within a tolerance"},
		{"gradient scaled by 1/B twice", record.StageBackward, usual, "Gradients", "Adam hides it from the loss curve"},
		{"gradient scaled on the short batch", record.StageBackward, late, "step 7", "one judged step, but every gradient is off, which no kink does"},
		{"gradient of the wrong sign", record.StageBackward, usual, "Gradients", ""},
		{"gradient in half precision", record.StageBackward, usual, "Gradients", ""},
		{"gradient off by 1e-5", record.StageBackward, usual, "Gradients", "above the noise"},
		{"gradient off by 1e-8", record.StageBackward, usual, "in float64", "below float32's noise: only float64 shows it"},
		{"bias gradient missing", record.StageBackward, usual, "fc1.bias", "one tensor of four"},
		{"gradient not a number", record.StageBackward, usual, "NaN", ""},
		{"gradient infinite", record.StageBackward, usual, "+Inf", ""},
		{"gradients not zeroed between steps", record.StageCurve, usual, "step", "each single step from a given state is right"},
		{"eps inside the root", record.StageOptimizer, usual, "Optimizer", ""},
		{"eps before the bias correction", record.StageOptimizer, usual, "Optimizer", "the formula of ONNX's Adam operator"},
		{"no bias correction", record.StageOptimizer, usual, "Optimizer", ""},
		{"bias correction one step late", record.StageOptimizer, usual, "Optimizer", ""},
		{"optimizer state reset", record.StageOptimizer, usual, "Optimizer", "right at step 0"},
		{"L2 for decoupled weight decay", record.StageOptimizer, usual, "Optimizer", ""},
		{"learning rate doubled", record.StageOptimizer, usual, "Optimizer", ""},
		{"optimizer never steps", record.StageOptimizer, usual, "whole training step", "update is right, the training step does not use it"},
		{"counter stands still", record.StageOptimizer, usual, "step counter", "the counter decides batch, masks and bias correction"},
		{"dropout unscaled", record.StageForward, usual, "Forward", ""},
		{"dropout mask reused", record.StageForward, usual, "Forward", "right at step 0, wrong at both others"},
		{"weight transposed where square", record.StageForward, usual, "Forward", "no shape tells"},
		{"weights rounded to half precision", record.StageWeights, usual, "initial state", ""},
		{"weights in half precision inside", record.StageForward, usual, "Forward", "digests are right, what is computed with is not"},
		{"other initial weights", record.StageWeights, usual, "initial state", ""},
		{"other data", record.StageData, usual, "data", ""},
		{"data scaled unseen", record.StageForward, usual, "Forward", "the digest was of other data"},
		{"last batch dropped", record.StageForward, late, "step 7 has shape [8 5]", "the judged steps after it have other batches"},
		{"last batch dropped", record.StageCurve, early, "step 7", "no judged step shows it: the curve must, and name the step"},
		{"one batch repeated", record.StageCurve, usual, "step 5", "as above"},
		{"one batch repeated in training alone", record.StageCurve, usual, "step 5", "grad would be right even at step 5"},
		{"running mean with the other momentum", record.StageBuffers, usual, "Buffers: mean", ""},
		{"float64 in float32", record.StageForward, usual, "in float64", "a float64 that is none proves nothing"},
	} {
		judged[m.mutant] = true
		t.Run(m.mutant, func(t *testing.T) {
			for seed := range uint64(2) {
				p := judgeMutant(t, seed, m.mutant, m.judged)
				if p.Verdict != record.Fail || p.Stage != m.stage || !strings.Contains(p.Reasons[0], m.says) {
					t.Errorf("seed %d: %s in the stage %q, want FAIL in %q with %q first (%s)\n%s", seed, p.Verdict, p.Stage, m.stage, m.says, m.reason, strings.Join(p.Reasons, "\n"))
				}
			}
		})
	}
	for _, m := range tracetest.Mutants {
		if !judged[m] {
			t.Errorf("no row for the mutant %q", m)
		}
	}
}
