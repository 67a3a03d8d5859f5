package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Concat joins its inputs along one axis. tandem.Part takes length elements from start on along an axis.
func init() {
	Register(Def{
		Name: "Concat", Since: 4, MinInputs: 1, MaxInputs: -1,
		Infer:   inferConcat,
		Float32: bindConcat[float32], Float64: bindConcat[float64],
		Gradient: func(g *Gradient) error {
			at, err := axis(g.Node, 0, len(g.Node.Inputs[0].Shape))
			if err != nil {
				return err
			}
			start := 0
			for i, v := range g.Node.Inputs {
				if g.Needs(i) {
					g.Set(i, g.Add("tandem.Part", map[string]any{"axis": at, "start": start, "length": v.Shape[at]}, g.Out[0]))
				}
				start += v.Shape[at]
			}
			return nil
		},
		Cases: []Case{
			{Name: "rows", Inputs: []CaseInput{{Shape: []int{2, 3}}, {Shape: []int{1, 3}}}, Attributes: map[string]any{"axis": int64(0)}},
			{Name: "columns", Inputs: []CaseInput{{Shape: []int{2, 3}}, {Shape: []int{2, 1}}, {Shape: []int{2, 2}}}, Attributes: map[string]any{"axis": int64(-1)}},
			{Name: "middle", Inputs: []CaseInput{{Shape: []int{2, 1, 3}}, {Shape: []int{2, 2, 3}}}, Attributes: map[string]any{"axis": int64(1)}},
			{Name: "one", Inputs: []CaseInput{{Shape: []int{2}}}, Attributes: map[string]any{"axis": int64(0)}},
		},
	})
	Register(Def{
		Name: "tandem.Part", MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			at, start, length, err := part(n)
			if err != nil {
				return err
			}
			shape := slices.Clone(n.Inputs[0].Shape)
			if start < 0 || length < 0 || start+length > int64(shape[at]) {
				return fmt.Errorf("elements %d to %d along axis %d of %v do not exist", start, start+length-1, at, shape)
			}
			shape[at] = int(length)
			setOutput(n, 0, n.Inputs[0].Type, shape...)
			return nil
		},
		Float32: bindPart[float32], Float64: bindPart[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

func part(n *ir.Node) (at int, start, length int64, err error) {
	if at, err = axis(n, 0, len(n.Inputs[0].Shape)); err != nil {
		return 0, 0, 0, err
	}
	if start, err = n.Attributes.Int("start", 0); err != nil {
		return 0, 0, 0, err
	}
	length, err = n.Attributes.Int("length", 0)
	return at, start, length, err
}

func inferConcat(n *ir.Node) error {
	if !n.Attributes.Has("axis") {
		return fmt.Errorf("the attribute axis is missing")
	}
	var shape []int
	at := 0
	for i, v := range n.Inputs {
		if i == 0 {
			var err error
			if at, err = axis(n, 0, len(v.Shape)); err != nil {
				return err
			}
			shape = slices.Clone(v.Shape)
			continue
		}
		same := v.Type == n.Inputs[0].Type && len(v.Shape) == len(shape)
		for d := 0; same && d < len(shape); d++ {
			same = d == at || v.Shape[d] == shape[d]
		}
		if !same {
			return fmt.Errorf("input %d is %v%v, which does not join %v%v along axis %d", i, v.Type, v.Shape, n.Inputs[0].Type, n.Inputs[0].Shape, at)
		}
		shape[at] += v.Shape[at]
	}
	setOutput(n, 0, n.Inputs[0].Type, shape...)
	return nil
}

func bindConcat[T kernel.Float](c *Context[T]) (func(), error) {
	at, err := axis(c.Node, 0, len(c.Out[0].Shape))
	if err != nil {
		return nil, err
	}
	var calls []func()
	outer, n, inner := along(c.Out[0].Shape, at)
	start := 0
	for _, in := range c.In {
		width := in.Shape[at] * inner
		calls = append(calls, copyBlocks(c.Out[0].from(start*inner), in, outer, width, n*inner, width))
		start += in.Shape[at]
	}
	return sequence(calls), nil
}

func bindPart[T kernel.Float](c *Context[T]) (func(), error) {
	at, start, length, err := part(c.Node)
	if err != nil {
		return nil, err
	}
	outer, n, inner := along(c.In[0].Shape, at)
	width := int(length) * inner
	return copyBlocks(c.Out[0], c.In[0].from(int(start)*inner), outer, width, width, n*inner), nil
}

// from returns the buffer without its first elements.
func (b Buffer[T]) from(first int) Buffer[T] {
	switch {
	case len(b.Float) > 0:
		b.Float = b.Float[first:]
	case len(b.Int) > 0:
		b.Int = b.Int[first:]
	case len(b.Bool) > 0:
		b.Bool = b.Bool[first:]
	}
	return b
}

// copyBlocks makes the call of kernel.CopyBlocks for buffers of any type.
func copyBlocks[T kernel.Float](out, in Buffer[T], count, width, strideOut, strideIn int) func() {
	switch {
	case count*width == 0:
		return func() {}
	case in.Float != nil:
		return func() { kernel.CopyBlocks(out.Float, in.Float, count, width, strideOut, strideIn) }
	case in.Int != nil:
		return func() { kernel.CopyBlocks(out.Int, in.Int, count, width, strideOut, strideIn) }
	}
	return func() { kernel.CopyBlocks(out.Bool, in.Bool, count, width, strideOut, strideIn) }
}

// sequence is one call after another.
func sequence(calls []func()) func() {
	return func() {
		for _, call := range calls {
			call()
		}
	}
}
