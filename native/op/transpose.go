package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Transpose exchanges dimensions; without perm it reverses them.
func init() {
	Register(Def{
		Name: "Transpose", Since: 1, MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			perm, err := permutation(n)
			if err != nil {
				return err
			}
			shape := make([]int, len(perm))
			for i, p := range perm {
				shape[i] = n.Inputs[0].Shape[p]
			}
			setOutput(n, 0, n.Inputs[0].Type, shape...)
			return nil
		},
		Float32: bindTranspose[float32], Float64: bindTranspose[float64],
		Gradient: func(g *Gradient) error {
			perm, err := permutation(g.Node)
			if err != nil {
				return err
			}
			back := make([]int64, len(perm))
			for i, p := range perm {
				back[p] = int64(i)
			}
			g.Set(0, g.Add("Transpose", map[string]any{"perm": back}, g.Out[0]))
			return nil
		},
		Cases: []Case{
			{Name: "matrix", Inputs: []CaseInput{{Shape: []int{3, 5}}}},
			{Name: "perm", Inputs: []CaseInput{{Shape: []int{2, 3, 4}}}, Attributes: map[string]any{"perm": []int64{1, 2, 0}}},
			{Name: "batch", Inputs: []CaseInput{{Shape: []int{2, 3, 4, 2}}}, Attributes: map[string]any{"perm": []int64{0, 2, 1, 3}}},
			{Name: "scalar", Inputs: []CaseInput{{}}},
		},
	})
}

func permutation(n *ir.Node) ([]int64, error) {
	rank := len(n.Inputs[0].Shape)
	reversed := make([]int64, rank)
	for i := range reversed {
		reversed[i] = int64(rank - 1 - i)
	}
	perm, err := n.Attributes.Ints("perm", reversed)
	if err != nil {
		return nil, err
	}
	sorted := slices.Sorted(slices.Values(perm))
	for i, p := range sorted {
		if p != int64(i) || len(perm) != rank {
			return nil, fmt.Errorf("perm %v is no permutation of the dimensions of %v", perm, n.Inputs[0].Shape)
		}
	}
	if len(perm) != rank {
		return nil, fmt.Errorf("perm %v is no permutation of the dimensions of %v", perm, n.Inputs[0].Shape)
	}
	return perm, nil
}

func bindTranspose[T kernel.Float](c *Context[T]) (func(), error) {
	perm, err := permutation(c.Node)
	if err != nil {
		return nil, err
	}
	in := denseStrides(c.In[0].Shape)
	strides := make([]int, len(perm))
	for i, p := range perm {
		strides[i] = in[p]
	}
	return copyWalk(c, stridedWalk(c.Out[0].Shape, strides, 0)), nil
}

// denseStrides are the strides of a row-major array.
func denseStrides(shape []int) []int {
	strides := make([]int, len(shape))
	for i, stride := len(shape)-1, 1; i >= 0; i-- {
		strides[i] = stride
		stride *= shape[i]
	}
	return strides
}

// copyWalk makes the call that copies input 0, of any type, along a walk into output 0.
func copyWalk[T kernel.Float](c *Context[T], w walk) func() {
	width := 1
	if s := c.Out[0].Shape; len(s) > 0 {
		width = s[len(s)-1]
	}
	in, out := c.In[0], c.Out[0]
	var body func(worker, lo, hi int)
	switch {
	case len(out.Float) > 0:
		body = func(_, lo, hi int) { kernel.CopyStrided(out.Float, in.Float, w.offset, width, w.step, lo, hi) }
	case len(out.Int) > 0:
		body = func(_, lo, hi int) { kernel.CopyStrided(out.Int, in.Int, w.offset, width, w.step, lo, hi) }
	case len(out.Bool) > 0:
		body = func(_, lo, hi int) { kernel.CopyStrided(out.Bool, in.Bool, w.offset, width, w.step, lo, hi) }
	default:
		return func() {}
	}
	rows, grain := len(w.offset), max(1, elementGrain/width)
	return func() { c.Pool.For(rows, grain, body) }
}
