package engine

import (
	"math"
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx"
)

// Mistakes in normalization and convolution.

// unbiasedLayerNorm divides the sum of squares by n-1: with f = (n-1)/n, 1/sqrt(variance/f + epsilon) is sqrt(f)/sqrt(variance + f epsilon).
func unbiasedLayerNorm(g *ir.Graph) error {
	for _, n := range nodesOf(g, "LayerNormalization") {
		count := float64(n.Inputs[1].Len())
		f := (count - 1) / count
		factor, err := scalar(math.Sqrt(f))
		if err != nil {
			return err
		}
		epsilon, err := n.Attributes.Float("epsilon", 1e-5)
		if err != nil {
			return err
		}
		n.Attributes = n.Attributes.With("epsilon", f*epsilon)
		if n.Inputs[1], err = insertBefore(g, n, "Mul", nil, n.Inputs[1], factor); err != nil {
			return err
		}
	}
	return g.Verify()
}

func hasTrainingBatchNorm(n *Native) bool {
	return slices.ContainsFunc(n.model.Graph.Nodes, func(node *onnx.Node) bool {
		training, err := node.Attributes.Int("training_mode", 0)
		return node.OpType == "BatchNormalization" && err == nil && training != 0
	})
}

func hasPyTorchBatchNorm(n *Native) bool {
	return n.model.Manifest != nil && len(n.model.Manifest.BatchNorm) > 0
}

// changeBatchNorms changes an attribute of each BatchNormalization.
func changeBatchNorms(g *ir.Graph, change func(onnx.Attributes) (onnx.Attributes, error)) error {
	for _, n := range nodesOf(g, "BatchNormalization") {
		changed, err := change(n.Attributes)
		if err != nil {
			return err
		}
		n.Attributes = changed
	}
	return nil
}

func evalStatistics(g *ir.Graph) error {
	return changeBatchNorms(g, func(a onnx.Attributes) (onnx.Attributes, error) { return a.With("training_mode", int64(0)), nil })
}

// otherMomentum takes ONNX's momentum for PyTorch's, which is 1 less it, or the reverse.
func otherMomentum(g *ir.Graph) error {
	return changeBatchNorms(g, func(a onnx.Attributes) (onnx.Attributes, error) {
		for _, name := range []string{"tandem_momentum", "momentum"} {
			m, err := a.Float(name, 0.9)
			if err == nil && m == 0.5 {
				err = op.ErrUnsupported // the same either way
			}
			if err != nil {
				return a, err
			}
			if a.Has(name) || name == "momentum" {
				a = a.With(name, 1-m)
			}
		}
		return a, nil
	})
}

func biasedVariance(g *ir.Graph) error {
	return changeBatchNorms(g, func(a onnx.Attributes) (onnx.Attributes, error) { return a.With("tandem_unbiased", int64(0)), nil })
}

// shiftPadding pads one row and column more before the image and one less behind it.
func shiftPadding(g *ir.Graph) error {
	changed := false
	for _, n := range nodesOf(g, "Conv") {
		pads, err := n.Attributes.Ints("pads", nil)
		if err != nil {
			return err
		}
		half := len(pads) / 2
		if half == 0 || slices.Min(pads[half:]) < 1 {
			continue
		}
		moved := slices.Clone(pads)
		for i := range half {
			moved[i]++
			moved[half+i]--
		}
		n.Attributes, changed = n.Attributes.With("pads", moved), true
	}
	if !changed {
		return op.ErrUnsupported // no padding
	}
	return nil
}
