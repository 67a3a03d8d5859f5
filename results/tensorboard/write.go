package tensorboard

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"tandem/onnx/atomicfile"
	"tandem/results/record"
)

// Write writes the event files of a record below dir, in the folders "reference" and "candidate", which TensorBoard shows as two runs:
//
//	tensorboard --logdir dir
//
// Both have the loss of each step; the candidate's has accuracy or perplexity, the envelope, and the tensors of the judged steps too. Values are float32, as
// TensorBoard has them. The files' names are those of the record's time, so that writing again replaces them.
func Write(dir string, r *record.Run) error {
	wallTime := float64(r.Started.UnixMicro()) / 1e6
	for _, side := range []struct {
		role    record.Role
		scalars []scalar
	}{{record.Reference, reference(r)}, {record.Candidate, candidate(r)}} {
		folder := filepath.Join(dir, string(side.role))
		if err := os.MkdirAll(folder, 0o777); err != nil {
			return err
		}
		var buf bytes.Buffer
		if err := writeEvents(&buf, wallTime, side.scalars); err != nil {
			return err
		}
		// TensorBoard reads files with "tfevents" in their names, in the order of the names.
		name := fmt.Sprintf("events.out.tfevents.%010d.tandem", r.Started.Unix())
		if err := atomicfile.WriteBytes(filepath.Join(folder, name), buf.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

func curve(tag string, values []record.Float) []scalar {
	out := make([]scalar, len(values))
	for i, v := range values {
		out[i] = scalar{tag, int64(i), float64(v)}
	}
	return out
}

func reference(r *record.Run) []scalar {
	out := curve("loss", r.Loss.Reference)
	last := int64(max(0, len(r.Loss.Reference)-1))
	if r.Accuracy != nil {
		out = append(out, scalar{"test accuracy", last, r.Accuracy.Reference})
	}
	if r.Perplexity != nil {
		out = append(out, scalar{"test perplexity", last, float64(r.Perplexity.Reference)})
	}
	return out
}

func candidate(r *record.Run) []scalar {
	out := curve("loss", r.Loss.Candidate)
	out = append(out, curve("envelope", r.Loss.Envelope)...)
	last := int64(max(0, len(r.Loss.Candidate)-1))
	if r.Accuracy != nil {
		out = append(out, scalar{"test accuracy", last, r.Accuracy.Candidate})
	}
	if r.Perplexity != nil {
		out = append(out, scalar{"test perplexity", last, float64(r.Perplexity.Candidate)})
	}
	for i := range r.Parity.Steps {
		s := &r.Parity.Steps[i]
		step := int64(s.Step)
		out = append(out, scalar{"rho/loss", step, float64(s.Loss.Rho)})
		for _, list := range []struct {
			kind string
			errs []record.TensorError
		}{{"outputs", s.Outputs}, {"gradients", s.Gradients}, {"update", s.Update}, {"whole step", s.WholeStep}, {"buffers", s.Buffers}} {
			for _, e := range list.errs {
				name := list.kind + "/" + tagName(e.Name)
				out = append(out, scalar{"rho/" + name, step, float64(e.Rho)})
				if e.Float64Gap != nil {
					out = append(out, scalar{"float64 gap/" + name, step, float64(*e.Float64Gap)})
				}
			}
		}
	}
	return out
}

// tagName makes a tensor's name printable: other people's engines write some of them.
func tagName(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, s)
}
