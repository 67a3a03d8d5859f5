package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Max-pooling with channels last, of images (N, H, W, C): its second output numbers the elements in that order. pass.ChannelsLast puts it in the place of MaxPool and its
// gradient.
func init() {
	Register(Def{
		Name: "tandem.MaxPoolNHWC", MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0); err != nil {
				return err
			}
			shape := n.Inputs[0].Shape
			w, err := readWindowNHWC(n, shape)
			if err != nil {
				return err
			}
			out := []int{shape[0], w.Out[1], w.Out[2], shape[3]}
			setOutput(n, 0, ir.Float, out...)
			setOutput(n, 1, ir.Int64, out...)
			return nil
		},
		Float32: bindMaxPoolNHWC[float32], Float64: bindMaxPoolNHWC[float64],
		NoGradient: "the layout is chosen after gradients are taken",
	})
	// Attribute image is the shape of the gradient.
	Register(Def{
		Name: "tandem.MaxPoolGradientNHWC", MinInputs: 2, MaxInputs: 2, // dy, numbers of the chosen elements
		Infer:   inferImage,
		Float32: bindMaxPoolGradientNHWC[float32], Float64: bindMaxPoolGradientNHWC[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// readWindowNHWC reads the attributes of a window for images of a shape (N, H, W, C).
func readWindowNHWC(n *ir.Node, shape []int) (w kernel.Window, err error) {
	if len(shape) != 4 {
		return w, fmt.Errorf("an image of shape %v must be (N, H, W, C)", shape)
	}
	w, _, err = readWindow(n, []int{shape[0], shape[3], shape[1], shape[2]}, nil)
	return w, err
}

func bindMaxPoolNHWC[T kernel.Float](c *Context[T]) (func(), error) {
	shape := c.In[0].Shape
	w, err := readWindowNHWC(c.Node, shape)
	if err != nil {
		return nil, err
	}
	x, y := c.In[0].Float, c.Out[0].Float
	var index []int64
	if len(c.Out) > 1 {
		index = c.Out[1].Int
	}
	return kernel.PrepareMaxPoolRows(c.Pool, w, shape[0], shape[3], y, index, x), nil
}

func bindMaxPoolGradientNHWC[T kernel.Float](c *Context[T]) (func(), error) {
	dy, index, dx := c.In[0].Float, c.In[1].Int, c.Out[0].Float
	images := c.Out[0].Shape[0]
	if images == 0 {
		return func() {}, nil
	}
	in, out := len(dx)/images, len(dy)/images
	body := func(_, lo, hi int) {
		for n := lo; n < hi; n++ {
			image := dx[n*in : (n+1)*in]
			clear(image)
			kernel.MaxPoolGradient(image, dy[n*out:(n+1)*out], index[n*out:(n+1)*out], n*in)
		}
	}
	return func() { c.Pool.For(images, max(1, elementGrain/max(1, out)), body) }, nil
}
