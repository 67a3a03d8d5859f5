package op

import (
	"tandem/native/ir"
	"tandem/native/kernel"
)

// Add, Sub, Mul and Div are elementwise with broadcasting, on floating-point numbers or, for the arithmetic of shapes, on int64.
func init() {
	broadcasts := func(away float64) []Case {
		return []Case{
			{Name: "same shape", Inputs: []CaseInput{{Shape: []int{3, 4}}, {Shape: []int{3, 4}, Away: away}}},
			{Name: "row", Inputs: []CaseInput{{Shape: []int{3, 4}}, {Shape: []int{4}, Away: away}}},
			{Name: "column", Inputs: []CaseInput{{Shape: []int{3, 1}}, {Shape: []int{3, 4}, Away: away}}},
			{Name: "scalar", Inputs: []CaseInput{{Shape: []int{}}, {Shape: []int{2, 3}, Away: away}}},
			{Name: "both ways", Inputs: []CaseInput{{Shape: []int{2, 1, 4}}, {Shape: []int{3, 1}, Away: away}}},
			{Name: "empty", Inputs: []CaseInput{{Shape: []int{0, 4}}, {Shape: []int{4}, Away: away}}},
		}
	}
	Register(Def{
		Name: "Add", Since: 7, MinInputs: 2, MaxInputs: 2, Infer: inferArithmetic,
		Float32: bindAdd[float32], Float64: bindAdd[float64],
		Gradient: func(g *Gradient) error {
			for i := range 2 {
				if g.Needs(i) {
					g.Set(i, g.sumTo(g.Out[0], g.Node.Inputs[i].Shape))
				}
			}
			return nil
		},
		Cases: broadcasts(0),
	})
	Register(Def{
		Name: "Sub", Since: 7, MinInputs: 2, MaxInputs: 2, Infer: inferArithmetic,
		Float32: bindSub[float32], Float64: bindSub[float64],
		Gradient: func(g *Gradient) error {
			if g.Needs(0) {
				g.Set(0, g.sumTo(g.Out[0], g.Node.Inputs[0].Shape))
			}
			if g.Needs(1) {
				g.Set(1, g.Add("tandem.Scale", map[string]any{"factor": -1.0}, g.sumTo(g.Out[0], g.Node.Inputs[1].Shape)))
			}
			return nil
		},
		Cases: broadcasts(0),
	})
	Register(Def{
		Name: "Mul", Since: 7, MinInputs: 2, MaxInputs: 2, Infer: inferArithmetic,
		Float32: bindMul[float32], Float64: bindMul[float64],
		Gradient: func(g *Gradient) error {
			for i := range 2 {
				if g.Needs(i) {
					g.Set(i, g.sumTo(g.Add("Mul", nil, g.Out[0], g.Node.Inputs[1-i]), g.Node.Inputs[i].Shape))
				}
			}
			return nil
		},
		Cases: broadcasts(0),
	})
	Register(Def{
		Name: "Div", Since: 7, MinInputs: 2, MaxInputs: 2, Infer: inferArithmetic,
		Float32: bindDiv[float32], Float64: bindDiv[float64],
		Gradient: func(g *Gradient) error { // y = a/b: da = dy/b, db = -(dy/b) y
			a, b := g.Node.Inputs[0], g.Node.Inputs[1]
			da := g.Add("Div", nil, g.Out[0], b)
			if g.Needs(0) {
				g.Set(0, g.sumTo(da, a.Shape))
			}
			if g.Needs(1) {
				g.Set(1, g.Add("tandem.Scale", map[string]any{"factor": -1.0}, g.sumTo(g.Add("Mul", nil, da, g.Node.Outputs[0]), b.Shape)))
			}
			return nil
		},
		Cases: broadcasts(0.5),
	})
	Register(Def{
		Name: "tandem.Scale", MinInputs: 1, MaxInputs: 1, Infer: inferSame, // y = factor * x
		Float32: bindScale[float32], Float64: bindScale[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
	Register(Def{
		Name: "Neg", Since: 6, MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			if n.Inputs[0].Type == ir.Int64 {
				setOutput(n, 0, ir.Int64, n.Inputs[0].Shape...)
				return nil
			}
			return inferSame(n)
		},
		Float32: bindNeg[float32], Float64: bindNeg[float64],
		Gradient: func(g *Gradient) error { g.Set(0, g.Add("Neg", nil, g.Out[0])); return nil },
		Cases:    []Case{{Name: "matrix", Inputs: []CaseInput{{Shape: []int{3, 4}}}}},
	})
}

func bindAdd[T kernel.Float](c *Context[T]) (func(), error) {
	return bindArithmetic(c, kernel.Add[T], func(a, b int64) int64 { return a + b })
}

func bindSub[T kernel.Float](c *Context[T]) (func(), error) {
	return bindArithmetic(c, kernel.Sub[T], func(a, b int64) int64 { return a - b })
}

func bindMul[T kernel.Float](c *Context[T]) (func(), error) {
	return bindArithmetic(c, kernel.Mul[T], func(a, b int64) int64 { return a * b })
}

func bindDiv[T kernel.Float](c *Context[T]) (func(), error) {
	return bindArithmetic(c, kernel.Div[T], func(a, b int64) int64 {
		if b == 0 {
			return 0 // ONNX leaves it undefined
		}
		return a / b // towards zero
	})
}

func bindScale[T kernel.Float](c *Context[T]) (func(), error) {
	f, err := c.Node.Attributes.Float("factor", 1)
	if err != nil {
		return nil, err
	}
	x, y, factor := c.In[0].Float, c.Out[0].Float, T(f)
	return elementwise(c.Pool, len(y), func(lo, hi int) { kernel.Scale(y[lo:hi], x[lo:hi], factor) }), nil
}

func bindNeg[T kernel.Float](c *Context[T]) (func(), error) {
	if from, to := c.In[0].Int, c.Out[0].Int; c.Node.Inputs[0].Type == ir.Int64 {
		return func() { kernel.Convert(to, from, func(v int64) int64 { return -v }) }, nil
	}
	x, y := c.In[0].Float, c.Out[0].Float
	return elementwise(c.Pool, len(y), func(lo, hi int) { kernel.Scale(y[lo:hi], x[lo:hi], -1) }), nil
}
