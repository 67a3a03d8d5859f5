package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx/tensor"
)

// Split cuts its input into parts along one axis: of the lengths in input 1, a constant, or of num_outputs equal ones, the last
// shorter when it does not come out even.
func init() {
	lengths := func(v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: []int{len(v)}, Int: v, Const: true, NoGrad: true}
	}
	Register(Def{
		Name: "Split", Since: 13, MinInputs: 1, MaxInputs: 2, Settings: []int{1},
		Infer: func(n *ir.Node) error {
			at, parts, err := splitLengths(n)
			if err != nil {
				return err
			}
			for i, length := range parts {
				shape := slices.Clone(n.Inputs[0].Shape)
				shape[at] = length
				setOutput(n, i, n.Inputs[0].Type, shape...)
			}
			return nil
		},
		Float32: bindSplit[float32], Float64: bindSplit[float64],
		Gradient: func(g *Gradient) error {
			at, parts, err := splitLengths(g.Node)
			if err != nil {
				return err
			}
			var pieces []*ir.Value
			for i, length := range parts {
				piece := g.Out[i]
				if piece == nil { // nothing depends on this part
					shape := slices.Clone(g.Node.Inputs[0].Shape)
					shape[at] = length
					piece = &ir.Value{Name: "zeros", Type: ir.Float, Shape: shape, Role: ir.Constant, Const: tensor.New(tensor.Float32, shape...)}
				}
				pieces = append(pieces, piece)
			}
			g.Set(0, g.Add("Concat", map[string]any{"axis": at}, pieces...))
			return nil
		},
		Cases: []Case{
			{Name: "lengths", Inputs: []CaseInput{{Shape: []int{2, 6}}, lengths(1, 3, 2)}, Attributes: map[string]any{"axis": int64(1)}, Outputs: 3},
			{Name: "even", Inputs: []CaseInput{{Shape: []int{4, 3}}}, Attributes: map[string]any{"num_outputs": int64(2)}, Outputs: 2},
			{Name: "last one shorter", Inputs: []CaseInput{{Shape: []int{5}}}, Attributes: map[string]any{"num_outputs": int64(3)}, Outputs: 3},
		},
	})
}

func splitLengths(n *ir.Node) (at int, parts []int, err error) {
	shape := n.Inputs[0].Shape
	if at, err = axis(n, 0, len(shape)); err != nil {
		return 0, nil, err
	}
	if n.Input(1) != nil {
		lengths, err := constantInts(n, 1)
		if err != nil {
			return 0, nil, err
		}
		var sum int64
		for _, l := range lengths {
			if l < 0 || l > int64(shape[at]) {
				return 0, nil, fmt.Errorf("lengths %v do not cut axis %d of shape %v", lengths, at, shape)
			}
			sum += l
		}
		if sum != int64(shape[at]) || len(lengths) != len(n.Outputs) {
			return 0, nil, fmt.Errorf("lengths %v do not cut axis %d of shape %v into %d outputs", lengths, at, shape, len(n.Outputs))
		}
		return at, toInts(lengths), nil
	}
	count, err := n.Attributes.Int("num_outputs", int64(len(n.Outputs)))
	if err != nil {
		return 0, nil, err
	}
	if count != int64(len(n.Outputs)) {
		return 0, nil, fmt.Errorf("num_outputs is %d, the node has %d outputs", count, len(n.Outputs))
	}
	length := (shape[at] + int(count) - 1) / int(count)
	for left := shape[at]; len(parts) < int(count); left -= length {
		parts = append(parts, max(0, min(length, left)))
	}
	return at, parts, nil
}

func bindSplit[T kernel.Float](c *Context[T]) (func(), error) {
	at, parts, err := splitLengths(c.Node)
	if err != nil {
		return nil, err
	}
	var calls []func()
	outer, n, inner := along(c.In[0].Shape, at)
	start := 0
	for i, length := range parts {
		if c.Node.Outputs[i] != nil {
			calls = append(calls, copyBlocks(c.Out[i], c.In[0].from(start*inner), outer, length*inner, length*inner, n*inner))
		}
		start += length
	}
	return sequence(calls), nil
}
