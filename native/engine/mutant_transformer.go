package engine

import (
	"math"
	"slices"

	"tandem/native/ir"
	"tandem/native/train"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// Mistakes that a Transformer and its recipe invite: attention's scale and mask, LayerNorm's epsilon, the schedule, the groups, clipping.

// hasAttention demands a softmax of scores that are multiplied with a constant, as attention's are.
func hasAttention(n *Native) bool {
	return has("Softmax")(n) && slices.ContainsFunc(n.model.Graph.Nodes, func(node *onnx.Node) bool {
		c := n.model.Graph.Initializer(node.Input(1))
		return node.OpType == "Mul" && c != nil && c.Len() == 1 && c.DType().IsFloat()
	})
}

// misscaleAttention multiplies the scores with 1/d where 1/sqrt(d) belongs, in every attention.
func misscaleAttention(g *ir.Graph) error {
	changed := false
	for _, n := range nodesOf(g, "Mul") {
		scores, factor := n.Inputs[0], n.Inputs[1]
		if factor.Role != ir.Constant || factor.Len() != 1 || scores.Producer == nil || scores.Producer.Op != "MatMul" {
			continue
		}
		was := factor.Const.Float64s()[0]
		wrong, err := scalar(was * was)
		if err != nil {
			return err
		}
		wrong.Shape = factor.Shape
		if wrong.Const, err = wrong.Const.Reshape(factor.Shape...); err != nil {
			return err
		}
		n.Inputs[1], changed = wrong, true
	}
	if !changed {
		return errNothingChanged
	}
	return g.Verify()
}

// triangle returns a constant's truth values and its side when it is square, the triangle below or above its diagonal: a causal mask.
func triangle(t *tensor.Tensor) (side int, lower, ok bool) {
	if t == nil || t.DType() != tensor.Bool || len(t.Shape()) < 2 {
		return 0, false, false
	}
	shape := t.Shape()
	side = shape[len(shape)-1]
	if side < 2 || t.Len() != side*side {
		return 0, false, false
	}
	values := tensor.View[bool](t)
	lower = values[0] && values[len(values)-side] && !values[side-1]
	upper := !values[0] && !values[len(values)-side] && values[side-1]
	return side, lower, lower || upper
}

func hasCausalMask(n *Native) bool {
	return slices.ContainsFunc(n.model.Graph.Nodes, func(node *onnx.Node) bool {
		_, _, ok := triangle(n.model.Graph.Initializer(node.Input(0)))
		return node.OpType == "Where" && ok
	})
}

// shiftCausalMask lets every position see the one after it, whose token it is to tell.
func shiftCausalMask(g *ir.Graph) error {
	changed := false
	for _, n := range nodesOf(g, "Where") {
		mask := n.Inputs[0]
		if mask.Role != ir.Constant {
			continue
		}
		side, lower, ok := triangle(mask.Const)
		if !ok {
			continue
		}
		content := mask.Const.Clone()
		values := tensor.View[bool](content)
		for i := range side {
			for j := range side {
				values[i*side+j] = (j <= i+1) == lower
			}
		}
		n.Inputs[0] = &ir.Value{Name: g.UniqueName(mask.Name), Type: ir.Bool, Shape: mask.Shape, Role: ir.Constant, Const: content}
		changed = true
	}
	if !changed {
		return errNothingChanged
	}
	return g.Verify()
}

// otherEpsilon takes the epsilon of other frameworks' LayerNorm.
func otherEpsilon(g *ir.Graph) error {
	nodes := nodesOf(g, "LayerNormalization")
	if len(nodes) == 0 {
		return errNothingChanged
	}
	for _, n := range nodes {
		was, err := n.Attributes.Float("epsilon", 1e-5)
		if err != nil {
			return err
		}
		other := 1e-6
		if math.Abs(was-other) < 1e-9 {
			other = 1e-5
		}
		n.Attributes = n.Attributes.With("epsilon", other)
	}
	return nil
}

// scheduled demands a rate that changes within the training.
func scheduled(n *Native) bool {
	s := n.options.Schedule
	s.Peak = n.options.Optimizer.LearningRate
	for step := range int64(n.data.batches() - 1) {
		if s.Rate(step) != s.Rate(step+1) {
			return true
		}
	}
	return false
}

// stepLate has every step use the rate of the step before it, as a scheduler does that is stepped before the optimizer.
func stepLate(o *train.Options) { o.Schedule.Shift = -1 }
