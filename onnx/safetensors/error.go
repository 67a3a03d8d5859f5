package safetensors

import "strings"

// Error says what is wrong with a file, or with one tensor of it.
type Error struct {
	File   string // path, "" when decoding from memory
	Tensor string // name, "" when the file as a whole is wrong
	Reason string
	Err    error // underlying error, may be nil
}

func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("safetensors: ")
	if e.File != "" {
		b.WriteString(e.File + ": ")
	}
	if e.Tensor != "" {
		b.WriteString("tensor " + quote(e.Tensor) + ": ")
	}
	b.WriteString(e.Reason)
	if e.Err != nil {
		if e.Reason != "" {
			b.WriteString(": ")
		}
		b.WriteString(e.Err.Error())
	}
	return b.String()
}

// Unwrap returns the underlying error.
func (e *Error) Unwrap() error { return e.Err }
