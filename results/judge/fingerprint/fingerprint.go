package fingerprint

import (
	"fmt"
	"math"
	"slices"

	"tandem/fixtures/experiment"
	"tandem/onnx"
	"tandem/results/record"
	"tandem/results/trace"
)

// Fingerprint is a known mistake with how it is recognized. To add one, add a line to [Table].
type Fingerprint struct {
	Name string
	// Stages are those whose failure it can explain.
	Stages []record.Stage
	// Certainty is how much it proves.
	Certainty record.Certainty
	// Looks says what it looks for.
	Looks string
	// Find looks at one judged step; nil when the fingerprint is not there.
	Find func(l *Look) *Finding
	// General says that it is a mere description, to be left out where a mistake with a name of its own is found as well.
	General bool
}

// Finding is a fingerprint that was found.
type Finding struct {
	Text     string  // with numbers, without the full stop
	Residual float64 // what it leaves unexplained, relative; NaN where it is no number
}

// Material is what is known beside the traces. Everything may be absent.
type Material struct {
	Model *onnx.Model // that both engines trained
	Data  *Data       // that they trained on
}

// Look is what a fingerprint sees: one judged step at which a stage failed.
type Look struct {
	Material
	Stage      record.Stage
	Step       int
	Experiment *experiment.Experiment
	Limits     experiment.Thresholds
	Ref        *trace.Reference
	Cand       *trace.Candidate
	R          *trace.ReferenceStep // nil in the stages that belong to no step
	C          *trace.CandidateStep
	// Pairs are all of the stage's tensors in the order of computation; Suspect is the first that left the noise (nil in stages without).
	Pairs   []Pair
	Suspect *Pair
	// Node is where the suspect comes from, nil when it is not known.
	Node *onnx.Node

	looked bool // nodes was computed
	nodes  []*onnx.Node
}

// Pair is a tensor of the reference and the candidate's.
type Pair struct {
	Name   string
	Shape  []int // the reference's
	Exact  []float64
	Got    []float64 // nil where there is none of that shape
	Before []float64 // what the change is counted from; nil for nothing
	// GotShape is the candidate's shape; nil where it has no such tensor.
	GotShape []int
	// Off says that the candidate's is outside the noise.
	Off bool
	// Size is what errors are relative to, Tolerance the relative noise.
	Size, Tolerance float64
	// Sampled says that only some of the elements are here.
	Sampled bool
	// Double says that the candidate's float64 result is looked at.
	Double bool
	// Error, Rho and Gap are the judge's numbers.
	Entry *record.TensorError
}

// change is x less what was before.
func (p *Pair) change(x []float64) []float64 {
	if p.Before == nil {
		return x
	}
	out := make([]float64, len(x))
	for i := range x {
		out[i] = x[i] - p.Before[i]
	}
	return out
}

// explained reports whether the candidate's tensor is the prediction up to noise, and what is left relative to the prediction's size.
// A prediction must also leave at most a sixteenth of the difference between the two, or it explains nothing.
func (p *Pair) explained(prediction []float64) (residual float64, ok bool) {
	if len(prediction) != len(p.Got) || p.Got == nil || !trace.Finite(p.Got) {
		return math.NaN(), false
	}
	left := trace.Distance(p.Got, prediction)
	size := trace.Norm(p.change(prediction))
	if size == 0 {
		size = p.Size
	}
	whole := trace.Distance(p.Got, p.Exact)
	residual = left / size
	if left == 0 {
		residual = 0
	}
	return residual, residual <= p.Tolerance && left <= whole/16 && whole > 0
}

// fit is explained for a prediction that says so in words.
func (p *Pair) fit(prediction []float64, format string, args ...any) *Finding {
	residual, ok := p.explained(prediction)
	if !ok {
		return nil
	}
	return &Finding{Text: fmt.Sprintf(format, args...), Residual: residual}
}

// usable reports whether there is a suspect that can be compared element by element.
func (l *Look) usable() bool {
	p := l.Suspect
	return p != nil && len(p.Got) == len(p.Exact) && len(p.Exact) > 0 && trace.Finite(p.Got) && trace.Finite(p.Exact)
}

// whole reports whether, besides, all elements are there.
func (l *Look) whole() bool { return l.usable() && !l.Suspect.Sampled }

// off counts the pairs that left the noise.
func (l *Look) off() (n int) {
	for i := range l.Pairs {
		if l.Pairs[i].Off {
			n++
		}
	}
	return n
}

// Causes looks for every fingerprint of the stage. looks are the judged steps that show the failure; a fingerprint counts when most of them
// bear it. The surest come first, then those that leave the least unexplained.
func Causes(looks []*Look) []record.Cause {
	if len(looks) == 0 {
		return nil
	}
	var out []record.Cause
	named := false
	for _, f := range Table {
		if !slices.Contains(f.Stages, looks[0].Stage) {
			continue
		}
		cause := record.Cause{Name: f.Name, Certainty: f.Certainty}
		worst := math.Inf(-1)
		for _, l := range looks {
			found := f.Find(l)
			if found == nil {
				continue
			}
			if cause.Text == "" {
				cause.Text = found.Text
			}
			if l.Step >= 0 {
				cause.Steps = append(cause.Steps, l.Step)
			}
			if !(found.Residual <= worst) {
				worst = found.Residual
			}
			if l.Step < 0 {
				break
			}
		}
		if cause.Text == "" || 2*len(cause.Steps) <= len(looks) && looks[0].Step >= 0 {
			continue
		}
		if !math.IsNaN(worst) {
			r := record.Float(worst)
			cause.Residual = &r
		}
		named = named || !f.General
		out = append(out, cause)
	}
	if named {
		out = slices.DeleteFunc(out, func(c record.Cause) bool { return Named(c.Name).General })
	}
	slices.SortStableFunc(out, func(a, b record.Cause) int { return certainty(a.Certainty) - certainty(b.Certainty) })
	return out
}

func certainty(c record.Certainty) int {
	return slices.Index([]record.Certainty{record.Exact, record.Likely, record.Possible}, c)
}

// Named returns the fingerprint of that name; it panics when there is none.
func Named(name string) Fingerprint {
	for _, f := range Table {
		if f.Name == name {
			return f
		}
	}
	panic("fingerprint: no fingerprint " + name)
}
