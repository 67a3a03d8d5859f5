package compare

import (
	"strings"
	"testing"

	"tandem/fixtures/experiment"
	"tandem/results/record"
)

func TestInterpreted(t *testing.T) {
	for _, test := range []struct {
		source, reference string
		warned            bool
	}{
		{"nets/model.onnx", "pytorch", true},
		{"model.py:build", "pytorch", false},
		{"nets/model.onnx", "native", false},
	} {
		e := &experiment.Experiment{Model: experiment.Model{Source: test.source}}
		r := &record.Run{Engines: []record.Engine{{Role: record.Candidate, Name: "pytorch"}, {Role: record.Reference, Name: test.reference}}}
		if w := interpreted(e, r); (w != "") != test.warned || test.warned && !strings.Contains(w, test.source) {
			t.Errorf("%s by %s: %q", test.source, test.reference, w)
		}
	}
}
