package engine

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// maxLine bounds one line in either direction. Tensors never travel in the JSON; the longest line is the answer to a
// step command with a great many steps, at about 40 bytes a step.
const maxLine = 16 << 20

var errLineTooLong = errors.New("line too long")

// readLine returns the next line without its end. A last line without an end is a line. The limit holds for memory
// too: what is beyond it is not read.
func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > limit+1 {
			return line, errLineTooLong
		}
		line = append(line, part...)
		switch {
		case err == nil:
			return bytes.TrimRight(line, "\r\n"), nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		default:
			return nil, err
		}
	}
}

// decodeResponse reads one answer to the request id: its result or the engine's error. Fields that it does not know
// are passed over, so that an engine may say more.
func decodeResponse(line []byte, id int64) (json.RawMessage, *Error, error) {
	var r struct {
		ID     *int64          `json:"id"`
		Result json.RawMessage `json:"result"`
		Error  *Error          `json:"error"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return nil, nil, fmt.Errorf("%s is not a line of the protocol (%w); only answers may be written to standard output", excerpt(line), err)
	}
	switch {
	case r.ID == nil:
		return nil, nil, fmt.Errorf("%s has no id", excerpt(line))
	case *r.ID != id:
		return nil, nil, fmt.Errorf("%s has id %d, but the request has %d", excerpt(line), *r.ID, id)
	case r.Error != nil && len(r.Result) > 0 && string(r.Result) != "null":
		return nil, nil, fmt.Errorf("%s holds a result and an error", excerpt(line))
	case r.Error != nil:
		switch r.Error.Kind {
		case KindInput, KindUnsupported, KindInternal:
		default:
			return nil, nil, fmt.Errorf("%s has an error of the unknown kind %q", excerpt(line), r.Error.Kind)
		}
		return nil, r.Error, nil
	}
	return r.Result, nil, nil
}

// decodeResult reads a result into a Go value.
func decodeResult(raw json.RawMessage, result any) error {
	if len(raw) == 0 || string(raw) == "null" {
		return errors.New("the answer has neither a result nor an error")
	}
	if err := json.Unmarshal(raw, result); err != nil {
		return fmt.Errorf("the result %s does not fit: %w", excerpt(raw), err)
	}
	return nil
}

// excerpt quotes the beginning of a line for a message.
func excerpt(line []byte) string {
	const width = 120
	if len(line) > width {
		return fmt.Sprintf("%q...", line[:width])
	}
	return fmt.Sprintf("%q", line)
}
