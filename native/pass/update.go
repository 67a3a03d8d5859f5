package pass

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/optim"
)

// Update adds an optimizer's node for every gradient, with its slots as new persistent values named
// "<slot>/<parameter>". Where the gradients are clipped, a node before them computes the one scale of all.
func Update(g *ir.Graph, gradients map[*ir.Value]*ir.Value, c optim.Config) error {
	slots, err := optim.Slots(c)
	if err != nil {
		return err
	}
	parameters := g.State[:len(g.State):len(g.State)]
	var scale *ir.Value
	if c.ClipNorm > 0 {
		var all []*ir.Value
		for _, p := range parameters {
			if d := gradients[p]; d != nil {
				all = append(all, d)
			}
		}
		if scale, err = optim.ClipScale(g, c, all); err != nil {
			return err
		}
	}
	for _, p := range parameters {
		gradient := gradients[p]
		if gradient == nil {
			continue
		}
		var values []*ir.Value
		for _, s := range slots {
			v := &ir.Value{Name: fmt.Sprintf("%s/%s", s, p.Name), Type: ir.Float, Shape: p.Shape, Role: ir.Slot}
			values = append(values, v)
			g.State = append(g.State, v)
		}
		n, err := optim.Node(c, p, gradient, values, scale)
		if err != nil {
			return err
		}
		g.Nodes = append(g.Nodes, n)
	}
	return g.Verify()
}
