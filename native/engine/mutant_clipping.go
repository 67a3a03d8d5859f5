package engine

import (
	"math"
	"strings"

	"tandem/native/ir"
	"tandem/native/optim"
	"tandem/native/train"
)

// Mistakes in clipping by the global norm. That the optimizer reads the gradients before they are clipped is the mutant "clipping-missing".

// clipped returns the optimizer's nodes that multiply their gradient with the one scale, which input that is, and the largest norm.
func clipped(g *ir.Graph) (nodes []*ir.Node, scale int, limit float64, err error) {
	for _, n := range g.Nodes {
		i, ok := optim.ScaleInput(n)
		if !ok {
			continue
		}
		if limit, err = n.Inputs[i].Producer.Attributes.Float("norm", 0); err != nil {
			return nil, 0, 0, err
		}
		nodes, scale = append(nodes, n), i
	}
	if len(nodes) == 0 {
		err = errNothingChanged
	}
	return nodes, scale, limit, err
}

// clipEach limits the norm of each gradient where that of all together is meant.
func clipEach(g *ir.Graph) error {
	nodes, scale, limit, err := clipped(g)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		clip := n.Inputs[scale].Producer
		if n.Inputs[scale], err = insertBefore(g, n, clip.Op, map[string]any{"norm": limit}, n.Inputs[1]); err != nil {
			return err
		}
	}
	return g.Verify()
}

// clipValues limits each element, as torch.nn.utils.clip_grad_value_ does, where the norm is meant.
func clipValues(g *ir.Graph) error {
	nodes, scale, limit, err := clipped(g)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		low, err := scalar(-limit)
		if err != nil {
			return err
		}
		high, err := scalar(limit)
		if err != nil {
			return err
		}
		if n.Inputs[scale], err = scalar(1); err != nil {
			return err
		}
		if n.Inputs[1], err = insertBefore(g, n, "Clip", nil, n.Inputs[1], low, high); err != nil {
			return err
		}
	}
	return g.Verify()
}

// clipAfterDecay adds the L2 weight decay to the gradients before they are clipped: their norm then has the weights in it.
func clipAfterDecay(g *ir.Graph) error {
	nodes, scale, limit, err := clipped(g)
	if err != nil {
		return err
	}
	first, clip := nodes[0], nodes[0].Inputs[scale].Producer
	var all []*ir.Value
	for _, n := range nodes {
		decay, err := n.Attributes.Float("weight_decay", 0)
		if err != nil {
			return err
		}
		factor, err := scalar(decay)
		if err != nil {
			return err
		}
		weights, err := insertBefore(g, first, "Mul", nil, n.Inputs[0], factor)
		if err != nil {
			return err
		}
		if n.Inputs[1], err = insertBefore(g, first, "Add", nil, n.Inputs[1], weights); err != nil {
			return err
		}
		n.Attributes = n.Attributes.With("weight_decay", 0.0)
		all = append(all, n.Inputs[1])
	}
	one, err := insertBefore(g, first, clip.Op, map[string]any{"norm": limit}, all...)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		n.Inputs[scale] = one
	}
	return g.Verify()
}

// clips reports whether the gradients of the first batch are clipped: a limit that is never reached changes nothing.
func clips(n *Native) bool {
	norm, _ := firstGradient(n)
	return n.options.Optimizer.ClipNorm > 0 && norm > 1.01*n.options.Optimizer.ClipNorm
}

// clipsElements reports whether an element of the first batch's gradients is above the limit.
func clipsElements(n *Native) bool {
	_, largest := firstGradient(n)
	return n.options.Optimizer.ClipNorm > 0 && largest > 1.01*n.options.Optimizer.ClipNorm
}

// firstGradient is the norm of the gradients of the first batch, all together, and their largest element; zero where they cannot be had.
func firstGradient(n *Native) (norm, largest float64) {
	t, err := train.New[float32](n.model, n.options)
	if err != nil {
		return 0, 0
	}
	defer t.Close()
	out, _, err := gradient(n, t, false)
	if err != nil {
		return 0, 0
	}
	sum := 0.0
	for name, g := range out {
		if strings.HasPrefix(name, "gradients/") {
			for _, x := range g.Float64s() {
				sum += x * x
				largest = max(largest, math.Abs(x))
			}
		}
	}
	return math.Sqrt(sum), largest
}

// severalParameters demands more than one gradient: the norm of a single one is that of all.
func severalParameters(n *Native) bool {
	return n.model.Manifest == nil || len(n.model.Manifest.Parameters) > 1
}
