package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// GroupNormalization normalizes each image's channels, num_groups groups of them, to mean 0 and variance 1 over a group, and then scales and
// shifts each channel (Wu and He, "Group Normalization", 2018). InstanceNormalization is the same with one channel a group. Outputs 1
// and 2, tandem's own, are the means and inverse deviations, which the gradient is computed from.
//
// Before operator set 21 GroupNormalization had a scale for each group; no exporter of PyTorch's writes that.
func init() {
	images := func(shape ...int) CaseInput { return CaseInput{Shape: shape} }
	registerGroupNormalization("InstanceNormalization", 6,
		Case{Name: "images", Inputs: []CaseInput{images(2, 3, 4, 3), images(3), images(3)}},
		Case{Name: "one dimension", Inputs: []CaseInput{images(2, 2, 5), images(2), images(2)}, Attributes: map[string]any{"epsilon": 0.01}},
		Case{Name: "frozen scale", Inputs: []CaseInput{images(2, 2, 5), {Shape: []int{2}, Const: true, NoGrad: true}, images(2)}},
	)
	registerGroupNormalization("GroupNormalization", 21,
		Case{Name: "two groups", Inputs: []CaseInput{images(2, 4, 3, 2), images(4), images(4)}, Attributes: map[string]any{"num_groups": int64(2)}},
		Case{Name: "one group", Inputs: []CaseInput{images(3, 2, 3), images(2), images(2)}, Attributes: map[string]any{"num_groups": int64(1), "epsilon": 0.01}},
		Case{Name: "vectors", Inputs: []CaseInput{images(3, 6), images(6), images(6)}, Attributes: map[string]any{"num_groups": int64(2)}},
		Case{Name: "parameters alone", Inputs: []CaseInput{{Shape: []int{2, 4, 3}, Const: true, NoGrad: true}, images(4), images(4)}, Attributes: map[string]any{"num_groups": int64(2)}},
	)
	Register(Def{
		Name: "tandem.GroupNormalizationGradient", MinInputs: 5, MaxInputs: 5, // dy, images, scale, mean, inverse deviation
		Infer: func(n *ir.Node) error {
			setOutput(n, 0, ir.Float, n.Inputs[1].Shape...)
			setOutput(n, 1, ir.Float, n.Inputs[2].Shape...)
			setOutput(n, 2, ir.Float, n.Inputs[2].Shape...)
			n.Workspace = 2 * elements(n.Inputs[1].Shape[:2])
			return nil
		},
		Float32: bindGroupNormalizationGradient[float32], Float64: bindGroupNormalizationGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

func registerGroupNormalization(name string, since int64, cases ...Case) {
	Register(Def{
		Name: name, Since: since, MinInputs: 3, MaxInputs: 3, Saves: 3,
		Infer:   inferGroupNormalization,
		Float32: bindGroupNormalization[float32], Float64: bindGroupNormalization[float64],
		Gradient: func(g *Gradient) error {
			for i := 1; i < len(g.Out); i++ {
				if g.Out[i] != nil {
					return fmt.Errorf("a gradient through the mean or the deviation is %w", ErrUnsupported)
				}
			}
			d := g.AddOutputs("tandem.GroupNormalizationGradient", g.Node.Attributes, []bool{g.Needs(0), g.Needs(1), g.Needs(2)},
				g.Out[0], g.Node.Inputs[0], g.Node.Inputs[1], g.Node.Outputs[1], g.Node.Outputs[2])
			for i, v := range d {
				g.Set(i, v)
			}
			return nil
		},
		Cases: cases,
	})
}

func inferGroupNormalization(n *ir.Node) error {
	if err := wantFloat(n, 0, 1, 2); err != nil {
		return err
	}
	shape := n.Inputs[0].Shape
	if len(shape) < 2 {
		return fmt.Errorf("images of shape %v must be (N, C, spatial ...)", shape)
	}
	groups, err := groupsOf(n, shape)
	if err != nil {
		return err
	}
	for i := 1; i <= 2; i++ {
		if !equalShapes(n.Inputs[i].Shape, shape[1:2]) {
			return fmt.Errorf("input %d has shape %v, want [%d] as the images have channels", i, n.Inputs[i].Shape, shape[1])
		}
	}
	if elements(shape[1:]) == 0 {
		return fmt.Errorf("images of shape %v have no statistics", shape)
	}
	single, err := n.Attributes.Int("stash_type", 1)
	if err != nil {
		return err
	}
	if single != 1 && single != 11 {
		return fmt.Errorf("stash_type = %d is %w: it may be 1 (float32) or 11 (float64)", single, ErrUnsupported)
	}
	if _, err := n.Attributes.Float("epsilon", 1e-5); err != nil {
		return err
	}
	setOutput(n, 0, ir.Float, shape...)
	setOutput(n, 1, ir.Float, shape[0], groups)
	setOutput(n, 2, ir.Float, shape[0], groups)
	return nil
}

// groupsOf is the number of groups: the attribute num_groups, or else as many as there are channels.
func groupsOf(n *ir.Node, shape []int) (int, error) {
	groups, err := n.Attributes.Int("num_groups", int64(shape[1]))
	if err != nil {
		return 0, err
	}
	if n.Op == "GroupNormalization" && !n.Attributes.Has("num_groups") {
		return 0, fmt.Errorf("the attribute num_groups is missing")
	}
	if groups < 1 || int64(shape[1])%groups != 0 {
		return 0, fmt.Errorf("%d channels do not divide into %d groups", shape[1], groups)
	}
	return int(groups), nil
}

// groupNorm is a checked node: the statistics are those of a BatchNorm with one image, whose channels are all groups of all images.
type groupNorm[T kernel.Float] struct {
	statistics, channels kernel.BatchNorm[T]
	perGroup             int // channels
}

func newGroupNorm[T kernel.Float](n *ir.Node, shape []int) (v groupNorm[T], err error) {
	groups, err := groupsOf(n, shape)
	if err != nil {
		return v, err
	}
	epsilon, err := n.Attributes.Float("epsilon", 1e-5)
	size := elements(shape[2:])
	v.perGroup = shape[1] / groups
	v.statistics = kernel.BatchNorm[T]{Images: 1, Channels: shape[0] * groups, Size: v.perGroup * size, Epsilon: epsilon}
	v.channels = kernel.BatchNorm[T]{Images: 1, Channels: shape[0] * shape[1], Size: size}
	return v, err
}

func bindGroupNormalization[T kernel.Float](c *Context[T]) (func(), error) {
	shape := c.In[0].Shape
	v, err := newGroupNorm[T](c.Node, shape)
	if err != nil {
		return nil, err
	}
	x, scale, shift, y := c.In[0].Float, c.In[1].Float, c.In[2].Float, c.Out[0].Float
	var savedMean, savedInverse []T
	if len(c.Out) > 2 {
		savedMean, savedInverse = c.Out[1].Float, c.Out[2].Float
	}
	return batchNormLoop(c.Pool, &v.statistics, func(g int) {
		mean, variance := v.statistics.Statistics(x, g)
		inverse := v.statistics.InverseDeviation(variance)
		if savedMean != nil {
			savedMean[g], savedInverse[g] = T(mean), T(inverse)
		}
		for ch := g * v.perGroup; ch < (g+1)*v.perGroup; ch++ {
			v.channels.Apply(y, x, ch, T(mean), T(inverse), scale[ch%shape[1]], shift[ch%shape[1]])
		}
	}), nil
}

func bindGroupNormalizationGradient[T kernel.Float](c *Context[T]) (func(), error) {
	shape := c.In[1].Shape
	v, err := newGroupNorm[T](c.Node, shape)
	if err != nil {
		return nil, err
	}
	dy, x, scale, mean, inverse := c.In[0].Float, c.In[1].Float, c.In[2].Float, c.In[3].Float, c.In[4].Float
	dx, dScale, dShift := c.Out[0].Float, c.Out[1].Float, c.Out[2].Float
	// Of each channel of each image: the sum of dy, and that of dy times the normalized image.
	sums, products := c.Workspace[:v.channels.Channels], c.Workspace[v.channels.Channels:]
	parts := batchNormLoop(c.Pool, &v.statistics, func(g int) {
		sum, product := 0.0, 0.0 // over the group, each channel times its scale
		for ch := g * v.perGroup; ch < (g+1)*v.perGroup; ch++ {
			s, p := v.channels.Sums(dy, x, ch, mean[g], inverse[g])
			sums[ch], products[ch] = T(s), T(p)
			sum += s * float64(scale[ch%shape[1]])
			product += p * float64(scale[ch%shape[1]])
		}
		if dx == nil {
			return
		}
		count := float64(v.statistics.Size)
		for ch := g * v.perGroup; ch < (g+1)*v.perGroup; ch++ {
			at, factor := ch*v.channels.Size, scale[ch%shape[1]]
			off, slope := T(sum/count), T(product/count*float64(inverse[g]))
			out, values := dx[at:at+v.channels.Size], x[at:at+v.channels.Size]
			for i, d := range dy[at : at+v.channels.Size] {
				out[i] = inverse[g] * (factor*d - off - (values[i]-mean[g])*slope)
			}
		}
	})
	return func() {
		parts()
		for _, part := range [2]struct{ all, of []T }{{dScale, products}, {dShift, sums}} {
			if part.all != nil {
				kernel.SumRows(part.all, part.of, shape[0], shape[1], 0, shape[1])
			}
		}
	}, nil
}
