package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Max and Min take the largest and the smallest of any number of operands, floating-point ones or int64, elementwise with
// broadcasting. Where several are equal they share the gradient equally, as PyTorch's maximum and amax do.
func init() {
	larger, smaller := func(a, b int64) int64 { return max(a, b) }, func(a, b int64) int64 { return min(a, b) }
	extremum("Max", bindExtremum(kernel.Max[float32], larger), bindExtremum(kernel.Max[float64], larger))
	extremum("Min", bindExtremum(kernel.Min[float32], smaller), bindExtremum(kernel.Min[float64], smaller))
	Register(Def{ // what each operand's gradient is multiplied with: [x = y] / number of operands equal to y
		Name: "tandem.ExtremumShare", MinInputs: 2, MaxInputs: -1, // y, operands
		Infer:   inferSame,
		Float32: bindExtremumShare[float32], Float64: bindExtremumShare[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

func extremum(name string, float32s Bind[float32], float64s Bind[float64]) {
	Register(Def{
		Name: name, Since: 8, MinInputs: 1, MaxInputs: -1,
		Infer: func(n *ir.Node) error {
			var shape []int
			for i, v := range n.Inputs {
				if v.Type == ir.Bool || v.Type != n.Inputs[0].Type {
					return fmt.Errorf("input %d is %v and input 0 %v: they must be numbers of one type", i, v.Type, n.Inputs[0].Type)
				}
				var err error
				if shape, err = broadcast(shape, v.Shape); err != nil {
					return err
				}
			}
			setOutput(n, 0, n.Inputs[0].Type, shape...)
			return nil
		},
		Float32: float32s, Float64: float64s,
		Gradient: func(g *Gradient) error {
			y := g.Node.Outputs[0]
			for i, v := range g.Node.Inputs {
				if g.Needs(i) {
					share := g.Add("tandem.ExtremumShare", map[string]any{"operand": i}, append([]*ir.Value{y}, g.Node.Inputs...)...)
					g.Set(i, g.sumTo(g.Add("Mul", nil, g.Out[0], share), v.Shape))
				}
			}
			return nil
		},
		Cases: []Case{
			{Name: "two", Inputs: []CaseInput{{Shape: []int{3, 4}}, {Shape: []int{3, 4}}}},
			{Name: "broadcast", Inputs: []CaseInput{{Shape: []int{3, 1}}, {Shape: []int{4}}, {}}},
			{Name: "third one larger", Inputs: []CaseInput{{}, {}, {Shape: []int{3}}}},
			{Name: "one", Inputs: []CaseInput{{Shape: []int{3}}}},
		},
	})
}

func bindExtremum[T kernel.Float](row func(y, a, b []T, stepA, stepB int), integer func(a, b int64) int64) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		all, out := c.In, c.Out
		c.In = []Buffer[T]{all[0], all[0]}
		if len(all) > 1 {
			c.In[1] = all[1]
		}
		var calls []func()
		for i := 1; i == 1 || i < len(all); i++ {
			if i > 1 {
				c.In = []Buffer[T]{out[0], all[i]}
			}
			call, err := bindArithmetic(c, row, integer)
			if err != nil {
				return nil, err
			}
			calls = append(calls, call)
		}
		return sequence(calls), nil
	}
}

func bindExtremumShare[T kernel.Float](c *Context[T]) (func(), error) {
	operand, err := c.Node.Attributes.Int("operand", 0)
	if err != nil {
		return nil, err
	}
	y, share := c.In[0].Float, c.Out[0].Float
	out := c.Out[0].Shape
	if len(y) == 0 {
		return func() {}, nil
	}
	width := 1
	if len(out) > 0 {
		width = out[len(out)-1]
	}
	operands := c.In[1:]
	walks := make([]walk, len(operands))
	for i, in := range operands {
		walks[i] = newWalk(in.Shape, out)
	}
	return func() {
		for e, largest := range y {
			equal, mine := 0, false
			for i, w := range walks {
				if operands[i].Float[w.offset[e/width]+e%width*w.step] == largest {
					equal++
					mine = mine || i == int(operand)
				}
			}
			share[e] = 0
			if mine {
				share[e] = 1 / T(equal)
			}
		}
	}, nil
}
