package pass

import (
	"slices"

	"tandem/native/ir"
	"tandem/native/optim"
)

// farElements is the number of elements (1 MiB of float32) from which on a value does not stay in a near cache until something reads it a few products later.
const farElements = 256 << 10

// nearElements is the number from which on the squares of a gradient are summed by themselves, behind what computes it: with fewer, a call would take what is won.
const nearElements = 32 << 10

// Near puts what reads a large value from its beginning to its end, and does little with it, right behind what computes the value: sums of its rows, and the
// squares of gradients for the norm that clips them. Each result is the same.
func Near(g *ir.Graph) error {
	behind := map[*ir.Node][]*ir.Node{}
	moved := map[*ir.Node]bool{}
	for _, n := range g.Nodes {
		if n.Op == "tandem.SumTo" && n.Inputs[0].Producer != nil && n.Inputs[0].Len() >= farElements {
			behind[n.Inputs[0].Producer] = append(behind[n.Inputs[0].Producer], n)
			moved[n] = true
		}
		for i, v := range n.Inputs {
			if v == nil || v.Producer == nil || v.Len() < nearElements {
				continue
			}
			early, err := optim.SquaresEarly(g, n, i)
			if err != nil {
				return err
			}
			if early != nil {
				behind[v.Producer] = append(behind[v.Producer], early)
			}
		}
	}
	nodes := slices.DeleteFunc(slices.Clone(g.Nodes), func(n *ir.Node) bool { return moved[n] })
	g.Nodes = g.Nodes[:0:0]
	var add func(n *ir.Node)
	add = func(n *ir.Node) {
		g.Nodes = append(g.Nodes, n)
		for _, next := range behind[n] {
			add(next)
		}
	}
	for _, n := range nodes {
		add(n)
	}
	return g.Verify()
}
