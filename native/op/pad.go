package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/onnx"
)

// Pad puts elements before and after those of its input along each dimension, or takes some away where a number is negative: input 1,
// constant, has the numbers before and then the numbers after, for all dimensions or for the axes in input 3. What is put there says mode:
// input 2 or zero ("constant"), the mirror image without the edge itself ("reflect"), the edge ("edge") or the other end ("wrap").
func init() {
	x := func(shape ...int) CaseInput { return CaseInput{Shape: shape} }
	ints := func(v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: []int{len(v)}, Int: v, Const: true, NoGrad: true}
	}
	number := CaseInput{Float: []float64{1.5}, Const: true, NoGrad: true}
	mode := func(m string) map[string]any { return map[string]any{"mode": m} }
	registerPick(Def{
		Name: "Pad", Since: 11, MinInputs: 2, MaxInputs: 4, Settings: []int{1, 2, 3},
		Cases: []Case{
			{Name: "image", Inputs: []CaseInput{x(2, 3, 3, 4), ints(0, 0, 1, 2, 0, 0, 1, 1)}},
			{Name: "constant", Inputs: []CaseInput{x(2, 3), ints(1, 0, 0, 2), number}},
			{Name: "cropped", Inputs: []CaseInput{x(4, 5), ints(-1, 1, 2, -2), number}},
			{Name: "axes", Inputs: []CaseInput{x(2, 3, 4), ints(1, 2), {Omitted: true}, ints(-1)}},
			{Name: "reflect", Inputs: []CaseInput{x(1, 2, 4, 5), ints(0, 0, 2, 1, 0, 0, 3, 4)}, Attributes: mode("reflect")},
			{Name: "edge", Inputs: []CaseInput{x(2, 4, 5), ints(0, 2, 1, 0, 3, 4)}, Attributes: mode("edge")},
			{Name: "wrap", Inputs: []CaseInput{x(2, 3), ints(1, 4, 2, 7)}, Attributes: mode("wrap")},
			{Name: "reflect, cropped before", Inputs: []CaseInput{x(6), ints(-2, 3)}, Attributes: mode("reflect")},
		},
	}, 2, settlePad, pickPad)
}

// settlePad returns the attributes mode, and before and after for every dimension.
func settlePad(n *ir.Node) (onnx.Attributes, error) {
	rank := len(n.Inputs[0].Shape)
	pads, err := constantInts(n, 1)
	if err != nil {
		return onnx.Attributes{}, err
	}
	axes := make([]int, rank)
	for d := range axes {
		axes[d] = d
	}
	if n.Input(3) != nil {
		if axes, err = constantAxes(n, 3, rank); err != nil {
			return onnx.Attributes{}, err
		}
	}
	if len(pads) != 2*len(axes) {
		return onnx.Attributes{}, fmt.Errorf("pads %v must be twice as many numbers as the %d dimensions that are padded", pads, len(axes))
	}
	before, after := make([]int64, rank), make([]int64, rank)
	for i, d := range axes {
		before[d], after[d] = pads[i], pads[len(axes)+i]
	}
	mode, err := n.Attributes.String("mode", "constant")
	return onnx.NewAttributes(map[string]any{"mode": mode, "before": before, "after": after}), err
}

func pickPad(a onnx.Attributes, in []int) ([][]int, error) {
	mode, err := a.String("mode", "")
	if err != nil {
		return nil, err
	}
	before, err := a.Ints("before", nil)
	if err != nil {
		return nil, err
	}
	after, err := a.Ints("after", nil)
	if err != nil {
		return nil, err
	}
	from := make([][]int, len(in))
	for d, size := range in {
		count := int64(size) + before[d] + after[d]
		if count < 0 || count > 1<<40 {
			return nil, fmt.Errorf("a dimension of %d elements cannot be padded with %d and %d", size, before[d], after[d])
		}
		if count > 0 && size == 0 && mode != "constant" {
			return nil, fmt.Errorf("a dimension without elements cannot be padded with mode %q", mode)
		}
		from[d] = make([]int, count)
		for o := range from[d] {
			i := o - int(before[d])
			switch mode {
			case "constant":
				if i < 0 || i >= size {
					i = -1
				}
			case "edge":
				i = max(0, min(size-1, i))
			case "wrap":
				i = modulo(i, size)
			case "reflect":
				if i = modulo(i, max(1, 2*(size-1))); i >= size {
					i = 2*(size-1) - i
				}
			default:
				return nil, fmt.Errorf("mode %q is %w: it may be constant, reflect, edge or wrap", mode, ErrUnsupported)
			}
			from[d][o] = i
		}
	}
	return from, nil
}

// modulo is the remainder from 0 to n-1.
func modulo(i, n int) int { return (i%n + n) % n }
