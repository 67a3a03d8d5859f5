package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// readWindow reads the attributes that convolutions and pooling share, for an image of the shape (N, C, spatial ...): kernel_shape
// (kernel, where the weights give it), strides, dilations, pads and auto_pad, and ceil_mode where the operator has it. It returns
// the number of spatial dimensions, one to three.
func readWindow(n *ir.Node, image, kernelShape []int) (w kernel.Window, rank int, err error) {
	rank = len(image) - 2
	if rank < 1 || rank > 3 {
		return w, rank, fmt.Errorf("an image of shape %v is %w: it takes (N, C) and one to three spatial dimensions", image, ErrUnsupported)
	}
	given, err := n.Attributes.Ints("kernel_shape", toInt64s(kernelShape))
	if err != nil {
		return w, rank, err
	}
	if len(given) != rank || kernelShape != nil && !equalShapes(toInts(given), kernelShape) {
		return w, rank, fmt.Errorf("kernel_shape %v does not fit an image of shape %v and weights of shape %v", given, image, kernelShape)
	}
	read := func(name string, count int, fallback int64) ([]int64, error) {
		def := make([]int64, count)
		for i := range def {
			def[i] = fallback
		}
		v, err := n.Attributes.Ints(name, def)
		if err == nil && len(v) != count {
			err = fmt.Errorf("%s %v must have %d numbers for an image of shape %v", name, v, count, image)
		}
		return v, err
	}
	strides, err := read("strides", rank, 1)
	if err != nil {
		return w, rank, err
	}
	dilations, err := read("dilations", rank, 1)
	if err != nil {
		return w, rank, err
	}
	pads, err := read("pads", 2*rank, 0)
	if err != nil {
		return w, rank, err
	}
	auto, err := n.Attributes.String("auto_pad", "NOTSET")
	if err != nil {
		return w, rank, err
	}
	ceil, err := n.Attributes.Int("ceil_mode", 0)
	if err != nil {
		return w, rank, err
	}
	for d := range 3 {
		w.In[d], w.Out[d], w.Kernel[d], w.Stride[d], w.Dilation[d] = 1, 1, 1, 1, 1
	}
	for i := range rank {
		d := 3 - rank + i
		w.In[d], w.Kernel[d], w.Stride[d], w.Dilation[d] = image[2+i], int(given[i]), int(strides[i]), int(dilations[i])
		if w.Kernel[d] < 1 || w.Stride[d] < 1 || w.Dilation[d] < 1 || pads[i] < 0 || pads[rank+i] < 0 {
			return w, rank, fmt.Errorf("kernel_shape %v, strides %v and dilations %v must be positive, pads %v not negative", given, strides, dilations, pads)
		}
		span := (w.Kernel[d]-1)*w.Dilation[d] + 1
		before, after := int(pads[i]), int(pads[rank+i])
		switch auto {
		case "NOTSET":
		case "VALID":
			before, after = 0, 0
		case "SAME_UPPER", "SAME_LOWER":
			out := (w.In[d] + w.Stride[d] - 1) / w.Stride[d]
			total := max(0, (out-1)*w.Stride[d]+span-w.In[d])
			before, after = total/2, total-total/2
			if auto == "SAME_LOWER" {
				before, after = after, before
			}
		default:
			return w, rank, fmt.Errorf("auto_pad %q is %w", auto, ErrUnsupported)
		}
		free := w.In[d] + before + after - span
		if free < 0 {
			return w, rank, fmt.Errorf("a window of %d elements is wider than an image of shape %v with pads %v", span, image, pads)
		}
		w.Pad[d] = before
		w.Out[d] = free/w.Stride[d] + 1
		if ceil != 0 && free%w.Stride[d] != 0 && w.Out[d]*w.Stride[d] < w.In[d]+before {
			w.Out[d]++ // the last window begins inside the image or the padding before it
		}
	}
	return w, rank, nil
}

// windowShape is (N, channels, the window's positions ...).
func windowShape(w *kernel.Window, rank, images, channels int) []int {
	return append([]int{images, channels}, w.Out[3-rank:]...)
}

// inferImage gives output 0 the shape that the attribute image says: a gradient's.
func inferImage(n *ir.Node) error {
	shape, err := n.Attributes.Ints("image", nil)
	if err != nil {
		return err
	}
	setOutput(n, 0, ir.Float, toInts(shape)...)
	return nil
}
