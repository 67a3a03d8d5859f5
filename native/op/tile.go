package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/onnx"
)

// Tile repeats its input along each dimension as often as input 1, a constant, says.
func init() {
	repeats := func(v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: []int{len(v)}, Int: v, Const: true, NoGrad: true}
	}
	registerPick(Def{
		Name: "Tile", Since: 6, MinInputs: 2, MaxInputs: 2, Settings: []int{1},
		Cases: []Case{
			{Name: "both ways", Inputs: []CaseInput{{Shape: []int{2, 3}}, repeats(2, 3)}},
			{Name: "rows", Inputs: []CaseInput{{Shape: []int{2, 3, 2}}, repeats(1, 3, 1)}},
			{Name: "not at all", Inputs: []CaseInput{{Shape: []int{2, 3}}, repeats(0, 1)}},
		},
	}, -1, func(n *ir.Node) (onnx.Attributes, error) {
		repeats, err := constantInts(n, 1)
		return onnx.NewAttributes(map[string]any{"repeats": repeats}), err
	}, func(a onnx.Attributes, in []int) ([][]int, error) {
		repeats, err := a.Ints("repeats", nil)
		if err != nil {
			return nil, err
		}
		if len(repeats) != len(in) {
			return nil, fmt.Errorf("repeats %v must be one number for each dimension of %v", repeats, in)
		}
		from := make([][]int, len(in))
		for d, size := range in {
			if repeats[d] < 0 || repeats[d] > 1<<40/int64(max(1, size)) {
				return nil, fmt.Errorf("repeats %v make no shape of %v", repeats, in)
			}
			from[d] = make([]int, size*int(repeats[d]))
			for o := range from[d] {
				from[d][o] = o % size
			}
		}
		return from, nil
	})
}
