package record

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// Label says in a summary of many runs which engine it was.
func (e *Engine) Label() string {
	name := e.Name + " " + e.Version
	if torch := e.Versions["torch"]; torch != "" {
		name += " (torch " + torch + ")"
	}
	return fmt.Sprintf("%s with %d thread(s)", name, e.Threads)
}

// Larger keeps the larger number; a NaN, which is what must not be lost, stays.
func Larger(to *Float, v Float) {
	if !(v <= *to) && !math.IsNaN(float64(*to)) {
		*to = v
	}
}

// WriteSummary writes what many runs came to, for programs to path.json and for people to path.md. Their folder is made where it is missing.
func WriteSummary(path string, summary any, markdown string) error {
	text, err := json.MarshalIndent(summary, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	if err := os.WriteFile(path+".json", append(text, '\n'), 0o666); err != nil {
		return err
	}
	return os.WriteFile(path+".md", []byte(markdown), 0o666)
}
