package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx"
)

// picker returns for each dimension of the result which index of the operand, of the shape in, is taken; -1 is none.
type picker func(attributes onnx.Attributes, in []int) ([][]int, error)

// registerPick registers an operator that picks elements, and its gradient as tandem.<name>Gradient: along each dimension, index i of the
// result is some index of the operand, or none. settle turns the node's attributes and constant inputs into attributes that the
// picker reads; fill is the number of the input that says what stands where nothing is picked, or -1.
func registerPick(d Def, fill int, settle func(n *ir.Node) (onnx.Attributes, error), pick picker) {
	d.Infer = func(n *ir.Node) error {
		attributes, err := settle(n)
		if err != nil {
			return err
		}
		from, err := pick(attributes, n.Inputs[0].Shape)
		if err != nil {
			return err
		}
		if fill >= 0 {
			if v := n.Input(fill); v != nil && (v.Len() != 1 || v.Type != n.Inputs[0].Type) {
				return fmt.Errorf("input %d is %v%v, must be one %v", fill, v.Type, v.Shape, n.Inputs[0].Type)
			}
		}
		setOutput(n, 0, n.Inputs[0].Type, lengths(from)...)
		return nil
	}
	d.Float32, d.Float64 = bindPick[float32](fill, settle, pick), bindPick[float64](fill, settle, pick)
	gradient := "tandem." + d.Name + "Gradient"
	d.Gradient = func(g *Gradient) error {
		attributes, err := settle(g.Node)
		if err != nil {
			return err
		}
		if g.Needs(0) {
			g.Set(0, g.AddWith(gradient, attributes.With("operand", toInt64s(g.Node.Inputs[0].Shape)), g.Out[0]))
		}
		return nil
	}
	Register(d)
	Register(Def{
		Name: gradient, MinInputs: 1, MaxInputs: 1, // dy
		Infer: func(n *ir.Node) error {
			shape, err := n.Attributes.Ints("operand", nil)
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, toInts(shape)...)
			return nil
		},
		Float32: bindPickGradient[float32](pick), Float64: bindPickGradient[float64](pick),
		NoGradient: "tandem takes first derivatives alone",
	})
}

func lengths(from [][]int) []int {
	shape := make([]int, len(from))
	for d, index := range from {
		shape[d] = len(index)
	}
	return shape
}

func bindPick[T kernel.Float](fill int, settle func(n *ir.Node) (onnx.Attributes, error), pick picker) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		attributes, err := settle(c.Node)
		if err != nil {
			return nil, err
		}
		from, err := pick(attributes, c.In[0].Shape)
		if err != nil {
			return nil, err
		}
		if elements(c.Out[0].Shape) == 0 {
			return func() {}, nil
		}
		p := kernel.NewPicking(c.In[0].Shape, from)
		x, y, with := c.In[0], c.Out[0], Buffer[T]{}
		if fill >= 0 && c.Node.Input(fill) != nil {
			with = c.In[fill]
		}
		body := func(_, lo, hi int) { kernel.Pick(y.Float, x.Float, p, first(with.Float), lo, hi) }
		switch c.Node.Inputs[0].Type {
		case ir.Int64:
			body = func(_, lo, hi int) { kernel.Pick(y.Int, x.Int, p, first(with.Int), lo, hi) }
		case ir.Bool:
			body = func(_, lo, hi int) { kernel.Pick(y.Bool, x.Bool, p, first(with.Bool), lo, hi) }
		}
		grain := max(1, elementGrain*p.Rows()/elements(c.Out[0].Shape))
		return func() { c.Pool.For(p.Rows(), grain, body) }, nil
	}
}

// first returns the first element, or zero.
func first[E any](x []E) (e E) {
	if len(x) > 0 {
		e = x[0]
	}
	return e
}

func bindPickGradient[T kernel.Float](pick picker) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		from, err := pick(c.Node.Attributes, c.Out[0].Shape)
		if err != nil {
			return nil, err
		}
		dy, dx := c.In[0].Float, c.Out[0].Float
		if len(dx) == 0 || len(dy) == 0 {
			return func() { clear(dx) }, nil
		}
		p := kernel.NewPicking(c.Out[0].Shape, from)
		body := func(_, lo, hi int) { kernel.PickGradient(dx, dy, p, lo, hi) }
		grain := max(1, elementGrain*p.Planes()/(len(dx)+len(dy)))
		return func() { c.Pool.For(p.Planes(), grain, body) }, nil
	}
}
