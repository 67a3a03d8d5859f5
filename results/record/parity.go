package record

// Verdict is the judgement's outcome.
type Verdict string

// The three outcomes.
const (
	Pass         Verdict = "PASS"
	Fail         Verdict = "FAIL"
	Inconclusive Verdict = "INCONCLUSIVE"
)

// Stage is a part of training that is judged apart, in the order in which a mistake spreads.
type Stage string

// The stages.
const (
	StageData      Stage = "data"
	StageWeights   Stage = "initial weights"
	StageForward   Stage = "forward"
	StageLoss      Stage = "loss"
	StageBackward  Stage = "backward"
	StageOptimizer Stage = "optimizer"
	StageBuffers   Stage = "buffers"
	StageCurve     Stage = "free-running curve"
)

// Parity is the judgement: is the candidate's training right?
type Parity struct {
	Verdict Verdict  `json:"verdict"`
	Reasons []string `json:"reasons"` // sentences with numbers; those of a FAIL first
	// Stage is the first one that failed.
	Stage Stage `json:"stage,omitempty"`
	// Diagnosis says of a FAIL where it comes from.
	Diagnosis             *Diagnosis    `json:"diagnosis,omitempty"`
	InitialStateIdentical bool          `json:"initial_state_identical"`
	DataIdentical         bool          `json:"data_identical"`
	Stages                []StageResult `json:"stages"`
	Steps                 []JudgedStep  `json:"steps,omitempty"`
	Curve                 *Curve        `json:"curve,omitempty"`
	// FinalWeights compares the weights after free-running training; shown, never judged alone: rounding grows.
	FinalWeights []TensorError `json:"final_weights,omitempty"`
	Proof        *Proof        `json:"proof,omitempty"`
	// ChangedThresholds lists the limits that the experiment changed, with their usual values.
	ChangedThresholds []string `json:"changed_thresholds,omitempty"`
}

// StageResult is one stage's part of the judgement.
type StageResult struct {
	Stage   Stage   `json:"stage"`
	Verdict Verdict `json:"verdict"`
	Checked int     `json:"checked"` // comparisons made; a stage without any is not judged
	Worst   string  `json:"worst,omitempty"`
	Summary string  `json:"summary"`
}

// JudgedStep is one teacher-forced step: the candidate was given the reference's whole state before it.
type JudgedStep struct {
	Step int `json:"step"`
	Rows int `json:"rows"`
	// Variants are the reference's legitimate ways to compute the step that measured the noise floor; "" is its plain one. Refused are
	// those that it does not offer for this model, with its reasons.
	Variants  []string          `json:"variants,omitempty"`
	Refused   map[string]string `json:"refused_variants,omitempty"`
	Loss      LossError         `json:"loss"`
	Gradients []TensorError     `json:"gradients"`
	// Outputs are the model's outputs and every activation that both engines name.
	Outputs []TensorError `json:"outputs,omitempty"`
	// Update compares parameters and optimizer moments after one update with the reference's gradients.
	Update []TensorError `json:"update"`
	// WholeStep compares parameters and optimizer moments after the engine's own training step, gradients and all, with a
	// float64 update by the float64 gradients.
	WholeStep []TensorError `json:"whole_step,omitempty"`
	// Buffers compares the buffers after that step with the reference's.
	Buffers []TensorError `json:"buffers,omitempty"`
}

// LossError compares one step's loss.
type LossError struct {
	Reference        Float `json:"reference"`
	Candidate        Float `json:"candidate"`
	ReferenceFloat64 Float `json:"reference_float64"`
	CandidateFloat64 Float `json:"candidate_float64"`
	Rho              Float `json:"rho"`
}

// TensorError compares one tensor with the float64 result O: e(X) = ||X - O|| / ||O||.
type TensorError struct {
	Name string `json:"name"`
	// Error is e(candidate), Floor the largest e among the reference's own variants, at least 2^-23.
	Error Float `json:"error"`
	Floor Float `json:"floor"`
	Rho   Float `json:"rho"` // Error / Floor
	// Float64Gap is the relative distance of the candidate's float64 result from the reference's; absent where the
	// candidate has none.
	Float64Gap *Float `json:"float64_gap,omitempty"`
	// Zero says that O is zero by structure, so that Error is absolute against the neighbours' size.
	Zero bool `json:"zero,omitempty"`
}

// Curve compares the free-running losses.
type Curve struct {
	Steps int `json:"steps"`
	// Horizon is the first step at which the reference's own variants are further apart than the threshold: beyond
	// it a pointwise comparison means nothing. It is Steps when they never are.
	Horizon int `json:"horizon"`
	// Variants names the reference's runs that make the envelope.
	Variants []string `json:"variants"`
	// WorstStep is where, before the horizon, the candidate is furthest from the reference in units of the envelope.
	WorstStep     int   `json:"worst_step"`
	WorstRelative Float `json:"worst_relative"`
	WorstRatio    Float `json:"worst_ratio"`
	// MedianRatio is the median, before the horizon, of the candidate's distance in units of the envelope; Outside is the share
	// of those steps at which it is beyond the allowed multiple.
	MedianRatio  Float   `json:"median_ratio"`
	Outside      float64 `json:"outside"`
	LargestAfter Float   `json:"largest_after"` // relative difference after the horizon
	// Learned compares the reference's mean loss of the first and last tenth: a flat curve proves nothing.
	FirstTenth Float `json:"first_tenth"`
	LastTenth  Float `json:"last_tenth"`
	// CandidateLastTenth is the candidate's mean loss over the last tenth.
	CandidateLastTenth Float `json:"candidate_last_tenth"`
	// Departure is where the candidate left the envelope, as a flipped kink makes every training do sooner or later; absent
	// where it stayed inside.
	Departure *Departure `json:"departure,omitempty"`
}

// Departure is the candidate's leaving the envelope of the reference's nudged runs.
type Departure struct {
	Step     int   `json:"step"`     // the first loss outside
	Distance Float `json:"distance"` // its relative distance
	// Crossing is the step at which the distance passes the horizon's limit; it is the training's length if it never does.
	Crossing int `json:"crossing"`
	// Followed is the number of steps from there on for which a nudged run was followed after its own crossing, Growth the
	// median over them of the candidate's distance in units of the nudged runs' at the same age.
	Followed int   `json:"followed"`
	Growth   Float `json:"growth"`
	// Judged lists the steps at the departure that were judged from the reference's state there.
	Judged []int `json:"judged,omitempty"`
}

// Proof says how many of the planted mistakes the judge noticed.
type Proof struct {
	Applicable int      `json:"applicable"`
	Caught     int      `json:"caught"`
	Missed     []string `json:"missed,omitempty"`
	// Mutants are the planted mistakes one by one; those that do not apply to the experiment are left out.
	Mutants []Mutant `json:"mutants,omitempty"`
}

// Mutant is the judgement of one planted mistake.
type Mutant struct {
	Name    string  `json:"name"`
	Verdict Verdict `json:"verdict"` // FAIL: caught
	Stage   Stage   `json:"stage,omitempty"`
	// Cause is the first cause that the diagnosis names.
	Cause string `json:"cause,omitempty"`
}
