package fingerprint

import (
	"slices"
	"strings"
	"testing"

	"tandem/onnx"
	"tandem/onnx/tensor"
)

// TestBranchGradient has a product, a residual block of two and a last product; the second's weight is turned first.
func TestBranchGradient(t *testing.T) {
	square := tensor.New(tensor.Float32, 2, 2)
	model := must(onnx.NewBuilder("residual", 20).Input("x", tensor.Float32, -1, 2).
		Initializer("w0", square).Initializer("w1", square).Initializer("w2", square).Initializer("w3", square).Initializer("w4", square).
		Node("MatMul", []string{"x", "w0"}, []string{"first"}, nil).
		Node("MatMul", []string{"first", "w1"}, []string{"v"}, nil).
		Node("Transpose", []string{"w2"}, []string{"turned"}, nil).
		Node("MatMul", []string{"v", "turned"}, []string{"inner"}, nil).
		Node("Relu", []string{"inner"}, []string{"positive"}, nil).
		Node("MatMul", []string{"positive", "w3"}, []string{"branch"}, nil).
		Node("Add", []string{"v", "branch"}, []string{"sum"}, nil).
		Node("MatMul", []string{"sum", "w4"}, []string{"y"}, nil).
		Output("y", tensor.Float32, -1, 2).Build())
	for _, test := range []struct {
		off   string
		found bool
	}{
		{"w0 w1", true},
		{"w1", true},           // what comes before may be right by chance or be in the noise
		{"w0", false},          // the product's own gradient loses it
		{"w0 w1 w3", false},    // the branch's is wrong as well
		{"w4", false},          // the last product's own
		{"w0 w1 w3 w4", false}, // everything
	} {
		l := &Look{Material: Material{Model: model}}
		for _, name := range []string{"w4", "w3", "w2", "w1", "w0"} {
			l.Pairs = append(l.Pairs, Pair{Name: "gradients/" + name, Off: slices.Contains(strings.Fields(test.off), name), Exact: []float64{1}, Got: []float64{2}})
		}
		l.Suspect = &l.Pairs[slices.IndexFunc(l.Pairs, func(p Pair) bool { return p.Off })]
		found := findBranchGradient(l)
		if (found != nil) != test.found {
			t.Errorf("off %s: %+v, want found: %v", test.off, found, test.found)
		}
		if found != nil && (!strings.Contains(found.Text, `"v"`) || !strings.Contains(found.Text, "w1, the last before it")) {
			t.Errorf("off %s: %s", test.off, found.Text)
		}
	}
}
