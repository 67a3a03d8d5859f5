package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// broadcast returns the shape that two shapes broadcast to by ONNX's multidirectional rule, which is NumPy's.
func broadcast(a, b []int) ([]int, error) {
	out := make([]int, max(len(a), len(b)))
	for i := range out {
		da, db := 1, 1
		if j := i - (len(out) - len(a)); j >= 0 {
			da = a[j]
		}
		if j := i - (len(out) - len(b)); j >= 0 {
			db = b[j]
		}
		switch {
		case da == db || db == 1:
			out[i] = da
		case da == 1:
			out[i] = db
		default:
			return nil, fmt.Errorf("shapes %v and %v do not broadcast", a, b)
		}
	}
	return out, nil
}

// walk says how an operand is read along an output: for output row r (a run of the last dimension), the operand's
// elements start at offset[r] and are step apart.
type walk struct {
	offset []int
	step   int
}

// newWalk makes the walk of an operand of the given shape along an output shape that it broadcasts to; its step is 0 or 1.
func newWalk(shape, out []int) walk {
	strides := make([]int, len(out)) // 0 where the operand is broadcast
	for i, stride := len(shape)-1, 1; i >= 0; i-- {
		if shape[i] != 1 {
			strides[i+len(out)-len(shape)] = stride
		}
		stride *= shape[i]
	}
	return stridedWalk(out, strides, 0)
}

// stridedWalk makes the walk of an operand whose element for the output's index i is at start + sum of i[d]*strides[d].
func stridedWalk(out, strides []int, start int) walk {
	if len(out) == 0 {
		return walk{offset: []int{start}}
	}
	rows := 1
	for _, s := range out[:len(out)-1] {
		rows *= s
	}
	w := walk{offset: make([]int, rows), step: strides[len(out)-1]}
	index := make([]int, len(out)-1)
	at := start
	for r := range w.offset {
		w.offset[r] = at
		for d := len(index) - 1; d >= 0; d-- {
			index[d]++
			at += strides[d]
			if index[d] < out[d] {
				break
			}
			at -= strides[d] * out[d]
			index[d] = 0
		}
	}
	return w
}

// inferArithmetic is inferBroadcast for operators that take two integers as well: shapes are computed with them.
func inferArithmetic(n *ir.Node) error {
	if n.Inputs[0].Type != ir.Int64 || n.Inputs[1].Type != ir.Int64 {
		return inferBroadcast(n)
	}
	shape, err := broadcast(n.Inputs[0].Shape, n.Inputs[1].Shape)
	if err != nil {
		return err
	}
	setOutput(n, 0, ir.Int64, shape...)
	return nil
}

// inferBroadcast gives output 0 the shape that the two inputs broadcast to.
func inferBroadcast(n *ir.Node) error {
	if err := wantFloat(n, 0, 1); err != nil {
		return err
	}
	shape, err := broadcast(n.Inputs[0].Shape, n.Inputs[1].Shape)
	if err != nil {
		return err
	}
	setOutput(n, 0, ir.Float, shape...)
	return nil
}

// bindBinary makes the call of an elementwise operator with two operands that broadcast. row computes one run of
// the last dimension; an operand with step 0 gives its first element to the whole run.
func bindBinary[T kernel.Float](c *Context[T], row func(y, a, b []T, stepA, stepB int)) (func(), error) {
	return rowCall(c, c.Out[0].Float, c.In[0].Float, c.In[1].Float, row), nil
}

// bindArithmetic is bindBinary for operators that take two integers as well.
func bindArithmetic[T kernel.Float](c *Context[T], row func(y, a, b []T, stepA, stepB int), integer func(a, b int64) int64) (func(), error) {
	if c.Node.Inputs[0].Type != ir.Int64 {
		return bindBinary(c, row)
	}
	return rowCall(c, c.Out[0].Int, c.In[0].Int, c.In[1].Int, func(y, a, b []int64, stepA, stepB int) {
		for i := range y {
			y[i] = integer(a[i*stepA], b[i*stepB])
		}
	}), nil
}

func rowCall[T kernel.Float, E any](c *Context[T], y, a, b []E, row func(y, a, b []E, stepA, stepB int)) func() {
	out := c.Out[0].Shape
	if len(y) == 0 {
		return func() {}
	}
	if equalShapes(c.In[0].Shape, out) && equalShapes(c.In[1].Shape, out) {
		return elementwise(c.Pool, len(y), func(lo, hi int) { row(y[lo:hi], a[lo:hi], b[lo:hi], 1, 1) })
	}
	walkA, walkB := newWalk(c.In[0].Shape, out), newWalk(c.In[1].Shape, out)
	width := 1
	if len(out) > 0 {
		width = out[len(out)-1]
	}
	body := func(_, lo, hi int) {
		for r := lo; r < hi; r++ {
			row(y[r*width:(r+1)*width], a[walkA.offset[r]:], b[walkB.offset[r]:], walkA.step, walkB.step)
		}
	}
	rows, grain := len(walkA.offset), max(1, elementGrain/width)
	return func() { c.Pool.For(rows, grain, body) }
}

// sumTo returns v summed to the shape that it was broadcast from; v itself when nothing was broadcast.
func (g *Gradient) sumTo(v *ir.Value, shape []int) *ir.Value {
	if equalShapes(v.Shape, shape) {
		return v
	}
	return g.Add("tandem.SumTo", map[string]any{"shape": toInt64s(shape)}, v)
}
