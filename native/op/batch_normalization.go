package op

import (
	"errors"
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// BatchNormalization normalizes each channel of images (N, C, spatial ...). Inputs: images, scale, shift, running mean, running variance.
//
// In training mode (training_mode 1) by the batch's own mean and biased variance; outputs 1 and 2 are the new running statistics,
//
//	new = momentum * old + (1 - momentum) * batch's
//
// where ONNX takes the biased variance of the batch and PyTorch the unbiased one: pass.Import sets the attributes "tandem_unbiased" and
// "tandem_momentum" (PyTorch's, 1 - ONNX's, in float64) for a model whose manifest says that it is PyTorch's. Outputs 3 and 4, tandem's own, are the batch's mean and inverse
// deviation, which the gradient needs. Else it normalizes by the running statistics, and outputs 3 and 4 are these.
func init() {
	channels := func(count int, values ...float64) CaseInput { return CaseInput{Shape: []int{count}, Float: values} }
	statistics := func(values ...float64) CaseInput {
		return CaseInput{Shape: []int{len(values)}, Float: values, NoGrad: true}
	}
	Register(Def{
		Name: "BatchNormalization", Since: 9, MinInputs: 5, MaxInputs: 5, Saves: 5,
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0, 1, 2, 3, 4); err != nil {
				return err
			}
			shape := n.Inputs[0].Shape
			if len(shape) < 2 {
				return fmt.Errorf("images of shape %v must be (N, C, spatial ...)", shape)
			}
			for i := 1; i < 5; i++ {
				if !equalShapes(n.Inputs[i].Shape, shape[1:2]) {
					return fmt.Errorf("input %d has shape %v, want [%d] as the images have channels", i, n.Inputs[i].Shape, shape[1])
				}
			}
			if spatial, err := n.Attributes.Int("spatial", 1); err != nil || spatial != 1 {
				return fmt.Errorf("spatial %d is %w", spatial, ErrUnsupported)
			}
			training, err := n.Attributes.Int("training_mode", 0)
			if err != nil {
				return err
			}
			if training != 0 && shape[0]*elements(shape[2:]) == 0 {
				return fmt.Errorf("images of shape %v have no statistics", shape)
			}
			setOutput(n, 0, ir.Float, shape...)
			for i := 1; i < 5; i++ {
				setOutput(n, i, ir.Float, shape[1])
			}
			return nil
		},
		Float32: bindBatchNormalization[float32], Float64: bindBatchNormalization[float64],
		Gradient: func(g *Gradient) error {
			for i := 1; i < len(g.Out); i++ {
				if g.Out[i] != nil {
					return errors.New("a gradient through the statistics is not supported by the native trainer")
				}
			}
			if g.Needs(3) || g.Needs(4) {
				return errors.New("running statistics that are trained are not supported by the native trainer")
			}
			d := g.AddOutputs("tandem.BatchNormalizationGradient", g.Node.Attributes, []bool{g.Needs(0), g.Needs(1), g.Needs(2)},
				g.Out[0], g.Node.Inputs[0], g.Node.Inputs[1], g.Node.Outputs[3], g.Node.Outputs[4])
			for i, v := range d {
				g.Set(i, v)
			}
			return nil
		},
		Cases: []Case{
			{
				Name: "training", Attributes: map[string]any{"training_mode": int64(1)},
				Inputs: []CaseInput{{Shape: []int{3, 2, 2, 3}}, channels(2), channels(2), statistics(0.5, -1), statistics(2, 0.5)},
			},
			{
				Name: "training, vectors", Attributes: map[string]any{"training_mode": int64(1), "tandem_unbiased": int64(1), "epsilon": 0.01},
				Inputs: []CaseInput{{Shape: []int{5, 3}}, channels(3), channels(3), statistics(0, 0, 0), statistics(1, 1, 1)},
			},
			{
				Name:   "running statistics",
				Inputs: []CaseInput{{Shape: []int{2, 2, 3}}, channels(2), channels(2), statistics(0.5, -1), statistics(2, 0.5)},
			},
		},
	})
	Register(Def{
		Name: "tandem.BatchNormalizationGradient", MinInputs: 5, MaxInputs: 5, // dy, images, scale, mean, inverse deviation
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0, 1, 2, 3, 4); err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, n.Inputs[1].Shape...)
			setOutput(n, 1, ir.Float, n.Inputs[2].Shape...)
			setOutput(n, 2, ir.Float, n.Inputs[2].Shape...)
			return nil
		},
		Float32: bindBatchNormalizationGradient[float32], Float64: bindBatchNormalizationGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// newBatchNorm reads what both directions need.
func newBatchNorm[T kernel.Float](n *ir.Node, shape []int) (b kernel.BatchNorm[T], training bool, err error) {
	epsilon, err := n.Attributes.Float("epsilon", 1e-5)
	if err != nil {
		return b, false, err
	}
	mode, err := n.Attributes.Int("training_mode", 0)
	return kernel.BatchNorm[T]{Images: shape[0], Channels: shape[1], Size: elements(shape[2:]), Epsilon: epsilon}, mode != 0, err
}

// batchNormLoop makes the loop over channels.
func batchNormLoop[T kernel.Float](pool *kernel.Pool, b *kernel.BatchNorm[T], body func(c int)) func() {
	part := func(_, lo, hi int) {
		for c := lo; c < hi; c++ {
			body(c)
		}
	}
	grain := max(1, elementGrain/max(1, b.Images*b.Size))
	return func() { pool.For(b.Channels, grain, part) }
}

func bindBatchNormalization[T kernel.Float](c *Context[T]) (func(), error) {
	b, training, err := newBatchNorm[T](c.Node, c.In[0].Shape)
	if err != nil {
		return nil, err
	}
	statistics, err := newRunningStatistics(c, float64(b.Images*b.Size))
	if err != nil {
		return nil, err
	}
	x, scale, shift, y := c.In[0].Float, c.In[1].Float, c.In[2].Float, c.Out[0].Float
	return batchNormLoop(c.Pool, &b, func(ch int) {
		var mean, variance float64
		if training {
			mean, variance = b.Statistics(x, ch)
		}
		mean, variance = statistics.next(ch, training, mean, variance)
		inverse := b.InverseDeviation(variance)
		statistics.save(ch, mean, inverse)
		b.Apply(y, x, ch, T(mean), T(inverse), scale[ch], shift[ch])
	}), nil
}

// runningStatistics are the inputs and outputs of a BatchNormalization that have one number for each channel, scale and shift aside.
type runningStatistics[T kernel.Float] struct {
	mean, variance       []T
	newMean, newVariance []T // nil where they are not wanted, as what follows
	savedMean, inverse   []T
	fresh                float64 // the share of the batch in the new statistics
	correction           float64 // of the batch's variance in them
}

// newRunningStatistics reads the attributes; count is the number of elements of a channel.
func newRunningStatistics[T kernel.Float](c *Context[T], count float64) (s runningStatistics[T], err error) {
	momentum, err := c.Node.Attributes.Float("momentum", 0.9)
	if err != nil {
		return s, err
	}
	fresh, err := c.Node.Attributes.Float("tandem_momentum", 1-momentum)
	if err != nil {
		return s, err
	}
	unbiased, err := c.Node.Attributes.Int("tandem_unbiased", 0)
	if err != nil {
		return s, err
	}
	s = runningStatistics[T]{
		c.In[3].Float, c.In[4].Float, optionalOutput(c, 1), optionalOutput(c, 2), optionalOutput(c, 3), optionalOutput(c, 4), fresh, 1,
	}
	if unbiased != 0 && count > 1 {
		s.correction = count / (count - 1)
	}
	return s, nil
}

// next sets the new running statistics of a channel and returns what it is normalized by: in training its own mean and variance, else the running ones.
func (s *runningStatistics[T]) next(ch int, training bool, mean, variance float64) (usedMean, usedVariance float64) {
	oldMean, oldVariance := float64(s.mean[ch]), float64(s.variance[ch])
	if !training {
		set(s.newMean, ch, oldMean)
		set(s.newVariance, ch, oldVariance)
		return oldMean, oldVariance
	}
	set(s.newMean, ch, (1-s.fresh)*oldMean+s.fresh*mean)
	set(s.newVariance, ch, (1-s.fresh)*oldVariance+s.fresh*variance*s.correction)
	return mean, variance
}

// save keeps what the gradient needs.
func (s *runningStatistics[T]) save(ch int, mean, inverse float64) {
	set(s.savedMean, ch, mean)
	set(s.inverse, ch, inverse)
}

func set[T kernel.Float](s []T, i int, v float64) {
	if s != nil {
		s[i] = T(v)
	}
}

func bindBatchNormalizationGradient[T kernel.Float](c *Context[T]) (func(), error) {
	b, training, err := newBatchNorm[T](c.Node, c.In[1].Shape)
	if err != nil {
		return nil, err
	}
	dy, x, scale, mean, inverse := c.In[0].Float, c.In[1].Float, c.In[2].Float, c.In[3].Float, c.In[4].Float
	dx, dScale, dShift := c.Out[0].Float, c.Out[1].Float, c.Out[2].Float
	return batchNormLoop(c.Pool, &b, func(ch int) {
		sum, product := b.Sums(dy, x, ch, mean[ch], inverse[ch])
		if dScale != nil {
			dScale[ch] = T(product)
		}
		if dShift != nil {
			dShift[ch] = T(sum)
		}
		if dx == nil {
			return
		}
		if !training {
			sum, product = 0, 0 // the running statistics do not depend on x
		}
		b.Data(dx, dy, x, ch, mean[ch], inverse[ch], scale[ch], sum, product)
	}), nil
}
