package op

import (
	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx"
)

// pointwise is an elementwise function of one operand, as functions of numbers, of which exactly one derivative is set, or as kernels. The
// derivative is a function of the operand, or of the result, which lets the operand's memory go earlier.
type pointwise struct {
	value                 func(x float64) float64
	fromInput, fromOutput func(float64) float64
	kernels               *pointwiseKernels
}

// pointwiseKernels are the kernels of an elementwise function and its gradient. The last operand of the gradient is the function's
// operand or, with ofOutput, its result.
type pointwiseKernels struct {
	float32s   func(y, x []float32)
	float64s   func(y, x []float64)
	gradient   func(dx, dy, v []float32)
	gradient64 func(dx, dy, v []float64)
	ofOutput   bool
}

// fixed is for a function without attributes.
func fixed(p pointwise) func(onnx.Attributes) (pointwise, error) {
	return func(onnx.Attributes) (pointwise, error) { return p, nil }
}

// registerPointwise registers an elementwise operator of one operand and, as tandem.<name>Gradient, its gradient. of makes the
// function for a node's attributes.
func registerPointwise(name string, since int64, of func(onnx.Attributes) (pointwise, error), cases ...Case) {
	infer := func(n *ir.Node) error {
		if _, err := of(n.Attributes); err != nil {
			return err
		}
		return inferSame(n)
	}
	gradient := "tandem." + name + "Gradient"
	Register(Def{
		Name: name, Since: since, MinInputs: 1, MaxInputs: 1, Infer: infer,
		Float32: bindPointwise[float32](of), Float64: bindPointwise[float64](of), ElementByElement: true,
		Gradient: func(g *Gradient) error {
			p, err := of(g.Node.Attributes)
			if err != nil {
				return err
			}
			v := g.Node.Inputs[0]
			if p.fromOutput != nil || p.kernels != nil && p.kernels.ofOutput {
				v = g.Node.Outputs[0]
			}
			g.Set(0, g.AddWith(gradient, g.Node.Attributes, g.Out[0], v))
			return nil
		},
		Cases: cases,
	})
	Register(Def{
		Name: gradient, MinInputs: 2, MaxInputs: 2, Infer: infer, // dy, x or y
		Float32: bindPointwiseGradient[float32](of), Float64: bindPointwiseGradient[float64](of), ElementByElement: true,
		NoGradient: "tandem takes first derivatives alone",
	})
}

func bindPointwise[T kernel.Float](of func(onnx.Attributes) (pointwise, error)) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		p, err := of(c.Node.Attributes)
		if err != nil {
			return nil, err
		}
		x, y := c.In[0].Float, c.Out[0].Float
		f := func(y, x []T) { kernel.Map(y, x, p.value) }
		if k := p.kernels; k != nil {
			f = ofType[func(y, x []T)](k.float32s, k.float64s)
		}
		return elementwise(c.Pool, len(y), func(lo, hi int) { f(y[lo:hi], x[lo:hi]) }), nil
	}
}

func bindPointwiseGradient[T kernel.Float](of func(onnx.Attributes) (pointwise, error)) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		p, err := of(c.Node.Attributes)
		if err != nil {
			return nil, err
		}
		derivative := p.fromInput
		if p.fromOutput != nil {
			derivative = p.fromOutput
		}
		f := func(dx, dy, v []T) { kernel.MapGradient(dx, dy, v, derivative) }
		if k := p.kernels; k != nil {
			f = ofType[func(dx, dy, v []T)](k.gradient, k.gradient64)
		}
		dy, v, dx := c.In[0].Float, c.In[1].Float, c.Out[0].Float
		return elementwise(c.Pool, len(dx), func(lo, hi int) { f(dx[lo:hi], dy[lo:hi], v[lo:hi]) }), nil
	}
}

// ofType returns the one of two functions that has the type F.
func ofType[F any](a, b any) F {
	if f, ok := a.(F); ok {
		return f
	}
	return b.(F)
}

// matrixCase is a case with normally distributed elements; away keeps them off a kink at 0.
func matrixCase(name string, away float64, attributes map[string]any) Case {
	return Case{Name: name, Inputs: []CaseInput{{Shape: []int{5, 7}, Away: away}}, Attributes: attributes}
}

// positiveCase is a case for functions that want positive operands.
func positiveCase() Case {
	return Case{Name: "positive", Inputs: []CaseInput{{Shape: []int{2, 3}, Float: []float64{0.25, 0.5, 1, 1.5, 2.75, 8}}}}
}
