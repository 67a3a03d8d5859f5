package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// MaxPool is the largest element in each window of images (N, C, spatial ...). Its second output says which element it was, by its number in the
// whole input; training always has it. Among equal elements the first gets the gradient, as in PyTorch.
func init() {
	x := func(shape ...int) []CaseInput { return []CaseInput{{Shape: shape}} }
	Register(Def{
		Name: "MaxPool", Since: 1, MinInputs: 1, MaxInputs: 1, Saves: 2,
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0); err != nil {
				return err
			}
			order, err := n.Attributes.Int("storage_order", 0)
			if err != nil {
				return err
			}
			if order != 0 {
				return fmt.Errorf("storage_order %d is %w: numbers count row by row", order, ErrUnsupported)
			}
			w, rank, err := readWindow(n, n.Inputs[0].Shape, nil)
			if err != nil {
				return err
			}
			if err := seesSomething(&w); err != nil {
				return err
			}
			shape := windowShape(&w, rank, n.Inputs[0].Shape[0], n.Inputs[0].Shape[1])
			setOutput(n, 0, ir.Float, shape...)
			setOutput(n, 1, ir.Int64, shape...)
			return nil
		},
		Float32: bindMaxPool[float32], Float64: bindMaxPool[float64],
		Gradient: func(g *Gradient) error {
			g.Set(0, g.AddWith("tandem.MaxPoolGradient", g.Node.Attributes.With("image", toInt64s(g.Node.Inputs[0].Shape)), g.Out[0], g.Node.Outputs[1]))
			return nil
		},
		Cases: []Case{
			{Name: "2x2 stride 2", Inputs: x(2, 2, 4, 4), Attributes: map[string]any{"kernel_shape": []int64{2, 2}, "strides": []int64{2, 2}}},
			{Name: "3x3 overlapping, padded", Inputs: x(1, 2, 5, 5), Attributes: map[string]any{"kernel_shape": []int64{3, 3}, "strides": []int64{2, 2}, "pads": []int64{1, 1, 1, 1}}},
			{Name: "ceil", Inputs: x(1, 1, 5, 4), Attributes: map[string]any{"kernel_shape": []int64{2, 3}, "strides": []int64{2, 2}, "ceil_mode": int64(1)}},
			{Name: "one dimension, dilated", Inputs: x(1, 2, 7), Attributes: map[string]any{"kernel_shape": []int64{3}, "dilations": []int64{2}}},
		},
	})
	// Attribute image is the shape of the gradient.
	Register(Def{
		Name: "tandem.MaxPoolGradient", MinInputs: 2, MaxInputs: 2, // dy, numbers of the chosen elements
		Infer:   inferImage,
		Float32: bindMaxPoolGradient[float32], Float64: bindMaxPoolGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// seesSomething refuses windows that lie in the padding alone at some position: of nothing there is no largest element.
func seesSomething(w *kernel.Window) error {
	for d := range 3 {
		for o := range w.Out[d] {
			inside := false
			for k := range w.Kernel[d] {
				at := o*w.Stride[d] + k*w.Dilation[d] - w.Pad[d]
				inside = inside || at >= 0 && at < w.In[d]
			}
			if !inside {
				return fmt.Errorf("a window of %v elements, strides %v, dilations %v and padding %v lies outside an image of %v at some position: nothing is its largest element",
					w.Kernel, w.Stride, w.Dilation, w.Pad, w.In)
			}
		}
	}
	return nil
}

func bindMaxPool[T kernel.Float](c *Context[T]) (func(), error) {
	w, _, err := readWindow(c.Node, c.In[0].Shape, nil)
	if err != nil {
		return nil, err
	}
	x, y := c.In[0].Float, c.Out[0].Float
	var index []int64
	if len(c.Out) > 1 {
		index = c.Out[1].Int
	}
	in, out := w.InLen(), w.OutLen()
	body := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			var numbers []int64
			if index != nil {
				numbers = index[i*out : (i+1)*out]
			}
			kernel.MaxPool(y[i*out:(i+1)*out], numbers, x[i*in:(i+1)*in], &w, i*in)
		}
	}
	return planes(c, &w, body), nil
}

// planes makes the loop over all channels of all images.
func planes[T kernel.Float](c *Context[T], w *kernel.Window, body func(worker, lo, hi int)) func() {
	shape := c.Out[0].Shape
	count := shape[0] * shape[1]
	grain := max(1, elementGrain/max(1, w.OutLen()*w.KernelLen()))
	return func() { c.Pool.For(count, grain, body) }
}

func bindMaxPoolGradient[T kernel.Float](c *Context[T]) (func(), error) {
	w, _, err := readWindow(c.Node, c.Out[0].Shape, nil)
	if err != nil {
		return nil, err
	}
	dy, index, dx := c.In[0].Float, c.In[1].Int, c.Out[0].Float
	in, out := w.InLen(), w.OutLen()
	body := func(_, lo, hi int) {
		for i := lo; i < hi; i++ {
			image := dx[i*in : (i+1)*in]
			clear(image)
			kernel.MaxPoolGradient(image, dy[i*out:(i+1)*out], index[i*out:(i+1)*out], i*in)
		}
	}
	return planes(c, &w, body), nil
}
