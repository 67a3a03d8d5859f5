package engine

import (
	"errors"
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// Mistakes that a residual network on images invites: in what is made of the images, in convolutions, and in the sums of its branches.

// augments demands crops or flips.
func augments(n *Native) bool { return n.data.augment != nil }

// flips demands a training image that is mirrored in the first batch.
func flips(n *Native) bool {
	of, err := n.data.batch(0)
	if err != nil || of.changes == nil {
		return false
	}
	for i := 2; i < len(of.changes); i += 3 {
		if of.changes[i] != 0 {
			return true
		}
	}
	return false
}

// distorted has every crop and flip changed.
func distorted(change func(engine.Change) engine.Change) func(*data) error {
	return func(d *data) error {
		d.distort = change
		return nil
	}
}

func asItIs(engine.Change) engine.Change { return engine.Change{} }

func unmirrored(c engine.Change) engine.Change {
	c.Flip = false
	return c
}

// mirroredFirst crops after the reflection, so that a mirrored image is moved the other way.
func mirroredFirst(c engine.Change) engine.Change {
	if c.Flip {
		c.DX = -c.DX
	}
	return c
}

// zeroBorder takes 0 for black, as it is before normalization.
func zeroBorder(d *data) error {
	clear(d.fill)
	return nil
}

func normalizes(n *Native) bool {
	return slices.ContainsFunc(n.data.fill, func(v float32) bool { return v != 0 })
}

// images returns the training images of several channels.
func (d *data) images() *input {
	for i := range d.train.inputs {
		in := &d.train.inputs[i]
		if s := in.stored.Shape; in.stored.DType == tensor.Float32 && len(s) == 4 && s[1] > 1 {
			return in
		}
	}
	return nil
}

func hasColours(n *Native) bool { return n.data.images() != nil }

// reverseChannels gives the channels in the opposite order: blue, green and red.
func reverseChannels(d *data) error {
	in := d.images()
	channels, plane := in.stored.Shape[1], in.stored.Shape[2]*in.stored.Shape[3]
	in.repaint = func(image []float32) {
		for c := range channels / 2 {
			a, b := image[c*plane:(c+1)*plane], image[(channels-1-c)*plane:]
			for i := range a {
				a[i], b[i] = b[i], a[i]
			}
		}
	}
	return nil
}

// normalizeTwice normalizes images that are normalized already.
func normalizeTwice(n *Native) {
	in := n.data.images()
	plane := in.stored.Shape[2] * in.stored.Shape[3]
	in.repaint = func(image []float32) {
		for i := range image {
			c := i / plane
			image[i] = (image[i] - float32(n.mean[c])) / float32(n.std[c])
		}
	}
}

func normalizesColours(n *Native) bool { return hasColours(n) && len(n.mean) > 0 }

// decayMatricesAlone leaves biases and the weights of normalizations out of the weight decay.
func decayMatricesAlone(n *Native) {
	n.options.Optimizer.NoDecay = append(slices.Clone(n.options.Optimizer.NoDecay), vectors(n)...)
}

// convolves demands a convolution with a kernel of more than one element.
func convolves(n *Native) bool {
	return slices.ContainsFunc(n.model.Graph.Nodes, func(node *onnx.Node) bool {
		w := n.model.Graph.Initializer(node.Input(1))
		return node.OpType == "Conv" && w != nil && w.Len() > w.Shape()[0]*w.Shape()[1]
	})
}

// strides demands a padded convolution with a stride, whose first position a mistake can move.
func strides(n *Native) bool {
	return slices.ContainsFunc(n.model.Graph.Nodes, func(node *onnx.Node) bool {
		pads, err1 := node.Attributes.Ints("pads", nil)
		steps, err2 := node.Attributes.Ints("strides", nil)
		return node.OpType == "Conv" && errors.Join(err1, err2) == nil && strided(pads, steps)
	})
}

func strided(pads, steps []int64) bool {
	return len(pads) > 0 && len(steps) > 0 && slices.Min(pads[:len(pads)/2]) > 0 && slices.Max(steps) > 1
}

// flipKernels turns every kernel by half a turn: a convolution in the mathematical sense, where ONNX and PyTorch have the cross-correlation.
func flipKernels(g *ir.Graph) error {
	for _, n := range nodesOf(g, "Conv") {
		w := n.Inputs[1]
		for axis := 2; axis < len(w.Shape); axis++ {
			if w.Shape[axis] < 2 {
				continue
			}
			var bounds []*ir.Value
			for _, v := range []int64{-1, int64(-w.Shape[axis] - 1), int64(axis), -1} {
				t, err := tensor.Of([]int64{v}, 1)
				if err != nil {
					return err
				}
				bounds = append(bounds, &ir.Value{Name: g.UniqueName("mistake"), Type: ir.Int64, Shape: t.Shape(), Role: ir.Constant, Const: t})
			}
			turned, err := insertBefore(g, n, "Slice", nil, append([]*ir.Value{n.Inputs[1]}, bounds...)...)
			if err != nil {
				return err
			}
			n.Inputs[1] = turned
		}
	}
	return g.Verify()
}

// offsetStrides begins a pixel later in each convolution with a stride: its border is wider behind the image than before it, as TensorFlow's
// padding "SAME" makes it.
func offsetStrides(g *ir.Graph) error {
	changed := false
	for _, n := range nodesOf(g, "Conv") {
		pads, err := n.Attributes.Ints("pads", nil)
		if err != nil {
			return err
		}
		steps, err := n.Attributes.Ints("strides", nil)
		if err != nil {
			return err
		}
		if !strided(pads, steps) {
			continue
		}
		moved := slices.Clone(pads)
		for i := range len(pads) / 2 {
			moved[i]--
			moved[len(pads)/2+i]++
		}
		n.Attributes, changed = n.Attributes.With("pads", moved), true
	}
	if !changed {
		return errNothingChanged
	}
	return nil
}

// otherBatchNormEpsilon takes TensorFlow's epsilon for PyTorch's.
func otherBatchNormEpsilon(g *ir.Graph) error {
	return changeBatchNorms(g, func(a onnx.Attributes) (onnx.Attributes, error) { return a.With("epsilon", 1e-3), nil })
}

const stopped = "tandem.mistake.StopGradient"

func init() {
	scale := op.Lookup("tandem.Scale")
	op.Register(op.Def{ // the input times a factor, which is 1, through which no gradient passes
		Name: stopped, MinInputs: 1, MaxInputs: 1, Infer: scale.Infer, Float32: scale.Float32, Float64: scale.Float64,
		Gradient: func(g *op.Gradient) error {
			g.Set(0, g.Add("tandem.Scale", map[string]any{"factor": 0.0}, g.Out[0]))
			return nil
		},
	})
}

// residual is a sum of a branch and of what it branched off from, with the place of the latter among the inputs.
type residual struct {
	node *ir.Node
	at   int
}

func residuals(g *ir.Graph) []residual {
	readers := map[*ir.Value]int{}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			readers[in]++
		}
	}
	var out []residual
	for _, n := range nodesOf(g, "Add") {
		for i, in := range n.Inputs {
			if in.Producer != nil && readers[in] > 1 && len(n.Inputs[1-i].Shape) == len(in.Shape) {
				out = append(out, residual{n, i})
				break
			}
		}
	}
	return out
}

// hasResidual demands a sum of two values of which one is used elsewhere as well.
func hasResidual(n *Native) bool {
	readers, made := map[string]int{}, map[string]bool{}
	for _, node := range n.model.Graph.Nodes {
		for _, in := range node.Inputs {
			readers[in]++
		}
		for _, out := range node.Outputs {
			made[out] = true
		}
	}
	return slices.ContainsFunc(n.model.Graph.Nodes, func(node *onnx.Node) bool {
		return node.OpType == "Add" && slices.ContainsFunc(node.Inputs, func(in string) bool { return made[in] && readers[in] > 1 })
	})
}

// dropResiduals lets no gradient through the direct way around a branch.
func dropResiduals(g *ir.Graph) error {
	all := residuals(g)
	for _, r := range all {
		v, err := insertBefore(g, r.node, stopped, map[string]any{"factor": 1.0}, r.node.Inputs[r.at])
		if err != nil {
			return err
		}
		r.node.Inputs[r.at] = v
	}
	if len(all) == 0 {
		return errNothingChanged
	}
	return g.Verify()
}

// vectors are the names of the trained parameters of one dimension that the weight decay reaches: biases, and the weights of normalizations.
func vectors(n *Native) []string {
	var names []string
	for _, init := range n.model.Graph.Initializers {
		if init.Tensor.DType().IsFloat() && len(init.Tensor.Shape()) == 1 && n.options.Optimizer.Decays(init.Name) && trains(n.model, init.Name) {
			names = append(names, init.Name)
		}
	}
	return names
}

// trains reports whether a model's initializer is a parameter, as far as the manifest says.
func trains(m *onnx.Model, name string) bool {
	return m.Manifest == nil || slices.ContainsFunc(m.Manifest.Parameters, func(p onnx.Parameter) bool { return p.Name == name && p.RequiresGrad })
}

func decaysVectors(n *Native) bool { return decays(n) && len(vectors(n)) > 0 }
