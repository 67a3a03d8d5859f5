package pass

import (
	"fmt"
	"math"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// Describe returns a manifest for a model that has none, since another exporter than tandem's wrote it: what Import takes its initializers for,
// and which of its nodes draw masks. With it in the file every engine trains the same. The checks of the manifest say in sentences what the
// graph means for training, such as that its BatchNormalization has fixed statistics.
//
// An initializer of floating-point numbers is trained but for
//
//   - a scalar (rank 0): a factor, an epsilon, an exponent;
//   - what an operator takes as a setting (Def.Settings): shapes, bounds, ratios;
//   - the exponent of Pow, and the initial states of LSTM, GRU and RNN;
//   - what no node reads;
//   - one that holds an infinity, a NaN or a number beyond 1e30 either way: a mask of attention;
//   - the running statistics of a BatchNormalization, which are buffers.
//
// Everything else is a constant.
func Describe(m *onnx.Model) (*onnx.Manifest, error) {
	g, err := Import(m, map[string]int{"batch": 2})
	if err != nil {
		return nil, err
	}
	d := Initializers(m)
	numbers := 0
	for _, p := range d.Parameters {
		numbers += m.Graph.Initializer(p.Name).Len()
	}
	say := func(format string, args ...any) { d.Checks = append(d.Checks, fmt.Sprintf(format, args...)) }
	say("the file has no manifest of tandem's: %d of its initializers with %d numbers are taken for trained weights, %d for buffers, %d for constants; "+
		"it is trained as its graph says, whatever the exporter folded, merged or left out", len(d.Parameters), numbers, len(d.Buffers), len(d.Constants))
	fixed, batch, idle := 0, 0, 0
	for _, n := range g.Nodes {
		switch n.Op {
		case "BatchNormalization":
			training, err := n.Attributes.Int("training_mode", 0)
			if err != nil {
				return nil, &op.NodeError{Node: n, Err: err}
			}
			if training == 0 {
				fixed++
			} else {
				batch++
			}
		case "Dropout", "Bernoulli":
			p, err := n.Attributes.Float("tandem_p", 0)
			if err != nil {
				return nil, &op.NodeError{Node: n, Err: err}
			}
			// With a probability of 0 or 1 there is nothing to draw.
			if n.Op == "Dropout" && !op.Drops(n) || !(p > 0 && p < 1) {
				idle++
				continue
			}
			d.Dropout = append(d.Dropout, onnx.DropoutSite{Site: len(d.Dropout), Node: n.Origin.Node, Operator: n.Op, P: p, Module: n.Origin.ModulePath})
		}
	}
	if fixed > 0 {
		say("%d BatchNormalization nodes have fixed statistics: the file was exported for inference, and they train their scale and shift alone", fixed)
	}
	if batch > 0 {
		say("%d BatchNormalization nodes use the batch's statistics; the running variance is ONNX's biased one, PyTorch's own is not", batch)
	}
	if idle > 0 {
		say("%d dropout nodes draw nothing, since the graph has them in inference mode or with a probability of 0 or 1", idle)
	}
	if fixed+batch+idle+len(d.Dropout) == 0 {
		say("the graph has no BatchNormalization and no dropout; if the model has them, the exporter folded the one and dropped the other, and neither is trained here")
	}
	return d, nil
}

// Initializers is the part of [Describe] that says what a model's initializers are taken for. The model's operators need not be supported.
func Initializers(m *onnx.Model) *onnx.Manifest {
	d := &onnx.Manifest{
		Version: onnx.ManifestVersion,
		// The rest is not known of a program that is not tandem's.
		Exporter: onnx.Exporter{Name: m.Producer},
	}
	roles := guessRoles(m.Graph)
	for _, init := range m.Graph.Initializers {
		switch roles[init.Name] {
		case ir.Parameter:
			d.Parameters = append(d.Parameters, onnx.Parameter{Name: init.Name, RequiresGrad: true})
		case ir.Buffer:
			d.Buffers = append(d.Buffers, init.Name)
		default:
			d.Constants = append(d.Constants, init.Name)
		}
	}
	return d
}

// guessRoles finds the parameters and buffers of a model that does not say: see Describe.
func guessRoles(g *onnx.Graph) map[string]ir.Role {
	roles := map[string]ir.Role{}
	read := map[string]bool{}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			read[in] = true
		}
	}
	for _, init := range g.Initializers {
		if t := init.Tensor; read[init.Name] && t.DType().IsFloat() && len(t.Shape()) > 0 && !masks(t) {
			roles[init.Name] = ir.Parameter
		}
	}
	for _, n := range g.Nodes {
		if n.Domain != "" {
			continue
		}
		if d := op.Lookup(n.OpType); d != nil {
			for _, i := range d.Settings {
				delete(roles, n.Input(i))
			}
		}
		switch n.OpType {
		case "Pow":
			delete(roles, n.Input(1))
		case "LSTM", "GRU", "RNN":
			delete(roles, n.Input(5))
			delete(roles, n.Input(6))
		case "BatchNormalization":
			for _, i := range []int{3, 4} {
				if t := g.Initializer(n.Input(i)); t != nil && t.DType().IsFloat() {
					roles[n.Input(i)] = ir.Buffer
				}
			}
		}
	}
	return roles
}

// masks reports whether a tensor has an element that no weight has.
func masks(t *tensor.Tensor) bool {
	for _, x := range t.Float64s() {
		if !(math.Abs(x) <= 1e30) {
			return true
		}
	}
	return false
}
