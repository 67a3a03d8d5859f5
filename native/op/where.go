package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx/tensor"
)

// Where takes from its second input where the condition is true and from the third where it is not, with broadcasting.
func init() {
	condition := func(v ...bool) CaseInput {
		return CaseInput{Type: ir.Bool, Shape: []int{len(v)}, Bool: v, NoGrad: true}
	}
	Register(Def{
		Name: "Where", Since: 9, MinInputs: 3, MaxInputs: 3,
		Infer: func(n *ir.Node) error {
			a, b := n.Inputs[1], n.Inputs[2]
			if n.Inputs[0].Type != ir.Bool || a.Type != b.Type {
				return fmt.Errorf("the inputs are %v, %v and %v: the first must be bool, the others alike", n.Inputs[0].Type, a.Type, b.Type)
			}
			shape, err := broadcast(a.Shape, b.Shape)
			if err == nil {
				shape, err = broadcast(shape, n.Inputs[0].Shape)
			}
			if err != nil {
				return err
			}
			setOutput(n, 0, a.Type, shape...)
			return nil
		},
		Float32: bindWhere[float32], Float64: bindWhere[float64],
		Gradient: func(g *Gradient) error {
			zero := &ir.Value{Name: "zero", Type: ir.Float, Role: ir.Constant, Const: tensor.New(tensor.Float32)}
			for i := 1; i <= 2; i++ {
				if !g.Needs(i) {
					continue
				}
				picked := []*ir.Value{g.Node.Inputs[0], zero, zero}
				picked[i] = g.Out[0]
				g.Set(i, g.sumTo(g.Add("Where", nil, picked...), g.Node.Inputs[i].Shape))
			}
			return nil
		},
		Cases: []Case{
			{Name: "same length", Inputs: []CaseInput{condition(true, false, true), {Shape: []int{3}}, {Shape: []int{3}}}},
			{Name: "broadcast", Inputs: []CaseInput{condition(true, false, true), {Shape: []int{2, 1}}, {}}},
			{Name: "row of conditions", Inputs: []CaseInput{condition(true, false), {Shape: []int{3, 2}}, {Shape: []int{2}}}},
		},
	})
}

func bindWhere[T kernel.Float](c *Context[T]) (func(), error) {
	out := c.Out[0].Shape
	if elements(out) == 0 {
		return func() {}, nil
	}
	w := [3]walk{}
	for i := range w {
		w[i] = newWalk(c.In[i].Shape, out)
	}
	width := 1
	if len(out) > 0 {
		width = out[len(out)-1]
	}
	condition, a, b, y := c.In[0].Bool, c.In[1], c.In[2], c.Out[0]
	rows, grain := len(w[0].offset), max(1, elementGrain/width)
	body := func(_, lo, hi int) {
		for r := lo; r < hi; r++ {
			at := [3]int{w[0].offset[r], w[1].offset[r], w[2].offset[r]}
			steps := [3]int{w[0].step, w[1].step, w[2].step}
			switch {
			case y.Float != nil:
				kernel.Where(y.Float[r*width:(r+1)*width], condition[at[0]:], a.Float[at[1]:], b.Float[at[2]:], steps)
			case y.Int != nil:
				kernel.Where(y.Int[r*width:(r+1)*width], condition[at[0]:], a.Int[at[1]:], b.Int[at[2]:], steps)
			default:
				kernel.Where(y.Bool[r*width:(r+1)*width], condition[at[0]:], a.Bool[at[1]:], b.Bool[at[2]:], steps)
			}
		}
	}
	return func() { c.Pool.For(rows, grain, body) }, nil
}
