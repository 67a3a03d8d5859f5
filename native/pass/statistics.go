package pass

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx"
)

// Statistic is a running statistic of a BatchNormalization in training mode.
type Statistic struct {
	Node   *ir.Node
	Buffer *ir.Value // where it is kept
	Fresh  *ir.Value // what it is after the batch
}

// RunningStatistics lists those that a training step changes.
func RunningStatistics(g *ir.Graph) ([]Statistic, error) {
	var out []Statistic
	for _, n := range g.Nodes {
		if n.Op != "BatchNormalization" || !hasRunningStatistics(n) {
			continue
		}
		if training, err := n.Attributes.Int("training_mode", 0); err != nil || training == 0 {
			continue
		}
		for i, buffer := range n.Inputs[3:5] {
			fresh := n.Outputs[1+i]
			if fresh == nil {
				return nil, &op.NodeError{Node: n, Err: fmt.Errorf("the new running statistic %s is not computed", buffer.Name)}
			}
			out = append(out, Statistic{n, buffer, fresh})
		}
	}
	return out, nil
}

// Statistics lets a step change the running statistics of every BatchNormalization in training mode: the new ones are copied into the
// buffers at the end.
func Statistics(g *ir.Graph) error {
	all, err := RunningStatistics(g)
	if err != nil {
		return err
	}
	for _, s := range all {
		assign := &ir.Node{
			Op: "tandem.Assign", Attributes: onnx.NewAttributes(nil), Inputs: []*ir.Value{s.Fresh, s.Buffer}, Writes: []*ir.Value{s.Buffer}, Origin: s.Node.Origin,
		}
		assign.Origin.Phase = ir.Update
		if err := op.Infer(assign); err != nil {
			return err
		}
		g.Nodes = append(g.Nodes, assign)
	}
	return g.Verify()
}
