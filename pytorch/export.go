package pytorch

import (
	"context"
	"fmt"
)

// ExportModule is the Python module that writes a model as ONNX.
const ExportModule = "tandem_pytorch.export"

// ExportResult is what the exporter says about the model that it wrote.
type ExportResult struct {
	Model      string   `json:"model"`      // the ONNX file
	SHA256     string   `json:"sha256"`     // of the file
	Parameters int64    `json:"parameters"` // numbers in all parameter tensors
	Checks     []string `json:"checks"`     // sentences on what the exporter verified
}

// Export writes the model of the experiment (a JSON file, as the engine protocol's load gets it) with its initial
// weights to output, an ONNX file. The data file (safetensors) shows it the inputs' shapes. Progress, if not nil, is
// told each line of the exporter's. On an error, an [*AnswerError] unless ctx ended, output is as it was before.
func (e *Environment) Export(ctx context.Context, experimentJSON, data, output string, progress func(string)) (*ExportResult, error) {
	stdout, tail, err := e.ask(ctx, progress, ExportModule, "--experiment", experimentJSON, "--data", data, "--output", output)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("export from PyTorch was interrupted: %w", context.Cause(ctx))
	}
	return readExport(stdout, err, tail)
}

// readExport makes sense of the exporter's answer.
func readExport(stdout []byte, ended error, tail []string) (*ExportResult, error) {
	var r ExportResult
	a := answer{stdout: stdout, ended: ended, tail: tail, doing: "export from PyTorch: ", who: "the exporter"}
	if err := a.read(&r, func() string {
		switch {
		case r.Model == "" || r.SHA256 == "":
			return "named no model or no SHA-256"
		case len(r.Checks) == 0:
			return "did not check its own result"
		}
		return ""
	}); err != nil {
		return nil, err
	}
	return &r, nil
}
