package judge

import (
	"math"
	"slices"
	"strings"

	"tandem/onnx"
	"tandem/results/judge/fingerprint"
	"tandem/results/judge/updateformula"
	"tandem/results/record"
)

// graph is a model's nodes as the diagnosis needs them: who makes and who reads a value. It knows no operator.
type graph struct {
	nodes    []*onnx.Node
	producer map[string]int   // node by the value that it makes
	readers  map[string][]int // nodes by a value that they read
}

func newGraph(m *onnx.Model) *graph {
	g := &graph{producer: map[string]int{}, readers: map[string][]int{}}
	if m == nil {
		return g
	}
	g.nodes = m.Graph.Nodes
	for i, n := range g.nodes {
		for _, v := range n.Outputs {
			if v != "" {
				g.producer[v] = i
			}
		}
		for _, v := range n.Inputs {
			if v != "" {
				g.readers[v] = append(g.readers[v], i)
			}
		}
	}
	return g
}

// place returns the node that a tensor of the trace belongs to, and where it stands in the order of computation: forward in the forward pass,
// backward in the backward pass. Tensors of no node come last, by name.
func (g *graph) place(stage record.Stage, tensor string) (*onnx.Node, int) {
	kind, name, _ := strings.Cut(tensor, "/")
	switch stage {
	case record.StageForward:
		if i, ok := g.producer[name]; ok {
			return g.nodes[i], i
		}
	case record.StageBackward, record.StageBuffers:
		// A tied parameter has several readers. Its gradient is whole only when the backward pass has reached the first of them.
		if readers := g.readers[name]; len(readers) > 0 {
			i := slices.Min(readers)
			if stage == record.StageBackward {
				return g.nodes[i], len(g.nodes) - i
			}
			return g.nodes[i], i
		}
	case record.StageOptimizer:
		if kind == "optimizer" {
			_, name, _ = strings.Cut(name, "/")
			if readers := g.readers[name]; len(readers) > 0 {
				return g.nodes[slices.Min(readers)], slotPlace(tensor)
			}
			return nil, slotPlace(tensor)
		}
		if readers := g.readers[name]; len(readers) > 0 {
			return g.nodes[slices.Min(readers)], math.MaxInt32 - 1
		}
		return nil, math.MaxInt32 - 1
	}
	return nil, math.MaxInt32
}

// slotPlace orders an optimizer's slots as they are computed: the first moment before the second, RMSprop's momentum last.
func slotPlace(tensor string) int {
	slot, _, _ := strings.Cut(strings.TrimPrefix(tensor, "optimizer/"), "/")
	return map[string]int{updateformula.SecondMoment: 1, updateformula.GradientAverage: 1, updateformula.Momentum: 2}[slot]
}

// upstream lists the other nodes that lead to n from values that were compared and are right, or from the graph's beginning.
func (g *graph) upstream(n *onnx.Node, good map[string]bool) []string {
	seen := map[string]bool{}
	var walk func(n *onnx.Node)
	walk = func(n *onnx.Node) {
		for _, v := range n.Inputs {
			i, made := g.producer[v]
			if !made || good[v] || seen[g.nodes[i].Name] {
				continue
			}
			seen[g.nodes[i].Name] = true
			walk(g.nodes[i])
		}
	}
	walk(n)
	return g.inOrder(seen)
}

// downstream lists the other nodes that the gradient of the look's node comes through from nodes whose parameters' gradients are right. Where
// some other parameter of the node has a right gradient, so has its output, and the node is alone.
func (g *graph) downstream(l *fingerprint.Look, good map[string]bool) []string {
	if slices.ContainsFunc(l.Node.Inputs, func(v string) bool { return good[v] }) {
		return nil
	}
	seen := map[string]bool{}
	var walk func(n *onnx.Node)
	walk = func(n *onnx.Node) {
		for _, v := range n.Outputs {
			for _, i := range g.readers[v] {
				next := g.nodes[i]
				if seen[next.Name] {
					continue
				}
				seen[next.Name] = true
				// The gradients of its parameters show that what comes into it is right; what it hands on is its own.
				if !slices.ContainsFunc(next.Inputs, func(v string) bool { return good[v] }) {
					walk(next)
				}
			}
		}
	}
	walk(l.Node)
	return g.inOrder(seen)
}

// inOrder lists the named nodes in the graph's order.
func (g *graph) inOrder(names map[string]bool) []string {
	var out []string
	for _, n := range g.nodes {
		if names[n.Name] {
			out = append(out, n.Name)
		}
	}
	return out
}
