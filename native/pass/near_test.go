package pass

import (
	"slices"
	"testing"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/native/optim"
)

// TestNear tells which sums go behind what they read, and in which order.
func TestNear(t *testing.T) {
	g := ir.NewGraph("g")
	x := &ir.Value{Name: "x", Type: ir.Float, Shape: []int{512, 512}, Role: ir.Input}
	y := &ir.Value{Name: "y", Type: ir.Float, Shape: []int{16, 512}, Role: ir.Input}
	g.Inputs = []*ir.Value{x, y}
	add := func(name, operator string, attributes map[string]any, phase ir.Phase, inputs ...*ir.Value) *ir.Value {
		t.Helper()
		v, err := op.Append(g, operator, attributes, ir.Origin{Node: name}, phase, inputs...)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	rows := map[string]any{"shape": []int64{512}}
	large := add("large", "Relu", nil, ir.Backward, x)
	product := add("product", "MatMul", nil, ir.Backward, large, large)
	small := add("small", "Relu", nil, ir.Backward, y)
	add("other", "Sigmoid", nil, ir.Backward, large)
	sum := add("sum", "tandem.SumTo", rows, ir.Backward, large)
	smallSum := add("small sum", "tandem.SumTo", rows, ir.Backward, small)
	scale, err := optim.ClipScale(g, optim.Config{ClipNorm: 1}, []*ir.Value{product, sum, large, smallSum, x})
	if err != nil {
		t.Fatal(err)
	}
	g.Outputs = []*ir.Value{scale}
	if err := Near(g); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, n := range g.Nodes {
		got = append(got, n.Origin.Node+" "+n.Op)
		if err := op.Infer(n); err != nil {
			t.Error(err)
		}
	}
	want := []string{
		"large Relu", "sum tandem.SumTo", "clip tandem.SquareSums", "product MatMul", "clip tandem.SquareSums", "small Relu", "other Sigmoid", "small sum tandem.SumTo",
		"clip tandem.ClipScale",
	}
	if !slices.Equal(got, want) {
		t.Errorf("the nodes are\n%q, want\n%q", got, want)
	}
}
