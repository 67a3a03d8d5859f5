package pass

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx"
)

// Target is the name of the input that Loss adds.
const Target = "target"

// Loss adds a loss on the graph's first output and returns it. Kind "cross_entropy" is the softmax cross-entropy of
// scores (N, C) and class numbers (N), which become the input [Target]; reduction is "mean" or "sum".
func Loss(g *ir.Graph, kind, reduction string) (*ir.Value, error) {
	if kind != "cross_entropy" {
		return nil, fmt.Errorf("loss %q is %w; it has cross_entropy", kind, op.ErrUnsupported)
	}
	if len(g.Outputs) == 0 || len(g.Outputs[0].Shape) == 0 {
		return nil, fmt.Errorf("the model has no output of at least one dimension to take the loss of")
	}
	scores := g.Outputs[0]
	target := &ir.Value{Name: g.UniqueName(Target), Type: ir.Int64, Shape: scores.Shape[:1], Role: ir.Input}
	g.Inputs = append(g.Inputs, target)
	n := &ir.Node{
		Op: "SoftmaxCrossEntropyLoss", Attributes: onnx.NewAttributes(map[string]any{"reduction": reduction}),
		Inputs: []*ir.Value{scores, target}, Origin: ir.Origin{Node: "loss", Phase: ir.Loss},
	}
	loss := &ir.Value{Name: g.UniqueName("loss"), Producer: n}
	n.Outputs = []*ir.Value{loss, {Name: g.UniqueName("log_probability"), Producer: n}}
	if err := op.Infer(n); err != nil {
		return nil, err
	}
	g.Nodes = append(g.Nodes, n)
	return loss, g.Verify()
}
