package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// tandem.SumTo sums its input over the dimensions along which the attribute shape broadcasts to it: the gradient of a
// broadcast. The bias of a linear layer is the usual case: rows summed.
func init() {
	Register(Def{
		Name: "tandem.SumTo", MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			if err := wantFloat(n, 0); err != nil {
				return err
			}
			shape, err := n.Attributes.Ints("shape", nil)
			if err != nil {
				return err
			}
			out := make([]int, len(shape))
			for i, s := range shape {
				out[i] = int(s)
			}
			if back, err := broadcast(out, n.Inputs[0].Shape); err != nil || !equalShapes(back, n.Inputs[0].Shape) {
				return fmt.Errorf("shape %v does not broadcast to %v", out, n.Inputs[0].Shape)
			}
			setOutput(n, 0, ir.Float, out...)
			n.Workspace = sumToParts(n.Inputs[0].Shape, out) * n.Outputs[0].Len()
			return nil
		},
		Float32: bindSumTo[float32], Float64: bindSumTo[float64],
		NoGradient: "tandem takes first derivatives alone",
		Cases: []Case{
			{Name: "rows", Inputs: []CaseInput{{Shape: []int{4, 3}}}, Attributes: map[string]any{"shape": []int64{3}}},
			{Name: "columns", Inputs: []CaseInput{{Shape: []int{4, 3}}}, Attributes: map[string]any{"shape": []int64{4, 1}}},
			{Name: "many rows", Inputs: []CaseInput{{Shape: []int{100, 2622}}}, Attributes: map[string]any{"shape": []int64{2622}}},
			{Name: "middle", Inputs: []CaseInput{{Shape: []int{2, 3, 4}}}, Attributes: map[string]any{"shape": []int64{2, 1, 4}}},
			{Name: "all", Inputs: []CaseInput{{Shape: []int{2, 3}}}, Attributes: map[string]any{"shape": []int64{}}},
		},
	})
}

// Where as many elements are summed over rows that they come from afar, the rows are shared between threads, which have just computed them, in blocks that are
// added up afterwards: fewer would not pay for another loop.
const (
	sumToFar   = 256 << 10
	sumToBlock = 32 // rows, as many as kernel.SumRows adds up by themselves, for the same bits
)

// sumToParts returns the number of such blocks; 0 where there are none.
func sumToParts(in, out []int) int {
	if elements(in) < sumToFar || !isRowSum(in, out) {
		return 0
	}
	blocks := (elements(in)/elements(out) + sumToBlock - 1) / sumToBlock
	if blocks < 2 || blocks > sumToBlock {
		return 0
	}
	return blocks
}

func bindSumTo[T kernel.Float](c *Context[T]) (func(), error) {
	x, y := c.In[0].Float, c.Out[0].Float
	in := c.In[0].Shape
	if len(x) == 0 {
		return func() { clear(y) }, nil
	}
	if len(y) == 1 {
		return func() { y[0] = kernel.Sum(x) }, nil
	}
	if rows := len(x) / len(y); len(c.Out[0].Shape) > 0 && isRowSum(in, c.Out[0].Shape) {
		width := len(y)
		if blocks := sumToParts(in, c.Out[0].Shape); blocks > 0 && len(c.Workspace) >= blocks*width {
			parts := c.Workspace[:blocks*width]
			body := func(_, lo, hi int) {
				for b := lo; b < hi; b++ {
					first := b * sumToBlock
					kernel.SumRows(parts[b*width:(b+1)*width], x[first*width:], min(sumToBlock, rows-first), width, 0, width)
				}
			}
			grain := max(1, elementGrain/(sumToBlock*width))
			return func() {
				c.Pool.For(blocks, grain, body)
				kernel.SumRows(y, parts, blocks, width, 0, width)
			}, nil
		}
		body := func(_, lo, hi int) { kernel.SumRows(y, x, rows, width, lo, hi) }
		return func() { c.Pool.For(width, max(1, elementGrain/rows), body) }, nil
	}
	w := newWalk(c.Out[0].Shape, in)
	width := 1
	if len(in) > 0 {
		width = in[len(in)-1]
	}
	sums := make([]float64, len(y))
	return func() { kernel.ScatterSum(y, x, w.offset, width, w.step, sums) }, nil
}

// isRowSum reports whether the output's shape, ones in front aside, is the tail of the input's.
func isRowSum(in, out []int) bool {
	for len(out) > 0 && out[0] == 1 {
		out = out[1:]
	}
	return len(out) <= len(in) && equalShapes(in[len(in)-len(out):], out)
}
