package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// SoftmaxCrossEntropyLoss is the mean or the sum over rows of -log softmax(scores)[label], for scores (N, C) and
// labels (N). Output 1 is the logarithm of the softmax, which the gradient is computed from. tandem adds the node
// itself: PyTorch's exporter keeps the loss outside the graph. Labels outside 0 ... C-1 are the caller's to refuse.
func init() {
	Register(Def{
		Name: "SoftmaxCrossEntropyLoss", Since: 13, MinInputs: 2, MaxInputs: 3, Saves: 2,
		Infer:   inferCrossEntropy,
		Float32: bindCrossEntropy[float32], Float64: bindCrossEntropy[float64],
		Gradient: func(g *Gradient) error {
			if len(g.Node.Outputs) < 2 || g.Node.Outputs[1] == nil {
				return fmt.Errorf("the node has no log_prob output to differentiate with")
			}
			if g.Out[0] == nil || len(g.Out) > 1 && g.Out[1] != nil {
				return fmt.Errorf("a gradient through log_prob is %w", ErrUnsupported)
			}
			reduction, err := g.Node.Attributes.String("reduction", "mean")
			if err != nil {
				return err
			}
			g.Set(0, g.Add("tandem.SoftmaxCrossEntropyLossGradient", map[string]any{"reduction": reduction}, g.Out[0], g.Node.Outputs[1], g.Node.Inputs[1]))
			return nil
		},
		Cases: []Case{
			{Name: "mean", Inputs: []CaseInput{{Shape: []int{4, 5}}, {Type: ir.Int64, Shape: []int{4}, Int: []int64{0, 4, 2, 2}, NoGrad: true}}},
			{Name: "sum", Attributes: map[string]any{"reduction": "sum"}, Inputs: []CaseInput{{Shape: []int{3, 2}}, {Type: ir.Int64, Shape: []int{3}, Int: []int64{1, 1, 0}, NoGrad: true}}},
		},
	})
	Register(Def{
		Name: "tandem.SoftmaxCrossEntropyLossGradient", MinInputs: 3, MaxInputs: 3, // dloss, log_prob, labels
		Infer: func(n *ir.Node) error {
			setOutput(n, 0, ir.Float, n.Inputs[1].Shape...)
			return nil
		},
		Float32: bindCrossEntropyGradient[float32], Float64: bindCrossEntropyGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

func inferCrossEntropy(n *ir.Node) error {
	if err := wantFloat(n, 0); err != nil {
		return err
	}
	scores, labels := n.Inputs[0].Shape, n.Inputs[1].Shape
	if n.Inputs[1].Type != ir.Int64 {
		return fmt.Errorf("labels are %v, must be int64", n.Inputs[1].Type)
	}
	if len(scores) != 2 || len(labels) != 1 || labels[0] != scores[0] || scores[1] == 0 {
		return fmt.Errorf("scores of shape %v with labels of shape %v are %w: it takes (N, C) and (N)", scores, labels, ErrUnsupported)
	}
	if n.Input(2) != nil || n.Attributes.Has("ignore_index") {
		return fmt.Errorf("class weights and ignore_index are %w", ErrUnsupported)
	}
	if _, err := crossEntropyScale(n, scores[0]); err != nil {
		return err
	}
	setOutput(n, 0, ir.Float)
	setOutput(n, 1, ir.Float, scores...)
	return nil
}

// crossEntropyScale is what the sum over rows is multiplied with.
func crossEntropyScale(n *ir.Node, rows int) (float64, error) {
	reduction, err := n.Attributes.String("reduction", "mean")
	switch {
	case err != nil:
		return 0, err
	case reduction == "mean":
		return 1 / float64(rows), nil
	case reduction == "sum":
		return 1, nil
	}
	return 0, fmt.Errorf("reduction %q is %w: it may be mean or sum", reduction, ErrUnsupported)
}

func bindCrossEntropy[T kernel.Float](c *Context[T]) (func(), error) {
	x, target, loss := c.In[0].Float, c.In[1].Int, c.Out[0].Float
	rows, columns := c.In[0].Shape[0], c.In[0].Shape[1]
	scale, err := crossEntropyScale(c.Node, rows)
	if err != nil {
		return nil, err
	}
	var logProbability []T
	if len(c.Out) > 1 {
		logProbability = c.Out[1].Float
	}
	if logProbability == nil {
		logProbability = make([]T, len(x))
	}
	body := func(_, lo, hi int) { kernel.LogSoftmax(logProbability, x, columns, lo, hi) }
	grain := max(1, 512/columns)
	return func() {
		c.Pool.For(rows, grain, body)
		loss[0] = kernel.NegativeLogLikelihood(logProbability, target, columns, scale)
	}, nil
}

func bindCrossEntropyGradient[T kernel.Float](c *Context[T]) (func(), error) {
	dloss, logProbability, target, dx := c.In[0].Float, c.In[1].Float, c.In[2].Int, c.Out[0].Float
	rows, columns := c.In[1].Shape[0], c.In[1].Shape[1]
	scale, err := crossEntropyScale(c.Node, rows)
	if err != nil {
		return nil, err
	}
	body := func(_, lo, hi int) {
		kernel.CrossEntropyGradient(dx, logProbability, target, columns, lo, hi, T(scale)*dloss[0])
	}
	grain := max(1, 512/columns)
	return func() { c.Pool.For(rows, grain, body) }, nil
}
