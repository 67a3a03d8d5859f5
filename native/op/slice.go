package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Slice takes every step-th element between start and end along some axes; starts, ends, axes and steps are constants. Bounds beyond the
// shape are held inside it, as ONNX says.
func init() {
	ints := func(v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: []int{len(v)}, Int: v, Const: true, NoGrad: true}
	}
	Register(Def{
		Name: "Slice", Since: 10, MinInputs: 3, MaxInputs: 5, Settings: []int{1, 2, 3, 4}, Picks: true,
		Infer: func(n *ir.Node) error {
			s, err := newSlicing(n)
			if err != nil {
				return err
			}
			setOutput(n, 0, n.Inputs[0].Type, s.shape...)
			return nil
		},
		Float32: bindSlice[float32], Float64: bindSlice[float64],
		Gradient: func(g *Gradient) error {
			s, err := newSlicing(g.Node)
			if err != nil {
				return err
			}
			g.Set(0, g.Add("tandem.SliceGradient", map[string]any{
				"shape": toInt64s(g.Node.Inputs[0].Shape), "starts": toInt64s(s.starts), "steps": toInt64s(s.steps),
			}, g.Out[0]))
			return nil
		},
		Cases: []Case{
			{Name: "rows", Inputs: []CaseInput{{Shape: []int{4, 3}}, ints(1), ints(3)}},
			{Name: "columns backwards", Inputs: []CaseInput{{Shape: []int{2, 5}}, ints(-1), ints(-100), ints(1), ints(-2)}},
			{Name: "both axes", Inputs: []CaseInput{{Shape: []int{4, 5}}, ints(0, 1), ints(100, -1), ints(-2, -1), ints(3, 2)}},
			{Name: "empty", Inputs: []CaseInput{{Shape: []int{4, 5}}, ints(3), ints(1)}},
		},
	})
	Register(Def{
		Name: "tandem.SliceGradient", MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			shape, err := n.Attributes.Ints("shape", nil)
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, toInts(shape)...)
			return nil
		},
		Float32: bindSliceGradient[float32], Float64: bindSliceGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// slicing is what is taken, for every dimension of the input.
type slicing struct{ starts, steps, shape []int }

func newSlicing(n *ir.Node) (s slicing, err error) {
	in := n.Inputs[0].Shape
	starts, err := constantInts(n, 1)
	if err != nil {
		return s, err
	}
	ends, err := constantInts(n, 2)
	if err != nil {
		return s, err
	}
	axes, steps := make([]int, len(starts)), make([]int64, len(starts))
	for i := range starts {
		axes[i], steps[i] = i, 1
	}
	if n.Input(3) != nil {
		if axes, err = constantAxes(n, 3, len(in)); err != nil {
			return s, err
		}
	}
	if n.Input(4) != nil {
		if steps, err = constantInts(n, 4); err != nil {
			return s, err
		}
	}
	if len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) || len(starts) > len(in) {
		return s, fmt.Errorf("starts, ends, axes and steps have %d, %d, %d and %d elements for a shape of rank %d", len(starts), len(ends), len(axes), len(steps), len(in))
	}
	s = slicing{starts: make([]int, len(in)), steps: slices.Repeat([]int{1}, len(in)), shape: slices.Clone(in)}
	for i, a := range axes {
		size, step := int64(in[a]), steps[i]
		if step == 0 {
			return s, fmt.Errorf("a step is 0")
		}
		step = max(min(step, size+1), -size-1) // a step beyond the shape takes one element, as any such does
		lowest, highest := int64(0), size
		if step < 0 {
			lowest, highest = -1, size-1
		}
		inside := func(x int64) int64 {
			if x < 0 {
				x += size
			}
			return max(lowest, min(highest, x))
		}
		start, end := inside(starts[i]), inside(ends[i])
		count := (end - start + step - 1) / step
		if step < 0 {
			count = (start - end - step - 1) / -step
		}
		s.starts[a], s.steps[a], s.shape[a] = int(start), int(step), int(max(0, count))
	}
	return s, nil
}

// sliceWalk is the walk over the input's elements along the slice's.
func sliceWalk(in, out []int, starts, steps []int) walk {
	strides, first := denseStrides(in), 0
	for d := range strides {
		first += strides[d] * starts[d]
		strides[d] *= steps[d]
	}
	return stridedWalk(out, strides, first)
}

func bindSlice[T kernel.Float](c *Context[T]) (func(), error) {
	s, err := newSlicing(c.Node)
	if err != nil {
		return nil, err
	}
	return copyWalk(c, sliceWalk(c.In[0].Shape, s.shape, s.starts, s.steps)), nil
}

func bindSliceGradient[T kernel.Float](c *Context[T]) (func(), error) {
	starts, err := c.Node.Attributes.Ints("starts", nil)
	if err != nil {
		return nil, err
	}
	steps, err := c.Node.Attributes.Ints("steps", nil)
	if err != nil {
		return nil, err
	}
	out := c.In[0].Shape
	w, width := sliceWalk(c.Out[0].Shape, out, toInts(starts), toInts(steps)), 1
	if len(out) > 0 {
		width = out[len(out)-1]
	}
	dy, dx := c.In[0].Float, c.Out[0].Float
	if len(dy) == 0 {
		return func() { clear(dx) }, nil
	}
	return func() {
		clear(dx)
		kernel.AddStrided(dx, dy, w.offset, width, w.step)
	}, nil
}
