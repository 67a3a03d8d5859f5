package op

import (
	"fmt"
	"math"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// Pow is a to the power of b, elementwise with broadcasting. The gradient of b is y * log(a), and 0 where a is 0 and b is not
// negative, as PyTorch's is; that of a is 0 where b is 0. Either may be int64; the result has a's type.
func init() {
	exponent := func(x float64) CaseInput { return CaseInput{Float: []float64{x}, Const: true, NoGrad: true} }
	positive := CaseInput{Shape: []int{2, 3}, Float: []float64{0.25, 0.5, 1, 1.5, 2.75, 3}}
	gradient := func(name string, float32s Bind[float32], float64s Bind[float64]) {
		Register(Def{
			Name: name, MinInputs: 2, MaxInputs: 2, Infer: inferBroadcast, Float32: float32s, Float64: float64s, // a, b
			NoGradient: "tandem takes first derivatives alone",
		})
	}
	Register(Def{
		Name: "Pow", Since: 7, MinInputs: 2, MaxInputs: 2, Infer: inferPow,
		Float32: bindPow[float32](math.Pow), Float64: bindPow[float64](math.Pow),
		Gradient: func(g *Gradient) error {
			for i, operator := range []string{"tandem.PowGradientBase", "tandem.PowGradientExponent"} {
				if g.Needs(i) {
					a, b := g.Node.Inputs[0], g.Node.Inputs[1]
					if b.Type == ir.Int64 {
						b = g.Add("Cast", map[string]any{"to": onnx.CodeOfDType(tensor.Float32)}, b)
					}
					slope := g.Add(operator, nil, a, b)
					g.Set(i, g.sumTo(g.Add("Mul", nil, g.Out[0], slope), g.Node.Inputs[i].Shape))
				}
			}
			return nil
		},
		Cases: []Case{
			{Name: "square", Inputs: []CaseInput{{Shape: []int{3, 4}}, exponent(2)}},
			{Name: "cube", Inputs: []CaseInput{{Shape: []int{3, 4}}, exponent(3)}},
			{Name: "root", Inputs: []CaseInput{positive, exponent(0.5)}},
			{Name: "inverse", Inputs: []CaseInput{{Shape: []int{3, 4}, Away: 0.5}, exponent(-1)}},
			{Name: "zero", Inputs: []CaseInput{{Shape: []int{3, 4}}, exponent(0)}},
			{Name: "both", Inputs: []CaseInput{positive, {Shape: []int{3}}}},
			{Name: "whole exponents", Inputs: []CaseInput{{Shape: []int{2, 3}, Away: 0.5}, {Type: ir.Int64, Shape: []int{3}, Int: []int64{2, -1, 3}, NoGrad: true}}},
		},
	})
	gradient("tandem.PowGradientBase", bindPow[float32](powSlopeBase), bindPow[float64](powSlopeBase))
	gradient("tandem.PowGradientExponent", bindPow[float32](powSlopeExponent), bindPow[float64](powSlopeExponent))
}

func powSlopeBase(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return b * math.Pow(a, b-1)
}

func powSlopeExponent(a, b float64) float64 {
	if a == 0 && b >= 0 {
		return 0
	}
	return math.Pow(a, b) * math.Log(a)
}

func inferPow(n *ir.Node) error {
	if a, b := n.Inputs[0].Type, n.Inputs[1].Type; a == ir.Bool || b == ir.Bool {
		return fmt.Errorf("the inputs are %v and %v, must be numbers", a, b)
	}
	shape, err := broadcast(n.Inputs[0].Shape, n.Inputs[1].Shape)
	if err != nil {
		return err
	}
	setOutput(n, 0, n.Inputs[0].Type, shape...)
	return nil
}

// bindPow computes in float64 and rounds once, an integer towards zero.
func bindPow[T kernel.Float](f func(a, b float64) float64) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		a, b, y := c.In[0], c.In[1], c.Out[0]
		power := func(a, b int64) int64 { return int64(f(float64(a), float64(b))) } // exact up to 2^53, as shapes are
		switch {
		case a.Int != nil && b.Int != nil:
			return powCall(c, y.Int, a.Int, b.Int, power), nil
		case a.Int != nil:
			return powCall(c, y.Int, a.Int, b.Float, func(a int64, b T) int64 { return int64(f(float64(a), float64(b))) }), nil
		case b.Int != nil:
			return powCall(c, y.Float, a.Float, b.Int, func(a T, b int64) T { return T(f(float64(a), float64(b))) }), nil
		}
		return bindBinary(c, func(y, a, b []T, sa, sb int) {
			for i := range y {
				y[i] = T(f(float64(a[i*sa]), float64(b[i*sb])))
			}
		})
	}
}

// powCall is the call for operands of different types, or of integers.
func powCall[T kernel.Float, A, B any](c *Context[T], y, a []A, b []B, power func(a A, b B) A) func() {
	out, width := c.Out[0].Shape, 1
	if len(y) == 0 {
		return func() {}
	}
	if len(out) > 0 {
		width = out[len(out)-1]
	}
	wa, wb := newWalk(c.In[0].Shape, out), newWalk(c.In[1].Shape, out)
	return func() {
		for i := range y {
			y[i] = power(a[wa.offset[i/width]+i%width*wa.step], b[wb.offset[i/width]+i%width*wb.step])
		}
	}
}
