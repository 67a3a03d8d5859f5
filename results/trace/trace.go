package trace

import (
	"tandem/fixtures/experiment"
	"tandem/results/engine"
)

// Schema is the version of the layout on disk.
const Schema = "tandem.trace/1"

// Common is what both roles' traces hold.
type Common struct {
	Engine engine.Hello  `json:"engine"`
	Loaded engine.Loaded `json:"loaded"` // threads, and the engine's own digests of parameters, buffers and data
	Mutant string        `json:"mutant,omitempty"`
	// Initial describes the state after load, from the state file that the engine wrote, not from what it said.
	Initial []engine.TensorInfo `json:"initial"`
	// Final describes the state after the free run, in the same way.
	Final []engine.TensorInfo `json:"final"`

	Losses      []float64 `json:"-"` // of every free-running step
	FinalValues Set       `json:"-"` // "parameters/<name>" after the free run, sampled
	EvalInitial Tensors   `json:"-"` // "outputs/<name>" for the test rows before training, float32
	EvalTrained Tensors   `json:"-"` // the same after the free run
}

// Reference is the trace of the engine that is believed.
type Reference struct {
	Common
	Experiment *experiment.Experiment `json:"experiment"`
	Sample     int                    `json:"sample"` // elements kept of a tensor at most; 0 means all
	// Frozen are the parameters that the model has not trained, by name: they have no gradient and keep their numbers.
	Frozen []string        `json:"frozen,omitempty"`
	Steps  []ReferenceStep `json:"steps"`
	// FreeRuns are the reference's runs from nudged starts.
	FreeRuns []FreeRun `json:"free_runs"`
}

// Candidate is the trace of the engine that is judged, collected against a reference.
type Candidate struct {
	Common
	Sample int             `json:"sample"` // the reference's
	Steps  []CandidateStep `json:"steps"`
}

// Measured is what an engine of either role answers at a judged step. Sets are keyed as in the engine protocol's
// files, such as "gradients/fc1.weight".
type Measured struct {
	Step int `json:"step"`
	// Loss32 and Loss64 are the loss of the step's batch; Loss64 is absent when the engine does not compute in float64.
	Loss32 engine.Float  `json:"loss_float32"`
	Loss64 *engine.Float `json:"loss_float64,omitempty"`
	// Batch has the SHA-256 of each tensor of the step's batch, where the engine says it.
	Batch map[string]string `json:"batch,omitempty"`
	// UpdateStep is the step counter after the update, AfterStep after the engine's own training step.
	UpdateStep int64 `json:"update_step"`
	AfterStep  int64 `json:"after_step"`
	// StepLoss is the loss that the engine's own training step reported.
	StepLoss engine.Float `json:"step_loss"`

	Float32  Set `json:"-"` // "gradients/", "outputs/", "activations/"
	Float64  Set `json:"-"` // the same names; nil when the engine does not compute in float64
	Update32 Set `json:"-"` // "parameters/", "optimizer/<slot>/" after the update with the reference's gradients
	Update64 Set `json:"-"` // the same, computed in float64
	After    Set `json:"-"` // "parameters/", "optimizer/<slot>/", "buffers/" after the engine's own training step
}

// ReferenceStep is a judged step of the reference.
type ReferenceStep struct {
	Measured
	Rows int `json:"rows"` // of the step's batch
	// Departure says that the step was not asked for but added since a candidate's free run left the reference's there.
	Departure bool `json:"departure,omitempty"`
	// InitialState says that State was left out because it is the initial one.
	InitialState bool `json:"initial_state,omitempty"`
	// Noise has each legitimate variant's distances from Float64: of "loss" and of every tensor. The reference's own
	// float32 result is the variant "".
	Noise []Noise `json:"noise"`
	// StepNoise has the distances of whole steps from Exact: of the reference's own training step ("step"), of the
	// update with its own gradients ("") and with those of each variant.
	StepNoise []Noise `json:"step_noise"`
	// Replays hold the losses of the steps after this one, as a candidate's Replay does, of the reference's own trainings on from State nudged
	// by one unit in the last place: how far rounding grows in so few steps. Absent in departures and in older traces.
	Replays [][]engine.Float `json:"replays,omitempty"`
	// Refused are the variants that the engine does not offer for this model, with its reasons.
	Refused map[string]string `json:"refused,omitempty"`

	State  Tensors `json:"-"` // the whole state before the step
	Before Set     `json:"-"` // its "parameters/", sampled
	Exact  Set     `json:"-"` // the float64 state after an update with the float64 gradients
}

// CandidateStep is a judged step of the candidate.
type CandidateStep struct {
	Measured
	// Held describes the state that the candidate holds after it was given the reference's and answered grad and
	// update, which change nothing.
	Held []engine.TensorInfo `json:"held"`
	// Replay holds the losses of the [ReplaySteps] steps (or as many as the training has left) that the candidate trained
	// on after its own step, without being given the reference's state again.
	Replay []engine.Float `json:"replay,omitempty"`
}

// Noise is one variant's absolute Euclidean distance from the float64 result for each tensor.
type Noise struct {
	Variant  string                  `json:"variant"`
	Distance map[string]engine.Float `json:"distance"`
}

// FreeRun is one more training of the reference.
type FreeRun struct {
	Name string `json:"name"`
	// Distance is how far each final parameter is from the reference's, as an absolute Euclidean norm.
	Distance map[string]engine.Float `json:"distance"`
	Losses   []float64               `json:"-"`
}
