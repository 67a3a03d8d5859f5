package pass

import (
	"strings"

	"tandem/native/ir"
	"tandem/native/op"
)

// A model's last update is often its largest: that of its first layer, beside which those of the other layers' biases and weights are small, too small to
// be shared between threads. One thread does these while the others have begun with the large one. They are independent of each other: each writes a
// parameter and its slots, which nothing else in a step reads by then.

// besideShare is the share of the last update's work that the others together may have.
const besideShare = 0.25

// lastUpdate puts the largest update last, if all that comes behind it is small, so that the others can run beside it.
func lastUpdate(g *ir.Graph) {
	at := -1
	for i, n := range g.Nodes {
		if isProductUpdate(n) {
			at = i
		}
	}
	if at < 0 {
		return
	}
	n, behind := g.Nodes[at], 0.0
	for _, other := range g.Nodes[at+1:] {
		if other.Origin.Phase < ir.Backward {
			return
		}
		behind += cost(other)
	}
	if behind > besideShare*cost(n) {
		return
	}
	g.Nodes = append(append(g.Nodes[:at:at], g.Nodes[at+1:]...), n)
}

// isProductUpdate reports whether a node updates a weight with a product, and needs no memory of the plan for it.
func isProductUpdate(n *ir.Node) bool {
	return n.Origin.Phase == ir.Update && len(n.Writes) > 0 && strings.HasSuffix(n.Op, ".product") && len(n.Outputs) == 0 && n.Workspace == 0
}

// cost estimates a node's time, in floating-point operations: moving a byte takes as long as one.
func cost(n *ir.Node) float64 {
	w := op.WorkOf(n, 4)
	return w.Operations + w.Bytes
}

// beside returns how many nodes in front of the last can run beside it, and what they have to do as a part of what that has: updates of parameters, and
// the sums that some of them need, together a small part.
func beside(nodes []*ir.Node) (count int, share float64) {
	last := len(nodes) - 1
	if last < 0 || !isProductUpdate(nodes[last]) {
		return 0, 0
	}
	all := cost(nodes[last])
	for i := last - 1; i >= 0; i-- {
		n := nodes[i]
		if n.Op != "tandem.SumTo" && (n.Origin.Phase != ir.Update || len(n.Writes) == 0 || len(n.Outputs) > 0) || share+cost(n)/all > besideShare {
			break
		}
		count, share = count+1, share+cost(n)/all
	}
	return count, share
}
