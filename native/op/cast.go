package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// Cast changes the element type. Between float32 and float64 it changes nothing, since a trainer computes everything in one of them, and
// between int32 and int64 only what int32 does not hold; narrower types, whose rounding would be lost, are refused. CastLike changes it to that of its second input.
func init() {
	bools := CaseInput{Type: ir.Bool, Shape: []int{3}, Bool: []bool{true, false, true}, NoGrad: true}
	ints := CaseInput{Type: ir.Int64, Shape: []int{3}, Int: []int64{-2, 0, 7}, NoGrad: true}
	Register(Def{
		Name: "Cast", Since: 6, MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			to, err := castTarget(n)
			if err != nil {
				return err
			}
			setOutput(n, 0, to, n.Inputs[0].Shape...)
			return nil
		},
		Float32: bindCast[float32], Float64: bindCast[float64],
		Gradient: func(g *Gradient) error { g.Set(0, g.Out[0]); return nil },
		Cases: []Case{
			{Name: "float", Inputs: []CaseInput{{Shape: []int{3}}}, Attributes: map[string]any{"to": onnx.CodeOfDType(tensor.Float64)}},
			{Name: "bool to float", Inputs: []CaseInput{bools}, Attributes: map[string]any{"to": onnx.CodeOfDType(tensor.Float32)}},
			{Name: "int64 to float", Inputs: []CaseInput{ints}, Attributes: map[string]any{"to": onnx.CodeOfDType(tensor.Float32)}},
		},
	})
	Register(Def{
		Name: "CastLike", Since: 15, MinInputs: 2, MaxInputs: 2,
		Infer:   func(n *ir.Node) error { setOutput(n, 0, n.Inputs[1].Type, n.Inputs[0].Shape...); return nil },
		Float32: bindCast[float32], Float64: bindCast[float64],
		Gradient: func(g *Gradient) error {
			if g.Needs(1) { // its elements do not matter
				like := g.Node.Inputs[1].Shape
				g.Set(1, &ir.Value{Name: "zeros", Type: ir.Float, Shape: like, Role: ir.Constant, Const: tensor.New(tensor.Float32, like...)})
			}
			if g.Needs(0) {
				g.Set(0, g.Out[0])
			}
			return nil
		},
		Cases: []Case{
			{Name: "float", Inputs: []CaseInput{{Shape: []int{3}}, {Shape: []int{2}}}},
			{Name: "int64 to float", Inputs: []CaseInput{ints, {Shape: []int{1}, NoGrad: true}}},
		},
	})
}

// castTarget reads the attribute to.
func castTarget(n *ir.Node) (ir.Type, error) {
	code, err := n.Attributes.Int("to", 0)
	if err != nil {
		return 0, err
	}
	to, err := onnx.DTypeOfCode(code)
	if err != nil {
		return 0, fmt.Errorf("to = %d is %w: %w", code, ErrUnsupported, err)
	}
	switch to {
	case tensor.Float32, tensor.Float64:
		return ir.Float, nil
	case tensor.Int64, tensor.Int32:
		return ir.Int64, nil
	case tensor.Bool:
		return ir.Bool, nil
	}
	return 0, fmt.Errorf("a cast to %v is %w: it may be float32, float64, int64, int32 or bool", to, ErrUnsupported)
}

func bindCast[T kernel.Float](c *Context[T]) (func(), error) {
	call, err := bindCastTo64(c)
	if to, _ := c.Node.Attributes.Int("to", 0); err != nil || to != onnx.CodeOfDType(tensor.Int32) {
		return call, err
	}
	y := c.Out[0].Int
	return func() {
		call()
		kernel.Convert(y, y, func(v int64) int64 { return int64(int32(v)) })
	}, nil
}

func bindCastTo64[T kernel.Float](c *Context[T]) (func(), error) {
	in, out := c.In[0], c.Out[0]
	from, to := c.Node.Inputs[0].Type, c.Node.Outputs[0].Type
	switch {
	case from == to:
		return copyBlocks(out, in, 1, elements(in.Shape), 0, 0), nil
	case from == ir.Float && to == ir.Int64: // towards zero
		return func() { kernel.Convert(out.Int, in.Float, func(x T) int64 { return int64(x) }) }, nil
	case from == ir.Float && to == ir.Bool:
		return func() { kernel.Convert(out.Bool, in.Float, func(x T) bool { return x != 0 }) }, nil
	case from == ir.Int64 && to == ir.Float:
		return func() { kernel.Convert(out.Float, in.Int, func(x int64) T { return T(x) }) }, nil
	case from == ir.Int64 && to == ir.Bool:
		return func() { kernel.Convert(out.Bool, in.Int, func(x int64) bool { return x != 0 }) }, nil
	case from == ir.Bool && to == ir.Float:
		return func() { kernel.Convert(out.Float, in.Bool, one[T]) }, nil
	case from == ir.Bool && to == ir.Int64:
		return func() { kernel.Convert(out.Int, in.Bool, one[int64]) }, nil
	}
	return nil, fmt.Errorf("a cast from %v to %v is %w", from, to, ErrUnsupported)
}

func one[E int64 | float32 | float64](x bool) E {
	if x {
		return 1
	}
	return 0
}
