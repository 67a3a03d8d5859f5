package pass

import (
	"tandem/native/ir"
	"tandem/native/op"
)

// Evaluate switches training behaviour off: a Dropout becomes the identity, a Bernoulli its probability, by which PyTorch divides what
// it drew, and a BatchNormalization uses its running statistics.
func Evaluate(g *ir.Graph) error {
	for _, n := range g.Nodes {
		switch n.Op {
		case "Dropout", "Bernoulli":
			n.Op = "Identity"
			n.Inputs, n.Outputs = n.Inputs[:1], n.Outputs[:1]
		case "BatchNormalization":
			if !hasRunningStatistics(n) {
				continue // without any, it uses the batch's own in every mode
			}
			n.Attributes = n.Attributes.With("training_mode", int64(0))
		default:
			continue
		}
		if err := op.Infer(n); err != nil {
			return err
		}
	}
	return g.Verify()
}

// hasRunningStatistics reports whether a BatchNormalization reads buffers, not constants.
func hasRunningStatistics(n *ir.Node) bool {
	return n.Inputs[3].Role == ir.Buffer && n.Inputs[4].Role == ir.Buffer
}
