package op

import (
	"tandem/native/ir"
	"tandem/native/kernel"
)

// Sum and Mean add up and average any number of operands elementwise with broadcasting.
func init() {
	cases := []Case{
		{Name: "two", Inputs: []CaseInput{{Shape: []int{3, 4}}, {Shape: []int{3, 4}}}},
		{Name: "broadcast", Inputs: []CaseInput{{Shape: []int{3, 1}}, {Shape: []int{4}}, {}}},
		{Name: "one", Inputs: []CaseInput{{Shape: []int{3}}}},
	}
	variadic := func(name string, float32s Bind[float32], float64s Bind[float64], factor func(operands int) float64) {
		Register(Def{
			Name: name, Since: 8, MinInputs: 1, MaxInputs: -1,
			Infer: func(n *ir.Node) error {
				var shape []int
				for i, v := range n.Inputs {
					if err := wantFloat(n, i); err != nil {
						return err
					}
					var err error
					if shape, err = broadcast(shape, v.Shape); err != nil {
						return err
					}
				}
				setOutput(n, 0, ir.Float, shape...)
				return nil
			},
			Float32: float32s, Float64: float64s,
			Gradient: func(g *Gradient) error {
				d := g.Out[0]
				if f := factor(len(g.Node.Inputs)); f != 1 {
					d = g.Add("tandem.Scale", map[string]any{"factor": f}, d)
				}
				for i, v := range g.Node.Inputs {
					if g.Needs(i) {
						g.Set(i, g.sumTo(d, v.Shape))
					}
				}
				return nil
			},
			Cases: cases,
		})
	}
	all, share := func(int) float64 { return 1 }, func(operands int) float64 { return 1 / float64(operands) }
	variadic("Sum", bindSum[float32](all), bindSum[float64](all), all)
	variadic("Mean", bindSum[float32](share), bindSum[float64](share), share)
}

func bindSum[T kernel.Float](factor func(operands int) float64) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		operands, out := c.In, c.Out
		calls := []func(){copyWalk(c, newWalk(c.In[0].Shape, c.Out[0].Shape))}
		for _, operand := range operands[1:] {
			part := *c
			part.In = []Buffer[T]{out[0], operand}
			call, err := bindAdd(&part)
			if err != nil {
				return nil, err
			}
			calls = append(calls, call)
		}
		if f := T(factor(len(operands))); f != 1 {
			y := out[0].Float
			calls = append(calls, elementwise(c.Pool, len(y), func(lo, hi int) { kernel.Scale(y[lo:hi], y[lo:hi], f) }))
		}
		return sequence(calls), nil
	}
}
