package pass

import (
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
)

// Recompute shortens the lives of values that the backward pass needs and that are quickly computed again (op.Def.Again) from what it needs as
// well: GELUs, normalizations and short attentions in front of products, whose weights' gradients are computed from them, and such attentions' softmax. Each is computed a second time
// where the backward pass first reads it, so that it takes no memory between (Chen, Xu, Zhang and Guestrin, "Training Deep Nets with
// Sublinear Memory Cost", 2016, for single nodes). No bit of any result changes.
func Recompute(g *ir.Graph) error {
	r := &recomputing{graph: g, readers: map[*ir.Value][]int{}, short: map[*ir.Value]bool{}}
	for i, n := range g.Nodes {
		for _, v := range n.Inputs {
			if v != nil && !slices.Contains(r.readers[v], i) {
				r.readers[v] = append(r.readers[v], i)
			}
		}
	}
	before := make([][]*ir.Node, len(g.Nodes)) // the nodes that each one gets in front of it
	for i, n := range g.Nodes {
		if err := r.node(i, n, before); err != nil {
			return err
		}
	}
	var nodes []*ir.Node
	for i, n := range g.Nodes {
		nodes = append(append(nodes, before[i]...), n)
	}
	g.Nodes = nodes
	return Prune(g)
}

type recomputing struct {
	graph   *ir.Graph
	readers map[*ir.Value][]int // the places of the nodes that read a value, rising
	short   map[*ir.Value]bool  // what is computed again and so does not live on
}

// node lets a node of the forward pass be computed again, if that is of use.
func (r *recomputing) node(at int, n *ir.Node, before [][]*ir.Node) error {
	def := op.Lookup(n.Op)
	if def == nil || def.Again == nil || n.Origin.Phase != ir.Forward {
		return nil
	}
	// The names under which the value is read: its own and those of views of it.
	y := n.Outputs[0]
	names := []*ir.Value{y}
	for k := 0; k < len(names); k++ {
		if slices.Contains(r.graph.Outputs, names[k]) {
			return nil
		}
		for _, i := range r.readers[names[k]] {
			if view := r.graph.Nodes[i]; op.Lookup(view.Op).View && view.Inputs[0] == names[k] {
				names = append(names, view.Outputs[0])
			}
		}
	}
	first, between := len(r.graph.Nodes), false
	for _, v := range names {
		for _, i := range r.readers[v] {
			switch reader := r.graph.Nodes[i]; {
			case op.Lookup(reader.Op).View:
			case reader.Origin.Phase < ir.Backward:
				between = true // else nothing lies between the two passes
			default:
				first = min(first, i)
			}
		}
	}
	again := def.Again(n)
	if first == len(r.graph.Nodes) || !between || again == nil || !r.lives(again.Inputs, first) {
		return nil
	}
	r.short[y] = true
	again.Origin = n.Origin
	again.Origin.Phase = ir.Backward
	copies := map[*ir.Value]*ir.Value{}
	another := func(n *ir.Node, of *ir.Value) *ir.Value {
		copies[of] = &ir.Value{Name: r.graph.UniqueName(of.Name + "/again"), Producer: n}
		return copies[of]
	}
	add := func(n *ir.Node, of *ir.Value) error {
		n.Outputs = append([]*ir.Value{another(n, of)}, n.Outputs[min(1, len(n.Outputs)):]...)
		before[first] = append(before[first], n)
		return op.Infer(n)
	}
	for i := 1; i < len(again.Outputs); i++ {
		v := n.Outputs[i]
		if v == nil || len(r.readers[v]) == 0 || r.readers[v][0] < first || slices.Contains(r.graph.Outputs, v) ||
			slices.ContainsFunc(r.readers[v], func(i int) bool { return op.Lookup(r.graph.Nodes[i].Op).View }) {
			continue // else all who read it come behind, under its own name
		}
		again.Outputs[i] = another(again, v)
		r.short[v] = true
		r.read(v, first, copies[v])
		n.Outputs[i] = nil
	}
	if err := add(again, y); err != nil {
		return err
	}
	for _, v := range names {
		if v != y {
			view := *v.Producer
			view.Outputs = nil
			view.Inputs = slices.Clone(view.Inputs)
			view.Inputs[0] = copies[view.Inputs[0]]
			view.Origin.Phase = ir.Backward
			if err := add(&view, v); err != nil {
				return err
			}
		}
		r.read(v, first, copies[v])
	}
	return nil
}

// read gives another value to those who read v from a place of the graph on, views aside.
func (r *recomputing) read(v *ir.Value, from int, another *ir.Value) {
	for _, i := range r.readers[v] {
		if reader := r.graph.Nodes[i]; i >= from && !op.Lookup(reader.Op).View {
			for k, in := range reader.Inputs {
				if in == v {
					reader.Inputs[k] = another
				}
			}
		}
	}
}

// lives reports whether all these values are there at a place of the graph without being kept for it: another node reads them there or later.
func (r *recomputing) lives(values []*ir.Value, at int) bool {
	return !slices.ContainsFunc(values, func(v *ir.Value) bool {
		if v == nil || v.Role != ir.Intermediate { // nil: an input that is omitted, as an attention's mask
			return false
		}
		places := r.readers[v]
		return r.short[v] || len(places) == 0 || places[len(places)-1] < at
	})
}
