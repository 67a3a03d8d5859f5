package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Batch normalization with channels last. Input 5, if there is one, is added to the result, which the attribute relu then rectifies; the gradient's input 5 is
// that result: where it is not positive, dy counts as 0, and output 3 is the dy that counts. pass.ChannelsLast puts them in the place of BatchNormalization and its
// gradient, pass.FuseNHWC gives them the sum and the rectifier.
func init() {
	Register(Def{
		Name: "tandem.BatchNormalizationNHWC", MinInputs: 5, MaxInputs: 6, // images, scale, shift, running mean, running variance, other
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0, 1, 2, 3, 4, 5); err != nil {
				return err
			}
			shape := n.Inputs[0].Shape
			if len(shape) != 4 {
				return fmt.Errorf("images of shape %v must be (N, H, W, C)", shape)
			}
			for i := 1; i < 5; i++ {
				if !equalShapes(n.Inputs[i].Shape, shape[3:]) {
					return fmt.Errorf("input %d has shape %v, want [%d] as the images have channels", i, n.Inputs[i].Shape, shape[3])
				}
			}
			if v := n.Input(5); v != nil && !equalShapes(v.Shape, shape) {
				return fmt.Errorf("images of shape %v cannot be added to %v", v.Shape, shape)
			}
			setOutput(n, 0, ir.Float, shape...)
			for i := 1; i < 5; i++ {
				setOutput(n, i, ir.Float, shape[3])
			}
			return nil
		},
		Float32: bindBatchNormalizationNHWC[float32], Float64: bindBatchNormalizationNHWC[float64],
		NoGradient: "the layout is chosen after gradients are taken",
	})
	Register(Def{
		Name: "tandem.BatchNormalizationGradientNHWC", MinInputs: 5, MaxInputs: 6, // dy, images, scale, mean, inverse deviation, the rectified result
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0, 1, 2, 3, 4, 5); err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, n.Inputs[1].Shape...)
			setOutput(n, 1, ir.Float, n.Inputs[2].Shape...)
			setOutput(n, 2, ir.Float, n.Inputs[2].Shape...)
			setOutput(n, 3, ir.Float, n.Inputs[0].Shape...)
			return nil
		},
		Float32: bindBatchNormalizationGradientNHWC[float32], Float64: bindBatchNormalizationGradientNHWC[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// newBatchNormRows reads what both directions need, for images (N, H, W, C).
func newBatchNormRows[T kernel.Float](n *ir.Node, shape []int) (b *kernel.BatchNormRows[T], training bool, err error) {
	one, training, err := newBatchNorm[T](n, []int{shape[0], shape[3], shape[1], shape[2]})
	if err != nil {
		return nil, false, err
	}
	return kernel.NewBatchNormRows[T](one.Images*one.Size, one.Channels, one.Epsilon), training, nil
}

// optionalInput is an input's elements, or nil.
func optionalInput[T kernel.Float](c *Context[T], i int) []T {
	if i < len(c.In) {
		return c.In[i].Float
	}
	return nil
}

// optionalOutput is an output's elements, or nil.
func optionalOutput[T kernel.Float](c *Context[T], i int) []T {
	if i < len(c.Out) {
		return c.Out[i].Float
	}
	return nil
}

func bindBatchNormalizationNHWC[T kernel.Float](c *Context[T]) (func(), error) {
	b, training, err := newBatchNormRows[T](c.Node, c.In[0].Shape)
	if err != nil {
		return nil, err
	}
	statistics, err := newRunningStatistics(c, float64(b.Rows))
	if err != nil {
		return nil, err
	}
	relu, err := c.Node.Attributes.Int("relu", 0)
	if err != nil {
		return nil, err
	}
	x, scale, shift, other, y := c.In[0].Float, c.In[1].Float, c.In[2].Float, optionalInput(c, 5), c.Out[0].Float
	moments := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			b.Moments(x, i)
		}
	}
	apply := func(_, lo, hi int) { b.Apply(y, x, other, relu != 0, lo, hi) }
	grain := max(1, elementGrain/max(1, b.Channels))
	slabs := max(1, grain*b.Slabs()/max(1, b.Rows))
	return func() {
		if training {
			c.Pool.For(b.Slabs(), slabs, moments)
		}
		for ch := range b.Channels {
			var mean, variance float64
			if training {
				mean, variance = b.Statistics(x, ch)
			}
			mean, variance = statistics.next(ch, training, mean, variance)
			inverse := b.InverseDeviation(variance)
			statistics.save(ch, mean, inverse)
			b.Set(ch, T(mean), T(inverse), scale[ch], shift[ch])
		}
		c.Pool.For(b.Rows, grain, apply)
	}, nil
}

func bindBatchNormalizationGradientNHWC[T kernel.Float](c *Context[T]) (func(), error) {
	b, training, err := newBatchNormRows[T](c.Node, c.In[1].Shape)
	if err != nil {
		return nil, err
	}
	dy, x, scale, mean, inverse, y := c.In[0].Float, c.In[1].Float, c.In[2].Float, c.In[3].Float, c.In[4].Float, optionalInput(c, 5)
	dx, dScale, dShift, gated := c.Out[0].Float, optionalOutput(c, 1), optionalOutput(c, 2), optionalOutput(c, 3)
	sums := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			b.GradientSums(dy, x, y, mean, i)
		}
	}
	data := func(_, lo, hi int) { b.Data(dx, dy, x, y, gated, lo, hi) }
	grain := max(1, elementGrain/max(1, b.Channels))
	slabs := max(1, grain*b.Slabs()/max(1, b.Rows))
	return func() {
		c.Pool.For(b.Slabs(), slabs, sums)
		for ch := range b.Channels {
			sum, product := b.Sums(ch, inverse[ch])
			if dScale != nil {
				dScale[ch] = T(product)
			}
			if dShift != nil {
				dShift[ch] = T(sum)
			}
			if !training {
				sum, product = 0, 0 // the running statistics do not depend on x
			}
			b.SetData(ch, mean[ch], inverse[ch], scale[ch], sum, product)
		}
		if dx != nil {
			c.Pool.For(b.Rows, grain, data)
		}
	}, nil
}
