package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// classLoss is the negative log-likelihood of labels (N) under log-probabilities (N, C), with what PyTorch's cross-entropy and nll_loss offer:
// weights of the classes (input 2, a constant (C)), label_smoothing, and an ignore_index. reduction is "sum" or "mean"; a mean is over the
// weights of the labels that count, as PyTorch's. Without any of these SoftmaxCrossEntropyLoss does the same in one pass.
const classLoss = "tandem.ClassLoss"

func init() {
	labels := func(v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: []int{len(v)}, Int: v, NoGrad: true}
	}
	weights := CaseInput{Shape: []int{3}, Float: []float64{0.5, 2, 1.25}, Const: true, NoGrad: true}
	scores := CaseInput{Shape: []int{4, 3}}
	Register(Def{
		Name: classLoss, MinInputs: 2, MaxInputs: 3,
		Infer: func(n *ir.Node) error {
			if err := checkClassLoss(n, n.Inputs); err != nil {
				return err
			}
			setOutput(n, 0, ir.Float)
			return nil
		},
		Float32: bindClassLoss[float32], Float64: bindClassLoss[float64],
		Gradient: func(g *Gradient) error {
			in := append([]*ir.Value{g.Out[0]}, g.Node.Inputs...)
			attributes := map[string]any{}
			for _, name := range g.Node.Attributes.Names() {
				switch name {
				case "reduction":
					v, err := g.Node.Attributes.String(name, "")
					if err != nil {
						return err
					}
					attributes[name] = v
				case "label_smoothing":
					v, err := g.Node.Attributes.Float(name, 0)
					if err != nil {
						return err
					}
					attributes[name] = v
				case "ignore_index":
					v, err := g.Node.Attributes.Int(name, 0)
					if err != nil {
						return err
					}
					attributes[name] = v
				}
			}
			g.Set(0, g.Add("tandem.ClassLossGradient", attributes, in...))
			return nil
		},
		Cases: []Case{
			{Name: "plain", Inputs: []CaseInput{scores, labels(0, 2, 1, 1)}},
			{Name: "sum", Attributes: map[string]any{"reduction": "sum"}, Inputs: []CaseInput{scores, labels(0, 2, 1, 1)}},
			{Name: "weights", Inputs: []CaseInput{scores, labels(0, 2, 1, 1), weights}},
			{Name: "ignored", Attributes: map[string]any{"ignore_index": int64(-100)}, Inputs: []CaseInput{scores, labels(0, -100, 1, 1)}},
			{Name: "all", Attributes: map[string]any{"ignore_index": int64(1), "label_smoothing": 0.2}, Inputs: []CaseInput{scores, labels(0, 2, 1, 2), weights}},
		},
	})
	Register(Def{
		Name: "tandem.ClassLossGradient", MinInputs: 3, MaxInputs: 4, // dloss, log-probabilities, labels, weights
		Infer: func(n *ir.Node) error {
			if err := checkClassLoss(n, n.Inputs[1:]); err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, n.Inputs[1].Shape...)
			return nil
		},
		Float32: bindClassLossGradient[float32], Float64: bindClassLossGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

func checkClassLoss(n *ir.Node, in []*ir.Value) error {
	scores, labels := in[0].Shape, in[1].Shape
	switch {
	case in[0].Type != ir.Float || in[1].Type != ir.Int64:
		return fmt.Errorf("scores are %v and labels %v, must be floating-point and int64", in[0].Type, in[1].Type)
	case len(scores) != 2 || len(labels) != 1 || labels[0] != scores[0] || scores[1] == 0:
		return fmt.Errorf("scores of shape %v with labels of shape %v are %w: it takes (N, C) and (N)", scores, labels, ErrUnsupported)
	case len(in) > 2 && !equalShapes(in[2].Shape, scores[1:]):
		return fmt.Errorf("there are weights %v for %d classes", in[2].Shape, scores[1])
	}
	_, err := crossEntropyScale(n, 1)
	return err
}

// classLossStep returns a node's settings, and whether it takes the mean; weights is nil or the input that holds them.
func classLossStep[T kernel.Float](n *ir.Node, weights []T) (s *kernel.ClassLossStep[T], mean bool, err error) {
	s = &kernel.ClassLossStep[T]{Weights: weights, Ignores: n.Attributes.Has("ignore_index")}
	if s.Smoothing, err = n.Attributes.Float("label_smoothing", 0); err != nil {
		return nil, false, err
	}
	if s.Ignored, err = n.Attributes.Int("ignore_index", 0); err != nil {
		return nil, false, err
	}
	reduction, err := n.Attributes.String("reduction", "mean")
	return s, reduction == "mean", err
}

// weightsOf returns the elements of an optional input.
func weightsOf[T kernel.Float](in []Buffer[T], i int) []T {
	if len(in) <= i {
		return nil
	}
	return in[i].Float
}

func bindClassLoss[T kernel.Float](c *Context[T]) (func(), error) {
	s, mean, err := classLossStep(c.Node, weightsOf(c.In, 2))
	if err != nil {
		return nil, err
	}
	x, target, loss, columns := c.In[0].Float, c.In[1].Int, c.Out[0].Float, c.In[0].Shape[1]
	return func() {
		sum := kernel.ClassLoss(x, target, columns, s)
		if mean {
			sum /= kernel.ClassWeight(target, s) // without any label that counts not a number, as in PyTorch
		}
		loss[0] = T(sum)
	}, nil
}

func bindClassLossGradient[T kernel.Float](c *Context[T]) (func(), error) {
	s, mean, err := classLossStep(c.Node, weightsOf(c.In, 3))
	if err != nil {
		return nil, err
	}
	dloss, target, dx, columns := c.In[0].Float, c.In[2].Int, c.Out[0].Float, c.In[1].Shape[1]
	scale := T(0)
	body := func(_, lo, hi int) { kernel.ClassLossGradient(dx, target, columns, lo, hi, scale, s) }
	grain := max(1, 512/columns)
	return func() {
		scale = dloss[0]
		if mean {
			scale = T(float64(scale) / kernel.ClassWeight(target, s))
		}
		c.Pool.For(len(target), grain, body)
	}, nil
}
