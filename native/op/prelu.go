package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// PRelu is x where x >= 0, else slope * x; the slope broadcasts to x and may be trained (He and others, "Delving Deep into Rectifiers", 2015).
// At 0 the gradient of x is the slope, as PyTorch's is.
func init() {
	infer := func(n *ir.Node) error {
		if err := inferBroadcast(n); err != nil {
			return err
		}
		if !equalShapes(n.Outputs[0].Shape, n.Inputs[0].Shape) {
			return fmt.Errorf("the slope's shape %v does not broadcast to %v", n.Inputs[1].Shape, n.Inputs[0].Shape)
		}
		return nil
	}
	Register(Def{
		Name: "PRelu", Since: 7, MinInputs: 2, MaxInputs: 2, Infer: infer,
		Float32: bindPRelu[float32], Float64: bindPRelu[float64],
		Gradient: func(g *Gradient) error {
			x, slope := g.Node.Inputs[0], g.Node.Inputs[1]
			if g.Needs(0) {
				g.Set(0, g.Add("Mul", nil, g.Out[0], g.Add("tandem.PReluSlope", nil, x, slope)))
			}
			if g.Needs(1) { // min(x, 0) dy
				negative := g.Add("Sub", nil, x, g.Add("Relu", nil, x))
				g.Set(1, g.sumTo(g.Add("Mul", nil, g.Out[0], negative), slope.Shape))
			}
			return nil
		},
		Cases: []Case{
			{Name: "channels", Inputs: []CaseInput{{Shape: []int{2, 3, 2, 2}, Away: 0.01}, {Shape: []int{3, 1, 1}}}},
			{Name: "one slope", Inputs: []CaseInput{{Shape: []int{4, 3}, Away: 0.01}, {Shape: []int{1}}}},
			{Name: "same shape", Inputs: []CaseInput{{Shape: []int{4, 3}, Away: 0.01}, {Shape: []int{4, 3}}}},
		},
	})
	Register(Def{ // what the gradient of x is multiplied with
		Name: "tandem.PReluSlope", MinInputs: 2, MaxInputs: 2, Infer: infer,
		Float32: bindPReluSlope[float32], Float64: bindPReluSlope[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

func bindPRelu[T kernel.Float](c *Context[T]) (func(), error) { return bindBinary(c, kernel.PRelu[T]) }

func bindPReluSlope[T kernel.Float](c *Context[T]) (func(), error) {
	return bindBinary(c, kernel.PReluSlope[T])
}
