package pass

import (
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx"
)

// TestWhereItLies follows random chains of transposes, views and splits: the elements that the strides name must be those that the
// chain brings there, counted from the beginning of the root.
func TestWhereItLies(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 8))
	far := 0
	for range 2000 {
		root := &ir.Value{Name: "root", Type: ir.Float, Role: ir.Input, Shape: []int{1 + rng.IntN(3), 2 * (1 + rng.IntN(2)), 1 + rng.IntN(4), 2}}
		held := map[*ir.Value][]int{root: nil} // the numbers of the root's elements
		for i := range root.Len() {
			held[root] = append(held[root], i)
		}
		g, v := ir.NewGraph("g"), root
		for range 1 + rng.IntN(4) {
			switch rng.IntN(3) {
			case 0:
				perm := rng.Perm(len(v.Shape))
				to := appendOne(t, g, "Transpose", map[string]any{"perm": int64sOf(perm)}, v)
				from := denseStrides(v.Shape)
				each(to.Shape, func(index []int) {
					at := 0
					for d, i := range index {
						at += i * from[perm[d]]
					}
					held[to] = append(held[to], held[v][at])
				})
				v = to
			case 1:
				shape, left := []int{}, v.Len()
				for left > 1 && len(shape) < 4 {
					factors := []int{}
					for f := 1; f <= left; f++ {
						if left%f == 0 {
							factors = append(factors, f)
						}
					}
					f := factors[rng.IntN(len(factors))]
					shape, left = append(shape, f), left/f
				}
				to := appendOne(t, g, "tandem.ReshapeTo", map[string]any{"shape": int64sOf(append(shape, left))}, v)
				held[to] = held[v]
				v = to
			case 2:
				axis := rng.IntN(len(v.Shape))
				if v.Shape[axis] < 2 {
					continue
				}
				n := &ir.Node{Op: "Split", Attributes: onnx.NewAttributes(map[string]any{"axis": int64(axis) - int64(rng.IntN(2)*len(v.Shape)), "num_outputs": int64(2)}), Inputs: []*ir.Value{v}}
				n.Outputs = []*ir.Value{{Name: "a", Producer: n}, {Name: "b", Producer: n}}
				if err := op.Infer(n); err != nil {
					t.Fatal(err)
				}
				which := rng.IntN(2)
				to, from := n.Outputs[which], denseStrides(v.Shape)
				each(to.Shape, func(index []int) {
					at := which * n.Outputs[0].Shape[axis] * from[axis]
					for d, i := range index {
						at += i * from[d]
					}
					held[to] = append(held[to], held[v][at])
				})
				v = to
			}
		}
		s := whereItLies(v)
		if !slices.Equal(s.shape, v.Shape) {
			t.Fatalf("the shape is %v, want %v", s.shape, v.Shape)
		}
		if s.root == root && v != root {
			far++
		}
		e := 0
		each(v.Shape, func(index []int) {
			at := s.offset
			for d, i := range index {
				at += i * s.strides[d]
			}
			if got := held[s.root][at]; got != held[v][e] {
				t.Fatalf("element %v of %v is element %d of the root, want %d", index, v.Shape, got, held[v][e])
			}
			e++
		})
		if overlap([]strided{s}) || !overlap([]strided{s, s}) {
			t.Fatalf("%+v overlaps itself alone, or not with itself", s)
		}
	}
	if far < 1000 {
		t.Errorf("only %d chains led back to the root: the test says little", far)
	}
}

func appendOne(t *testing.T, g *ir.Graph, operator string, attributes map[string]any, v *ir.Value) *ir.Value {
	t.Helper()
	to, err := op.Append(g, operator, attributes, ir.Origin{}, ir.Forward, v)
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func int64sOf(v []int) (out []int64) {
	for _, x := range v {
		out = append(out, int64(x))
	}
	return out
}

// each calls f with every index of a shape in order.
func each(shape []int, f func(index []int)) {
	index := make([]int, len(shape))
	for {
		f(index)
		d := len(index) - 1
		for ; d >= 0; d-- {
			if index[d]++; index[d] < shape[d] {
				break
			}
			index[d] = 0
		}
		if d < 0 {
			return
		}
	}
}
