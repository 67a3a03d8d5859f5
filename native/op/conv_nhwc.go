package op

import (
	"fmt"
	"unsafe"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// The convolutions with channels last: images (N, H, W, C) of two dimensions, weights (M, C, kernel ...) as ever. pass.ChannelsLast puts them in
// the place of Conv and its gradients.
func init() {
	const noGradient = "the layout is chosen after gradients are taken"
	Register(Def{
		Name: "tandem.ConvNHWC", MinInputs: 2, MaxInputs: 3, // images, weights, bias
		Infer: func(n *ir.Node) error {
			c, err := newConvolutionNHWC(n, n.Inputs[0].Shape, n.Inputs[1].Shape)
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, c.images, c.window.Out[1], c.window.Out[2], c.filters)
			w := c.winograd()
			n.Workspace = c.workspaceNHWC(w.Workspace())
			return nil
		},
		Float32: bindConvNHWC[float32], Float64: bindConvNHWC[float64],
		Operations: func(n *ir.Node) float64 { return convOperations(n.Outputs[0], n.Inputs[1]) },
		Algorithm: convAlgorithm(func(n *ir.Node) (convolution, error) {
			return newConvolutionNHWC(n, n.Inputs[0].Shape, n.Inputs[1].Shape)
		}),
		NoGradient: noGradient,
	})
	// Attribute image is the shape of the gradient. What input 2 holds, if there is one, is added to it.
	Register(Def{
		Name: "tandem.ConvDataNHWC", MinInputs: 2, MaxInputs: 3, // dy, weights, another gradient
		Infer: func(n *ir.Node) error {
			c, shape, err := convDataNHWC(n)
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, shape...)
			w := c.winogradBack()
			n.Workspace = c.workspaceNHWC(w.Workspace())
			return nil
		},
		Float32: bindConvDataNHWC[float32], Float64: bindConvDataNHWC[float64],
		Operations: func(n *ir.Node) float64 { return convOperations(n.Inputs[0], n.Inputs[1]) },
		Algorithm:  convAlgorithm(func(n *ir.Node) (convolution, error) { c, _, err := convDataNHWC(n); return c, err }),
		NoGradient: noGradient,
	})
	// Attribute weights is the shape of the gradient.
	Register(Def{
		Name: "tandem.ConvWeightsNHWC", MinInputs: 2, MaxInputs: 2, // dy, images
		Infer: func(n *ir.Node) error {
			c, shape, err := convWeightsNHWC(n)
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, shape...)
			w := c.winograd()
			n.Workspace = c.workspaceNHWC(w.GradientWorkspace())
			return nil
		},
		Float32: bindConvWeightsNHWC[float32], Float64: bindConvWeightsNHWC[float64],
		Operations: func(n *ir.Node) float64 { return convOperations(n.Inputs[0], n.Outputs[0]) },
		Algorithm:  convAlgorithm(func(n *ir.Node) (convolution, error) { c, _, err := convWeightsNHWC(n); return c, err }),
		NoGradient: noGradient,
	})
}

// convAlgorithm makes a Def's Algorithm.
func convAlgorithm(of func(n *ir.Node) (convolution, error)) func(n *ir.Node, double bool) string {
	return func(n *ir.Node, double bool) string {
		c, err := of(n)
		if err != nil {
			return ""
		}
		size := unsafe.Sizeof(float32(0))
		if double {
			size = unsafe.Sizeof(float64(0))
		}
		return c.algorithm(size)
	}
}

// FitsNHWC reports whether a node's convolution, of images (N, C, H, W), has a form with channels last: one of all channels does, one in which each channel has a filter of its own, and one in
// groups whose channels are whole vectors of 256 bits.
func FitsNHWC(image, weights []int, groups int64) bool {
	const lanes = 8
	if len(image) != 4 || len(weights) != 4 || groups < 1 {
		return false
	}
	outputs := weights[0] / int(groups)
	return groups == 1 || outputs == 1 && weights[1] == 1 || outputs > 0 && outputs%lanes == 0 && weights[1]%lanes == 0
}

func newConvolutionNHWC(n *ir.Node, image, weights []int) (convolution, error) {
	if len(image) != 4 {
		return convolution{}, fmt.Errorf("an image of shape %v must be (N, H, W, C)", image)
	}
	channelsFirst := []int{image[0], image[3], image[1], image[2]}
	c, err := newConvolution(n, &ir.Value{Shape: channelsFirst, Type: ir.Float}, &ir.Value{Shape: weights, Type: ir.Float})
	if err == nil && !FitsNHWC(channelsFirst, weights, int64(c.groups)) {
		err = fmt.Errorf("%d groups are %w with channels last", c.groups, ErrUnsupported)
	}
	return c, err
}

func convDataNHWC(n *ir.Node) (c convolution, shape []int, err error) {
	image, err := n.Attributes.Ints("image", nil)
	if err != nil {
		return c, nil, err
	}
	c, err = newConvolutionNHWC(n, toInts(image), n.Inputs[1].Shape)
	return c, toInts(image), err
}

func convWeightsNHWC(n *ir.Node) (c convolution, shape []int, err error) {
	weights, err := n.Attributes.Ints("weights", nil)
	if err != nil {
		return c, nil, err
	}
	c, err = newConvolutionNHWC(n, n.Inputs[1].Shape, toInts(weights))
	return c, toInts(weights), err
}

// sizesNHWC are the elements of the weights in the order of unfolded rows and of the unfolded rows of a chunk of images; 0 where the memory of the operands themselves
// serves.
func (c *convolution) sizesNHWC() (weights, unfolded int) {
	if c.images == 0 {
		return 0, 0
	}
	if c.window.KernelLen() > 1 {
		weights = c.depth * c.filters
	}
	if !c.plain() {
		unfolded = c.depth * c.chunk() * c.window.OutLen()
	}
	return weights, unfolded
}

// workspaceNHWC is what the algorithms of both types of elements need, since the graph does not know its own.
func (c *convolution) workspaceNHWC(winograd int) int {
	if c.depthwise() {
		return c.filters*c.window.KernelLen() + c.depthwiseRows().GradientWorkspace()
	}
	if c.groups > 1 {
		grouped := c.groupedRows()
		return max(c.filters*c.depth, grouped.GradientWorkspace())
	}
	weights, unfolded := c.sizesNHWC()
	need := 0
	if !c.usesWinograd(unsafe.Sizeof(float32(0))) || !c.usesWinograd(unsafe.Sizeof(float64(0))) {
		need = weights + unfolded
	}
	if c.fitsWinograd() {
		need = max(need, winograd)
	}
	return need
}

// depthwiseRows is a convolution of single channels as its kernels take it.
func (c *convolution) depthwiseRows() *kernel.DepthwiseRows {
	return &kernel.DepthwiseRows{Window: c.window, Images: c.images, Channels: c.filters}
}

// groupedRows is a convolution in groups as its kernels take it.
func (c *convolution) groupedRows() *kernel.GroupedRows {
	return &kernel.GroupedRows{Window: c.window, Images: c.images, Groups: c.groups, Inputs: c.inputs, Outputs: c.outputs}
}

// depthwiseWeights returns memory for the weights in the order of depthwiseRows, and what is left of a node's.
func depthwiseWeights[T kernel.Float](c *Context[T], v *convolution) (rows, rest []T) {
	n := v.filters * v.window.KernelLen()
	return c.Workspace[:n:n], c.Workspace[n:]
}

// rowProducts is a convolution as products of unfolded rows, a chunk of images at a time, with its memory.
type rowProducts[T kernel.Float] struct {
	*convolution
	pool              *kernel.Pool
	weights, unfolded []T
}

func newRowProducts[T kernel.Float](c *Context[T], v *convolution) *rowProducts[T] {
	weights, unfolded := v.sizesNHWC()
	return &rowProducts[T]{convolution: v, pool: c.Pool, weights: c.Workspace[:weights], unfolded: c.Workspace[weights : weights+unfolded]}
}

// right is the weights as the right factor, (depth, filters), and the call that brings them into that order, or nil.
func (p *rowProducts[T]) right(weights []T) (m kernel.Matrix[T], call func()) {
	if len(p.weights) == 0 {
		return kernel.Matrix[T]{Data: weights, Stride: p.depth, Transposed: true}, nil
	}
	return kernel.Matrix[T]{Data: p.weights, Stride: p.filters}, kernel.PrepareWeightsToRows(p.pool, p.weights, weights, p.filters, p.inputs, p.window.KernelLen())
}

// rows is the left factor for the images from ... to, and the call that unfolds them, or nil.
func (p *rowProducts[T]) rows(x []T, from, to int) (m kernel.Matrix[T], call func()) {
	in, out := p.window.InLen()*p.inputs, p.window.OutLen()
	if len(p.unfolded) == 0 {
		return kernel.Matrix[T]{Data: x[from*in : to*in], Stride: p.depth}, nil
	}
	body := func(_, lo, hi int) {
		for o := lo; o < hi; { // rows of several images
			n := from + o/out
			end := min(hi, (n-from+1)*out)
			kernel.UnfoldRows(p.unfolded[o*p.depth:], x[n*in:(n+1)*in], &p.window, p.inputs, o%out, o%out+end-o)
			o = end
		}
	}
	rows := (to - from) * out
	return kernel.Matrix[T]{Data: p.unfolded[:rows*p.depth], Stride: p.depth}, func() {
		p.pool.For(rows, max(1, elementGrain/max(1, p.depth)), body)
	}
}

// chunks calls body for each chunk of images.
func (c *convolution) chunks(body func(from, to int)) {
	for from := 0; from < c.images; from += c.chunk() {
		body(from, min(from+c.chunk(), c.images))
	}
}

func bindConvNHWC[T kernel.Float](c *Context[T]) (func(), error) {
	v, err := newConvolutionNHWC(c.Node, c.In[0].Shape, c.In[1].Shape)
	if err != nil {
		return nil, err
	}
	x, weights, y := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	var bias []T
	if len(c.In) > 2 && c.In[2].Shape != nil {
		bias = c.In[2].Float
	}
	if v.depthwise() {
		rows, _ := depthwiseWeights(c, &v)
		return sequence([]func(){
			kernel.PrepareWeightsToRows(c.Pool, rows, weights, v.filters, 1, v.window.KernelLen()),
			kernel.PrepareDepthwiseRows(v.depthwiseRows(), c.Pool, y, x, rows, bias),
		}), nil
	}
	if v.groups > 1 {
		return kernel.PrepareGroupedRows(v.groupedRows(), c.Pool, y, x, weights, bias, c.Workspace), nil
	}
	var zero T
	if v.usesWinograd(unsafe.Sizeof(zero)) {
		return kernel.PrepareWinograd(v.winograd(), c.Pool, kernel.WinogradOperands[T]{Y: y, X: x, Weights: weights, Bias: bias, Workspace: c.Workspace}), nil
	}
	p := newRowProducts(c, &v)
	right, arrange := p.right(weights)
	calls := appendCalls(nil, arrange)
	out := v.window.OutLen() * v.filters
	v.chunks(func(from, to int) {
		left, unfold := p.rows(x, from, to)
		product := y[from*out : to*out]
		g := kernel.Gemm[T]{M: (to - from) * v.window.OutLen(), N: v.filters, K: v.depth, Alpha: 1, A: left, B: right, C: product}
		if bias != nil {
			g.Start = func(lo, hi, left, right int) {
				for i := lo; i < hi; i++ {
					copy(product[i*v.filters+left:i*v.filters+right], bias[left:right])
				}
			}
		}
		calls = appendCalls(calls, unfold, g.Prepare(c.Pool))
	})
	return sequence(calls), nil
}

func bindConvDataNHWC[T kernel.Float](c *Context[T]) (func(), error) {
	v, _, err := convDataNHWC(c.Node)
	if err != nil {
		return nil, err
	}
	dy, weights, dx := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	other := optionalInput(c, 2)
	if v.depthwise() {
		rows, _ := depthwiseWeights(c, &v)
		return sequence([]func(){
			kernel.PrepareWeightsToRows(c.Pool, rows, weights, v.filters, 1, v.window.KernelLen()),
			kernel.PrepareDepthwiseRowsData(v.depthwiseRows(), c.Pool, dx, dy, rows, other),
		}), nil
	}
	if v.groups > 1 {
		return kernel.PrepareGroupedRowsData(v.groupedRows(), c.Pool, dx, dy, weights, other, c.Workspace), nil
	}
	var zero T
	if v.usesWinograd(unsafe.Sizeof(zero)) {
		o := kernel.WinogradOperands[T]{Y: dx, X: dy, Weights: weights, Added: other, Workspace: c.Workspace, Rotated: true}
		return kernel.PrepareWinograd(v.winogradBack(), c.Pool, o), nil
	}
	p := newRowProducts(c, &v)
	right, arrange := p.right(weights)
	right.Transposed = !right.Transposed
	calls := appendCalls(nil, arrange)
	in, out := v.window.InLen()*v.inputs, v.window.OutLen()
	v.chunks(func(from, to int) {
		rows := (to - from) * out
		product := p.unfolded
		if len(product) == 0 {
			product = dx[from*in : to*in]
		}
		g := kernel.Gemm[T]{
			M: rows, N: v.depth, K: v.filters, Alpha: 1, C: product[:rows*v.depth],
			A: kernel.Matrix[T]{Data: dy[from*out*v.filters : to*out*v.filters], Stride: v.filters}, B: right,
		}
		if len(p.unfolded) == 0 && other != nil {
			start := other[from*in : to*in]
			g.Start = func(lo, hi, left, right int) {
				for i := lo; i < hi; i++ {
					copy(product[i*v.depth+left:i*v.depth+right], start[i*v.depth+left:])
				}
			}
		}
		calls = appendCalls(calls, g.Prepare(c.Pool))
		if len(p.unfolded) == 0 {
			return
		}
		fold := func(_, lo, hi int) {
			for n := lo; n < hi; n++ {
				image := dx[(from+n)*in : (from+n+1)*in]
				if other != nil {
					copy(image, other[(from+n)*in:])
				} else {
					clear(image)
				}
				kernel.FoldRows(image, p.unfolded[n*out*v.depth:], &v.window, v.inputs)
			}
		}
		calls = append(calls, func() { c.Pool.For(to-from, max(1, elementGrain/max(1, out*v.depth)), fold) })
	})
	return sequence(calls), nil
}

func bindConvWeightsNHWC[T kernel.Float](c *Context[T]) (func(), error) {
	v, _, err := convWeightsNHWC(c.Node)
	if err != nil {
		return nil, err
	}
	dy, x, dw := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	if v.images == 0 {
		return func() { clear(dw) }, nil
	}
	if v.depthwise() {
		rows, sums := depthwiseWeights(c, &v)
		return sequence([]func(){
			kernel.PrepareDepthwiseRowsWeights(v.depthwiseRows(), c.Pool, rows, dy, x, sums),
			kernel.PrepareRowsToWeights(c.Pool, dw, rows, v.filters, 1, v.window.KernelLen()),
		}), nil
	}
	if v.groups > 1 {
		return kernel.PrepareGroupedRowsWeights(v.groupedRows(), c.Pool, dw, dy, x, c.Workspace), nil
	}
	var zero T
	if v.usesWinograd(unsafe.Sizeof(zero)) {
		return kernel.PrepareWinogradWeights(v.winograd(), c.Pool, dw, dy, x, c.Workspace), nil
	}
	p := newRowProducts(c, &v)
	out := v.window.OutLen()
	var calls []func()
	v.chunks(func(from, to int) {
		left, unfold := p.rows(x, from, to)
		left.Transposed = true
		upstream := kernel.Matrix[T]{Data: dy[from*out*v.filters : to*out*v.filters], Stride: v.filters}
		// A 1x1 window's weights (filters, depth) are a product as they lie.
		g := kernel.Gemm[T]{M: v.depth, N: v.filters, K: (to - from) * out, Alpha: 1, A: left, B: upstream, C: p.weights}
		if len(p.weights) == 0 {
			upstream.Transposed, left.Transposed = true, false
			g.M, g.N, g.A, g.B, g.C = v.filters, v.depth, upstream, left, dw
		}
		if from > 0 {
			g.Start = func(lo, hi, left, right int) {} // added to what the images before gave
		}
		calls = appendCalls(calls, unfold, g.Prepare(c.Pool))
	})
	if len(p.weights) > 0 {
		calls = append(calls, kernel.PrepareRowsToWeights(c.Pool, dw, p.weights, v.filters, v.inputs, v.window.KernelLen()))
	}
	return sequence(calls), nil
}
