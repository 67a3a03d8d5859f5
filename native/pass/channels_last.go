package pass

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// ChannelsLast lays images out with their channels last, (N, H, W, C), wherever a convolution computes or reads them, so that a vector's lanes are channels and a convolution's rows lie
// together. Nodes between convolutions that work element by element or channel by channel follow; where another node, or the graph's output, needs an image as the
// model has it, it is transposed back. It comes after Differentiate, whose rules know one layout.
func ChannelsLast(g *ir.Graph) error {
	if !slices.ContainsFunc(g.Nodes, isImageConvolution) {
		return nil
	}
	l := &channelsLast{graph: g, last: map[*ir.Value]*ir.Value{}, missing: map[*ir.Value]bool{}, numbered: map[*ir.Value]bool{}, readers: newFusion(g).readers}
	nodes := g.Nodes
	g.Nodes = make([]*ir.Node, 0, len(nodes))
	for _, n := range nodes {
		if err := l.take(n); err != nil {
			return err
		}
	}
	for _, v := range g.Outputs {
		if err := l.restore(v); err != nil {
			return err
		}
	}
	if err := Prune(g); err != nil {
		return err
	}
	return fuseChannelsLast(g)
}

// isImageConvolution reports whether a node is a convolution, or a gradient of one, that has a form with channels last.
func isImageConvolution(n *ir.Node) bool {
	group, err := n.Attributes.Int("group", 1)
	if err != nil {
		return false
	}
	switch n.Op {
	case "Conv":
		return op.FitsNHWC(n.Inputs[0].Shape, n.Inputs[1].Shape, group)
	case "tandem.ConvData":
		return op.FitsNHWC(n.Outputs[0].Shape, n.Inputs[1].Shape, group)
	case "tandem.ConvWeights":
		return op.FitsNHWC(n.Inputs[1].Shape, n.Outputs[0].Shape, group)
	}
	return false
}

// elementByElement are operators that, beside those of one operand that say so, compute element by element: an operand of one element, or of one pixel for each image, counts for all.
var elementByElement = []string{"Relu", "tandem.ReluGradient", "tandem.ActivationGradient", "Add", "Sub", "Mul", "Div", "Gelu", "tandem.GeluGradient", "tandem.Scale", "Identity", "Clip", "tandem.ClipGradient"}

func isElementByElement(n *ir.Node) bool {
	def := op.Lookup(n.Op)
	return def != nil && def.ElementByElement || slices.Contains(elementByElement, n.Op)
}

// channelsLast knows the images that lie with channels last.
type channelsLast struct {
	graph *ir.Graph
	// last is the same image with channels last; missing says that the image itself is not computed.
	last    map[*ir.Value]*ir.Value
	missing map[*ir.Value]bool
	// numbered are the numbers of elements that a max-pooling with channels last chose.
	numbered map[*ir.Value]bool
	readers  map[*ir.Value][]*ir.Node
}

// take appends a node, or its form with channels last.
func (l *channelsLast) take(n *ir.Node) error {
	switch {
	case isImageConvolution(n):
		return l.convolution(n)
	case n.Op == "BatchNormalization" && l.missing[n.Inputs[0]]:
		return l.replace(n, "tandem.BatchNormalizationNHWC", []int{0}, []int{0})
	case n.Op == "tandem.BatchNormalizationGradient" && (l.missing[n.Inputs[0]] || l.missing[n.Inputs[1]]):
		return l.replace(n, "tandem.BatchNormalizationGradientNHWC", []int{0, 1}, []int{0})
	case n.Op == "MaxPool" && l.missing[n.Inputs[0]] && l.numbersStay(n):
		return l.replace(n, "tandem.MaxPoolNHWC", []int{0}, []int{0})
	case n.Op == "tandem.MaxPoolGradient" && l.numbered[n.Inputs[1]]:
		return l.replaceWith(n, "tandem.MaxPoolGradientNHWC", n.Attributes.With("image", int64s(lastShape(n.Outputs[0].Shape))), []int{0}, []int{0})
	case isTransposed(n, 0, 2, 3, 1) && l.missing[n.Inputs[0]]: // what the model brings into this order lies in it
		view := &ir.Node{
			Op: "tandem.ReshapeTo", Attributes: onnx.NewAttributes(map[string]any{"shape": int64s(n.Outputs[0].Shape)}), Inputs: []*ir.Value{l.last[n.Inputs[0]]}, Outputs: n.Outputs, Origin: n.Origin,
		}
		n.Outputs[0].Producer = view
		return l.append(view)
	case isTransposed(n, 0, 3, 1, 2): // and what it takes out of it stays
		if err := l.restore(n.Inputs[0]); err != nil {
			return err
		}
		l.last[n.Outputs[0]], l.missing[n.Outputs[0]] = n.Inputs[0], true
		return nil
	case isElementByElement(n) && l.sameImages(n):
		return l.replace(n, n.Op, images(n.Inputs), []int{0})
	case slices.Contains([]string{"Concat", "Split", "tandem.Part"}, n.Op) && alongChannels(n) && slices.ContainsFunc(n.Inputs, func(v *ir.Value) bool { return l.missing[v] }):
		return l.replaceWith(n, n.Op, n.Attributes.With("axis", int64(3)), images(n.Inputs), images(n.Outputs))
	case n.Op == "ReduceMean" && l.missing[n.Inputs[0]]:
		done, err := l.mean(n)
		if err != nil || done {
			return err
		}
	case n.Op == "GlobalAveragePool" && l.missing[n.Inputs[0]]:
		return l.average(n)
	case n.Op == "tandem.Expand" && isImage(n.Inputs[0]) && isImage(n.Outputs[0]) && isVector(n.Inputs[0]):
		return l.replaceWith(n, n.Op, n.Attributes.With("shape", int64s(lastShape(n.Outputs[0].Shape))), []int{0}, []int{0})
	case n.Op == "tandem.SumTo" && l.missing[n.Inputs[0]] && isImage(n.Outputs[0]) && isVector(n.Outputs[0]) && n.Outputs[0].Shape[0] == n.Inputs[0].Shape[0] &&
		n.Outputs[0].Shape[1] == n.Inputs[0].Shape[1]:
		return l.replaceWith(n, n.Op, n.Attributes.With("shape", int64s(lastShape(n.Outputs[0].Shape))), []int{0}, []int{0})
	case n.Op == "tandem.SumTo" && l.missing[n.Inputs[0]] && n.Outputs[0].Len() == n.Inputs[0].Shape[1]:
		if done, err := l.sumToChannels(n); err != nil || done {
			return err
		}
	}
	for _, v := range n.Inputs {
		if err := l.restore(v); err != nil {
			return err
		}
	}
	l.graph.Nodes = append(l.graph.Nodes, n)
	return nil
}

func isImage(v *ir.Value) bool { return v != nil && v.Type == ir.Float && len(v.Shape) == 4 }

// isVector reports whether an image has one pixel, so that both layouts are the same.
func isVector(v *ir.Value) bool { return v.Shape[2] == 1 && v.Shape[3] == 1 }

// isTransposed reports whether a node transposes images so.
func isTransposed(n *ir.Node, axes ...int64) bool {
	if n.Op != "Transpose" || !isImage(n.Inputs[0]) {
		return false
	}
	perm, err := n.Attributes.Ints("perm", nil)
	return err == nil && slices.Equal(perm, axes)
}

// isChannels reports whether a value has one element for each channel and is broadcast to images: (C, 1, 1).
func isChannels(v *ir.Value) bool {
	return v != nil && v.Type == ir.Float && len(v.Shape) == 3 && v.Shape[1] == 1 && v.Shape[2] == 1
}

// sameImages reports whether all inputs of a node are images of the shape of its only output, numbers, or vectors of channels that are broadcast to such an image, and at least one is not
// computed as the model has it.
func (l *channelsLast) sameImages(n *ir.Node) bool {
	if len(n.Outputs) != 1 || !isImage(n.Outputs[0]) {
		return false
	}
	any := false
	for _, v := range n.Inputs {
		number := v == nil || v.Len() == 1 && len(v.Shape) < 4
		if !number && !isChannels(v) && !(isImage(v) && (slices.Equal(v.Shape, n.Outputs[0].Shape) || isVector(v))) {
			return false
		}
		any = any || l.missing[v]
	}
	return any
}

// images are the numbers of those values that are images, or are broadcast to them.
func images(values []*ir.Value) (numbers []int) {
	for i, v := range values {
		if isImage(v) || isChannels(v) {
			numbers = append(numbers, i)
		}
	}
	return numbers
}

// alongChannels reports whether a node's axis is that of the channels of images.
func alongChannels(n *ir.Node) bool {
	axis, err := n.Attributes.Int("axis", 0)
	return err == nil && isImage(n.Inputs[0]) && (axis == 1 || axis == -3)
}

func lastShape(shape []int) []int { return []int{shape[0], shape[2], shape[3], shape[1]} }
func int64s(shape []int) (x []int64) {
	for _, s := range shape {
		x = append(x, int64(s))
	}
	return x
}

// numbersStay reports whether none but its own gradient reads the numbers of the elements that a max-pooling chose, which depend on the layout.
func (l *channelsLast) numbersStay(n *ir.Node) bool {
	if len(n.Outputs) < 2 || n.Outputs[1] == nil {
		return true
	}
	v := n.Outputs[1]
	if slices.Contains(l.graph.Outputs, v) || slices.ContainsFunc(l.readers[v], func(r *ir.Node) bool { return r.Op != "tandem.MaxPoolGradient" }) {
		return false
	}
	l.numbered[v] = true
	return true
}

// lastOf returns an image with channels last; it transposes where there is none yet.
func (l *channelsLast) lastOf(v *ir.Value, origin ir.Origin) (*ir.Value, error) {
	if last := l.last[v]; last != nil {
		return last, nil
	}
	var last *ir.Value
	var err error
	switch {
	case isChannels(v):
		last, err = op.Append(l.graph, "tandem.ReshapeTo", map[string]any{"shape": int64s(v.Shape[:1])}, origin, origin.Phase, v)
	case isVector(v):
		last, err = op.Append(l.graph, "tandem.ReshapeTo", map[string]any{"shape": int64s(lastShape(v.Shape))}, origin, origin.Phase, v)
	default:
		last, err = op.Append(l.graph, "Transpose", map[string]any{"perm": []int64{0, 2, 3, 1}}, origin, origin.Phase, v)
	}
	l.last[v] = last
	return last, err
}

// restore computes an image as the model has it, if it is not.
func (l *channelsLast) restore(v *ir.Value) error {
	if v == nil || !l.missing[v] {
		return nil
	}
	n := &ir.Node{Op: "Transpose", Attributes: onnx.NewAttributes(map[string]any{"perm": []int64{0, 3, 1, 2}}), Inputs: []*ir.Value{l.last[v]}, Outputs: []*ir.Value{v}}
	if isVector(v) {
		n.Op, n.Attributes = "tandem.ReshapeTo", onnx.NewAttributes(map[string]any{"shape": int64s(v.Shape)})
	}
	if v.Producer != nil {
		n.Origin = v.Producer.Origin
	}
	delete(l.missing, v)
	v.Producer = n
	return l.append(n)
}

func (l *channelsLast) append(n *ir.Node) error {
	if err := op.Infer(n); err != nil {
		return err
	}
	l.graph.Nodes = append(l.graph.Nodes, n)
	return nil
}

// replace appends a node's form with channels last: the inputs and outputs of those numbers are images.
func (l *channelsLast) replace(n *ir.Node, operator string, inputs, outputs []int) error {
	return l.replaceWith(n, operator, n.Attributes, inputs, outputs)
}

func (l *channelsLast) replaceWith(n *ir.Node, operator string, attributes onnx.Attributes, inputs, outputs []int) error {
	m := &ir.Node{Op: operator, Attributes: attributes, Inputs: slices.Clone(n.Inputs), Outputs: slices.Clone(n.Outputs), Writes: n.Writes, Origin: n.Origin}
	if operator == n.Op {
		m.Version = n.Version
	}
	var err error
	for _, i := range inputs {
		if m.Inputs[i], err = l.lastOf(n.Inputs[i], n.Origin); err != nil {
			return err
		}
	}
	for i, v := range m.Outputs {
		if v == nil {
			continue
		}
		v.Producer = m
		if slices.Contains(outputs, i) {
			m.Outputs[i] = &ir.Value{Name: l.graph.UniqueName(v.Name + "/NHWC"), Type: v.Type, Role: ir.Intermediate, Producer: m}
			l.last[v], l.missing[v] = m.Outputs[i], true
		}
	}
	if err := l.append(m); err != nil {
		return err
	}
	for _, i := range outputs {
		if v := n.Outputs[i]; v != nil && !slices.Equal(m.Outputs[i].Shape, lastShape(v.Shape)) {
			return fmt.Errorf("pass: %s has the shape %v with channels last, and %v otherwise", m, m.Outputs[i].Shape, v.Shape)
		}
	}
	return nil
}

func (l *channelsLast) convolution(n *ir.Node) error {
	switch n.Op {
	case "Conv":
		if b := n.Input(2); b != nil && b.Role == ir.Constant && !slices.ContainsFunc(widenConstant(b.Const), func(x float64) bool { return x != 0 }) {
			n.Inputs = n.Inputs[:2] // the exporter's bias for a layer that has none
		}
		return l.replace(n, "tandem.ConvNHWC", []int{0}, []int{0})
	case "tandem.ConvData":
		return l.replaceWith(n, "tandem.ConvDataNHWC", n.Attributes.With("image", int64s(lastShape(n.Outputs[0].Shape))), []int{0}, []int{0})
	}
	return l.replace(n, "tandem.ConvWeightsNHWC", []int{0, 1}, nil)
}

// mean handles the mean over all pixels.
func (l *channelsLast) mean(n *ir.Node) (done bool, err error) {
	axes, err := op.ReducedAxes(n)
	if err != nil || !slices.Equal(axes, []int{2, 3}) {
		return false, err
	}
	constant, err := tensor.Of([]int64{1, 2}, 2)
	if err != nil {
		return false, err
	}
	m := &ir.Node{Op: n.Op, Version: n.Version, Attributes: n.Attributes, Origin: n.Origin, Outputs: n.Outputs}
	pixels, err := l.lastOf(n.Inputs[0], n.Origin)
	if err != nil {
		return false, err
	}
	m.Inputs = []*ir.Value{pixels, {Name: l.graph.UniqueName("axes"), Type: ir.Int64, Shape: []int{2}, Role: ir.Constant, Const: constant}}
	v := n.Outputs[0]
	if len(v.Shape) == 4 {
		m.Outputs = []*ir.Value{{Name: l.graph.UniqueName(v.Name + "/NHWC"), Role: ir.Intermediate, Producer: m}}
		l.last[v], l.missing[v] = m.Outputs[0], true
	} else {
		v.Producer = m
	}
	return true, l.append(m)
}

// average is mean for the operator without axes.
func (l *channelsLast) average(n *ir.Node) error {
	n.Op, n.Version, n.Attributes = "ReduceMean", 18, onnx.NewAttributes(map[string]any{"keepdims": int64(1)})
	axes, err := tensor.Of([]int64{2, 3}, 2)
	if err != nil {
		return err
	}
	n.Inputs = []*ir.Value{n.Inputs[0], {Name: l.graph.UniqueName("axes"), Type: ir.Int64, Shape: []int{2}, Role: ir.Constant, Const: axes}}
	_, err = l.mean(n)
	return err
}

// sumToChannels handles the sum over images and pixels, the gradient of a bias: its result is a vector in either layout.
func (l *channelsLast) sumToChannels(n *ir.Node) (done bool, err error) {
	shape := n.Outputs[0].Shape
	channels := n.Inputs[0].Shape[1]
	if at := len(shape) - 3; at < 0 || shape[at] != channels {
		return false, nil
	}
	pixels, err := l.lastOf(n.Inputs[0], n.Origin)
	if err != nil {
		return false, err
	}
	sum, err := op.Append(l.graph, "tandem.SumTo", map[string]any{"shape": []int64{int64(channels)}}, n.Origin, n.Origin.Phase, pixels)
	if err != nil {
		return false, err
	}
	view := &ir.Node{Op: "tandem.ReshapeTo", Attributes: onnx.NewAttributes(map[string]any{"shape": int64s(shape)}), Inputs: []*ir.Value{sum}, Outputs: n.Outputs, Origin: n.Origin}
	n.Outputs[0].Producer = view
	return true, l.append(view)
}
