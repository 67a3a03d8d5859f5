package pytorch

import (
	"context"
	"encoding/json"
	"fmt"
)

// SamplesModule is the Python module that calls a user's data source.
const SamplesModule = "tandem_pytorch.samples"

// SamplesError says that a data source's callable gave nothing that can be trained on.
type SamplesError struct {
	Kind    string   // "input": what the user gave; "internal": tandem's own Python code
	Message string   // what is wrong
	Detail  string   // more, such as a traceback; may be empty
	Output  []string // the last lines on standard error
}

func (e *SamplesError) Error() string {
	return e.Message + below(e.Kind, e.Detail, e.Output)
}

// UserFault says that the callable or the experiment is at fault: exit status 2 rather than 3.
func (e *SamplesError) UserFault() bool { return e.Kind == "input" || e.Kind == "unsupported" }

// Samples calls the callable that data.source of the experiment (a JSON file, as the engine protocol's load gets it) names, once, and
// writes what it returned to output, a safetensors file: "train/NAME" and "test/NAME" for each input and "target", or
// NAME alone where the callable returned one set of samples. Progress, if not nil, is told each line that the callable prints. On an
// error, a [*SamplesError] unless ctx ended, there is no output.
func (e *Environment) Samples(ctx context.Context, experimentJSON, output string, progress func(string)) error {
	stdout, tail, err := e.answer(ctx, progress, SamplesModule, "--experiment", experimentJSON, "--output", output)
	if ctx.Err() != nil {
		return fmt.Errorf("loading the data was interrupted: %w", context.Cause(ctx))
	}
	return readSamples(stdout, err, tail)
}

// readSamples makes sense of the module's one line and of how its process ended.
func readSamples(stdout []byte, ended error, tail []string) error {
	var answer struct {
		Tensors []string
		Error   *struct{ Kind, Message, Detail string }
	}
	line := lastLine(stdout)
	err := json.Unmarshal(line, &answer)
	switch {
	case err == nil && answer.Error != nil:
		return &SamplesError{Kind: answer.Error.Kind, Message: answer.Error.Message, Detail: answer.Error.Detail, Output: tail}
	case ended != nil:
		return &SamplesError{Kind: "internal", Message: "calling the data source ended with " + ended.Error(), Output: tail}
	case err != nil:
		return &SamplesError{Kind: "internal", Message: fmt.Sprintf("calling the data source answered %.200q: %v", line, err), Output: tail}
	case len(answer.Tensors) == 0:
		return &SamplesError{Kind: "internal", Message: fmt.Sprintf("calling the data source gave no tensor: %.200q", line), Output: tail}
	}
	return nil
}
