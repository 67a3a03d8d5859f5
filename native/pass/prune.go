package pass

import (
	"slices"

	"tandem/native/ir"
)

// Prune removes the nodes that neither an output nor a persistent value needs.
func Prune(g *ir.Graph) error {
	needed := map[*ir.Value]bool{}
	for _, v := range g.Outputs {
		needed[v] = true
	}
	keep := make([]bool, len(g.Nodes))
	for i := len(g.Nodes) - 1; i >= 0; i-- {
		n := g.Nodes[i]
		keep[i] = len(n.Writes) > 0 || slices.ContainsFunc(n.Outputs, func(v *ir.Value) bool { return v != nil && needed[v] })
		if !keep[i] {
			continue
		}
		for _, v := range n.Inputs {
			if v != nil {
				needed[v] = true
			}
		}
	}
	var nodes []*ir.Node
	for i, n := range g.Nodes {
		if keep[i] {
			nodes = append(nodes, n)
		}
	}
	g.Nodes = nodes
	return g.Verify()
}
