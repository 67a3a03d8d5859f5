package record

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"tandem/onnx/atomicfile"
)

// maxBytes bounds what Read takes in. A record of a training of a million steps has about 100 MB.
const maxBytes = 1 << 30

// Write validates r and writes it to path as JSON, indented by two spaces. The same record always gives the same
// bytes. Either the whole record stands at path afterwards or nothing was changed. Write fills in an empty Schema.
func Write(path string, r *Run) error {
	data, err := Marshal(r)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return atomicfile.WriteBytes(path, data)
}

// Marshal returns the bytes that Write writes.
func Marshal(r *Run) ([]byte, error) {
	if r == nil {
		return nil, errors.New("no record")
	}
	if r.Schema == "" {
		r.Schema = Schema
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return encode(r)
}

// encode writes a record as JSON, indented by two spaces.
func encode(r any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false) // "p <= 4" stays readable
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// Read reads and validates the record at path. It refuses a file that is not a record of this [Schema], is cut short,
// has anything after the record, or breaks an invariant of [Run.Validate]. Fields that it does not know are passed
// over: a later tandem may add some without a new version.
func Read(path string) (*Run, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	r, err := Unmarshal(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// Unmarshal is Read of bytes.
func Unmarshal(data []byte) (*Run, error) {
	r := new(Run)
	if err := decode(data, r, Schema); err != nil {
		return nil, err
	}
	if err := r.Validate(); err != nil {
		return nil, err
	}
	return r, nil
}

// decode reads a record of the given schema into r.
func decode(data []byte, r any, schema string) error {
	if len(data) > maxBytes {
		return fmt.Errorf("is larger than %d bytes, which no tandem result is", maxBytes)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return errors.New("is empty, not a tandem result")
	}
	// The version is looked at alone and first: the rest of another version need not fit the types.
	var head struct {
		Schema *string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return syntax(data, err, schema)
	}
	if head.Schema == nil {
		return errors.New(`has no field "schema": it is JSON, but not a tandem result`)
	}
	if err := checkSchema(*head.Schema, schema); err != nil {
		return err
	}
	if err := json.Unmarshal(data, r); err != nil {
		return syntax(data, err, schema)
	}
	return nil
}

// checkSchema explains how a version differs from the one that is read.
func checkSchema(s, schema string) error {
	if s == schema {
		return nil
	}
	name, version, _ := strings.Cut(s, "/")
	ourName, ourVersion, _ := strings.Cut(schema, "/")
	if name != ourName {
		return fmt.Errorf("has schema %q, but a tandem result has %q", s, schema)
	}
	theirs, err := strconv.Atoi(version)
	ours, _ := strconv.Atoi(ourVersion)
	switch {
	case err != nil || theirs < 1:
		return fmt.Errorf("has schema %q, which is no version; expected %q", s, schema)
	case theirs > ours:
		return fmt.Errorf("was written by a newer tandem (schema %q; this one reads %q): update tandem to read it", s, schema)
	default:
		return fmt.Errorf("was written by an older tandem (schema %q; this one reads %q): run the comparison again", s, schema)
	}
}

// syntax adds where the JSON is wrong and, if it just ends, says so.
func syntax(data []byte, err error, schema string) error {
	var se *json.SyntaxError
	if errors.As(err, &se) {
		// After a cut inside a number, "0.", the decoder sees a space that the file does not have.
		space := strings.Contains(se.Error(), "invalid character ' '") && int(se.Offset) >= len(data) && data[len(data)-1] != ' '
		if strings.Contains(se.Error(), "unexpected end") || space {
			return fmt.Errorf("is cut short after %d bytes: the writing was interrupted or the copy is incomplete", len(data))
		}
		line := 1 + bytes.Count(data[:min(int(se.Offset), len(data))], []byte("\n"))
		return fmt.Errorf("is not JSON (line %d: %w), so not a tandem result", line, err)
	}
	var te *json.UnmarshalTypeError
	if errors.As(err, &te) && te.Field == "" {
		return fmt.Errorf("is JSON, but not a tandem result: %w", err)
	}
	return fmt.Errorf("does not fit schema %q: %w", schema, err)
}
