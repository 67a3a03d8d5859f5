package op

import (
	"fmt"
	"math"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Clip holds its input between two scalars, either of which may be omitted. The gradient passes where min < x < max, the bounds
// excluded, as that of torch.clamp with numbers as bounds does; the bounds themselves have none.
func init() {
	bound := func(x float64) CaseInput { return CaseInput{Float: []float64{x}, Const: true, NoGrad: true} }
	scalars := func(n *ir.Node) error {
		if err := wantFloat(n, 1, 2); err != nil {
			return err
		}
		for _, i := range []int{1, 2} {
			if v := n.Input(i); v != nil && v.Len() != 1 {
				return fmt.Errorf("the bound %s has shape %v, must be a scalar", v.Name, v.Shape)
			}
		}
		return inferSame(n)
	}
	Register(Def{
		Name: "Clip", Since: 11, MinInputs: 1, MaxInputs: 3, Settings: []int{1, 2}, Infer: scalars,
		Float32: bindClip[float32], Float64: bindClip[float64],
		Gradient: func(g *Gradient) error {
			if g.Needs(0) {
				g.Set(0, g.Add("tandem.ClipGradient", nil, g.Out[0], g.Node.Inputs[0], g.Node.Input(1), g.Node.Input(2)))
			}
			return nil
		},
		Cases: []Case{
			{Name: "both", Inputs: []CaseInput{{Shape: []int{5, 7}}, bound(-0.5), bound(0.25)}},
			{Name: "min", Inputs: []CaseInput{{Shape: []int{5, 7}}, bound(-0.5)}},
			{Name: "max", Inputs: []CaseInput{{Shape: []int{5, 7}}, {Omitted: true}, bound(0.5)}},
			{Name: "none", Inputs: []CaseInput{{Shape: []int{3}}}},
		},
	})
	Register(Def{
		Name: "tandem.ClipGradient", MinInputs: 2, MaxInputs: 4, Infer: inferSame, // dy, x, min, max
		Float32: bindClipGradient[float32], Float64: bindClipGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// bounds returns the two scalars from input first on: slices of one element, read when the call runs.
func bounds[T kernel.Float](c *Context[T], first int) (low, high []T) {
	low, high = []T{T(math.Inf(-1))}, []T{T(math.Inf(1))} // an infinite x has the gradient 0
	if len(c.In) > first && c.In[first].Shape != nil {
		low = c.In[first].Float
	}
	if len(c.In) > first+1 && c.In[first+1].Shape != nil {
		high = c.In[first+1].Float
	}
	return low, high
}

func bindClip[T kernel.Float](c *Context[T]) (func(), error) {
	low, high := bounds(c, 1)
	x, y := c.In[0].Float, c.Out[0].Float
	return elementwise(c.Pool, len(y), func(lo, hi int) {
		kernel.Clip(y[lo:hi], x[lo:hi], low[0], high[0])
	}), nil
}

func bindClipGradient[T kernel.Float](c *Context[T]) (func(), error) {
	low, high := bounds(c, 2)
	dy, x, dx := c.In[0].Float, c.In[1].Float, c.Out[0].Float
	return elementwise(c.Pool, len(dx), func(lo, hi int) {
		kernel.ClipGradient(dx[lo:hi], dy[lo:hi], x[lo:hi], low[0], high[0])
	}), nil
}
