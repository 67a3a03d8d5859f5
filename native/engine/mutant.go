package engine

import (
	"errors"
	"slices"
	"strings"

	"tandem/native/ir"
	"tandem/native/optim"
	"tandem/native/train"
	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/results/engine"
	"tandem/results/record"
)

// mutant is a known mistake that load can plant, so that a judge can prove that it would notice. Nothing else reaches
// one. Each hook that is set changes one thing; the rest of the trainer is the one that is judged. To add a mutant, add a line to
// the table in mutants.go; TestMutants then demands that it is caught.
type mutant struct {
	// name is what load is told.
	name string
	// stage is where the mistake is made, as far as a judge can see from outside: the stage that it has to name.
	stage record.Stage
	// cause is what the judge has to take it for: the name of a fingerprint; "" where it has none.
	cause string
	// batch says that the mistake is in what a step trains on: where both sides tell the batches' digests, the stage is the data.
	batch bool
	// applies says whether the mistake changes anything for what is loaded; nil means that it always does.
	applies func(n *Native) bool

	// data and model change what was read.
	data  func(*data) error
	model func(*onnx.Model) (*onnx.Model, error)
	// options changes what the trainer is told, such as the optimizer's rule; native does where that depends on what was loaded.
	options func(*train.Options)
	native  func(*Native)
	// rewrite changes the forward pass and the loss, gradients what is derived from them.
	rewrite   func(*ir.Graph) error
	gradients func(g *ir.Graph, gradients map[*ir.Value]*ir.Value) error
	// updates changes the optimizer's part of the graph.
	updates func(*ir.Graph) error
	// order says which step's batch a step trains on.
	order func(n *Native, step int64) int64
	// forgets says before which steps the optimizer's moments are set to what they begin with.
	forgets func(n *Native, step int64) bool
	// hides names an optimizer slot that no state file shows: what a training loop carries from step to step unseen.
	hides string
}

func mutantNames() []string {
	var names []string
	for _, m := range mutants {
		names = append(names, m.name)
	}
	slices.Sort(names)
	return names
}

func findMutant(name string) (mutant, error) {
	if name == "" {
		return mutant{}, nil
	}
	i := slices.IndexFunc(mutants, func(m mutant) bool { return m.name == name })
	if i < 0 {
		return mutant{}, engine.Errorf(engine.KindInput, "there is no mutant %q; there are %s", name, strings.Join(mutantNames(), ", "))
	}
	return mutants[i], nil
}

// plant changes what was loaded, before the trainer is made from it.
func (m mutant) plant(n *Native) (err error) {
	if m.applies != nil && !m.applies(n) {
		return engine.Errorf(engine.KindUnsupported, "the mutant %q changes nothing about this experiment", m.name)
	}
	if m.data != nil {
		if err := m.data(n.data); err != nil {
			return err
		}
	}
	if m.model != nil {
		if n.model, err = m.model(n.model); err != nil {
			return err
		}
	}
	if m.options != nil {
		m.options(&n.options)
	}
	if m.native != nil {
		m.native(n)
	}
	n.options.Rewrite, n.options.RewriteGradients, n.options.RewriteUpdate = m.rewrite, m.gradients, m.updates
	return nil
}

// step returns the number of the step whose batch is trained on.
func (m mutant) step(n *Native, step int64) int64 {
	if m.order != nil {
		return m.order(n, step)
	}
	return step
}

// forget sets the optimizer's moments to what they begin with where the mistake does, and returns a call that undoes it.
func (m mutant) forget(n *Native) (undo func() error, err error) {
	if m.forgets == nil || !m.forgets(n, n.trainer.Steps()) {
		return func() error { return nil }, nil
	}
	before := n.trainer.State()
	after := map[string]*tensor.Tensor{}
	for name, t := range before {
		after[name] = t
		if strings.HasPrefix(name, "optimizer/") {
			after[name] = tensor.New(t.DType(), t.Shape()...)
			slot, _, _ := strings.Cut(strings.TrimPrefix(name, "optimizer/"), "/")
			for i := range tensor.View[float32](after[name]) {
				tensor.View[float32](after[name])[i] = float32(optim.Initial(n.options.Optimizer, slot))
			}
		}
	}
	return func() error { return n.trainer.SetState(before) }, n.trainer.SetState(after)
}

// hidden is how the names of what the mistake hides begin; no name begins like this where it hides nothing.
func (m mutant) hidden() string { return "optimizer/" + m.hides + "/" }

// hide leaves out of a state what the mistake hides.
func (m mutant) hide(state map[string]*tensor.Tensor) {
	for name := range state {
		if m.hides != "" && strings.HasPrefix(name, m.hidden()) {
			delete(state, name)
		}
	}
}

// complete adds to a state that is set what the mistake hides: nothing has been carried yet.
func (m mutant) complete(n *Native, state map[string]*tensor.Tensor) {
	if m.hides == "" {
		return
	}
	for _, p := range n.trainer.Parameters() {
		if _, ok := state["parameters/"+p.Name]; ok && !p.Frozen {
			state[m.hidden()+p.Name] = tensor.New(tensor.Float32, p.Shape...)
		}
	}
}

// Conditions under which mutants apply.

// has demands a node of an operator.
func has(operator string) func(n *Native) bool {
	return func(n *Native) bool {
		return slices.ContainsFunc(n.model.Graph.Nodes, func(node *onnx.Node) bool { return node.OpType == operator })
	}
}

// trainsBy demands one of the optimizers.
func trainsBy(kinds ...string) func(n *Native) bool {
	return func(n *Native) bool { return slices.Contains(kinds, n.options.Optimizer.Kind) }
}

func all(conditions ...func(n *Native) bool) func(n *Native) bool {
	return func(n *Native) bool {
		return !slices.ContainsFunc(conditions, func(c func(n *Native) bool) bool { return !c(n) })
	}
}

// excepts demands a parameter that the weight decay leaves out.
func excepts(n *Native) bool {
	return slices.ContainsFunc(n.model.Graph.Initializers, func(init *onnx.Initializer) bool {
		return init.Tensor.DType().IsFloat() && !n.options.Optimizer.Decays(init.Name)
	})
}

// drops demands a dropout of some elements.
func drops(n *Native) bool {
	if m := n.model.Manifest; m != nil {
		return slices.ContainsFunc(m.Dropout, func(d onnx.DropoutSite) bool { return d.P > 0 })
	}
	return slices.ContainsFunc(n.model.Graph.Nodes, func(node *onnx.Node) bool {
		ratio := n.model.Graph.Initializer(node.Input(1))
		return node.OpType == "Dropout" && (ratio == nil || ratio.Len() == 1 && ratio.Float64s()[0] > 0)
	})
}

func averages(n *Native) bool     { return n.options.Loss.Reduction == "mean" }
func decays(n *Native) bool       { return n.options.Optimizer.WeightDecay > 0 }
func notSummed(n *Native) bool    { return n.options.Loss.Reduction != "sum" }
func accumulates(n *Native) bool  { return n.train.Parts(slices.Max(n.data.sizes)) > 1 }
func severalRows(n *Native) bool  { return slices.Max(n.data.sizes) > 1 }
func shortBatches(n *Native) bool { return len(n.data.sizes) > 1 }
func secondStep(n *Native) bool   { return n.data.batches() > 1 }
func secondEpoch(n *Native) bool  { return n.data.batches() > n.epoch }

// remembers demands an optimizer that keeps moments.
func remembers(n *Native) bool {
	slots, err := optim.Slots(n.options.Optimizer)
	return err == nil && len(slots) > 0
}

var errNothingChanged = errors.New("the mutant finds nothing to change in the graph")
