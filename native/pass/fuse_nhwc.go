package pass

import (
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
)

// channelsLastRules are fusionRules for images with channels last. All give the bits of the nodes that they replace.
var channelsLastRules = []struct {
	name string
	try  func(f *fusion, n *ir.Node) bool
}{
	// y = Relu(BatchNormalization(x) + other), or without one of both: one pass over memory for three.
	{"BatchNormalization, Add", fuseNormalizationSum},
	{"BatchNormalization, Relu", fuseNormalizationRelu},
	// dx = BatchNormalizationGradient(ReluGradient(dy, y), x): the rectifier's gradient is taken where the sums and dx are.
	{"gradients of BatchNormalization and Relu", fuseNormalizationGradient},
	// dx = ConvData(dy, weights) + another gradient, at the end of each tile.
	{"gradient of Conv, Add", fuseConvolutionSum},
}

// fuseChannelsLast puts nodes together after ChannelsLast.
func fuseChannelsLast(g *ir.Graph) error {
	for _, rule := range channelsLastRules {
		f := newFusion(g)
		for _, n := range slices.Clone(g.Nodes) {
			if !f.removed[n] {
				rule.try(f, n)
			}
		}
		g.Nodes = slices.DeleteFunc(g.Nodes, func(n *ir.Node) bool { return f.removed[n] })
	}
	return g.Verify()
}

// otherOf returns the other operand of a sum of two images of the same shape.
func otherOf(sum *ir.Node, v *ir.Value) *ir.Value {
	if sum.Op != "Add" || !slices.Equal(sum.Inputs[0].Shape, sum.Inputs[1].Shape) || sum.Inputs[0] == sum.Inputs[1] {
		return nil
	}
	if sum.Inputs[0] == v {
		return sum.Inputs[1]
	}
	return sum.Inputs[0]
}

// takeResult lets node n compute output 0 of a later node in its place and position; it reports false, having done nothing, where another output of n is read before.
func (f *fusion) takeResult(n, later *ir.Node) bool {
	for _, v := range n.Outputs[1:] {
		if v != nil && slices.ContainsFunc(f.readers[v], func(r *ir.Node) bool { return f.position[r] < f.position[later] }) {
			return false
		}
	}
	n.Outputs[0] = later.Outputs[0]
	n.Outputs[0].Producer = n
	f.move(n, later)
	f.remove(later)
	return true
}

func fuseNormalizationSum(f *fusion, n *ir.Node) bool {
	if n.Op != "tandem.BatchNormalizationNHWC" || n.Input(5) != nil {
		return false
	}
	y := n.Outputs[0]
	if len(f.readers[y]) != 1 || !f.only(y, f.readers[y][0]) {
		return false
	}
	sum := f.readers[y][0]
	other := otherOf(sum, y)
	if other == nil || !f.takeResult(n, sum) {
		return false
	}
	f.setInputs(n, append(slices.Clone(n.Inputs[:5]), other)...)
	return true
}

func fuseNormalizationRelu(f *fusion, n *ir.Node) bool {
	if n.Op != "tandem.BatchNormalizationNHWC" || n.Attributes.Has("relu") {
		return false
	}
	y := n.Outputs[0]
	if len(f.readers[y]) != 1 || !f.only(y, f.readers[y][0]) || f.readers[y][0].Op != "Relu" || !f.takeResult(n, f.readers[y][0]) {
		return false
	}
	n.Attributes = n.Attributes.With("relu", int64(1))
	return true
}

func fuseNormalizationGradient(f *fusion, n *ir.Node) bool {
	if n.Op != "tandem.ReluGradient" || f.outputs[n.Outputs[0]] {
		return false
	}
	r := n.Outputs[0]
	readers := slices.Clone(f.readers[r])
	slices.SortStableFunc(readers, func(a, b *ir.Node) int { return f.position[a] - f.position[b] })
	isGradient := func(m *ir.Node) bool {
		return m.Op == "tandem.BatchNormalizationGradientNHWC" && m.Input(5) == nil && m.Inputs[0] == r && m.Inputs[1] != r && m.Outputs[0] != nil
	}
	if len(readers) == 0 || !isGradient(readers[0]) {
		return false
	}
	dy, y := n.Inputs[0], n.Inputs[1]
	gate := func(m *ir.Node) {
		f.setInputs(m, append([]*ir.Value{dy}, append(slices.Clone(m.Inputs[1:5]), y)...)...)
	}
	all := !slices.ContainsFunc(readers, func(m *ir.Node) bool { return !isGradient(m) })
	if all {
		for _, m := range readers {
			gate(m)
		}
	} else {
		// The first one keeps the gated gradient for the others.
		first := readers[0]
		gate(first)
		for len(first.Outputs) < 4 {
			first.Outputs = append(first.Outputs, nil)
		}
		first.Outputs[3] = r
		r.Producer = first
	}
	f.remove(n)
	return true
}

func fuseConvolutionSum(f *fusion, n *ir.Node) bool {
	if n.Op != "Add" {
		return false
	}
	// Of two such gradients the later one adds.
	var best *ir.Node
	for _, v := range n.Inputs {
		if m := v.Producer; m != nil && m.Op == "tandem.ConvDataNHWC" && m.Input(2) == nil && f.only(v, n) && otherOf(n, v) != nil && (best == nil || f.position[m] > f.position[best]) {
			best = m
		}
	}
	if best == nil {
		return false
	}
	other := otherOf(n, best.Outputs[0])
	if !f.takeResult(best, n) {
		return false
	}
	f.setInputs(best, best.Inputs[0], best.Inputs[1], other)
	return op.Infer(best) == nil
}
