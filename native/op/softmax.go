package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Softmax and LogSoftmax work along one axis (before operator set 13 they meant something else).
func init() {
	cases := []Case{
		{Name: "last axis", Inputs: []CaseInput{{Shape: []int{3, 5}}}},
		{Name: "first axis", Inputs: []CaseInput{{Shape: []int{3, 5}}}, Attributes: map[string]any{"axis": int64(0)}},
		{Name: "middle axis", Inputs: []CaseInput{{Shape: []int{2, 4, 3}}}, Attributes: map[string]any{"axis": int64(-2)}},
		{Name: "large numbers", Inputs: []CaseInput{{Shape: []int{3}, Float: []float64{1000, 1001, 999.5}}}},
	}
	softmax := func(name string, float32s Bind[float32], float64s Bind[float64], gradient32 Bind[float32], gradient64 Bind[float64]) {
		infer := func(n *ir.Node) error {
			if _, err := axis(n, -1, len(n.Inputs[0].Shape)); err != nil {
				return err
			}
			return inferSame(n)
		}
		Register(Def{
			Name: name, Since: 13, MinInputs: 1, MaxInputs: 1, Infer: infer, Float32: float32s, Float64: float64s,
			Gradient: func(g *Gradient) error {
				g.Set(0, g.AddWith("tandem."+name+"Gradient", g.Node.Attributes, g.Out[0], g.Node.Outputs[0]))
				return nil
			},
			Cases: cases,
		})
		Register(Def{
			Name: "tandem." + name + "Gradient", MinInputs: 2, MaxInputs: 2, Infer: infer, // dy, y
			Float32: gradient32, Float64: gradient64, NoGradient: "tandem takes first derivatives alone",
		})
	}
	softmax("Softmax", bindAlong(kernel.Softmax[float32]), bindAlong(kernel.Softmax[float64]),
		bindAlongGradient(kernel.SoftmaxGradient[float32]), bindAlongGradient(kernel.SoftmaxGradient[float64]))
	softmax("LogSoftmax", bindAlong(kernel.LogSoftmaxAlong[float32]), bindAlong(kernel.LogSoftmaxAlong[float64]),
		bindAlongGradient(kernel.LogSoftmaxGradient[float32]), bindAlongGradient(kernel.LogSoftmaxGradient[float64]))
}

// axis reads the attribute axis for a shape of the given rank, negative ones counted from the end.
func axis(n *ir.Node, fallback int64, rank int) (int, error) {
	a, err := n.Attributes.Int("axis", fallback)
	if err != nil {
		return 0, err
	}
	at := a
	if at < 0 {
		at += int64(rank)
	}
	if at < 0 || at >= int64(rank) {
		return 0, fmt.Errorf("axis %d is outside a shape of rank %d", a, rank)
	}
	return int(at), nil
}

// along splits a shape at an axis: elements before it, along it, after it.
func along(shape []int, axis int) (outer, n, inner int) {
	return elements(shape[:axis]), shape[axis], elements(shape[axis+1:])
}

func bindAlong[T kernel.Float](f func(y, x []T, n, inner, lo, hi int)) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		at, err := axis(c.Node, -1, len(c.In[0].Shape))
		if err != nil {
			return nil, err
		}
		outer, n, inner := along(c.In[0].Shape, at)
		x, y := c.In[0].Float, c.Out[0].Float
		body := func(_, lo, hi int) { f(y, x, n, inner, lo, hi) }
		vectors, grain := outer*inner, max(1, 512/max(1, n))
		return func() { c.Pool.For(vectors, grain, body) }, nil
	}
}

func bindAlongGradient[T kernel.Float](f func(dx, dy, y []T, n, inner, lo, hi int)) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		at, err := axis(c.Node, -1, len(c.In[0].Shape))
		if err != nil {
			return nil, err
		}
		outer, n, inner := along(c.In[0].Shape, at)
		dy, y, dx := c.In[0].Float, c.In[1].Float, c.Out[0].Float
		body := func(_, lo, hi int) { f(dx, dy, y, n, inner, lo, hi) }
		vectors, grain := outer*inner, max(1, 512/max(1, n))
		return func() { c.Pool.For(vectors, grain, body) }, nil
	}
}
