package judge

import (
	"fmt"
	"slices"
	"strings"

	"tandem/results/engine"
	"tandem/results/record"
)

// data judges that both engines read the same data: every tensor of the data file by its digest.
func (j *judgement) data() bool {
	s := j.stages[record.StageData]
	want, got := j.ref.Loaded.Data, j.cand.Loaded.Data
	for _, name := range sorted(want) {
		switch digest, ok := got[name]; {
		case want[name] == "":
			s.doubt("The reference reports no digest of the data tensor %q.", name)
		case !ok:
			s.fail("The candidate did not read the data tensor %q, which the reference trains on.", name)
		case digest != want[name]:
			s.fail("The data differs: %q has SHA-256 %s at the reference and %s at the candidate.", name, short(want[name]), short(digest))
		default:
			s.checked++
		}
	}
	for _, name := range sorted(got) {
		if _, ok := want[name]; !ok {
			s.fail("The candidate read the data tensor %q, which the reference does not have.", name)
		}
	}
	s.summary = fmt.Sprintf("All %d data tensors are the same bits.", s.checked)
	if n := j.batches(s); n > 0 {
		s.summary = fmt.Sprintf("All %d data tensors are the same bits, and so are the %d tensors that the judged steps' batches are made of.", s.checked-n, n)
	}
	return s.verdict() == record.Pass
}

// batches judges that both engines make the same batches of the data, where both say by their digests what they made, and returns how many tensors are
// the same.
func (j *judgement) batches(s *stage) (same int) {
	for i := range j.ref.Steps {
		r := &j.ref.Steps[i]
		c := j.step(r.Step)
		if c == nil {
			continue
		}
		for _, name := range sorted(r.Batch) {
			switch got := c.Batch[name]; got {
			case "":
			case r.Batch[name]:
				same++
			default:
				s.fail("The batch of step %d differs, though both sides read the same data: %q has SHA-256 %s at the reference and %s at the candidate.", r.Step, name, short(r.Batch[name]), short(got))
			}
		}
	}
	s.checked += same
	return same
}

// weights judges that both engines start from the same state, by what they wrote out and by what they said, and that
// the candidate held each state that it was given.
func (j *judgement) weights() bool {
	s := j.stages[record.StageWeights]
	same := j.sameState(s, "initial state", j.ref.Initial, j.cand.Initial)
	written := map[string]string{}
	parameters := 0
	for _, t := range j.cand.Initial {
		written[t.Name] = t.SHA256
		if strings.HasPrefix(t.Name, "parameters/") {
			parameters++
		}
	}
	if parameters == 0 {
		s.fail("The candidate has no parameters.")
	}
	for _, said := range j.cand.Loaded.Parameters {
		if got := written["parameters/"+said.Name]; got != said.SHA256 {
			same = false
			s.fail("The candidate said after loading that parameter %q has SHA-256 %s but wrote out one with %s.", said.Name, short(said.SHA256), short(got))
		}
	}
	identical := same && s.verdict() == record.Pass
	for i := range j.ref.Steps {
		step := &j.ref.Steps[i]
		c := j.step(step.Step)
		if c == nil {
			continue
		}
		given := j.ref.Initial
		if step.State != nil {
			given = nil
			for _, name := range sorted(step.State) {
				t := step.State[name]
				given = append(given, engine.TensorInfo{Name: name, DType: t.DType().String(), Shape: t.Shape(), SHA256: t.SHA256()})
			}
		} else if !identical {
			continue // it was its own state; said above
		}
		j.sameState(s, fmt.Sprintf("state given before step %d", step.Step), given, c.Held)
	}
	s.summary = fmt.Sprintf("All %d tensors of the initial state and of the given states are the same bits.", s.checked)
	return identical
}

// sameState compares two states by name, type, shape and bits, and reports whether they are the same.
func (j *judgement) sameState(s *stage, what string, want, got []engine.TensorInfo) bool {
	before := len(s.failures)
	have := map[string]engine.TensorInfo{}
	for _, t := range got {
		have[t.Name] = t
	}
	known := map[string]bool{}
	differ := 0
	first := ""
	for _, w := range want {
		known[w.Name] = true
		g, ok := have[w.Name]
		switch {
		case !ok:
			s.fail("The candidate's %s lacks %q.", what, w.Name)
		case g.DType != w.DType || !slices.Equal(g.Shape, w.Shape):
			s.fail("In the candidate's %s, %q is %s%v; the reference's is %s%v.", what, w.Name, g.DType, g.Shape, w.DType, w.Shape)
		case g.SHA256 != w.SHA256 || w.SHA256 == "":
			if differ++; differ == 1 {
				first = fmt.Sprintf("%q has SHA-256 %s where the reference's has %s", w.Name, short(g.SHA256), short(w.SHA256))
			}
		default:
			s.checked++
		}
	}
	if differ > 0 {
		s.fail("The candidate's %s is not the reference's: %s (%d of %d tensors differ).", what, first, differ, len(want))
	}
	for _, g := range got {
		if !known[g.Name] {
			s.fail("The candidate's %s has %q, which the reference's has not.", what, g.Name)
		}
	}
	return len(s.failures) == before
}

func isBuffer(name string) bool { return strings.HasPrefix(name, "buffers/") }

// short shows enough of a digest to tell two apart.
func short(digest string) string {
	if digest == "" {
		return "(none)"
	}
	return digest[:min(len(digest), 12)]
}
