package trace

import (
	"fmt"
	"slices"

	"tandem/fixtures/experiment"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// ReferenceOptions says what to collect from a reference.
type ReferenceOptions struct {
	Load       engine.LoadParams
	Experiment *experiment.Experiment // the content of Load.Experiment, kept in the trace
	Steps      int                    // of the free run: the length of the training
	Frozen     []string               // the parameters that Load.Model has not trained, kept in the trace
	// JudgedSteps as [JudgedSteps] resolves them.
	JudgedSteps []int
	// Sample keeps at most so many elements of a tensor where it need not be whole; 0 keeps all, [SampleLarge] all of a model that is not large.
	Sample int
	// OmitInitialState leaves the state of judged step 0 out, for a recording that travels with its model.
	OmitInitialState bool
	// Nudges is the number of free runs from nudged starts; Seed draws them.
	Nudges int
	Seed   uint64
	// Activations asks for the values inside the forward pass, if the engine can give them.
	Activations bool
	// WorkDir is an existing folder for the files that pass between the collector and the engine.
	WorkDir string
	// Progress, if not nil, is called as training steps are done and judged steps finished.
	Progress Progress
}

// CandidateOptions says how to collect from a candidate; what to collect follows from the reference.
type CandidateOptions struct {
	Load        engine.LoadParams
	Activations bool
	WorkDir     string
	Progress    Progress
	// Enough, if not nil, is asked what is known so far: after load, and after the judged steps, before the free run. When it
	// answers true, the trace ends there, without judged steps or without losses.
	Enough func(*Candidate) bool
}

// SampleLarge as ReferenceOptions.Sample keeps every tensor whole unless the traces would then take more than wholeBytes of memory; of a larger
// model's, or a larger batch's, tensors largeSample elements each are kept, which norm-wise errors are as well seen in.
const (
	SampleLarge = -1
	largeSample = 1 << 16
	wholeBytes  = 4 << 30
)

// sampleOf returns the sample's size for a model of so many elements of parameters, and of outputs and activations. Both traces of a judged step
// together hold its parameters some fourteen times in float32, and as many times in float64; what a batch goes through, which grows with the
// batch, twice in each, and once more in float32 while a rounding variant is looked at.
func sampleOf(parameters, activations, judged int) int {
	const ofParameter, ofActivation = 14*4 + 14*8, 3*4 + 2*8
	most := wholeBytes / max(judged, 1)
	if parameters > most/ofParameter || activations > (most-parameters*ofParameter)/ofActivation {
		return largeSample
	}
	return 0
}

// elementsOf counts the elements of a tensor, none where its shape is no shape: whoever reads it says so.
func elementsOf(shape []int) int {
	n, err := tensor.Elements(shape)
	if err != nil {
		return 0
	}
	return n
}

// Progress is told what is being done and how much of the whole is, in units that are alike in time to within an
// order of magnitude.
type Progress func(done, total int, what string)

// DefaultNudges gives an envelope whose largest member a correct candidate, being one more draw, exceeds in one run of six.
const DefaultNudges = 5

// LeastVariants is the number of rounding variants that a reference must offer, and of ways (the plain one and the variants that the model
// admits) in which the noise must have been measured: the largest of fewer draws says too little of how far rounding reaches.
const LeastVariants = 5

// JudgedSteps resolves an experiment's list: negative numbers count from the end, steps outside the training are
// left out, the rest is sorted and each named once.
func JudgedSteps(list []int, steps int) []int {
	var out []int
	for _, s := range list {
		if s < 0 {
			s += steps
		}
		if s >= 0 && s < steps {
			out = append(out, s)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (o *ReferenceOptions) check() error {
	if o.Experiment == nil || o.WorkDir == "" {
		return fmt.Errorf("the experiment and a work folder are required")
	}
	if o.Steps < 1 || o.Sample < SampleLarge || o.Nudges < 0 {
		return fmt.Errorf("steps %d, sample %d, nudges %d: none may be negative, and there must be a step", o.Steps, o.Sample, o.Nudges)
	}
	if !slices.Equal(o.JudgedSteps, JudgedSteps(o.JudgedSteps, o.Steps)) {
		return fmt.Errorf("judged steps %v are not resolved for %d steps", o.JudgedSteps, o.Steps)
	}
	return nil
}
