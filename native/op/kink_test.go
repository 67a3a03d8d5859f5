package op_test

import (
	"math"
	"testing"

	"tandem/native/op"
)

// TestGradientsAtKinks holds the gradients where a function has no derivative to what PyTorch 2.15.0 answers (float32 and float64 alike) for
// the expression in the row, each output's gradient being 1. Finite differences cannot say anything there.
func TestGradientsAtKinks(t *testing.T) {
	bound := func(x float64) op.CaseInput {
		return op.CaseInput{Float: []float64{x}, Const: true, NoGrad: true}
	}
	vector := func(x ...float64) op.CaseInput { return op.CaseInput{Shape: []int{len(x)}, Float: x} }
	inf := math.Inf(1)
	tests := []struct {
		torch      string
		operator   string
		inputs     []op.CaseInput
		attributes map[string]any
		want       [][]float64
	}{
		{"relu(x)", "Relu", []op.CaseInput{vector(0)}, nil, [][]float64{{0}}},
		{"abs(x)", "Abs", []op.CaseInput{vector(0, math.Copysign(0, -1))}, nil, [][]float64{{0, 0}}},
		{"leaky_relu(x, 0.2)", "LeakyRelu", []op.CaseInput{vector(0)}, map[string]any{"alpha": 0.2}, [][]float64{{0.2}}},
		{"elu(x, 0.3)", "Elu", []op.CaseInput{vector(0)}, map[string]any{"alpha": 0.3}, [][]float64{{0.3}}},
		{"selu(x)", "Selu", []op.CaseInput{vector(0)}, nil, [][]float64{{1.7580993408473766}}},
		{"hardsigmoid(x)", "HardSigmoid", []op.CaseInput{vector(-3, 3)}, map[string]any{"alpha": 1.0 / 6}, [][]float64{{0, 0}}},
		{"hardswish(x)", "HardSwish", []op.CaseInput{vector(-3, 3, 0)}, nil, [][]float64{{0, 1, 0.5}}},
		{"clamp(x, -1, 1)", "Clip", []op.CaseInput{vector(-1, 1, 0, 2), bound(-1), bound(1)}, nil, [][]float64{{0, 0, 1, 0}}},
		{"clamp(x, min=-1)", "Clip", []op.CaseInput{vector(-1, 1, -2), bound(-1)}, nil, [][]float64{{0, 1, 0}}},
		{"clamp(x, max=1)", "Clip", []op.CaseInput{vector(-1, 1, 2), {Omitted: true}, bound(1)}, nil, [][]float64{{1, 0, 0}}},
		{"clamp(x, 2, 1)", "Clip", []op.CaseInput{vector(-1, 1, 1.5, 2), bound(2), bound(1)}, nil, [][]float64{{0, 0, 0, 0}}},
		{"maximum(a, b)", "Max", []op.CaseInput{vector(1, 2), vector(1, 1)}, nil, [][]float64{{0.5, 1}, {0.5, 0}}},
		{"minimum(a, b)", "Min", []op.CaseInput{vector(1, 2), vector(1, 1)}, nil, [][]float64{{0.5, 0}, {0.5, 1}}},
		{"sqrt(x)", "Sqrt", []op.CaseInput{vector(0)}, nil, [][]float64{{inf}}},
		{"pow(a, b)", "Pow", []op.CaseInput{vector(0, 0, 2, 0), vector(0, 2, 0, -1)}, nil, [][]float64{{0, 0, 0, -inf}, {0, 0, math.Ln2, -inf}}},
	}
	for _, tt := range tests {
		c := &example{t: t, def: op.Lookup(tt.operator), Case: &op.Case{Inputs: tt.inputs, Attributes: tt.attributes}}
		c.draw()
		for i := range c.upstream {
			c.upstream[i] = 1
		}
		results := run[float64](c, 1)[1:]
		if len(results) != len(tt.want) {
			t.Errorf("%s: %d gradients, want %d", tt.torch, len(results), len(tt.want))
			continue
		}
		for k, want := range tt.want {
			for i, w := range want {
				if got := results[k][i]; got != w && !(math.Abs(got-w) <= 1e-7*math.Abs(w)) { // PyTorch's constants are float32 numbers
					t.Errorf("%s: gradient %d at element %d is %g, PyTorch's %g", tt.torch, k, i, got, w)
				}
			}
		}
	}
}
