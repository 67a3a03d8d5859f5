package export

import (
	"strings"
	"unicode"

	"tandem/results/record"
)

// experimentName is the experiment's name, or "experiment" where the record has none.
func experimentName(r *record.Run) string {
	if r.Experiment == nil || clean(r.Experiment.Name) == "" {
		return "experiment"
	}
	return clean(r.Experiment.Name)
}

// engineName is what the engine of a role is called.
func engineName(r *record.Run, role record.Role) string {
	for _, e := range r.Engines {
		if e.Role == role && clean(e.Name) != "" {
			return clean(e.Name)
		}
	}
	return string(role)
}

// clean makes a text from a record one printable line: other people's engines write some of them.
func clean(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)), " ")
}

// tensorList is one kind of tensor errors of a judged step.
type tensorList struct {
	kind string
	errs []record.TensorError
}

func tensorLists(s *record.JudgedStep) []tensorList {
	return []tensorList{{"output", s.Outputs}, {"gradient", s.Gradients}, {"update", s.Update}, {"whole step", s.WholeStep}, {"buffer", s.Buffers}}
}

// worse reports whether rho a is worse than b: NaN is the worst, then the larger one.
func worse(a, b record.Float) bool {
	if b != b {
		return false
	}
	return a != a || a > b
}
