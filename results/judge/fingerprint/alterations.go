package fingerprint

import (
	"fmt"
	"math"

	"tandem/onnx"
	"tandem/onnx/tensor"
)

// first takes what the first of several ways to find a mistake finds.
func first(ways ...func(l *Look) *Finding) func(l *Look) *Finding {
	return func(l *Look) *Finding {
		for _, find := range ways {
			if found := find(l); found != nil {
				return found
			}
		}
		return nil
	}
}

// altered computes the suspect anew from the values that both sides agree on, with a mistake in the nodes between, and reports whether that is
// what the candidate has. The nodes as they are must give what the reference has.
func (l *Look) altered(a alteration) (residual float64, ok bool) {
	x, _, err := l.evaluate(a)
	if err != nil {
		return 0, false
	}
	return l.Suspect.explained(x)
}

// inside returns the nodes between the values that both sides agree on and the suspect, if they give the reference's value.
func (l *Look) inside() []*onnx.Node {
	if !l.looked {
		l.looked = true
		if x, nodes, err := l.evaluate(alteration{}); err == nil && near(x, l.Suspect.Exact, l.Suspect.Size) {
			l.nodes = nodes
		}
	}
	return l.nodes
}

// epsilons are those that frameworks' normalizations have by default, and none.
var epsilons = []float64{1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-12, 0}

// findEpsilon tries other epsilons in the normalizations that lead to the suspect.
func findEpsilon(l *Look) *Finding {
	for _, n := range l.inside() {
		if n.OpType != "LayerNormalization" && n.OpType != "BatchNormalization" {
			continue
		}
		was, err := n.Attributes.Float("epsilon", 1e-5)
		if err != nil {
			return nil
		}
		for _, epsilon := range epsilons {
			if math.Abs(epsilon-was) <= 1e-6*was {
				continue
			}
			if residual, ok := l.altered(alteration{epsilon: &epsilon}); ok {
				return &Finding{fmt.Sprintf("%s is what node %q gives with epsilon %.3g instead of %.3g", l.Suspect.Name, n.Name, epsilon, was), residual}
			}
		}
		return nil
	}
	return nil
}

// findNormalizedByOther tries n-1 for n under the sum of squares of the normalizations that lead to the suspect.
func findNormalizedByOther(l *Look) *Finding {
	for _, n := range l.inside() {
		if n.OpType != "LayerNormalization" {
			continue
		}
		if residual, ok := l.altered(alteration{unbiased: true}); ok {
			return &Finding{fmt.Sprintf("%s is what node %q gives when the variance is divided by n-1 instead of n", l.Suspect.Name, n.Name), residual}
		}
		return nil
	}
	return nil
}

// findScoreScale tries other constants for the one that attention's scores are multiplied with: nodes between a product of matrices and a softmax.
func findScoreScale(l *Look) *Finding {
	nodes := l.inside()
	made := map[string]*onnx.Node{}
	softmaxes := false
	for _, n := range nodes {
		made[n.Output(0)] = n
		softmaxes = softmaxes || n.OpType == "Softmax"
	}
	if !softmaxes {
		return nil
	}
	for _, n := range nodes {
		if n.OpType != "Mul" && n.OpType != "Div" || made[n.Input(0)] == nil || made[n.Input(0)].OpType != "MatMul" {
			continue
		}
		c, err := (&evaluation{Look: l}).given(n.Input(1))
		if err != nil || len(c.x) != 1 {
			continue
		}
		was := c.x[0]
		for _, other := range []struct {
			value float64
			name  string
		}{{was * was, "its square"}, {1, "1, that is, without a scale"}, {1 / was, "its inverse"}, {math.Sqrt(was), "its root"}, {-was, "its negative"}} {
			if other.value == was {
				continue
			}
			if residual, ok := l.altered(alteration{replaced: map[string]*array{n.Input(1): {c.shape, []float64{other.value}}}}); ok {
				return &Finding{fmt.Sprintf("%s is what it would be if node %q scaled attention's scores by %.6g instead of %.6g: %s", l.Suspect.Name, n.Name, other.value, was, other.name), residual}
			}
		}
	}
	return nil
}

// findMask tries other triangles for a causal mask that is a constant of the graph: truth values, or zeros and what is added to hide.
func findMask(l *Look) *Finding {
	for _, n := range l.inside() {
		if n.OpType != "Where" && n.OpType != "Add" {
			continue
		}
		for _, name := range n.Inputs {
			mask := l.Model.Graph.Initializer(name)
			side, hidden, ok := causal(mask)
			if !ok {
				continue
			}
			for _, other := range []struct {
				ahead int
				text  string
			}{
				{1, "each position sees the one after it, too"},
				{-1, "no position sees itself, or the one before it is the last that it sees"},
				{side, "every position sees all others: there is no mask"},
			} {
				a := &array{mask.Shape(), make([]float64, side*side)}
				for i := range side {
					for j := range side {
						a.x[i*side+j] = hidden.seen
						if j > i+other.ahead {
							a.x[i*side+j] = hidden.not
						}
					}
				}
				if residual, ok := l.altered(alteration{replaced: map[string]*array{name: a}}); ok {
					return &Finding{fmt.Sprintf("%s is what it would be with another causal mask in node %q: %s", l.Suspect.Name, n.Name, other.text), residual}
				}
			}
		}
	}
	return nil
}

// causal reports whether a constant is a causal mask, square and the same value on and below its diagonal and another above, and returns the two.
func causal(t *tensor.Tensor) (side int, values struct{ seen, not float64 }, ok bool) {
	if t == nil || len(t.Shape()) < 2 {
		return 0, values, false
	}
	side = t.Shape()[len(t.Shape())-1]
	if side < 2 || t.Len() != side*side {
		return 0, values, false
	}
	x := t.Float64s()
	values.seen, values.not = x[0], x[side-1]
	for i := range side {
		for j := range side {
			want := values.seen
			if j > i {
				want = values.not
			}
			if x[i*side+j] != want {
				return 0, values, false
			}
		}
	}
	return side, values, values.seen != values.not
}

// findDropoutOffInside tries each dropout that leads to the suspect as it is in eval mode, and all of them.
func findDropoutOffInside(l *Look) *Finding {
	var sites []string
	for _, n := range l.inside() {
		if n.OpType == "Dropout" {
			sites = append(sites, n.Name)
		}
	}
	if len(sites) == 0 {
		return nil
	}
	residual, ok := l.altered(alteration{eval: true})
	if !ok {
		return nil
	}
	return &Finding{fmt.Sprintf("%s is what it would be in eval mode, without the dropout of node %q", l.Suspect.Name, sites[0]), residual}
}
