package compare

import (
	"context"

	"tandem/fixtures/experiment"
	"tandem/onnx/tensor"
	"tandem/results/engine"
	"tandem/results/record"
)

// Side is one of the two engines.
type Side struct {
	// Start starts a fresh process of the engine with that many threads.
	Start func(ctx context.Context, threads int) (*engine.Client, error)
	// Mutant plants a known mistake; empty for none.
	Mutant string
}

// Looker computes a model's forward pass in evaluation mode, independently of both engines.
type Looker struct {
	Name string
	// Forward returns the model's outputs by name for the test inputs by name.
	Forward func(ctx context.Context, model string, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error)
	// Missing says why there is no Forward, when it is nil.
	Missing string
}

// Data is the data of the comparison, as it was written to the data file.
type Data struct {
	File   string
	Record record.Data
	// Test holds the model's inputs for the test rows, TestTargets their classes, row after row: one for each, or, where Positions is
	// not 0, so many.
	Test        map[string]*tensor.Tensor
	TestTargets []int64
	Positions   int
	// TestNumbers are the targets of a loss that is not of classes.
	TestNumbers []float64
	// Reordered writes the data with the order of another seed and returns the file, whose content need not outlive the next call. It is
	// needed for further trainings alone.
	Reordered func(seed uint64) (file string, err error)
}

// Options is one comparison.
type Options struct {
	// Command is the record's; empty means "run".
	Command    string
	Experiment *experiment.Experiment
	Folder     *Folder
	// Model is what was exported, and the file's path.
	Model     record.Model
	ModelFile string
	Data      Data
	Threads   int
	Reference Side
	Candidate Side
	// Third looks at the forward pass besides the two engines.
	Third Looker
	// Prove asks for the judge to be proved on every mistake that the candidate can plant.
	Prove bool
	// Runs is the number of further trainings on each side, with other seeds, that are judged together with the first.
	Runs int
	// Timing asks for the speed to be measured.
	Timing bool
	// Profile asks for what the candidate's step is spent on.
	Profile bool
	// Save keeps the candidate's trained model, Traces both traces.
	Save, Traces bool
	// Unfinished keeps what is finished of the comparison, and may hold what an interrupted session finished; nil keeps nothing.
	Unfinished *Unfinished
	// Progress is told what is being done and how much of it is done; total 0 means that it is not known.
	Progress func(phase string, done, total int)
}

func (o *Options) progress(phase string, done, total int) {
	if o.Progress != nil {
		o.Progress(phase, done, total)
	}
}
