package engine

import "tandem/results/record"

// Mutant is a line of the table of mutants.
type Mutant struct {
	Name  string
	Stage record.Stage
	Cause string
	Batch bool
}

// Mutants returns the table.
func Mutants() (out []Mutant) {
	for _, m := range mutants {
		out = append(out, Mutant{m.name, m.stage, m.cause, m.batch})
	}
	return out
}
