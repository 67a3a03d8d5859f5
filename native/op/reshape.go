package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/onnx/tensor"
)

// Identity, Flatten, Reshape, Squeeze and Unsqueeze keep their input's elements in order: they take no memory and no time.
func init() {
	shapes := func(shapes ...[]int) (inputs []CaseInput) {
		for _, s := range shapes {
			inputs = append(inputs, CaseInput{Shape: s})
		}
		return inputs
	}
	constant := func(v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: []int{len(v)}, Int: v, Const: true, NoGrad: true}
	}
	view := func(name string, since int64, maxInputs int, infer func(n *ir.Node) ([]int, error), cases ...Case) {
		Register(Def{
			Name: name, Since: since, MinInputs: 1, MaxInputs: maxInputs, Settings: []int{1}, View: true,
			Infer: func(n *ir.Node) error {
				shape, err := infer(n)
				if err != nil {
					return err
				}
				was, _ := tensor.Elements(n.Inputs[0].Shape)
				if now, err := tensor.Elements(shape); err != nil || was != now {
					return fmt.Errorf("shape %v cannot become %v", n.Inputs[0].Shape, shape)
				}
				setOutput(n, 0, n.Inputs[0].Type, shape...)
				return nil
			},
			Gradient: func(g *Gradient) error {
				g.Set(0, g.Add("tandem.ReshapeTo", map[string]any{"shape": toInt64s(g.Node.Inputs[0].Shape)}, g.Out[0]))
				return nil
			},
			Cases: cases,
		})
	}
	view("Identity", 1, 1, func(n *ir.Node) ([]int, error) { return n.Inputs[0].Shape, nil },
		Case{Name: "matrix", Inputs: shapes([]int{2, 3})})
	view("Flatten", 9, 1, inferFlatten,
		Case{Name: "default axis", Inputs: shapes([]int{2, 3, 4})},
		Case{Name: "axis 0", Inputs: shapes([]int{2, 3}), Attributes: map[string]any{"axis": int64(0)}},
		Case{Name: "negative axis", Inputs: shapes([]int{2, 3, 4}), Attributes: map[string]any{"axis": int64(-1)}})
	view("Reshape", 5, 2, inferReshape,
		Case{Name: "plain", Inputs: append(shapes([]int{2, 6}), constant(3, 4))},
		Case{Name: "minus one and zero", Inputs: append(shapes([]int{2, 6}), constant(0, -1, 2))})
	view("Squeeze", 13, 2, inferSqueeze,
		Case{Name: "all", Inputs: shapes([]int{1, 2, 1})},
		Case{Name: "axes", Inputs: append(shapes([]int{1, 2, 1}), constant(-1))})
	view("Unsqueeze", 13, 2, inferUnsqueeze, Case{Name: "axes", Inputs: append(shapes([]int{2, 3}), constant(0, -1))})
	Register(Def{
		Name: "tandem.ReshapeTo", MinInputs: 1, MaxInputs: 1, View: true,
		Infer: func(n *ir.Node) error {
			shape, err := n.Attributes.Ints("shape", nil)
			if err != nil {
				return err
			}
			if elements(toInts(shape)) != n.Inputs[0].Len() {
				return fmt.Errorf("shape %v cannot become %v", n.Inputs[0].Shape, shape)
			}
			setOutput(n, 0, n.Inputs[0].Type, toInts(shape)...)
			return nil
		},
		Gradient: func(g *Gradient) error { g.Set(0, g.reshape(g.Out[0], g.Node.Inputs[0].Shape)); return nil },
		Cases:    []Case{{Name: "matrix", Inputs: shapes([]int{2, 6}), Attributes: map[string]any{"shape": []int64{3, 4}}}},
	})
}

func inferFlatten(n *ir.Node) ([]int, error) {
	axis, err := n.Attributes.Int("axis", 1)
	if err != nil {
		return nil, err
	}
	in := n.Inputs[0].Shape
	if axis < 0 {
		axis += int64(len(in))
	}
	if axis < 0 || axis > int64(len(in)) {
		return nil, fmt.Errorf("axis %d is outside shape %v", axis, in)
	}
	out := []int{1, 1}
	for i, s := range in {
		if int64(i) < axis {
			out[0] *= s
		} else {
			out[1] *= s
		}
	}
	return out, nil
}

func inferReshape(n *ir.Node) ([]int, error) {
	want, err := constantInts(n, 1)
	if err != nil {
		return nil, err
	}
	allowZero, err := n.Attributes.Int("allowzero", 0)
	if err != nil {
		return nil, err
	}
	in := n.Inputs[0].Shape
	out, unknown, known := make([]int, len(want)), -1, 1
	for i, w := range want {
		switch {
		case w == -1 && unknown < 0:
			unknown = i
			continue
		case w == 0 && allowZero == 0:
			if i >= len(in) {
				return nil, fmt.Errorf("the shape %v copies dimension %d, which %v does not have", want, i, in)
			}
			out[i] = in[i]
		case w < 0:
			return nil, errNoShape(want)
		default:
			out[i] = int(w)
		}
		known *= out[i]
	}
	if unknown >= 0 {
		total := n.Inputs[0].Len()
		if known == 0 || total%known != 0 {
			return nil, fmt.Errorf("shape %v cannot become %v", in, want)
		}
		out[unknown] = total / known
	}
	return out, nil
}

func errNoShape(want []int64) error { return fmt.Errorf("the shape %v is no shape", want) }

func inferSqueeze(n *ir.Node) ([]int, error) {
	in := n.Inputs[0].Shape
	if n.Input(1) == nil {
		return slices.DeleteFunc(slices.Clone(in), func(s int) bool { return s == 1 }), nil
	}
	axes, err := constantAxes(n, 1, len(in))
	if err != nil {
		return nil, err
	}
	var out []int
	for i, s := range in {
		if !slices.Contains(axes, i) {
			out = append(out, s)
		} else if s != 1 {
			return nil, fmt.Errorf("dimension %d of shape %v is not 1", i, in)
		}
	}
	return out, nil
}

func inferUnsqueeze(n *ir.Node) ([]int, error) {
	in := n.Inputs[0].Shape
	values, err := constantInts(n, 1)
	if err != nil {
		return nil, err
	}
	axes, err := constantAxes(n, 1, len(in)+len(values))
	if err != nil {
		return nil, err
	}
	var out []int
	for i, next := 0, 0; i < len(in)+len(axes); i++ {
		if slices.Contains(axes, i) {
			out = append(out, 1)
		} else {
			out = append(out, in[next])
			next++
		}
	}
	return out, nil
}

// constantInts reads an input of integers that must be known when the graph is built.
func constantInts(n *ir.Node, i int) ([]int64, error) {
	v := n.Input(i)
	if v == nil {
		return nil, fmt.Errorf("input %d is missing", i)
	}
	if v.Const == nil || v.Type != ir.Int64 {
		return nil, fmt.Errorf("input %d (%s) that is not a constant of integers is %w", i, v.Name, ErrUnsupported)
	}
	t, err := v.Const.Convert(tensor.Int64)
	if err != nil {
		return nil, err
	}
	return tensor.View[int64](t), nil
}

// constantAxes reads distinct axes of a shape of the given rank, negative ones counted from the end.
func constantAxes(n *ir.Node, i, rank int) ([]int, error) {
	values, err := constantInts(n, i)
	if err != nil {
		return nil, err
	}
	return distinctAxes(values, rank)
}

func distinctAxes(values []int64, rank int) ([]int, error) {
	var axes []int
	for _, a := range values {
		if a < 0 {
			a += int64(rank)
		}
		if a < 0 || a >= int64(rank) || slices.Contains(axes, int(a)) {
			return nil, fmt.Errorf("axes %v are not distinct axes of rank %d", values, rank)
		}
		axes = append(axes, int(a))
	}
	return axes, nil
}

func toInts(v []int64) []int {
	out := make([]int, len(v))
	for i, s := range v {
		out[i] = int(s)
	}
	return out
}
