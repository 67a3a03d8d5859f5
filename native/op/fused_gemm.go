package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// tandem.Gemm is a Gemm with what follows it done on each part of the result while that is in a near cache, so that it is neither written nor
// read again. pass.Fuse makes it; the results are those of the single nodes, bit by bit. Inputs: A, B, C as Gemm's, and the result of an
// activation whose gradient is taken. In this order, and each only where its attribute is there:
//
//	relu           Relu
//	p, site        Dropout, which trains, of probability p
//	gate           the gradient of a Relu, or of a Relu and a Dropout of probability gate, given their result as input 3
//	gelu           the Gelu of that form, which becomes output 1
//	gelu_gradient  the gradient of a Gelu of that form, given its operand as input 3; the Gelu itself becomes output 1, if there is one, and may
//	               lie where its operand did
func init() {
	Register(Def{
		Name: "tandem.Gemm", MinInputs: 2, MaxInputs: 4,
		Infer: func(n *ir.Node) error {
			if err := inferGemm(n); err != nil {
				return err
			}
			wants := n.Attributes.Has("gate") || n.Attributes.Has("gelu_gradient")
			if y := n.Input(3); wants != (y != nil) || y != nil && !equalShapes(y.Shape, n.Outputs[0].Shape) {
				return fmt.Errorf("the activation %v does not fit the result %v", y, n.Outputs[0])
			}
			setOutput(n, 1, ir.Float, n.Outputs[0].Shape...)
			return nil
		},
		Float32: bindFusedGemm[float32], Float64: bindFusedGemm[float64],
		Overwrites: func(n *ir.Node) bool { return n.Attributes.Has("gelu_gradient") && len(n.Outputs) > 1 },
		Operations: gemmOperations,
		NoGradient: "it is made after differentiation",
	})
	// tandem.ActivationGradient is the gradient of a Relu and a Dropout of probability "gate" after it, given their result y: the mask is not
	// needed, since what was dropped is zero.
	Register(Def{
		Name: "tandem.ActivationGradient", MinInputs: 2, MaxInputs: 2, // dy, y
		Infer:   inferSame,
		Float32: bindActivationGradient[float32], Float64: bindActivationGradient[float64],
		NoGradient: "it is made after differentiation",
	})
}

func bindFusedGemm[T kernel.Float](c *Context[T]) (func(), error) {
	g, steps, err := boundGemm(c)
	if err != nil {
		return nil, err
	}
	attributes := c.Node.Attributes
	if attributes.Has("relu") && attributes.Has("site") && len(steps) == 1 && len(c.In[2].Float) == g.N && len(c.In[2].Shape) > 0 && c.In[2].Shape[len(c.In[2].Shape)-1] == g.N {
		if a, err := readGemm(c.Node); err == nil && a.beta == 1 {
			d, err := newDropping[T](c.Node, "p", "site", c.Run)
			g.End = d.endLayer(g.N, c.In[2].Float, c.Pool.Threads())
			return g.Prepare(c.Pool), err
		}
	}
	if attributes.Has("relu") {
		steps = append(steps, func(_ int, run []T, _ int) { kernel.Relu(run, run) })
	}
	if attributes.Has("site") {
		d, err := newDropping[T](c.Node, "p", "site", c.Run)
		if err != nil {
			return nil, err
		}
		masks := make([][4096]bool, c.Pool.Threads())
		steps = append(steps, func(worker int, run []T, first int) {
			for len(run) > 0 {
				n := min(len(run), len(masks[worker]))
				d.drop(run[:n], run[:n], masks[worker][:n], first)
				run, first = run[n:], first+n
			}
		})
	}
	if attributes.Has("gate") {
		p, err := attributes.Float("gate", 0)
		if err != nil {
			return nil, err
		}
		y, scale := c.In[3].Float, dropoutScale[T](p)
		steps = append(steps, func(_ int, run []T, first int) { kernel.Gate(run, run, y[first:first+len(run)], scale) })
	}
	if attributes.Has("gelu") {
		value, _, _, err := geluKernels[T](attributes, "gelu")
		if err != nil {
			return nil, err
		}
		y := c.Out[1].Float
		steps = append(steps, func(_ int, run []T, first int) { value(y[first:first+len(run)], run) })
	}
	if attributes.Has("gelu_gradient") {
		_, gradient, both, err := geluKernels[T](attributes, "gelu_gradient")
		if err != nil {
			return nil, err
		}
		h := c.In[3].Float
		if len(c.Out) > 1 {
			y := c.Out[1].Float
			steps = append(steps, func(_ int, run []T, first int) {
				part := y[first : first+len(run)]
				copy(part, h[first:]) // nothing to do where they lie at the same place
				both(run, run, part)
			})
		} else {
			steps = append(steps, func(_ int, run []T, first int) { gradient(run, run, h[first:first+len(run)]) })
		}
	}
	g.End = EndRuns(g.N, steps...)
	return g.Prepare(c.Pool), nil
}

func bindActivationGradient[T kernel.Float](c *Context[T]) (func(), error) {
	dy, y, dx := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	p, err := c.Node.Attributes.Float("gate", 0)
	if err != nil {
		return nil, err
	}
	scale := dropoutScale[T](p)
	return elementwise(c.Pool, len(dx), func(lo, hi int) { kernel.Gate(dx[lo:hi], dy[lo:hi], y[lo:hi], scale) }), nil
}
