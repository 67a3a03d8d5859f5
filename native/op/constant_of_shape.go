package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// ConstantOfShape fills the shape in its input, a constant, with one value. EyeLike has ones on a diagonal, moved k columns to the
// right, and zeros elsewhere, in the shape of its input.
func init() {
	Register(Def{
		Name: "ConstantOfShape", Since: 9, MinInputs: 1, MaxInputs: 1, Settings: []int{0},
		Infer: func(n *ir.Node) error {
			shape, err := constantInts(n, 0)
			if err != nil {
				return err
			}
			for _, s := range shape {
				if s < 0 || s > 1<<40 {
					return errNoShape(shape)
				}
			}
			value, err := fillValue(n)
			if err != nil {
				return err
			}
			t, err := typeOf(value.DType())
			if err != nil {
				return err
			}
			setOutput(n, 0, t, toInts(shape)...)
			return nil
		},
		Float32: bindConstantOfShape[float32], Float64: bindConstantOfShape[float64],
		NoGradient: "a constant has none",
		Cases:      []Case{{Name: "zeros", Inputs: []CaseInput{{Type: ir.Int64, Shape: []int{2}, Int: []int64{2, 3}, Const: true}}}},
	})
	Register(Def{
		Name: "EyeLike", Since: 9, MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			if len(n.Inputs[0].Shape) != 2 {
				return fmt.Errorf("shape %v is no matrix's", n.Inputs[0].Shape)
			}
			if _, err := n.Attributes.Int("k", 0); err != nil {
				return err
			}
			t := n.Inputs[0].Type
			if n.Attributes.Has("dtype") {
				code, err := n.Attributes.Int("dtype", 0)
				if err != nil {
					return err
				}
				d, err := onnx.DTypeOfCode(code)
				if err == nil {
					t, err = typeOf(d)
				}
				if err != nil {
					return fmt.Errorf("dtype = %d is %w: %w", code, ErrUnsupported, err)
				}
			}
			setOutput(n, 0, t, n.Inputs[0].Shape...)
			return nil
		},
		Float32: bindEyeLike[float32], Float64: bindEyeLike[float64],
		NoGradient: "a constant has none",
	})
}

// typeOf is the type that elements are computed in.
func typeOf(d tensor.DType) (ir.Type, error) {
	switch d {
	case tensor.Float32, tensor.Float64:
		return ir.Float, nil
	case tensor.Int64, tensor.Int32:
		return ir.Int64, nil
	case tensor.Bool:
		return ir.Bool, nil
	}
	return 0, fmt.Errorf("element type %v is %w", d, ErrUnsupported)
}

// fillValue is the attribute value, one element; without it a float32 zero.
func fillValue(n *ir.Node) (*tensor.Tensor, error) {
	value, err := n.Attributes.Tensor("value")
	if err != nil {
		return nil, err
	}
	if value == nil {
		value = tensor.New(tensor.Float32, 1)
	}
	if value.Len() != 1 {
		return nil, fmt.Errorf("the value has %d elements, must have one", value.Len())
	}
	return value, nil
}

func bindConstantOfShape[T kernel.Float](c *Context[T]) (func(), error) {
	value, err := fillValue(c.Node)
	if err != nil {
		return nil, err
	}
	number := value.Float64s()[0]
	if value.DType() == tensor.Float32 {
		number = onnx.Widen(float32(number))
	}
	integer := int64(0)
	if c.Node.Outputs[0].Type == ir.Int64 {
		t, err := value.Convert(tensor.Int64)
		if err != nil {
			return nil, err
		}
		integer = tensor.View[int64](t)[0]
	}
	y := c.Out[0]
	return func() {
		for i := range y.Float {
			y.Float[i] = T(number)
		}
		for i := range y.Int {
			y.Int[i] = integer
		}
		for i := range y.Bool {
			y.Bool[i] = number != 0
		}
	}, nil
}

func bindEyeLike[T kernel.Float](c *Context[T]) (func(), error) {
	k, err := c.Node.Attributes.Int("k", 0)
	if err != nil {
		return nil, err
	}
	y, rows, columns := c.Out[0], c.In[0].Shape[0], c.In[0].Shape[1]
	return func() {
		clear(y.Float)
		clear(y.Int)
		clear(y.Bool)
		for r := range rows {
			column := int64(r) + k
			if column < 0 || column >= int64(columns) {
				continue
			}
			at := r*columns + int(column)
			switch {
			case y.Float != nil:
				y.Float[at] = 1
			case y.Int != nil:
				y.Int[at] = 1
			default:
				y.Bool[at] = true
			}
		}
	}, nil
}
