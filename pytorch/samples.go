package pytorch

import (
	"context"
	"fmt"
)

// SamplesModule is the Python module that calls a user's data source.
const SamplesModule = "tandem_pytorch.samples"

// Samples calls the callable that data.source of the experiment (a JSON file, as the engine protocol's load gets it) names, once, and
// writes what it returned to output, a safetensors file: "train/NAME" and "test/NAME" for each input and "target", or
// NAME alone where the callable returned one set of samples. Progress, if not nil, is told each line that the callable prints. On an
// error, an [*AnswerError] unless ctx ended, there is no output.
func (e *Environment) Samples(ctx context.Context, experimentJSON, output string, progress func(string)) error {
	stdout, tail, err := e.ask(ctx, progress, SamplesModule, "--experiment", experimentJSON, "--output", output)
	if ctx.Err() != nil {
		return fmt.Errorf("loading the data was interrupted: %w", context.Cause(ctx))
	}
	return readSamples(stdout, err, tail)
}

// readSamples makes sense of the module's answer.
func readSamples(stdout []byte, ended error, tail []string) error {
	var r struct{ Tensors []string }
	a := answer{stdout: stdout, ended: ended, tail: tail, who: "calling the data source"}
	return a.read(&r, func() string {
		if len(r.Tensors) == 0 {
			return "gave no tensor"
		}
		return ""
	})
}
