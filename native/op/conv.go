package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Conv is the convolution (cross-correlation) of images (N, C, spatial ...) with weights (M, C/group, kernel ...) plus a bias (M). Groups with one
// channel each are computed element by element, others as products of the weights and unfolded images.
func init() {
	x := func(shape ...int) CaseInput { return CaseInput{Shape: shape} }
	Register(Def{
		Name: "Conv", Since: 1, MinInputs: 2, MaxInputs: 3,
		Infer: func(n *ir.Node) error {
			c, err := newConvolution(n, n.Inputs[0], n.Inputs[1])
			if err != nil {
				return err
			}
			if b := n.Input(2); b != nil && !equalShapes(b.Shape, []int{c.filters}) {
				return fmt.Errorf("the bias has shape %v, want [%d]", b.Shape, c.filters)
			}
			setOutput(n, 0, ir.Float, windowShape(&c.window, c.rank, c.images, c.filters)...)
			n.Workspace = c.workspace()
			return nil
		},
		Float32: bindConv[float32], Float64: bindConv[float64],
		Operations: func(n *ir.Node) float64 { return convOperations(n.Outputs[0], n.Inputs[1]) },
		Gradient: func(g *Gradient) error {
			n := g.Node
			if g.Needs(0) {
				g.Set(0, g.AddWith("tandem.ConvData", n.Attributes.With("image", toInt64s(n.Inputs[0].Shape)), g.Out[0], n.Inputs[1]))
			}
			if g.Needs(1) {
				g.Set(1, g.AddWith("tandem.ConvWeights", n.Attributes.With("weights", toInt64s(n.Inputs[1].Shape)), g.Out[0], n.Inputs[0]))
			}
			if g.Needs(2) {
				channels := []int{n.Inputs[1].Shape[0]}
				for range len(n.Inputs[0].Shape) - 2 {
					channels = append(channels, 1)
				}
				g.Set(2, g.reshape(g.sumTo(g.Out[0], channels), n.Inputs[2].Shape))
			}
			return nil
		},
		Cases: []Case{
			{Name: "3x3 padded", Inputs: []CaseInput{x(2, 2, 4, 5), x(3, 2, 3, 3), x(3)}, Attributes: map[string]any{"pads": []int64{1, 1, 1, 1}}},
			{Name: "stride 2", Inputs: []CaseInput{x(3, 2, 5, 5), x(2, 2, 3, 3)}, Attributes: map[string]any{"pads": []int64{1, 1, 1, 1}, "strides": []int64{2, 2}}},
			{Name: "pads that differ", Inputs: []CaseInput{x(1, 1, 4, 4), x(2, 1, 2, 3)}, Attributes: map[string]any{"pads": []int64{0, 2, 1, 0}}},
			{Name: "dilated", Inputs: []CaseInput{x(1, 2, 6, 5), x(2, 2, 2, 2)}, Attributes: map[string]any{"dilations": []int64{3, 2}}},
			{Name: "1x1", Inputs: []CaseInput{x(2, 3, 2, 3), x(4, 3, 1, 1), x(4)}},
			{Name: "1x1 stride 2", Inputs: []CaseInput{x(2, 3, 4, 3), x(2, 3, 1, 1)}, Attributes: map[string]any{"strides": []int64{2, 2}}},
			{Name: "two groups", Inputs: []CaseInput{x(2, 4, 3, 3), x(6, 2, 2, 2), x(6)}, Attributes: map[string]any{"group": int64(2)}},
			{Name: "depthwise", Inputs: []CaseInput{x(2, 3, 4, 4), x(3, 1, 3, 3), x(3)}, Attributes: map[string]any{"group": int64(3), "pads": []int64{1, 1, 1, 1}}},
			{Name: "depthwise, two filters a channel, stride 2", Inputs: []CaseInput{x(1, 2, 5, 4), x(4, 1, 3, 2)}, Attributes: map[string]any{"group": int64(2), "strides": []int64{2, 2}}},
			{Name: "one dimension", Inputs: []CaseInput{x(2, 2, 7), x(3, 2, 3), x(3)}, Attributes: map[string]any{"pads": []int64{2, 1}, "strides": []int64{2}}},
			{Name: "three dimensions", Inputs: []CaseInput{x(1, 2, 3, 3, 2), x(2, 2, 2, 2, 2)}, Attributes: map[string]any{"pads": []int64{1, 0, 0, 0, 1, 1}}},
			{Name: "window beyond the image", Inputs: []CaseInput{x(1, 1, 2, 2), x(1, 1, 3, 3)}, Attributes: map[string]any{"pads": []int64{3, 3, 3, 3}}},
		},
	})
	// Attribute image is the shape of the gradient.
	Register(Def{
		Name: "tandem.ConvData", MinInputs: 2, MaxInputs: 2, // dy, weights
		Infer: func(n *ir.Node) error {
			shape, err := n.Attributes.Ints("image", nil)
			if err != nil {
				return err
			}
			c, err := newConvolution(n, &ir.Value{Shape: toInts(shape), Type: ir.Float}, n.Inputs[1])
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, toInts(shape)...)
			n.Workspace = c.workspace()
			return nil
		},
		Float32: bindConvData[float32], Float64: bindConvData[float64],
		Operations: func(n *ir.Node) float64 { return convOperations(n.Inputs[0], n.Inputs[1]) },
		NoGradient: "tandem takes first derivatives alone",
	})
	// Attribute weights is the shape of the gradient.
	Register(Def{
		Name: "tandem.ConvWeights", MinInputs: 2, MaxInputs: 2, // dy, x
		Infer: func(n *ir.Node) error {
			shape, err := n.Attributes.Ints("weights", nil)
			if err != nil {
				return err
			}
			c, err := newConvolution(n, n.Inputs[1], &ir.Value{Shape: toInts(shape), Type: ir.Float})
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, toInts(shape)...)
			n.Workspace = c.workspace()
			return nil
		},
		Float32: bindConvWeights[float32], Float64: bindConvWeights[float64],
		Operations: func(n *ir.Node) float64 { return convOperations(n.Inputs[0], n.Outputs[0]) },
		NoGradient: "tandem takes first derivatives alone",
	})
}

// convolution is a checked convolution.
type convolution struct {
	window  kernel.Window
	rank    int // spatial dimensions
	images  int
	groups  int
	inputs  int // channels of the image in a group
	outputs int // channels of the result in a group
	filters int // in all groups
	depth   int // of the product: inputs times the kernel's elements
}

func newConvolution(n *ir.Node, image, weights *ir.Value) (c convolution, err error) {
	if err := wantFloat(n, 0, 1, 2); err != nil {
		return c, err
	}
	if len(weights.Shape) != len(image.Shape) || len(weights.Shape) < 3 {
		return c, fmt.Errorf("an image of shape %v and weights of shape %v do not fit", image.Shape, weights.Shape)
	}
	if c.window, c.rank, err = readWindow(n, image.Shape, weights.Shape[2:]); err != nil {
		return c, err
	}
	group, err := n.Attributes.Int("group", 1)
	if err != nil {
		return c, err
	}
	c.images, c.groups, c.filters, c.inputs = image.Shape[0], int(group), weights.Shape[0], weights.Shape[1]
	if c.groups < 1 || c.filters%c.groups != 0 || c.inputs*c.groups != image.Shape[1] {
		return c, fmt.Errorf("an image of shape %v, weights of shape %v and %d groups do not fit", image.Shape, weights.Shape, group)
	}
	c.outputs = c.filters / c.groups
	c.depth = c.inputs * c.window.KernelLen()
	return c, nil
}

// depthwise reports whether each group has one channel, too little for a product.
func (c *convolution) depthwise() bool { return c.inputs == 1 && c.groups > 1 }

// plain reports whether an unfolded image is the image itself.
func (c *convolution) plain() bool {
	return c.window.KernelLen() == 1 && c.window.OutLen() == c.window.InLen()
}

// columnsAtOnce is the number of positions that a product should have at least: with fewer, the weights would be read again too often.
const columnsAtOnce = 512

// chunk is the number of images that are multiplied at once.
func (c *convolution) chunk() int {
	return max(1, min(c.images, columnsAtOnce/max(1, c.window.OutLen())))
}

// sizes are the elements of the unfolded images of a part, and of the product's other operand for several images at once; 0 where the memory
// of the operands themselves serves.
func (c *convolution) sizes() (unfolded, results int) {
	if c.depthwise() || c.images == 0 {
		return 0, 0
	}
	columns := c.chunk() * c.window.OutLen()
	if !c.plain() || c.chunk() > 1 {
		unfolded = c.depth * columns
	}
	if c.chunk() > 1 {
		results = c.outputs * columns
	}
	return unfolded, results
}

// workspace is what both take together.
func (c *convolution) workspace() int {
	unfolded, results := c.sizes()
	return unfolded + results
}

// convPart is one product's images, from ... to, of one group.
type convPart struct{ from, to, group int }

func (c *convolution) parts() []convPart {
	var parts []convPart
	for from := 0; from < c.images; from += c.chunk() {
		for g := range c.groups {
			parts = append(parts, convPart{from, min(from+c.chunk(), c.images), g})
		}
	}
	return parts
}

// buffers divides a workspace into unfolded images and results; nil where there are none.
func buffers[T kernel.Float](c *convolution, workspace []T) (unfolded, results []T) {
	n, m := c.sizes()
	if n > 0 {
		unfolded = workspace[:n]
	}
	if m > 0 {
		results = workspace[n : n+m]
	}
	return unfolded, results
}

// unfold makes the loop that unfolds the images of a part; it is nil, and the matrix the image itself, where nothing needs to be done.
func unfold[T kernel.Float](c *convolution, pool *kernel.Pool, x, unfolded []T, p convPart) (matrix []T, call func()) {
	in, out, kernelLen := c.window.InLen(), c.window.OutLen(), c.window.KernelLen()
	channel := func(n, i int) []T {
		at := (n*c.groups*c.inputs + p.group*c.inputs + i) * in
		return x[at : at+in]
	}
	if unfolded == nil {
		at := (p.from*c.groups + p.group) * c.inputs * in
		return x[at : at+c.inputs*in], nil
	}
	columns := (p.to - p.from) * out
	body := func(_, lo, hi int) {
		for r := lo; r < hi; r++ {
			for n := p.from; n < p.to; n++ {
				kernel.Unfold(unfolded[r*columns+(n-p.from)*out:], channel(n, r/kernelLen), &c.window, r%kernelLen)
			}
		}
	}
	return unfolded[:c.depth*columns], func() { pool.For(c.depth, max(1, elementGrain/max(1, columns)), body) }
}

// resultAt returns where the channels of a part's group begin in image n of the result.
func (c *convolution) resultAt(n int, p convPart) int {
	return (n*c.filters + p.group*c.outputs) * c.window.OutLen()
}

// gather makes the loop that copies the result's channels of a part from y side by side (or back, to y).
func gather[T kernel.Float](c *convolution, pool *kernel.Pool, y, results []T, p convPart, back bool) (matrix []T, call func()) {
	out := c.window.OutLen()
	if results == nil {
		at := c.resultAt(p.from, p)
		return y[at : at+c.outputs*out], nil
	}
	columns := (p.to - p.from) * out
	body := func(_, lo, hi int) {
		for m := lo; m < hi; m++ {
			for n := p.from; n < p.to; n++ {
				at := c.resultAt(n, p) + m*out
				outside, inside := y[at:at+out], results[m*columns+(n-p.from)*out:][:out]
				if back {
					copy(outside, inside)
				} else {
					copy(inside, outside)
				}
			}
		}
	}
	return results[:c.outputs*columns], func() { pool.For(c.outputs, max(1, elementGrain/max(1, columns)), body) }
}

// appendCalls appends the calls that are not nil.
func appendCalls(calls []func(), more ...func()) []func() {
	return append(calls, slices.DeleteFunc(more, func(f func()) bool { return f == nil })...)
}

func bindConv[T kernel.Float](c *Context[T]) (func(), error) {
	v, err := newConvolution(c.Node, c.Node.Inputs[0], c.Node.Inputs[1])
	if err != nil {
		return nil, err
	}
	x, weights, y := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	var bias []T
	if len(c.In) > 2 && c.In[2].Shape != nil {
		bias = c.In[2].Float
	}
	if v.depthwise() {
		return bindDepthwise(c, &v, bias), nil
	}
	unfolded, results := buffers(&v, c.Workspace)
	var calls []func()
	for _, p := range v.parts() {
		matrix, unfoldPart := unfold(&v, c.Pool, x, unfolded, p)
		product, back := gather(&v, c.Pool, y, results, p, true)
		columns := (p.to - p.from) * v.window.OutLen()
		g := kernel.Gemm[T]{
			M: v.outputs, N: columns, K: v.depth, Alpha: 1, C: product,
			A: kernel.Matrix[T]{Data: weights[p.group*v.outputs*v.depth:], Stride: v.depth},
			B: kernel.Matrix[T]{Data: matrix, Stride: columns},
		}
		if bias != nil {
			added := bias[p.group*v.outputs:]
			g.Start = func(lo, hi, left, right int) {
				for i := lo; i < hi; i++ {
					row := product[i*columns+left : i*columns+right]
					for j := range row {
						row[j] = added[i]
					}
				}
			}
		}
		calls = appendCalls(calls, unfoldPart, g.Prepare(c.Pool), back)
	}
	return sequence(calls), nil
}

func bindDepthwise[T kernel.Float](c *Context[T], v *convolution, bias []T) func() {
	x, weights, y := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	in, out, size := v.window.InLen(), v.window.OutLen(), v.window.KernelLen()
	body := func(_, lo, hi int) {
		for i := lo; i < hi; i++ { // image and filter
			m := i % v.filters
			image := (i/v.filters*v.groups + m/v.outputs) * in
			row := y[i*out : (i+1)*out]
			clear(row)
			if bias != nil {
				for j := range row {
					row[j] = bias[m]
				}
			}
			kernel.Depthwise(row, x[image:image+in], weights[m*size:(m+1)*size], &v.window)
		}
	}
	return func() { c.Pool.For(v.images*v.filters, max(1, elementGrain/max(1, out*size)), body) }
}

func bindConvData[T kernel.Float](c *Context[T]) (func(), error) {
	v, err := newConvolution(c.Node, c.Node.Outputs[0], c.Node.Inputs[1])
	if err != nil {
		return nil, err
	}
	dy, weights, dx := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	in, out, size := v.window.InLen(), v.window.OutLen(), v.window.KernelLen()
	if v.depthwise() {
		body := func(_, lo, hi int) {
			for i := lo; i < hi; i++ { // image and channel
				image := dx[i*in : (i+1)*in]
				clear(image)
				n, g := i/v.groups, i%v.groups
				for m := g * v.outputs; m < (g+1)*v.outputs; m++ {
					at := (n*v.filters + m) * out
					kernel.DepthwiseData(image, dy[at:at+out], weights[m*size:(m+1)*size], &v.window)
				}
			}
		}
		return func() { c.Pool.For(v.images*v.groups, max(1, elementGrain/max(1, out*size*v.outputs)), body) }, nil
	}
	unfolded, results := buffers(&v, c.Workspace)
	var calls []func()
	for _, p := range v.parts() {
		matrix, collect := gather(&v, c.Pool, dy, results, p, false)
		columns := (p.to - p.from) * out
		product := unfolded
		if unfolded == nil {
			at := (p.from*v.groups + p.group) * v.inputs * in
			product = dx[at : at+v.inputs*in]
		}
		g := kernel.Gemm[T]{
			M: v.depth, N: columns, K: v.outputs, Alpha: 1, C: product[:v.depth*columns],
			A: kernel.Matrix[T]{Data: weights[p.group*v.outputs*v.depth:], Stride: v.depth, Transposed: true},
			B: kernel.Matrix[T]{Data: matrix, Stride: columns},
		}
		calls = appendCalls(calls, collect, g.Prepare(c.Pool))
		if unfolded == nil {
			continue
		}
		fold := func(_, lo, hi int) {
			for i := lo; i < hi; i++ { // image and channel
				n, channel := i/v.inputs, i%v.inputs
				at := ((p.from+n)*v.groups*v.inputs + p.group*v.inputs + channel) * in
				image := dx[at : at+in]
				clear(image)
				for k := range size {
					row := unfolded[(channel*size+k)*columns+n*out:]
					kernel.Fold(image, row[:out], &v.window, k)
				}
			}
		}
		count := (p.to - p.from) * v.inputs
		calls = append(calls, func() { c.Pool.For(count, max(1, elementGrain/max(1, out*size)), fold) })
	}
	return sequence(calls), nil
}

func bindConvWeights[T kernel.Float](c *Context[T]) (func(), error) {
	v, err := newConvolution(c.Node, c.Node.Inputs[1], c.Node.Outputs[0])
	if err != nil {
		return nil, err
	}
	dy, x, dw := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	in, out, size := v.window.InLen(), v.window.OutLen(), v.window.KernelLen()
	if v.depthwise() {
		body := func(_, lo, hi int) {
			for m := lo; m < hi; m++ {
				filter := dw[m*size : (m+1)*size]
				clear(filter)
				for n := range v.images {
					image, row := (n*v.groups+m/v.outputs)*in, (n*v.filters+m)*out
					kernel.DepthwiseWeights(filter, dy[row:row+out], x[image:image+in], &v.window)
				}
			}
		}
		return func() { c.Pool.For(v.filters, max(1, elementGrain/max(1, v.images*out*size)), body) }, nil
	}
	if v.images == 0 {
		return func() { clear(dw) }, nil
	}
	unfolded, results := buffers(&v, c.Workspace)
	var calls []func()
	for _, p := range v.parts() {
		rows, collect := gather(&v, c.Pool, dy, results, p, false)
		matrix, unfoldPart := unfold(&v, c.Pool, x, unfolded, p)
		columns := (p.to - p.from) * out
		g := kernel.Gemm[T]{
			M: v.outputs, N: v.depth, K: columns, Alpha: 1, C: dw[p.group*v.outputs*v.depth:][:v.outputs*v.depth],
			A: kernel.Matrix[T]{Data: rows, Stride: columns},
			B: kernel.Matrix[T]{Data: matrix, Stride: columns, Transposed: true},
		}
		if p.from > 0 {
			g.Start = func(lo, hi, left, right int) {} // added to what the images before gave
		}
		calls = appendCalls(calls, collect, unfoldPart, g.Prepare(c.Pool))
	}
	return sequence(calls), nil
}
