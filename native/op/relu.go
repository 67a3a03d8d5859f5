package op

import (
	"tandem/native/ir"
	"tandem/native/kernel"
)

// Relu is max(x, 0). Its gradient at 0 is 0, as PyTorch's is.
func init() {
	Register(Def{
		Name: "Relu", Since: 6, MinInputs: 1, MaxInputs: 1,
		Infer:   inferSame,
		Float32: bindRelu[float32], Float64: bindRelu[float64],
		Gradient: func(g *Gradient) error {
			// The output tells the sign as well as the input does, and its memory is needed by the next layer anyway.
			g.Set(0, g.Add("tandem.ReluGradient", nil, g.Out[0], g.Node.Outputs[0]))
			return nil
		},
		Cases: []Case{{Name: "matrix", Inputs: []CaseInput{{Shape: []int{5, 7}, Away: 0.01}}}, {Name: "scalar", Inputs: []CaseInput{{Away: 0.01}}}},
	})
	Register(Def{
		Name: "tandem.ReluGradient", MinInputs: 2, MaxInputs: 2, // dy, y
		Infer:   inferSame,
		Float32: bindReluGradient[float32], Float64: bindReluGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// inferSame gives output 0 the type and shape of input 0, which must be floating-point.
func inferSame(n *ir.Node) error {
	if err := wantFloat(n, 0); err != nil {
		return err
	}
	setOutput(n, 0, ir.Float, n.Inputs[0].Shape...)
	return nil
}

func bindRelu[T kernel.Float](c *Context[T]) (func(), error) {
	x, y := c.In[0].Float, c.Out[0].Float
	return elementwise(c.Pool, len(y), func(lo, hi int) { kernel.Relu(y[lo:hi], x[lo:hi]) }), nil
}

func bindReluGradient[T kernel.Float](c *Context[T]) (func(), error) {
	dy, y, dx := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	return elementwise(c.Pool, len(dx), func(lo, hi int) { kernel.ReluGradient(dx[lo:hi], dy[lo:hi], y[lo:hi]) }), nil
}

// elementGrain is the number of elements below which another thread costs more than it saves.
const elementGrain = 16 << 10

// elementwise splits a loop over n elements between the threads.
func elementwise(pool *kernel.Pool, n int, body func(lo, hi int)) func() {
	part := func(_, lo, hi int) { body(lo, hi) }
	return func() { pool.For(n, elementGrain, part) }
}
