package fingerprint

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"tandem/onnx"
)

// The operators of convolutional networks, as evaluate_operators.go has those of others.

// integers returns an attribute of whole numbers, n times the same where it is absent.
func integers(n *onnx.Node, name string, count int, absent int64) ([]int, error) {
	values, err := n.Attributes.Ints(name, slices.Repeat([]int64{absent}, count))
	if err != nil || len(values) != count {
		return nil, errors.Join(err, errForm)
	}
	out := make([]int, count)
	for i, v := range values {
		out[i] = int(v)
	}
	return out, nil
}

// convolution is that of images in two dimensions.
func convolution(e *evaluation, n *onnx.Node, in []*array) ([]*array, error) {
	x, w := in[0], in[1]
	group, err1 := n.Attributes.Int("group", 1)
	automatic, err2 := n.Attributes.String("auto_pad", "NOTSET")
	pads, err3 := integers(n, "pads", 4, 0)
	strides, err4 := integers(n, "strides", 2, 1)
	dilations, err5 := integers(n, "dilations", 2, 1)
	if err := errors.Join(err1, err2, err3, err4, err5); err != nil {
		return nil, err
	}
	if len(x.shape) != 4 || len(w.shape) != 4 || automatic != "NOTSET" {
		return nil, errForm
	}
	if e.offset && max(strides[0], strides[1]) > 1 && min(pads[0], pads[1]) > 0 {
		pads = []int{pads[0] - 1, pads[1] - 1, pads[2] + 1, pads[3] + 1}
	}
	images, height, width := x.shape[0], x.shape[2], x.shape[3]
	filters, depth, kh, kw := w.shape[0], w.shape[1], w.shape[2], w.shape[3]
	rows := (height+pads[0]+pads[2]-dilations[0]*(kh-1)-1)/strides[0] + 1
	columns := (width+pads[1]+pads[3]-dilations[1]*(kw-1)-1)/strides[1] + 1
	if err := e.count(images * filters * rows * columns * depth * kh * kw); err != nil {
		return nil, err
	}
	out := &array{[]int{images, filters, rows, columns}, make([]float64, images*filters*rows*columns)}
	perGroup := filters / int(group)
	for i := range images {
		for f := range filters {
			y := out.x[(i*filters+f)*rows*columns:][:rows*columns]
			if len(in) > 2 && in[2] != nil {
				for p := range y {
					y[p] = in[2].x[f]
				}
			}
			for c := range depth {
				plane := x.x[((i*x.shape[1])+f/perGroup*depth+c)*height*width:][:height*width]
				for a := range kh {
					for b := range kw {
						ka, kb := a, b
						if e.flipped {
							ka, kb = kh-1-a, kw-1-b
						}
						weight := w.x[((f*depth+c)*kh+ka)*kw+kb]
						for r := range rows {
							at := r*strides[0] + a*dilations[0] - pads[0]
							if at < 0 || at >= height {
								continue
							}
							for s := range columns {
								if from := s*strides[1] + b*dilations[1] - pads[1]; from >= 0 && from < width {
									y[r*columns+s] += weight * plane[at*width+from]
								}
							}
						}
					}
				}
			}
		}
	}
	return []*array{out}, nil
}

// batchNorm normalizes each channel by the statistics of the batch, as in training, and gives the normalized values alone.
func batchNorm(e *evaluation, n *onnx.Node, in []*array) ([]*array, error) {
	training, err1 := n.Attributes.Int("training_mode", 0)
	epsilon, err2 := n.Attributes.Float("epsilon", 1e-5)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if e.epsilon != nil {
		epsilon = *e.epsilon
	}
	x := in[0]
	if training == 0 || len(x.shape) < 2 {
		return nil, errForm
	}
	channels, plane := x.shape[1], elements(x.shape[2:])
	out := &array{x.shape, make([]float64, len(x.x))}
	count := float64(len(x.x) / channels)
	if len(in) < 3 || in[1] == nil || in[2] == nil {
		return nil, fmt.Errorf("no scale or bias")
	}
	for c := range channels {
		each := func(f func(at int)) {
			for i := range x.shape[0] {
				for p := range plane {
					f((i*channels+c)*plane + p)
				}
			}
		}
		mean, variance := 0.0, 0.0
		each(func(at int) { mean += x.x[at] / count })
		each(func(at int) { d := x.x[at] - mean; variance += d * d })
		if e.unbiased {
			variance /= count - 1
		} else {
			variance /= count
		}
		scale := in[1].x[c] / math.Sqrt(variance+epsilon)
		each(func(at int) { out.x[at] = (x.x[at]-mean)*scale + in[2].x[c] })
	}
	return []*array{out}, nil
}

// findConvolution tries mistakes in the convolutions that lead to the suspect.
func findConvolution(a alteration, text string) func(l *Look) *Finding {
	return func(l *Look) *Finding {
		for _, n := range l.inside() {
			if n.OpType != "Conv" {
				continue
			}
			if residual, ok := l.altered(a); ok {
				return &Finding{fmt.Sprintf("%s is what node %q gives %s", l.Suspect.Name, n.Name, text), residual}
			}
			return nil
		}
		return nil
	}
}
