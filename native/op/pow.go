package op

import (
	"math"

	"tandem/native/kernel"
)

// Pow is a to the power of b, elementwise with broadcasting. The gradient of b is y * log(a), and 0 where a is 0 and b is not
// negative, as PyTorch's is; that of a is 0 where b is 0.
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
		Name: "Pow", Since: 7, MinInputs: 2, MaxInputs: 2, Infer: inferBroadcast,
		Float32: bindPow[float32](math.Pow), Float64: bindPow[float64](math.Pow),
		Gradient: func(g *Gradient) error {
			for i, operator := range []string{"tandem.PowGradientBase", "tandem.PowGradientExponent"} {
				if g.Needs(i) {
					slope := g.Add(operator, nil, g.Node.Inputs...)
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

// bindPow computes in float64 and rounds once.
func bindPow[T kernel.Float](f func(a, b float64) float64) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		return bindBinary(c, func(y, a, b []T, sa, sb int) {
			for i := range y {
				y[i] = T(f(float64(a[i*sa]), float64(b[i*sb])))
			}
		})
	}
}
