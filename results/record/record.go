package record

import (
	"time"

	"tandem/fixtures/experiment"
	"tandem/results/engine"
)

// Schema is the version of the record's layout.
const Schema = "tandem.result/1"

// Float is a number that survives JSON when it is NaN or infinite.
type Float = engine.Float

// Run is one comparison of two engines on one experiment.
type Run struct {
	Schema     string                 `json:"schema"`
	Command    string                 `json:"command"` // "run", "check", "bench"
	Started    time.Time              `json:"started"`
	Seconds    float64                `json:"seconds"` // of the whole command, in all its sessions
	Resumed    []Resumption           `json:"resumed,omitempty"`
	Experiment *experiment.Experiment `json:"experiment"`
	Data       Data                   `json:"data"`
	Model      Model                  `json:"model"`
	Engines    []Engine               `json:"engines"` // the reference first
	Parity     Parity                 `json:"parity"`
	Loss       Losses                 `json:"loss"`
	Accuracy   *Accuracy              `json:"accuracy,omitempty"`
	Perplexity *Perplexity            `json:"perplexity,omitempty"`
	TestLoss   *TestLoss              `json:"test_loss,omitempty"`
	Runs       *Runs                  `json:"runs,omitempty"` // further trainings, when they were asked for
	Forward    []ForwardLook          `json:"forward,omitempty"`
	Timing     *Timing                `json:"timing,omitempty"` // nil when speed was not measured
	// TimingAbsent says why there is no timing.
	TimingAbsent string             `json:"timing_absent,omitempty"`
	Memory       map[Role]MemoryUse `json:"memory,omitempty"`
	// Profile is what the candidate's step is spent on, when that was asked for.
	Profile     *Profile    `json:"profile,omitempty"`
	Environment Environment `json:"environment"`
	// Warnings are what a reader must know before believing a number, each a sentence.
	Warnings []string `json:"warnings,omitempty"`
}

// Resumption is a later session of a command that was interrupted.
type Resumption struct {
	Started time.Time `json:"started"`
	After   string    `json:"after"` // the parts of the comparison that were finished then; "nothing" if none was
}

// Role is an engine's part in the comparison.
type Role string

// The two roles.
const (
	Reference Role = "reference" // believed
	Candidate Role = "candidate" // judged
)

// Engine describes one side.
type Engine struct {
	Role     Role              `json:"role"`
	Name     string            `json:"name"`
	Version  string            `json:"version"`
	Versions map[string]string `json:"versions,omitempty"`
	Device   string            `json:"device"`
	Threads  int               `json:"threads"`
	Mode     string            `json:"mode,omitempty"`  // in the parity part
	Modes    []string          `json:"modes,omitempty"` // all that the engine has
	Mutant   string            `json:"mutant,omitempty"`
	// Recorded is true when the engine did not run and its recorded answers were read.
	Recorded bool `json:"recorded,omitempty"`
}

// Data says what was trained on.
type Data struct {
	Source      string `json:"source"`
	Description string `json:"description"`
	License     string `json:"license,omitempty"`
	TrainRows   int    `json:"train_rows"`
	TestRows    int    `json:"test_rows"`
	Steps       int    `json:"steps"` // of the whole training, the short last batches included
	// SHA256 of each tensor of the data file.
	SHA256 map[string]string `json:"sha256"`
}

// Model says what was trained.
type Model struct {
	Parameters int                 `json:"parameters"` // trainable numbers
	Tensors    []engine.TensorInfo `json:"tensors"`    // their names, shapes and initial digests
	File       string              `json:"file"`       // relative to the run's folder
	// FileAbsent says why the folder does not hold File and what makes it again; empty where it does.
	FileAbsent     string   `json:"file_absent,omitempty"`
	SHA256         string   `json:"sha256"`   // of the ONNX file
	Exporter       string   `json:"exporter"` // program and version
	ExporterChecks []string `json:"exporter_checks,omitempty"`
	TrainedFile    string   `json:"trained_file,omitempty"` // written with --save
	DropoutSites   int      `json:"dropout_sites"`
	Opset          int      `json:"opset"`
}

// Losses are the free-running training curves.
type Losses struct {
	Reference []Float `json:"reference"`
	Candidate []Float `json:"candidate"`
	// Envelope is the largest relative distance that the reference's own legitimate variants reached up to each step.
	Envelope []Float `json:"envelope,omitempty"`
}

// Accuracy is the share of the test rows whose largest output is the target, after training.
type Accuracy struct {
	Rows      int     `json:"rows"`
	Reference float64 `json:"reference"`
	Candidate float64 `json:"candidate"`
	Initial   float64 `json:"initial"` // the reference's, before training
}

// Perplexity is, for a model with scores for each position of a sample, the exponential of the mean cross-entropy over the positions of
// the test rows, after training: how many equally likely classes would be as hard to tell.
type Perplexity struct {
	Positions int   `json:"positions"`
	Reference Float `json:"reference"`
	Candidate Float `json:"candidate"`
	Initial   Float `json:"initial"` // the reference's, before training
}

// TestLoss is, for a model whose outputs are no classes' scores, the experiment's loss of the test rows, after training.
type TestLoss struct {
	Rows      int   `json:"rows"`
	Reference Float `json:"reference"`
	Candidate Float `json:"candidate"`
	Initial   Float `json:"initial"` // the reference's, before training
}

// ForwardLook compares two independent forward passes in eval mode on the test rows: the outputs' largest relative
// difference, against the largest output.
type ForwardLook struct {
	Weights string `json:"weights"` // "initial", "reference's trained", "candidate's trained"
	A       string `json:"a"`
	B       string `json:"b"`
	Rows    int    `json:"rows"`
	MaxDiff Float  `json:"max_difference"` // max |a-b| / max |a|
	Limit   Float  `json:"limit"`
	OK      bool   `json:"ok"`
	Skipped string `json:"skipped,omitempty"` // why the look could not be taken
}
