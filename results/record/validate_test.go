package record_test

import (
	"errors"
	"math"
	"strings"
	"testing"

	"tandem/results/record"
	"tandem/results/record/recordtest"
)

func TestBuiltRecordsAreValid(t *testing.T) {
	for name, build := range built {
		if err := build().Validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDepartureAfterItsCrossing: where the envelope is wide, a loss passes the horizon's limit inside it and leaves it later.
func TestDepartureAfterItsCrossing(t *testing.T) {
	r := recordtest.Faster()
	r.Parity.Curve.Departure = &record.Departure{Step: 308, Distance: 0.01, Crossing: 300, Followed: 3, Growth: 1}
	if err := r.Validate(); err != nil {
		t.Error(err)
	}
}

func TestValidateRefuses(t *testing.T) {
	nan := math.NaN()
	tests := []struct {
		label  string
		change func(r *record.Run)
		want   string
		reason string
	}{
		{"schema", func(r *record.Run) { r.Schema = "tandem.result/9" }, "schema is", "another layout"},
		{"no experiment", func(r *record.Run) { r.Experiment = nil }, "experiment is absent", "nobody can run it again"},
		{"no verdict", func(r *record.Run) { r.Parity.Verdict = "" }, "parity.verdict", "absent is no verdict"},
		{"fourth verdict", func(r *record.Run) { r.Parity.Verdict = "pass" }, "parity.verdict", "there are three"},
		{"no reasons", func(r *record.Run) { r.Parity.Reasons = nil }, "parity.reasons is empty", "a verdict says why"},
		{"blank reason", func(r *record.Run) { r.Parity.Reasons[0] = " " }, "parity.reasons[0] is blank", "a blank says nothing"},
		{"one engine", func(r *record.Run) { r.Engines = r.Engines[:1] }, "engines must be", "a comparison has two sides"},
		{"roles exchanged", func(r *record.Run) { r.Engines[0].Role = record.Candidate }, "engines must be", "the believed one is named"},
		{"threads unknown", func(r *record.Run) { r.Engines[1].Threads = 0 }, "engines[1].threads", "thread counts change results"},

		{"diagnosis of a PASS", func(r *record.Run) { r.Parity.Diagnosis = &record.Diagnosis{Summary: "x"} }, "parity.diagnosis is present although", "a PASS has no cause"},
		{"diagnosis of another stage", func(r *record.Run) {
			*r = *recordtest.Failed()
			r.Parity.Diagnosis.Stage = record.StageData
		}, "parity.diagnosis.stage", "it explains the verdict beside it"},
		{"diagnosis that says nothing", func(r *record.Run) {
			*r = *recordtest.Failed()
			r.Parity.Diagnosis.Summary = ""
		}, "parity.diagnosis.summary is blank", ""},
		{"operator without a name", func(r *record.Run) {
			*r = *recordtest.Failed()
			r.Parity.Diagnosis.Operator.Node = ""
		}, "parity.diagnosis.operator", "nobody finds it"},
		{"cause without a name", func(r *record.Run) {
			*r = *recordtest.Failed()
			r.Parity.Diagnosis.Causes[0].Name = ""
		}, "parity.diagnosis.causes[0] has the name", ""},
		{"cause of unknown certainty", func(r *record.Run) {
			*r = *recordtest.Failed()
			r.Parity.Diagnosis.Causes[0].Certainty = "sure"
		}, "certainty", "there are three"},
		{"evidence elsewhere", func(r *record.Run) {
			*r = *recordtest.Failed()
			r.Parity.Diagnosis.Evidence = "../x"
		}, "parity.diagnosis.evidence", "a record must not point out of its run"},

		{"other weights", func(r *record.Run) { r.Parity.InitialStateIdentical = false }, "initial states differ", "the founding lie: other weights"},
		{"other data", func(r *record.Run) { r.Parity.DataIdentical = false }, "data differ", "the founding lie: other data"},
		{"optimizer never stepped", func(r *record.Run) {
			for i := range r.Loss.Candidate {
				r.Loss.Candidate[i] = 2.3026 + record.Float(i)*1e-8
			}
		}, "loss.candidate is flat", "the founding lie: a flat loss"},
		{"no losses", func(r *record.Run) { r.Loss = record.Losses{} }, "PASS without a loss", "absence fails"},
		{"fewer losses", func(r *record.Run) { r.Loss.Candidate = r.Loss.Candidate[:700] }, "785 losses of the reference and 700", "the rest was not compared"},
		{"both short", func(r *record.Run) {
			r.Loss.Reference, r.Loss.Candidate, r.Loss.Envelope = r.Loss.Reference[:700], r.Loss.Candidate[:700], nil
		}, "700 of 785 steps have a loss", "the training did not end"},
		{"loss NaN", func(r *record.Run) { r.Loss.Candidate[3] = record.Float(nan) }, "loss.candidate[3] is NaN", "NaN fails"},
		{"no judged step", func(r *record.Run) { r.Parity.Steps = nil }, "PASS without a judged step", "curves alone never give PASS"},
		{"no gradient", func(r *record.Run) { r.Parity.Steps[1].Gradients = nil }, "no gradient was compared at the judged step 1", "gradients are primary"},
		{"unexplained departure", func(r *record.Run) { r.Parity.Curve.Departure = &record.Departure{Step: 100, Crossing: 110} }, "nothing explains the curve's departure at step 100", "a departure is either measured or judged"},
		{"departure judged nowhere", func(r *record.Run) {
			r.Parity.Curve.Departure = &record.Departure{Step: 100, Crossing: 110, Judged: []int{99}}
		}, "names step 99, which was not judged", ""},
		{"crossing after the training", func(r *record.Run) {
			r.Parity.Curve.Departure = &record.Departure{Step: 100, Crossing: 786, Followed: 3}
		}, "is not within 785 steps", ""},
		{"no update", func(r *record.Run) { r.Parity.Steps[1].Update = nil }, "no update was compared at the judged step 1", "the optimizer is judged too"},
		{"gradient NaN", func(r *record.Run) { r.Parity.Steps[1].Gradients[2].Error = record.Float(nan) }, "error of net.3.weight at step 1 is NaN", "NaN fails"},
		{"PASS with a failed stage", func(r *record.Run) { r.Parity.Stages[2].Verdict = record.Fail }, `stage "forward" is FAIL`, "a part failed"},
		{"PASS with an undecided stage", func(r *record.Run) { r.Parity.Stages[4].Verdict = record.Inconclusive }, `stage "backward" is INCONCLUSIVE`, "a part is not decided"},
		{"stage passed on nothing", func(r *record.Run) { r.Parity.Stages[4].Checked = 0 }, "is PASS without a comparison", "zero comparisons are no success"},
		{"no backward stage", func(r *record.Run) { r.Parity.Stages = r.Parity.Stages[:4] }, `stage "backward" was not judged`, "a needed stage is absent"},
		{"PASS that names a stage", func(r *record.Run) { r.Parity.Stage = record.StageLoss }, "although the verdict is PASS", "the stage is that of a failure"},
		{"proof does not add up", func(r *record.Run) { r.Parity.Proof.Caught = 12 }, "parity.proof", "missed mistakes are named"},

		{"speed-up after FAIL", func(r *record.Run) { r.Parity.Verdict, r.Parity.Stage = record.Fail, record.StageLoss }, "claimed although the verdict is FAIL", "no verdict, no speed-up"},
		{"speed-up without a decision", func(r *record.Run) { r.Parity.Verdict = record.Inconclusive }, "claimed although the verdict is INCONCLUSIVE", "no verdict, no speed-up"},
		{"speed-up of a mutant", func(r *record.Run) { r.Engines[1].Mutant = "labels shifted" }, "planted mistake", "its speed is not the candidate's"},
		{"speed-up against a recording", func(r *record.Run) { r.Engines[0].Recorded = true }, "did not run", "a recording has no speed"},
		{"few pairs", func(r *record.Run) {
			s := r.Timing.Speedup
			s.N, s.Ratios = 9, s.Ratios[:9]
		}, "rests on 9 pairs", "ten are the least"},
		{"interval holds 1", func(r *record.Run) { r.Timing.Speedup.Low = 0.9 }, "holds 1", "not told from none"},
		{"another ratio", func(r *record.Run) { r.Timing.Speedup.Median, r.Timing.Speedup.High = 22, 23 }, "is not timing.measured_ratio", "the founding lie: 22 times"},
		{"resolution not measured", func(r *record.Run) { r.Timing.Resolution = record.Speedup{} }, "timing.resolution", "the noise is unknown"},
		{"below the resolution", func(r *record.Run) { r.Timing.Resolution.High = 3 }, "not beyond the resolution", "A/A reached more"},
		{"ratios absent", func(r *record.Run) { r.Timing.Measured.Ratios = nil }, "timing.measured_ratio.n", "raw samples are kept"},
		{"comparison of nobody", func(r *record.Run) { r.Timing.Comparisons[0].Reference.Threads = 9 }, "contenders that were not timed", "invented"},
		{"like for unlike", func(r *record.Run) { r.Timing.Comparisons[0].Candidate.Threads = 1 }, "of the kind \"like-for-like\" with 2 and 1 threads", "a mislabelled row"},
		{"comparison's speed-up is another", func(r *record.Run) { r.Timing.Comparisons[0].Speedup.Median *= 1.01 }, "comparisons[0].speedup is not", "the founding lie"},
		{"comparison without words", func(r *record.Run) { r.Timing.Comparisons[0].Claim = "" }, "comparisons[0].claim is empty", "speed comes with its words"},
		{"comparison claimed after FAIL", func(r *record.Run) {
			r.Parity.Verdict, r.Parity.Stage, r.Timing.Speedup = record.Fail, record.StageLoss, nil
		}, "comparisons[0].speedup is claimed although the verdict is FAIL", "no verdict, no speed-up"},
		{"left out without a reason", func(r *record.Run) { r.Timing.LeftOut[0].Reason = "" }, "left_out[0] does not say", "absence has a reason"},
		{"no claim", func(r *record.Run) { r.Timing.Claim = "" }, "timing.claim is empty", "speed comes with its words"},
		{"no timing, no reason", func(r *record.Run) { r.Timing = nil }, "timing_absent does not say why", "absence has a reason"},
		{"timing and its absence", func(r *record.Run) { r.TimingAbsent = "no" }, "timing is present and", "one of both"},
		{"negative time", func(r *record.Run) { r.Timing.Candidate.BlockMedians[4] = -1 }, "block_medians[4]", "a clock that went backwards"},
		{"NaN time", func(r *record.Run) { r.Timing.Candidate.StepSeconds.Median = nan }, "step_seconds", "NaN fails"},
		{"NaN in a plain field", func(r *record.Run) { r.Environment.LoadAfter[1] = nan }, "environment.load_after[1] is NaN", "JSON has no number for it"},
		{"infinite limit", func(r *record.Run) { r.Experiment.Parity.Thresholds.PassRho = math.Inf(1) }, "experiment.parity.thresholds.pass_rho is +Inf", "would pass everything"},

		{"look beyond its limit", func(r *record.Run) { r.Forward[0].MaxDiff = 1 }, "forward[0] is ok although", "the flag contradicts the number"},
		{"look NaN", func(r *record.Run) { r.Forward[0].MaxDiff = record.Float(nan) }, "forward[0] is ok although", "NaN fails"},
		{"PASS with a look that differs", func(r *record.Run) { r.Forward[1].OK = false }, "PASS although forward[1]", "ONNX Runtime disagrees"},
		{"look skipped and ok", func(r *record.Run) { r.Forward[3].OK = true }, "ok although it was skipped", "nothing was looked at"},
		{"accuracy above 1", func(r *record.Run) { r.Accuracy.Candidate = 82.3 }, "not a share", "per cent for a share"},
		{"accuracy NaN", func(r *record.Run) { r.Accuracy.Candidate = nan }, "not a share", "NaN fails"},
		{"more of its own than there is", func(r *record.Run) {
			r.Memory[record.Candidate] = record.MemoryUse{BaselineBytes: 2, PeakBytes: 4, BaselineOwnBytes: 1, PeakOwnBytes: 5}
		}, "memory.candidate", "what is its own is a part"},
		{"a baseline of its own without a peak", func(r *record.Run) {
			r.Memory[record.Candidate] = record.MemoryUse{BaselineBytes: 2, PeakBytes: 4, BaselineOwnBytes: 1}
		}, "memory.candidate", "both or none are known"},
		{"peak below baseline", func(r *record.Run) { r.Memory[record.Candidate] = record.MemoryUse{BaselineBytes: 2, PeakBytes: 1} }, "memory.candidate", "a peak is the largest"},
	}
	for _, test := range tests {
		t.Run(test.label, func(t *testing.T) {
			r := recordtest.Faster()
			test.change(r)
			err := r.Validate()
			var ve *record.ValidationError
			if !errors.As(err, &ve) || len(ve.Problems) == 0 {
				t.Fatalf("accepted it, although: %s", test.reason)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %q does not hold %q (%s)", err, test.want, test.reason)
			}
		})
	}
}

func TestValidateNeedsTheStageOfAFail(t *testing.T) {
	r := recordtest.Failed()
	r.Parity.Stage = ""
	if err := r.Validate(); err == nil || !strings.Contains(err.Error(), "a FAIL names its stage") {
		t.Errorf("got %v", err)
	}
}
