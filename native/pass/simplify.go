package pass

import (
	"fmt"
	"slices"

	"tandem/native/ir"
)

// simplification replaces what a node computes, together with nodes before it that nothing else needs. It appends nodes by
// rewriter.add and returns the value that takes the place of the node's output, or nil where its pattern is not found.
type simplification func(w *rewriter, n *ir.Node) (*ir.Value, error)

// simplifications are applied to the whole graph one after the other, so that a longer pattern stands before its parts.
var simplifications = []simplification{attentionMerged, attentionTransposed, attentionPlain, linearWithBias, linear, viewLast}

// Simplify replaces groups of nodes by single ones that compute the same with fewer passes over memory. It works on the forward pass, before
// Differentiate, so that the gradients are those of the single nodes. Outputs of the graph, and what also names, stay.
//
// Each rule, a file of its own, says in its test how far its results may be from those of the nodes that it replaces: by rounding alone.
// A graph of float64 takes the same way.
func Simplify(g *ir.Graph, also ...*ir.Value) error {
	outputs := g.Outputs
	defer func() { g.Outputs = outputs }()
	g.Outputs = slices.Concat(outputs, also)
	for _, rule := range simplifications {
		w := newRewriter(g)
		nodes := g.Nodes
		g.Nodes = nil
		for _, n := range nodes {
			v, err := rule(w, n)
			if err != nil {
				return err
			}
			if v == nil {
				g.Nodes = append(g.Nodes, n)
				continue
			}
			if err := takeOver(v, n.Outputs[0]); err != nil {
				return err
			}
		}
		if err := Prune(g); err != nil {
			return err
		}
	}
	readThroughViews(g)
	return Prune(g)
}

// takeOver lets the node that computes v compute old instead, so that whoever reads old need not know.
func takeOver(v, old *ir.Value) error {
	if v.Type != old.Type || !slices.Equal(v.Shape, old.Shape) {
		return fmt.Errorf("pass: %v cannot take the place of %v", v, old)
	}
	n := v.Producer
	n.Outputs[slices.Index(n.Outputs, v)] = old
	old.Producer = n
	return nil
}

// rewriter is what a simplification looks at.
type rewriter struct {
	graph *ir.Graph
	// uses counts the readers of each value; being an output counts as well.
	uses map[*ir.Value]int
	// learns marks the values that trained parameters flow into.
	learns map[*ir.Value]bool
}

func newRewriter(g *ir.Graph) *rewriter {
	w := &rewriter{graph: g, uses: map[*ir.Value]int{}, learns: dependsOnParameters(g)}
	for _, n := range g.Nodes {
		for _, v := range n.Inputs {
			w.uses[v]++
		}
	}
	for _, v := range g.Outputs {
		w.uses[v]++
	}
	return w
}

// only returns the node of that operator that computes v, if v is its first output and has one reader.
func (w *rewriter) only(v *ir.Value, operators ...string) *ir.Node {
	if v == nil || v.Producer == nil || w.uses[v] != 1 || v.Producer.Outputs[0] != v || !slices.Contains(operators, v.Producer.Op) {
		return nil
	}
	return v.Producer
}

// number returns the one element of a constant.
func number(v *ir.Value) (x float64, ok bool) {
	if v == nil || v.Role != ir.Constant || v.Type != ir.Float || v.Len() != 1 {
		return 0, false
	}
	return widenConstant(v.Const)[0], true
}
