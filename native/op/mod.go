package op

import (
	"math"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Mod is the remainder of a division, elementwise with broadcasting: with the sign of the divisor (fmod = 0), as Python's %, or of the
// dividend (fmod = 1). The gradient of the dividend is 1, that of the divisor minus the quotient rounded down, or towards zero.
func init() {
	fmod := map[string]any{"fmod": int64(1)}
	divisor := CaseInput{Shape: []int{3}, Float: []float64{0.75, -1.5, 2.25}}
	dividend := CaseInput{Shape: []int{2, 3}, Float: []float64{1, 2, 5, -4, -1, 0.5}}
	Register(Def{
		Name: "Mod", Since: 10, MinInputs: 2, MaxInputs: 2,
		Infer: func(n *ir.Node) error {
			if _, err := n.Attributes.Int("fmod", 0); err != nil {
				return err
			}
			return inferArithmetic(n)
		},
		Float32: bindMod[float32], Float64: bindMod[float64],
		Gradient: func(g *Gradient) error {
			if g.Needs(0) {
				g.Set(0, g.sumTo(g.Out[0], g.Node.Inputs[0].Shape))
			}
			if g.Needs(1) { // d/db (a - quotient * b)
				b, rounded := g.Node.Inputs[1], "Floor"
				if sign, err := g.Node.Attributes.Int("fmod", 0); err != nil {
					return err
				} else if sign != 0 {
					rounded = "tandem.Truncate"
				}
				quotient := g.Add(rounded, nil, g.Add("Div", nil, g.Node.Inputs...))
				g.Set(1, g.Add("tandem.Scale", map[string]any{"factor": -1.0}, g.sumTo(g.Add("Mul", nil, g.Out[0], quotient), b.Shape)))
			}
			return nil
		},
		Cases: []Case{
			{Name: "sign of the dividend", Inputs: []CaseInput{dividend, divisor}, Attributes: fmod},
			{Name: "sign of the divisor", Inputs: []CaseInput{dividend, divisor}},
		},
	})
	Register(Def{
		Name: "tandem.Truncate", MinInputs: 1, MaxInputs: 1, Infer: inferSame,
		Float32: bindTruncate[float32], Float64: bindTruncate[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

func bindMod[T kernel.Float](c *Context[T]) (func(), error) {
	sign, err := c.Node.Attributes.Int("fmod", 0)
	if err != nil {
		return nil, err
	}
	integer := func(a, b int64) int64 {
		if b == 0 {
			return 0 // ONNX leaves it undefined
		}
		r := a % b
		if sign == 0 && r != 0 && (r < 0) != (b < 0) {
			r += b
		}
		return r
	}
	return bindArithmetic(c, func(y, a, b []T, stepA, stepB int) {
		for i := range y {
			divisor := float64(b[i*stepB])
			r := math.Mod(float64(a[i*stepA]), divisor)
			if sign == 0 {
				if r == 0 {
					r = math.Copysign(0, divisor)
				} else if (r < 0) != (divisor < 0) {
					r += divisor
				}
			}
			y[i] = T(r)
		}
	}, integer)
}

func bindTruncate[T kernel.Float](c *Context[T]) (func(), error) {
	x, y := c.In[0].Float, c.Out[0].Float
	return elementwise(c.Pool, len(y), func(lo, hi int) { kernel.Map(y[lo:hi], x[lo:hi], math.Trunc) }), nil
}
