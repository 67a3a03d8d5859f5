package pass

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
)

// align is the multiple of elements at which a value starts: 64 bytes of float32, a cache line.
const align = 16

// Plan says where each value that is not persistent or constant lies: an offset in elements into the arena of its type.
type Plan struct {
	Offset map[*ir.Value]int
	// Length is the size of each type's arena in elements.
	Length map[ir.Type]int
	// Alias names the value whose memory another one shares: the input of a view, or what its node overwrites (op.Def.Overwrites).
	Alias map[*ir.Value]*ir.Value
	// Workspace stands for the memory that a node needs only while it runs.
	Workspace map[*ir.Node]*ir.Value
}

// interval is a value's life: from the node that computes it to the last one that reads it.
type interval struct {
	value       *ir.Value
	size        int
	first, last int
}

// NewPlan places every value so that no two that live at the same time overlap. Inputs and outputs live during the whole
// run, so that the caller can fill and read them. Larger values are placed first, each at the lowest free offset (the
// greedy-by-size strategy of Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020).
func NewPlan(g *ir.Graph) (*Plan, error) {
	p := &Plan{Offset: map[*ir.Value]int{}, Length: map[ir.Type]int{}, Alias: map[*ir.Value]*ir.Value{}, Workspace: map[*ir.Node]*ir.Value{}}
	lives, lastReader := map[*ir.Value]*interval{}, lastReaders(g)
	var order []*interval
	born := func(v *ir.Value, at int) {
		lives[v] = &interval{v, (v.Len() + align - 1) / align * align, at, at}
		order = append(order, lives[v])
	}
	for _, v := range g.Inputs {
		born(v, -1)
		lives[v].last = len(g.Nodes)
	}
	for i, n := range g.Nodes {
		def := op.Lookup(n.Op)
		if def == nil {
			return nil, fmt.Errorf("pass: no operator %s", n.Op)
		}
		for _, v := range n.Inputs {
			if v == nil {
				continue
			}
			if l := lives[p.Root(v)]; l != nil {
				l.last = max(l.last, i)
			}
		}
		if n.Workspace > 0 {
			p.Workspace[n] = &ir.Value{Name: n.Origin.Node + "/workspace", Type: ir.Float, Shape: []int{n.Workspace}}
			born(p.Workspace[n], i)
		}
		for k, v := range n.Outputs {
			switch {
			case v == nil:
			case def.View && k == 0:
				p.Alias[v] = p.Root(n.Inputs[0])
			case k == 1 && def.Overwrites != nil && def.Overwrites(n) && lives[p.Root(n.Inputs[3])] != nil && lastReader[p.Root(n.Inputs[3])] == i:
				p.Alias[v] = p.Root(n.Inputs[3])
			default:
				born(v, i)
			}
		}
	}
	for _, v := range g.Outputs {
		if l := lives[p.Root(v)]; l != nil {
			l.last = len(g.Nodes)
		}
	}
	slices.SortStableFunc(order, func(a, b *interval) int { return b.size - a.size })
	placed := map[ir.Type][]*interval{}
	for _, l := range order {
		t := l.value.Type
		at := 0
		for _, other := range placed[t] { // in order of offset
			if other.last < l.first || l.last < other.first {
				continue
			}
			start := p.Offset[other.value]
			if at+l.size <= start {
				break
			}
			at = max(at, start+other.size)
		}
		p.Offset[l.value] = at
		p.Length[t] = max(p.Length[t], at+l.size)
		placed[t] = append(placed[t], l)
		slices.SortStableFunc(placed[t], func(a, b *interval) int { return p.Offset[a.value] - p.Offset[b.value] })
	}
	return p, nil
}

// lastReaders returns the place of the last node that reads a value or a view of it; beyond all nodes for the graph's inputs and outputs.
func lastReaders(g *ir.Graph) map[*ir.Value]int {
	last, roots := map[*ir.Value]int{}, map[*ir.Value]*ir.Value{}
	root := func(v *ir.Value) *ir.Value {
		if r := roots[v]; r != nil {
			return r
		}
		return v
	}
	for i, n := range g.Nodes {
		for _, v := range n.Inputs {
			if v != nil {
				last[root(v)] = i
			}
		}
		if def := op.Lookup(n.Op); def != nil && def.View && n.Outputs[0] != nil {
			roots[n.Outputs[0]] = root(n.Inputs[0])
		}
	}
	for _, v := range slices.Concat(g.Inputs, g.Outputs) {
		last[root(v)] = len(g.Nodes)
	}
	return last
}

// Root returns the value whose memory v has.
func (p *Plan) Root(v *ir.Value) *ir.Value {
	if r := p.Alias[v]; r != nil {
		return r
	}
	return v
}
