package op_test

import (
	"errors"
	"strings"
	"testing"

	"tandem/native/ir"
	"tandem/native/op"
)

// TestOpsets has an operator refused, by name, from an operator set in which it had another meaning and from one that nobody has seen.
func TestOpsets(t *testing.T) {
	for version, want := range map[int64]string{9: "implemented from operator set 10 on", 10: "", 13: "", op.NewestOpset: "", op.NewestOpset + 1: "known up to 28"} {
		x := &ir.Value{Name: "x", Type: ir.Float, Shape: []int{2}}
		n := &ir.Node{Op: "Mod", Version: version, Inputs: []*ir.Value{x, x}, Outputs: []*ir.Value{{Name: "y"}}}
		err := op.Infer(n)
		switch {
		case want == "" && err != nil:
			t.Errorf("operator set %d: %v", version, err)
		case want != "" && (!errors.Is(err, op.ErrUnsupported) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "Mod")):
			t.Errorf("operator set %d: error %v, want one with %q", version, err, want)
		}
	}
}
