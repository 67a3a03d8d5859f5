package pass

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// constantNode returns the elements of an ONNX Constant node.
func constantNode(n *onnx.Node) (*tensor.Tensor, error) {
	a := n.Attributes
	switch {
	case a.Has("value"):
		return a.Tensor("value")
	case a.Has("value_int"):
		v, err := a.Int("value_int", 0)
		return tensorOf(err, []int64{v})
	case a.Has("value_ints"):
		v, err := a.Ints("value_ints", nil)
		return tensorOf(err, v, len(v))
	case a.Has("value_float"):
		v, err := a.Float("value_float", 0)
		return tensorOf(err, []float64{v})
	case a.Has("value_floats"):
		v, err := a.Floats("value_floats", nil)
		return tensorOf(err, v, len(v))
	}
	return nil, fmt.Errorf("a constant with attributes %v is %w", a.Names(), op.ErrUnsupported)
}

func tensorOf[E tensor.Element](err error, data []E, shape ...int) (*tensor.Tensor, error) {
	if err != nil {
		return nil, err
	}
	return tensor.Of(data, shape...)
}

// constantElements converts a constant's elements to the program's types. A single float32 is widened through its shortest
// decimal, as onnx.Attributes does and for the same reason: it is a number from the model's source text.
func constantElements[T kernel.Float](v *ir.Value) (op.Buffer[T], error) {
	b := op.Buffer[T]{Shape: v.Shape}
	switch v.Type {
	case ir.Float:
		b.Float = make([]T, v.Len())
		for i, x := range widenConstant(v.Const) {
			b.Float[i] = T(x)
		}
	case ir.Int64:
		t, err := v.Const.Convert(tensor.Int64)
		if err != nil {
			return b, err
		}
		b.Int = tensor.View[int64](t)
	case ir.Bool:
		b.Bool = make([]bool, v.Len())
		for i, x := range v.Const.Bytes() {
			b.Bool[i] = x != 0
		}
	}
	return b, nil
}

func widenConstant(t *tensor.Tensor) []float64 {
	if t.DType() == tensor.Float32 && t.Len() == 1 {
		return []float64{onnx.Widen(tensor.View[float32](t)[0])}
	}
	return t.Float64s()
}
