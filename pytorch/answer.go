package pytorch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// AnswerError says that a module of tandem's Python package, which was to answer with one line of JSON, did not do what it was asked for.
type AnswerError struct {
	Doing   string   // what, in front of the message: "export from PyTorch: "; may be empty
	Kind    string   // "input" and "unsupported": what the user gave; "internal": tandem's own Python code
	Message string   // what is wrong
	Detail  string   // more, such as a traceback; may be empty
	Output  []string // the last lines on standard error
}

// Error has the detail below the message, and the last lines on standard error where the fault is tandem's own.
func (e *AnswerError) Error() string {
	s := e.Doing + e.Message
	if e.Detail != "" {
		s += "\n    " + strings.ReplaceAll(strings.TrimSpace(e.Detail), "\n", "\n    ")
	}
	if e.Kind == "internal" {
		for _, line := range e.Output {
			s += "\n    " + line
		}
	}
	return s
}

// UserFault says that the experiment, the model or the data is at fault, not tandem: exit status 2 rather than 3.
func (e *AnswerError) UserFault() bool { return e.Kind == "input" || e.Kind == "unsupported" }

// AsUserFault reports whether err is, or wraps, something that the user can mend: a Python side that is not set up, or
// a model or experiment that cannot be exported, or data that cannot be trained on.
func AsUserFault(err error) bool {
	var s *SetupError
	var a *AnswerError
	return errors.As(err, &s) || errors.As(err, &a) && a.UserFault()
}

// ask runs a module to its end and returns what it wrote on standard output, and the last lines on standard error.
func (e *Environment) ask(ctx context.Context, progress func(string), module string, args ...string) (stdout []byte, tail []string, err error) {
	cmd := e.Command(ctx, module, args...)
	var out bytes.Buffer
	stderr := &lineWriter{line: progress}
	cmd.Stdout, cmd.Stderr = &out, stderr
	err = runGroup(cmd)
	return out.Bytes(), stderr.end(), err
}

// answer is how a module's process ended.
type answer struct {
	stdout []byte
	ended  error
	tail   []string
	doing  string // see AnswerError
	who    string // "the exporter"
}

// read makes sense of the module's one line, the last one, for a user's code may print before it. Lacks says what a result without an error still lacks.
func (a answer) read(result any, lacks func() string) error {
	fail := func(kind, message, detail string) error {
		return &AnswerError{Doing: a.doing, Kind: kind, Message: message, Detail: detail, Output: a.tail}
	}
	line := bytes.TrimSpace(a.stdout)
	line = line[bytes.LastIndexByte(line, '\n')+1:]
	var failed struct {
		Error *struct{ Kind, Message, Detail string }
	}
	err := json.Unmarshal(line, &failed)
	if err == nil {
		err = json.Unmarshal(line, result)
	}
	switch {
	case err == nil && failed.Error != nil:
		return fail(failed.Error.Kind, failed.Error.Message, failed.Error.Detail)
	case a.ended != nil:
		return fail("internal", a.who+" ended with "+a.ended.Error(), "")
	case err != nil:
		return fail("internal", fmt.Sprintf("%s answered %.200q: %v", a.who, line, err), "")
	}
	if what := lacks(); what != "" {
		return fail("internal", fmt.Sprintf("%s %s: %.200q", a.who, what, line), "")
	}
	return nil
}
