package pass_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/native/pass"
)

// randomGraph makes a sound graph of additions, views, comparisons and updates of random sizes, empty values among them.
func randomGraph(t *testing.T, rng *rand.Rand) *ir.Graph {
	t.Helper()
	g := ir.NewGraph("random")
	var values []*ir.Value
	for i := range 1 + rng.IntN(3) {
		v := &ir.Value{Name: fmt.Sprintf("in%d", i), Type: ir.Float, Shape: []int{rng.IntN(70), 1 + rng.IntN(3)}, Role: ir.Input}
		g.Inputs, values = append(g.Inputs, v), append(values, v)
	}
	for i := range 1 + rng.IntN(40) {
		n := &ir.Node{Op: []string{"Add", "Identity", "Relu", "Equal", "Where", "Dropout"}[rng.IntN(6)]}
		a := values[rng.IntN(len(values))]
		for a.Type != ir.Float {
			a = values[rng.IntN(len(values))]
		}
		n.Inputs = []*ir.Value{a}
		switch n.Op {
		case "Add", "Equal":
			b := a
			for _, v := range values { // the last one of the same type and shape
				if v.Type == a.Type && v.Shape[0] == a.Shape[0] && v.Shape[1] == a.Shape[1] {
					b = v
				}
			}
			n.Inputs = append(n.Inputs, b)
		case "Where":
			n.Op = "Relu"
			for _, v := range values {
				if v.Type == ir.Bool && v.Shape[0] == a.Shape[0] && v.Shape[1] == a.Shape[1] {
					n.Op, n.Inputs = "Where", []*ir.Value{v, a, a}
				}
			}
		}
		v := &ir.Value{Name: fmt.Sprintf("v%d", i), Producer: n}
		n.Outputs = []*ir.Value{v}
		if n.Op == "Dropout" {
			n.Outputs = append(n.Outputs, &ir.Value{Name: fmt.Sprintf("mask%d", i), Producer: n})
		}
		if err := op.Infer(n); err != nil {
			t.Fatal(err)
		}
		g.Nodes, values = append(g.Nodes, n), append(values, n.Outputs...)
	}
	for range rng.IntN(4) {
		g.Outputs = append(g.Outputs, values[rng.IntN(len(values))])
	}
	if err := g.Verify(); err != nil {
		t.Fatal(err)
	}
	return g
}

// TestPlanNeverOverlapsLiveValues replays random graphs on the plan: every element of the arena remembers which value was written there
// last, and every read must find its own. So two values that live at the same time cannot overlap, without a word on how
// lives are computed.
func TestPlanNeverOverlapsLiveValues(t *testing.T) {
	reused := 0
	for seed := range uint64(400) {
		g := randomGraph(t, rand.New(rand.NewPCG(seed, 1)))
		p, err := pass.NewPlan(g)
		if err != nil {
			t.Fatal(err)
		}
		arena, total := map[ir.Type][]*ir.Value{}, map[ir.Type]int{}
		for typ, n := range p.Length {
			arena[typ] = make([]*ir.Value, n)
		}
		place := func(v *ir.Value) []*ir.Value {
			root := p.Root(v)
			at, ok := p.Offset[root]
			if !ok {
				t.Fatalf("seed %d: %v has no place", seed, v)
			}
			if root.Len() != v.Len() {
				t.Fatalf("seed %d: %v shares the memory of %v", seed, v, root)
			}
			return arena[root.Type][at : at+v.Len()]
		}
		write := func(v *ir.Value) {
			for i := range place(v) {
				place(v)[i] = v
			}
			total[v.Type] += (v.Len() + 15) / 16 * 16
		}
		read := func(v *ir.Value, by string) {
			for i, owner := range place(v) {
				if owner != p.Root(v) {
					t.Fatalf("seed %d: %s reads %v, but element %d was overwritten by %v", seed, by, v, i, owner)
				}
			}
		}
		for _, v := range g.Inputs {
			write(v)
		}
		for _, n := range g.Nodes {
			for _, v := range n.Inputs {
				read(v, n.String())
			}
			if !op.Lookup(n.Op).View {
				for _, v := range n.Outputs {
					write(v)
				}
			}
			for _, v := range n.Inputs { // still there while the node writes its outputs
				read(v, n.String()+" while it writes")
			}
			for _, v := range n.Outputs {
				read(v, n.String()+" at its end")
			}
		}
		for _, v := range append(g.Inputs, g.Outputs...) {
			read(v, "the caller")
		}
		for typ, n := range p.Length {
			if n > total[typ] {
				t.Errorf("seed %d: the arena of %v takes %d elements, without reuse it takes %d", seed, typ, n, total[typ])
			}
			if n < total[typ] {
				reused++
			}
		}
	}
	if reused < 100 {
		t.Errorf("memory was reused in %d graphs alone: the test proves little", reused)
	}
}

// TestPlanReusesAChain: of a chain of equal values two live at a time, the input and the output apart.
func TestPlanReusesAChain(t *testing.T) {
	g := ir.NewGraph("chain")
	v := &ir.Value{Name: "x", Type: ir.Float, Shape: []int{16}, Role: ir.Input}
	g.Inputs = []*ir.Value{v}
	for i := range 10 {
		n := &ir.Node{Op: "Exp", Inputs: []*ir.Value{v}}
		v = &ir.Value{Name: fmt.Sprintf("v%d", i), Producer: n}
		n.Outputs = []*ir.Value{v}
		if err := op.Infer(n); err != nil {
			t.Fatal(err)
		}
		g.Nodes = append(g.Nodes, n)
	}
	g.Outputs = []*ir.Value{v}
	p, err := pass.NewPlan(g)
	if err != nil {
		t.Fatal(err)
	}
	if got := p.Length[ir.Float]; got > 4*16 || got < 3*16 {
		t.Errorf("a chain of 10 values of 16 elements takes %d elements, want the input, the output and one or two between", got)
	}
}
