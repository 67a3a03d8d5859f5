package op

import (
	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx"
)

// pointwise is an elementwise function of one operand. Exactly one of the derivatives is set: as a function of the operand, or of
// the result, which lets the operand's memory go earlier.
type pointwise struct {
	value                 func(x float64) float64
	fromInput, fromOutput func(float64) float64
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
		Float32: bindPointwise[float32](of), Float64: bindPointwise[float64](of),
		Gradient: func(g *Gradient) error {
			p, err := of(g.Node.Attributes)
			if err != nil {
				return err
			}
			v := g.Node.Inputs[0]
			if p.fromOutput != nil {
				v = g.Node.Outputs[0]
			}
			g.Set(0, g.AddWith(gradient, g.Node.Attributes, g.Out[0], v))
			return nil
		},
		Cases: cases,
	})
	Register(Def{
		Name: gradient, MinInputs: 2, MaxInputs: 2, Infer: infer, // dy, x or y
		Float32: bindPointwiseGradient[float32](of), Float64: bindPointwiseGradient[float64](of),
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
		return elementwise(c.Pool, len(y), func(lo, hi int) { kernel.Map(y[lo:hi], x[lo:hi], p.value) }), nil
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
		dy, v, dx := c.In[0].Float, c.In[1].Float, c.Out[0].Float
		return elementwise(c.Pool, len(dx), func(lo, hi int) { kernel.MapGradient(dx[lo:hi], dy[lo:hi], v[lo:hi], derivative) }), nil
	}
}

// matrixCase is a case with normally distributed elements; away keeps them off a kink at 0.
func matrixCase(name string, away float64, attributes map[string]any) Case {
	return Case{Name: name, Inputs: []CaseInput{{Shape: []int{5, 7}, Away: away}}, Attributes: attributes}
}

// positiveCase is a case for functions that want positive operands.
func positiveCase() Case {
	return Case{Name: "positive", Inputs: []CaseInput{{Shape: []int{2, 3}, Float: []float64{0.25, 0.5, 1, 1.5, 2.75, 8}}}}
}
