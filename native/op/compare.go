package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Equal, Greater, GreaterOrEqual, Less and LessOrEqual compare elementwise with broadcasting; And, Or, Xor and Not combine what they find.
func init() {
	const none = "a truth value has no derivative"
	compare := func(name string, since int64, float32s Bind[float32], float64s Bind[float64]) {
		Register(Def{
			Name: name, Since: since, MinInputs: 2, MaxInputs: 2, Infer: inferCompare,
			Float32: float32s, Float64: float64s, NoGradient: none,
		})
	}
	compare("Equal", 7, bindCompare(equal[float32], equal[int64], equal[bool]), bindCompare(equal[float64], equal[int64], equal[bool]))
	compare("Greater", 7, bindCompare(greater[float32], greater[int64], nil), bindCompare(greater[float64], greater[int64], nil))
	compare("GreaterOrEqual", 12, bindCompare(greaterOrEqual[float32], greaterOrEqual[int64], nil), bindCompare(greaterOrEqual[float64], greaterOrEqual[int64], nil))
	compare("Less", 7, bindCompare(less[float32], less[int64], nil), bindCompare(less[float64], less[int64], nil))
	compare("LessOrEqual", 12, bindCompare(lessOrEqual[float32], lessOrEqual[int64], nil), bindCompare(lessOrEqual[float64], lessOrEqual[int64], nil))
	and, or, xor := func(a, b bool) bool { return a && b }, func(a, b bool) bool { return a || b }, func(a, b bool) bool { return a != b }
	compare("And", 7, bindCompare[float32](nil, nil, and), bindCompare[float64](nil, nil, and))
	compare("Or", 7, bindCompare[float32](nil, nil, or), bindCompare[float64](nil, nil, or))
	compare("Xor", 7, bindCompare[float32](nil, nil, xor), bindCompare[float64](nil, nil, xor))
	Register(Def{
		Name: "Not", Since: 1, MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			if n.Inputs[0].Type != ir.Bool {
				return fmt.Errorf("input 0 is %v, must be bool", n.Inputs[0].Type)
			}
			setOutput(n, 0, ir.Bool, n.Inputs[0].Shape...)
			return nil
		},
		Float32: bindNot[float32], Float64: bindNot[float64], NoGradient: none,
	})
}

type ordered interface{ float32 | float64 | int64 }

func equal[E comparable](a, b E) bool       { return a == b }
func greater[E ordered](a, b E) bool        { return a > b }
func greaterOrEqual[E ordered](a, b E) bool { return a >= b }
func less[E ordered](a, b E) bool           { return a < b }
func lessOrEqual[E ordered](a, b E) bool    { return a <= b }

func inferCompare(n *ir.Node) error {
	if n.Inputs[0].Type != n.Inputs[1].Type {
		return fmt.Errorf("the inputs are %v and %v, must be alike", n.Inputs[0].Type, n.Inputs[1].Type)
	}
	truths, logical := n.Inputs[0].Type == ir.Bool, n.Op == "And" || n.Op == "Or" || n.Op == "Xor"
	if truths != logical && n.Op != "Equal" {
		return fmt.Errorf("the inputs are %v, which it does not take", n.Inputs[0].Type)
	}
	shape, err := broadcast(n.Inputs[0].Shape, n.Inputs[1].Shape)
	if err != nil {
		return err
	}
	setOutput(n, 0, ir.Bool, shape...)
	return nil
}

// bindCompare makes the call for whichever type the inputs have.
func bindCompare[T kernel.Float](floats func(a, b T) bool, ints func(a, b int64) bool, bools func(a, b bool) bool) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		out := c.Out[0].Shape
		if elements(out) == 0 {
			return func() {}, nil
		}
		wa, wb, width := newWalk(c.In[0].Shape, out), newWalk(c.In[1].Shape, out), 1
		if len(out) > 0 {
			width = out[len(out)-1]
		}
		a, b, y := c.In[0], c.In[1], c.Out[0].Bool
		switch c.Node.Inputs[0].Type {
		case ir.Float:
			return compareCall(y, a.Float, b.Float, wa, wb, width, floats), nil
		case ir.Int64:
			return compareCall(y, a.Int, b.Int, wa, wb, width, ints), nil
		}
		return compareCall(y, a.Bool, b.Bool, wa, wb, width, bools), nil
	}
}

func compareCall[E any](y []bool, a, b []E, wa, wb walk, width int, f func(a, b E) bool) func() {
	return func() {
		for i := range y {
			y[i] = f(a[wa.offset[i/width]+i%width*wa.step], b[wb.offset[i/width]+i%width*wb.step])
		}
	}
}

func bindNot[T kernel.Float](c *Context[T]) (func(), error) {
	x, y := c.In[0].Bool, c.Out[0].Bool
	return func() { kernel.Convert(y, x, func(v bool) bool { return !v }) }, nil
}
