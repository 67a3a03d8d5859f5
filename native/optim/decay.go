package optim

import (
	"fmt"
	"strings"
)

// Decays reports whether weight decay applies to a parameter: unless its name fits one of the patterns of NoDecay. A tied parameter
// has the first of its names.
func (c Config) Decays(parameter string) bool {
	for _, pattern := range c.NoDecay {
		if fits(parameter, pattern) {
			return false
		}
	}
	return true
}

// PatternError is a pattern of NoDecay that no parameter's name fits: it was misspelt, or the model has changed.
type PatternError struct {
	Pattern    string
	Parameters []string
}

func (e *PatternError) Error() string {
	return fmt.Sprintf("no parameter's name fits the pattern %q of optimizer.no_decay; the parameters are %s", e.Pattern, strings.Join(e.Parameters, ", "))
}

// CheckNames refuses a pattern that no parameter's name fits, with a *PatternError.
func (c Config) CheckNames(parameters []string) error {
	for _, pattern := range c.NoDecay {
		found := false
		for _, name := range parameters {
			found = found || fits(name, pattern)
		}
		if !found {
			return &PatternError{pattern, parameters}
		}
	}
	return nil
}

// fits reports whether a name fits a pattern, in which "*" stands for any text, dots and nothing included.
func fits(name, pattern string) bool {
	first, rest, more := strings.Cut(pattern, "*")
	name, ok := strings.CutPrefix(name, first)
	if !ok || !more {
		return ok && name == ""
	}
	for i := range len(name) + 1 {
		if fits(name[i:], rest) {
			return true
		}
	}
	return false
}
