package pass

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx"
)

// Statistics lets a step change the running statistics of every BatchNormalization in training mode: the new ones are copied into the
// buffers at the end.
func Statistics(g *ir.Graph) error {
	for _, n := range g.Nodes[:len(g.Nodes):len(g.Nodes)] {
		if n.Op != "BatchNormalization" || !hasRunningStatistics(n) {
			continue
		}
		if training, err := n.Attributes.Int("training_mode", 0); err != nil || training == 0 {
			continue
		}
		for i, buffer := range n.Inputs[3:5] {
			fresh := n.Outputs[1+i]
			if fresh == nil {
				return &op.NodeError{Node: n, Err: fmt.Errorf("the new running statistic %s is not computed", buffer.Name)}
			}
			assign := &ir.Node{
				Op: "tandem.Assign", Attributes: onnx.NewAttributes(nil), Inputs: []*ir.Value{fresh, buffer}, Writes: []*ir.Value{buffer}, Origin: n.Origin,
			}
			assign.Origin.Phase = ir.Update
			if err := op.Infer(assign); err != nil {
				return err
			}
			g.Nodes = append(g.Nodes, assign)
		}
	}
	return g.Verify()
}
