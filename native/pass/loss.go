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
// scores (..., C), the classes being the last dimension, and one class number for each row of scores in their order, which
// become the input [Target] (N); reduction is "mean" or "sum" over all rows.
func Loss(g *ir.Graph, kind, reduction string) (*ir.Value, error) {
	if kind != "cross_entropy" {
		return nil, fmt.Errorf("loss %q is %w; it has cross_entropy", kind, op.ErrUnsupported)
	}
	if len(g.Outputs) == 0 || len(g.Outputs[0].Shape) < 2 {
		return nil, fmt.Errorf("the model has no output of at least two dimensions, batch and classes, to take the loss of")
	}
	scores := g.Outputs[0]
	origin := ir.Origin{Node: "loss", Phase: ir.Loss}
	if len(scores.Shape) > 2 {
		var err error
		if scores, err = op.Append(g, "Flatten", map[string]any{"axis": int64(-1)}, origin, ir.Loss, scores); err != nil {
			return nil, err
		}
	}
	target := &ir.Value{Name: g.UniqueName(Target), Type: ir.Int64, Shape: scores.Shape[:1], Role: ir.Input}
	g.Inputs = append(g.Inputs, target)
	n := &ir.Node{
		Op: "SoftmaxCrossEntropyLoss", Attributes: onnx.NewAttributes(map[string]any{"reduction": reduction}),
		Inputs: []*ir.Value{scores, target}, Origin: origin,
	}
	loss := &ir.Value{Name: g.UniqueName("loss"), Producer: n}
	n.Outputs = []*ir.Value{loss, {Name: g.UniqueName("log_probability"), Producer: n}}
	if err := op.Infer(n); err != nil {
		return nil, err
	}
	g.Nodes = append(g.Nodes, n)
	return loss, g.Verify()
}
