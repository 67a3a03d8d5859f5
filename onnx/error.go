package onnx

import (
	"errors"
	"strconv"
	"strings"
)

// What kind of error an *Error is; ask with errors.Is.
var (
	ErrForeign     = errors.New("not an ONNX model")   // another kind of file, or one too damaged to tell
	ErrInvalid     = errors.New("invalid ONNX model")  // an ONNX model that breaks the format's rules
	ErrUnsupported = errors.New("unsupported in ONNX") // a sound model that uses what tandem does not have
)

// Error says what is wrong with a model and where. Empty fields do not apply.
type Error struct {
	File   string // path as given by the caller
	Node   string // name of the node
	Op     string // operator of the node, with its domain when that is not ai.onnx
	Value  string // value or initializer concerned
	Reason string // what is wrong
	Fix    string // what the user can do about it
	Kind   error  // ErrForeign, ErrInvalid, ErrUnsupported or nil
	Err    error  // underlying error, may be nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("onnx: ")
	if e.File != "" {
		b.WriteString(e.File + ": ")
	}
	if e.Node != "" || e.Op != "" {
		b.WriteString("node " + quote(e.Node))
		if e.Op != "" {
			b.WriteString(" (" + shorten(e.Op) + ")")
		}
		b.WriteString(": ")
	}
	if e.Value != "" {
		b.WriteString("value " + quote(e.Value) + ": ")
	}
	b.WriteString(e.Reason)
	if e.Err != nil {
		if e.Reason != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	if e.Fix != "" {
		b.WriteString("; " + e.Fix)
	}
	return b.String()
}

// Unwrap returns the kind and the underlying error.
func (e *Error) Unwrap() []error {
	var out []error
	if e.Kind != nil {
		out = append(out, e.Kind)
	}
	if e.Err != nil {
		out = append(out, e.Err)
	}
	return out
}

// at fills in the file where it is missing.
func at(file string, err error) error {
	var e *Error
	if errors.As(err, &e) && e.File == "" {
		e.File = file
	}
	return err
}

// shorten keeps a name from a hostile file from flooding a message.
func shorten(s string) string {
	const most = 200
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}

func quote(s string) string { return strconv.Quote(shorten(s)) }
