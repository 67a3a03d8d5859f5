package engine

import (
	"encoding/json"

	"tandem/onnx"
)

// Version is the protocol's version. An engine that answers hello with another one is refused.
const Version = 1

// Request is one line to an engine.
type Request struct {
	ID      int64           `json:"id"`
	Command string          `json:"command"`
	Params  json.RawMessage `json:"params,omitempty"`
}

// Response is one line from an engine: a result or an error.
type Response struct {
	ID     int64           `json:"id"`
	Result json.RawMessage `json:"result,omitempty"`
	Error  *Error          `json:"error,omitempty"`
}

// Hello is an engine's description of itself.
type Hello struct {
	Protocol int    `json:"protocol"`
	Name     string `json:"name"`    // "pytorch", "native", ...
	Version  string `json:"version"` // the engine's own
	// Versions of what the engine rests on, such as "torch", "python" or "go".
	Versions map[string]string `json:"versions,omitempty"`
	Device   string            `json:"device"` // "cpu"
	PID      int               `json:"pid"`
	// DTypes that grad and forward compute in: "float32", "float64".
	DTypes []string `json:"dtypes"`
	// Modes are ways of running that load chooses from; the first is the default. PyTorch has "eager", "fused" and "compile".
	Modes []string `json:"modes,omitempty"`
	// Variants are legitimate ways to compute the same gradient in float32 that differ in rounding alone; grad
	// chooses one. They measure the noise floor.
	Variants []string `json:"variants,omitempty"`
	// Mutants are known mistakes that load can plant, to prove that a judge notices.
	Mutants []string `json:"mutants,omitempty"`
	// SharedRandom says that the engine can draw the shared dropout masks.
	SharedRandom bool `json:"shared_random"`
	// Activations says that grad can write the forward pass's values by their ONNX names.
	Activations bool `json:"activations"`
	// Save says that the engine can write its model as ONNX.
	Save bool `json:"save"`
	// Profile says that the engine can tell what a step's time is spent on.
	Profile bool `json:"profile,omitempty"`
}

// The two sources of dropout masks.
const (
	RandomShared = "shared"
	RandomOwn    = "own"
)

// LoadParams tells an engine what to train. Paths are absolute.
type LoadParams struct {
	Experiment string `json:"experiment"` // JSON file
	Model      string `json:"model"`      // ONNX file
	Data       string `json:"data"`       // safetensors file
	Threads    int    `json:"threads"`
	Mode       string `json:"mode,omitempty"`
	Random     string `json:"random"`
	Mutant     string `json:"mutant,omitempty"`
}

// TensorInfo identifies a tensor by its bits.
type TensorInfo struct {
	Name   string `json:"name"`
	DType  string `json:"dtype"`
	Shape  []int  `json:"shape"`
	SHA256 string `json:"sha256"` // of the elements' little-endian bytes
}

// Loaded says what an engine holds after load.
type Loaded struct {
	Parameters []TensorInfo      `json:"parameters"`
	Buffers    []TensorInfo      `json:"buffers,omitempty"`
	Data       map[string]string `json:"data"` // SHA-256 of each tensor of the data file
	Threads    int               `json:"threads"`
	Mode       string            `json:"mode,omitempty"`
	Sites      int               `json:"dropout_sites"`
}

// FileParams names a file to write or read.
type FileParams struct {
	File string `json:"file"`
}

// StateInfo is the state's step counter after the command.
type StateInfo struct {
	Step int64 `json:"step"`
}

// GradParams asks for the loss and gradients of the present step's batch at the present state.
type GradParams struct {
	DType       string `json:"dtype"`
	Variant     string `json:"variant,omitempty"`
	Activations bool   `json:"activations,omitempty"`
	File        string `json:"file"`
}

// UpdateParams asks for the state after one optimizer update of the present state with the gradients in a file. The
// engine's own state stays as it is.
type UpdateParams struct {
	Gradients string `json:"gradients"` // safetensors file with "gradients/<name>"
	DType     string `json:"dtype"`     // that the update is computed in, from the float32 state
	File      string `json:"file"`      // the resulting state file, in DType
}

// GradResult answers grad; the tensors are in the file.
type GradResult struct {
	Loss Float `json:"loss"`
	// Batch has the SHA-256 of each tensor of the step's batch, as a training step takes it, by the model's input or "target". Answered where it
	// was computed in float32; may be absent.
	Batch map[string]string `json:"batch,omitempty"`
}

// StepParams asks for n training steps.
type StepParams struct {
	N int `json:"n"`
}

// StepResult holds one loss and one wall time for each step.
type StepResult struct {
	Losses  []Float   `json:"losses"`
	Seconds []float64 `json:"seconds"`
	Step    int64     `json:"step"`
}

// ForwardRows is the number of rows that forward computes at a time. It matters where an output is a scalar, which has one number for each pass.
const ForwardRows = 256

// RowsOfPass returns the number of rows that forward computes at a time for a model.
func RowsOfPass(m *onnx.Model) int {
	if fixed := m.Graph.FixedBatch(); fixed > 0 {
		return fixed
	}
	return ForwardRows
}

// ForwardParams asks for the model's outputs for all rows of a split.
type ForwardParams struct {
	Split string `json:"split"` // "train" or "test"
	Mode  string `json:"mode"`  // "eval": dropout off, statistics fixed. Others may be added.
	DType string `json:"dtype"`
	File  string `json:"file"` // outputs/<name>
}

// ForwardResult answers forward.
type ForwardResult struct {
	Rows int `json:"rows"`
}

// Memory is an engine's resident memory in bytes. Baseline is what stood after start-up and imports, before load.
type Memory struct {
	BaselineBytes int64 `json:"baseline_bytes"`
	CurrentBytes  int64 `json:"current_bytes"`
	PeakBytes     int64 `json:"peak_bytes"`
	// DataBytes is how much of it are samples of the data set: all of them, where the engine keeps the data set in memory as its users
	// would, and about nothing where it reads them batch by batch.
	DataBytes int64 `json:"data_bytes,omitempty"`
	// BaselineProgramBytes and ProgramBytes are how much of BaselineBytes and of CurrentBytes are pages of the files that the process executes, its program and its
	// libraries, that it has not written to. Other processes share them, and how many are there is the system's affair; data that is mapped from a file and
	// code that was generated are not among them. Both are 0 where the engine does not know.
	BaselineProgramBytes int64 `json:"baseline_program_bytes,omitempty"`
	ProgramBytes         int64 `json:"program_bytes,omitempty"`
}

// ProfileParams asks what a training step's time is spent on.
type ProfileParams struct {
	// Steps is the number of steps that are timed as a whole, and once more of those that are timed part by part. The engine trains them.
	Steps int `json:"steps"`
}

// Profile answers profile. Times are by the engine's own monotonic clock.
type Profile struct {
	// StepSeconds are the times of whole steps, as step answers them.
	StepSeconds []float64 `json:"step_seconds"`
	// OperationsPerSecond is how many floating-point operations the engine's threads could do at best while it profiled, measured then, two
	// for a multiplication with its addition.
	OperationsPerSecond float64 `json:"operations_per_second"`
	// Bandwidths are the bytes that they could move in a second, measured then, the smallest set first.
	Bandwidths []Bandwidth `json:"bandwidths"`
	// Calls are what a step consists of, in the order in which they run.
	Calls []ProfileCall `json:"calls"`
}

// Bandwidth is how fast bytes can be read, or read and written, within a set of so many.
type Bandwidth struct {
	SetBytes       int64   `json:"set_bytes"`
	BytesPerSecond float64 `json:"bytes_per_second"`
}

// ProfileCall is a part of a step that is timed by itself.
type ProfileCall struct {
	Phase    string `json:"phase"`    // "forward", "loss", "backward" or "update"
	Operator string `json:"operator"` // what is computed, in the engine's words
	// Layer is the node of the forward pass that the call belongs to: what it computes, differentiates, or trains the parameters of.
	Layer         string `json:"layer"`
	LayerOperator string `json:"layer_operator"`
	Module        string `json:"module,omitempty"`    // the layer's PyTorch module path
	Algorithm     string `json:"algorithm,omitempty"` // how it is computed, where there is a choice
	// Seconds is the median of the steps'.
	Seconds float64 `json:"seconds"`
	// Operations are those of the products, by the operator's definition; Bytes are those of all elements that are read and written, each once.
	Operations float64 `json:"operations"`
	Bytes      float64 `json:"bytes"`
}
