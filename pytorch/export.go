package pytorch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
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

// ExportError is an export that did not come about.
type ExportError struct {
	Kind    string   // "input" and "unsupported": what the user gave; "internal": the exporter
	Message string   // what is wrong
	Detail  string   // more, such as a traceback; may be empty
	Output  []string // the last lines on standard error
}

func (e *ExportError) Error() string {
	return "export from PyTorch: " + e.Message + below(e.Kind, e.Detail, e.Output)
}

// below is what stands under an error's message: the detail, and the last lines on standard error where the fault is tandem's own.
func below(kind, detail string, output []string) string {
	s := ""
	if detail != "" {
		s += "\n    " + strings.ReplaceAll(strings.TrimSpace(detail), "\n", "\n    ")
	}
	if kind == "internal" {
		for _, line := range output {
			s += "\n    " + line
		}
	}
	return s
}

// UserFault says that the experiment or the model is at fault, not the exporter: exit status 2 rather than 3.
func (e *ExportError) UserFault() bool { return e.Kind == "input" || e.Kind == "unsupported" }

// Export writes the model of the experiment (a JSON file, as the engine protocol's load gets it) with its initial
// weights to output, an ONNX file. The data file (safetensors) shows it the inputs' shapes. Progress, if not nil, is
// told each line of the exporter's. On an error, an [*ExportError] unless ctx ended, output is as it was before.
func (e *Environment) Export(ctx context.Context, experimentJSON, data, output string, progress func(string)) (*ExportResult, error) {
	stdout, tail, err := e.answer(ctx, progress, ExportModule, "--experiment", experimentJSON, "--data", data, "--output", output)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("export from PyTorch was interrupted: %w", context.Cause(ctx))
	}
	return readExport(stdout, err, tail)
}

// answer runs a module to its end and returns what it wrote on standard output, and the last lines on standard error.
func (e *Environment) answer(ctx context.Context, progress func(string), module string, args ...string) (stdout []byte, tail []string, err error) {
	cmd := e.Command(ctx, module, args...)
	var out bytes.Buffer
	stderr := &lineWriter{line: progress}
	cmd.Stdout, cmd.Stderr = &out, stderr
	err = runGroup(cmd)
	return out.Bytes(), stderr.end(), err
}

// lastLine returns the last line: a user's code may print before the answer.
func lastLine(stdout []byte) []byte {
	line := bytes.TrimSpace(stdout)
	return line[bytes.LastIndexByte(line, '\n')+1:]
}

// readExport makes sense of the exporter's one line and of how its process ended.
func readExport(stdout []byte, ended error, tail []string) (*ExportResult, error) {
	var answer struct {
		ExportResult
		Error *struct{ Kind, Message, Detail string }
	}
	line := lastLine(stdout)
	err := json.Unmarshal(line, &answer)
	switch {
	case err == nil && answer.Error != nil:
		return nil, &ExportError{Kind: answer.Error.Kind, Message: answer.Error.Message, Detail: answer.Error.Detail, Output: tail}
	case ended != nil:
		return nil, &ExportError{Kind: "internal", Message: "the exporter ended with " + ended.Error(), Output: tail}
	case err != nil:
		return nil, &ExportError{Kind: "internal", Message: fmt.Sprintf("the exporter answered %.200q: %v", line, err), Output: tail}
	case answer.Model == "" || answer.SHA256 == "":
		return nil, &ExportError{Kind: "internal", Message: fmt.Sprintf("the exporter's answer names no model or no SHA-256: %.200q", line), Output: tail}
	case len(answer.Checks) == 0:
		return nil, &ExportError{Kind: "internal", Message: "the exporter did not check its own result", Output: tail}
	}
	return &answer.ExportResult, nil
}

// AsUserFault reports whether err is, or wraps, something that the user can mend: a Python side that is not set up, or
// a model or experiment that cannot be exported, or data that cannot be trained on.
func AsUserFault(err error) bool {
	var s *SetupError
	var x *ExportError
	var d *SamplesError
	return errors.As(err, &s) || errors.As(err, &x) && x.UserFault() || errors.As(err, &d) && d.UserFault()
}
