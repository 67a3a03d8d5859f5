package op

import (
	"tandem/native/ir"
	"tandem/native/kernel"
)

// AveragePool is the mean of each window of images (N, C, spatial ...): over the elements inside the image, or with count_include_pad over
// those inside the padding too.
func init() {
	x := func(shape ...int) []CaseInput { return []CaseInput{{Shape: shape}} }
	Register(Def{
		Name: "AveragePool", Since: 1, MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0); err != nil {
				return err
			}
			w, rank, err := readWindow(n, n.Inputs[0].Shape, nil)
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, windowShape(&w, rank, n.Inputs[0].Shape[0], n.Inputs[0].Shape[1])...)
			return nil
		},
		Float32: bindAveragePool[float32], Float64: bindAveragePool[float64],
		Gradient: func(g *Gradient) error {
			g.Set(0, g.AddWith("tandem.AveragePoolGradient", g.Node.Attributes.With("image", toInt64s(g.Node.Inputs[0].Shape)), g.Out[0]))
			return nil
		},
		Cases: []Case{
			{Name: "2x2 stride 2", Inputs: x(2, 2, 4, 4), Attributes: map[string]any{"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}}},
			{Name: "padding not counted", Inputs: x(1, 2, 4, 5), Attributes: map[string]any{"kernel_shape": []int64{3, 3}, "pads": []int64{1, 1, 1, 1}}},
			{Name: "padding counted, ceil", Inputs: x(1, 1, 5, 4), Attributes: map[string]any{"kernel_shape": []int64{3, 3}, "pads": []int64{1, 1, 1, 1}, "strides": []int64{2, 2}, "count_include_pad": int64(1), "ceil_mode": int64(1)}},
		},
	})
	// Attribute image is the shape of the gradient.
	Register(Def{
		Name: "tandem.AveragePoolGradient", MinInputs: 1, MaxInputs: 1, // dy
		Infer:   inferImage,
		Float32: bindAveragePoolGradient[float32], Float64: bindAveragePoolGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// averageScale returns one over the number of elements that each position of the window counts.
func averageScale[T kernel.Float](n *ir.Node, w *kernel.Window, rank int) ([]T, error) {
	padding, err := n.Attributes.Int("count_include_pad", 0)
	if err != nil {
		return nil, err
	}
	pads, err := n.Attributes.Ints("pads", nil)
	if err != nil {
		return nil, err
	}
	counted := func(d, o int) (count int) {
		low, high := 0, w.In[d]
		if padding != 0 { // and up to the padding's end, beyond which ceil_mode may reach
			low = -w.Pad[d]
			high += w.Pad[d]
			if i := d - (3 - rank); i >= 0 && len(pads) == 2*rank {
				high = w.In[d] + int(pads[rank+i])
			}
		}
		for k := range w.Kernel[d] {
			if at := o*w.Stride[d] + k*w.Dilation[d] - w.Pad[d]; at >= low && at < high {
				count++
			}
		}
		return count
	}
	scale := make([]T, 0, w.OutLen())
	for o0 := range w.Out[0] {
		for o1 := range w.Out[1] {
			for o2 := range w.Out[2] {
				scale = append(scale, 1/T(counted(0, o0)*counted(1, o1)*counted(2, o2)))
			}
		}
	}
	return scale, nil
}

func bindAveragePool[T kernel.Float](c *Context[T]) (func(), error) {
	w, rank, err := readWindow(c.Node, c.In[0].Shape, nil)
	if err != nil {
		return nil, err
	}
	scale, err := averageScale[T](c.Node, &w, rank)
	if err != nil {
		return nil, err
	}
	x, y := c.In[0].Float, c.Out[0].Float
	in, out := w.InLen(), w.OutLen()
	return planes(c, &w, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			kernel.AveragePool(y[i*out:(i+1)*out], scale, x[i*in:(i+1)*in], &w)
		}
	}), nil
}

func bindAveragePoolGradient[T kernel.Float](c *Context[T]) (func(), error) {
	w, rank, err := readWindow(c.Node, c.Out[0].Shape, nil)
	if err != nil {
		return nil, err
	}
	scale, err := averageScale[T](c.Node, &w, rank)
	if err != nil {
		return nil, err
	}
	dy, dx := c.In[0].Float, c.Out[0].Float
	in, out := w.InLen(), w.OutLen()
	return planes(c, &w, func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			kernel.AveragePoolGradient(dx[i*in:(i+1)*in], scale, dy[i*out:(i+1)*out], &w)
		}
	}), nil
}
