package engine

import (
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/pass"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// Mistakes in the forward pass, the loss and the gradients. Graphs are rewritten; where no operator makes the mistake,
// one that does is registered beside the real one, so that no kernel knows of mistakes.

const (
	constantMask  = "tandem.mistake.ConstantMask"
	lastRowWins   = "tandem.mistake.LastRowWins"
	gatherReverse = "tandem.GatherGradient"
)

func init() {
	dropout := op.Lookup("Dropout")
	op.Register(op.Def{ // Dropout with the mask of the first step at every step
		Name: constantMask, MinInputs: dropout.MinInputs, MaxInputs: dropout.MaxInputs, Saves: dropout.Saves,
		Infer: dropout.Infer, Gradient: dropout.Gradient,
		Float32: func(c *op.Context[float32]) (func(), error) { return dropout.Float32(firstStep(c)) },
		Float64: func(c *op.Context[float64]) (func(), error) { return dropout.Float64(firstStep(c)) },
	})
	gather := op.Lookup(gatherReverse)
	op.Register(op.Def{ // the gradient of Gather where each row overwrites the ones before it
		Name: lastRowWins, MinInputs: gather.MinInputs, MaxInputs: gather.MaxInputs, Infer: gather.Infer,
		Float32: bindLastRowWins[float32], Float64: bindLastRowWins[float64],
		NoGradient: "it is one",
	})
}

func firstStep[T kernel.Float](c *op.Context[T]) *op.Context[T] {
	first := *c
	first.Run = &op.Run{Seed: c.Run.Seed}
	return &first
}

func bindLastRowWins[T kernel.Float](c *op.Context[T]) (func(), error) {
	dy, index, dx := c.In[0].Float, c.In[1].Int, c.Out[0].Float
	rows := c.Out[0].Shape[0]
	width := len(dx) / rows
	return func() {
		clear(dx)
		for i, row := range index {
			row = (row + int64(rows)) % int64(rows)
			copy(dx[row*int64(width):][:width], dy[i*width:])
		}
	}, nil
}

// nodesOf returns the nodes of an operator.
func nodesOf(g *ir.Graph, operator string) (out []*ir.Node) {
	for _, n := range g.Nodes {
		if n.Op == operator {
			out = append(out, n)
		}
	}
	return out
}

// insertBefore adds a node with one output right before another.
func insertBefore(g *ir.Graph, n *ir.Node, operator string, attributes map[string]any, inputs ...*ir.Value) (*ir.Value, error) {
	v, err := op.Append(g, operator, attributes, n.Origin, n.Origin.Phase, inputs...)
	if err != nil {
		return nil, err
	}
	last := len(g.Nodes) - 1
	added := g.Nodes[last]
	g.Nodes = slices.Insert(g.Nodes[:last], slices.Index(g.Nodes, n), added)
	return v, nil
}

// replaceOutput has all readers of a node's first output read the result of another node on it, which takes over its name: the
// operator is wrong in one piece as seen from outside.
func replaceOutput(g *ir.Graph, n *ir.Node, operator string, attributes map[string]any, more ...*ir.Value) error {
	was := n.Outputs[0]
	v, err := op.Append(g, operator, attributes, n.Origin, n.Origin.Phase, append([]*ir.Value{was}, more...)...)
	if err != nil {
		return err
	}
	last := len(g.Nodes) - 1
	added := g.Nodes[last]
	g.Nodes = slices.Insert(g.Nodes[:last], slices.Index(g.Nodes, n)+1, added)
	for _, reader := range g.Nodes {
		if reader == added {
			continue
		}
		for i, in := range reader.Inputs {
			if in == was {
				reader.Inputs[i] = v
			}
		}
	}
	for i, out := range g.Outputs {
		if out == was {
			g.Outputs[i] = v
		}
	}
	v.Name, was.Name = was.Name, v.Name
	return g.Verify()
}

func scalar(v float64) (*ir.Value, error) {
	t, err := tensor.Of([]float64{v})
	return &ir.Value{Name: "mistake", Type: ir.Float, Role: ir.Constant, Const: t}, err
}

func removeDropout(g *ir.Graph) error {
	for _, n := range nodesOf(g, "Dropout") {
		n.Op, n.Inputs, n.Outputs = "Identity", n.Inputs[:1], n.Outputs[:1]
	}
	return g.Verify()
}

// unscaleDropout takes back the 1/(1-p) of kept elements.
func unscaleDropout(g *ir.Graph) error {
	for _, n := range nodesOf(g, "Dropout") {
		p, err := n.Attributes.Float("tandem_p", 0)
		if err != nil {
			return err
		}
		keep, err := scalar(1 - p)
		if err != nil {
			return err
		}
		if err := replaceOutput(g, n, "Mul", nil, keep); err != nil {
			return err
		}
	}
	return nil
}

func reuseMask(g *ir.Graph) error {
	for _, n := range nodesOf(g, "Dropout") {
		n.Op = constantMask
	}
	return nil
}

func removeLastRelu(g *ir.Graph) error {
	for _, n := range slices.Backward(nodesOf(g, "Relu")) {
		n.Op = "Identity"
		return nil
	}
	return errNothingChanged
}

func hasExactGelu(n *Native) bool {
	return slices.ContainsFunc(n.model.Graph.Nodes, func(node *onnx.Node) bool {
		form, err := node.Attributes.String("approximate", "none")
		return node.OpType == "Gelu" && err == nil && form == "none"
	})
}

func approximateGelu(g *ir.Graph) error {
	for _, n := range nodesOf(g, "Gelu") {
		n.Attributes = n.Attributes.With("approximate", "tanh")
	}
	return nil
}

// squareWeight reports whether a matrix product's second operand is a square matrix of more than one element.
func squareWeight(operator string, shape []int) bool {
	return (operator == "Gemm" || operator == "MatMul") && len(shape) == 2 && shape[0] == shape[1] && shape[0] > 1
}

func hasSquareWeight(n *Native) bool {
	return slices.ContainsFunc(n.model.Graph.Nodes, func(node *onnx.Node) bool {
		w := n.model.Graph.Initializer(node.Input(1))
		return w != nil && squareWeight(node.OpType, w.Shape())
	})
}

// transposeSquareWeight transposes the first square weight matrix, which no shape shows.
func transposeSquareWeight(g *ir.Graph) error {
	for _, n := range g.Nodes {
		if w := n.Input(1); w != nil && w.Role == ir.Parameter && squareWeight(n.Op, w.Shape) {
			v, err := insertBefore(g, n, "Transpose", nil, w)
			if err != nil {
				return err
			}
			n.Inputs[1] = v
			return g.Verify()
		}
	}
	return errNothingChanged
}

// softmaxTwice gives the loss, which takes logits, the probabilities.
func softmaxTwice(g *ir.Graph) error {
	for _, n := range nodesOf(g, "SoftmaxCrossEntropyLoss") {
		v, err := insertBefore(g, n, "Softmax", map[string]any{"axis": int64(-1)}, n.Inputs[0])
		if err != nil {
			return err
		}
		n.Inputs[0] = v
	}
	return g.Verify()
}

// scaled is a gradient times a number.
func scaled(g *ir.Graph, p, gradient *ir.Value, factor float64) (*ir.Value, error) {
	return op.Append(g, "tandem.Scale", map[string]any{"factor": factor}, ir.Origin{Node: p.Name}, ir.Backward, gradient)
}

func divideByBatch(g *ir.Graph, gradients map[*ir.Value]*ir.Value) error {
	rows := 0
	for _, in := range g.Inputs {
		if in.Name == pass.Target {
			rows = in.Shape[0]
		}
	}
	if rows == 0 {
		return errNothingChanged
	}
	return everyGradient(g, gradients, func(p, gradient *ir.Value) (*ir.Value, error) { return scaled(g, p, gradient, 1/float64(rows)) })
}

// hasBias demands a parameter of one dimension beside one of more.
func hasBias(n *Native) bool {
	vectors, others := 0, 0
	for _, init := range n.model.Graph.Initializers {
		switch {
		case init.Tensor.DType() != tensor.Float32:
		case len(init.Tensor.Shape()) == 1:
			vectors++
		case len(init.Tensor.Shape()) > 1:
			others++
		}
	}
	return vectors > 0 && others > 0
}

func loseBiases(g *ir.Graph, gradients map[*ir.Value]*ir.Value) error {
	return everyGradient(g, gradients, func(p, gradient *ir.Value) (*ir.Value, error) {
		if len(p.Shape) != 1 {
			return gradient, nil
		}
		return scaled(g, p, gradient, 0)
	})
}

// isEmbedding reports whether a node looks rows of a trained matrix up.
func hasEmbedding(n *Native) bool {
	return slices.ContainsFunc(n.model.Graph.Nodes, func(node *onnx.Node) bool {
		w := n.model.Graph.Initializer(node.Input(0))
		axis, err := node.Attributes.Int("axis", 0)
		return node.OpType == "Gather" && w != nil && w.DType().IsFloat() && len(w.Shape()) == 2 && err == nil && axis == 0
	})
}

// overwriteEmbedding has the gradient of each row of an embedding be that of its last use, not the sum over all.
func overwriteEmbedding(g *ir.Graph, _ map[*ir.Value]*ir.Value) error {
	changed := false
	for _, n := range nodesOf(g, gatherReverse) {
		if axis, err := n.Attributes.Int("axis", 0); err == nil && axis == 0 && len(n.Outputs[0].Shape) == 2 {
			n.Op, changed = lastRowWins, true
		}
	}
	if !changed {
		return errNothingChanged
	}
	return nil
}
