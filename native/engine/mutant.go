package engine

import (
	"maps"
	"slices"
	"strings"

	"tandem/native/ir"
	"tandem/native/train"
	"tandem/onnx"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// mutant is a known mistake that load can plant, so that a judge can prove that it would notice. Each field that is
// set changes one thing. To add a mutant, add a line to the table.
type mutant struct {
	options func(*train.Options)
	model   func(*onnx.Model) (*onnx.Model, error)
	data    func(*data)
	// order says which step's batch a step trains on.
	order func(step int64) int64
	// frozen says that the optimizer never steps.
	frozen bool
	// lost says of which parameters the gradient stays zero.
	lost func(shape []int) bool
	// applies says whether the mistake changes anything for what is loaded; nil means that it always does.
	applies func(n *Native) bool
}

var mutants = map[string]mutant{
	"loss-sum-for-mean":        {options: func(o *train.Options) { o.Reduction = "sum" }, applies: func(n *Native) bool { return n.options.Reduction == "mean" }},
	"learning-rate-doubled":    {options: func(o *train.Options) { o.Optimizer.LearningRate *= 2 }},
	"weight-decay-added":       {options: func(o *train.Options) { o.Optimizer.WeightDecay += 0.01 }},
	"optimizer-never-steps":    {frozen: true},
	"bias-gradient-missing":    {lost: func(shape []int) bool { return len(shape) == 1 }},
	"dropout-mask-of-its-own":  {options: func(o *train.Options) { o.Seed++ }, applies: has("Dropout")},
	"dropout-missing":          {options: func(o *train.Options) { o.Rewrite = removeDropout }, applies: has("Dropout")},
	"relu-missing":             {options: func(o *train.Options) { o.Rewrite = removeLastRelu }, applies: has("Relu")},
	"weights-half-precision":   {model: roundWeights},
	"labels-shifted":           {data: shiftLabels},
	"last-short-batch-dropped": {data: dropShortBatches, applies: func(n *Native) bool { return len(n.data.batchSizes()) > 1 }},
	"first-batch-repeated":     {order: func(step int64) int64 { return max(step-1, 0) }, applies: func(n *Native) bool { return len(n.data.offsets) > 2 }},
}

// has returns whether the model has a node of an operator.
func has(operator string) func(n *Native) bool {
	return func(n *Native) bool {
		return slices.ContainsFunc(n.model.Graph.Nodes, func(node *onnx.Node) bool { return node.OpType == operator })
	}
}

func mutantNames() []string { return slices.Sorted(maps.Keys(mutants)) }

func findMutant(name string) (mutant, error) {
	m, ok := mutants[name]
	if name != "" && !ok {
		return m, engine.Errorf(engine.KindInput, "there is no mutant %q; there are %s", name, strings.Join(mutantNames(), ", "))
	}
	return m, nil
}

// step returns the number of the step whose batch is trained on.
func (m mutant) step(step int64) int64 {
	if m.order != nil {
		return m.order(step)
	}
	return step
}

// rewound returns the state after a training step with what the mistake leaves as it was before: all but the counter when the
// optimizer never steps; parameters without gradient, and their moments, which are zero and stay so.
func (m mutant) rewound(before, after map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	out := maps.Clone(after)
	for name, t := range before {
		_, isParameter := before["parameters/"+name[strings.LastIndex(name, "/")+1:]]
		if name != train.StepKey && (m.frozen || isParameter && m.lost(t.Shape())) {
			out[name] = t
		}
	}
	return out
}

// lose sets the gradients to zero that the mistake loses.
func (m mutant) lose(gradients map[string]*tensor.Tensor) {
	for name, t := range gradients {
		if m.lost != nil && m.lost(t.Shape()) {
			gradients[name] = tensor.New(t.DType(), t.Shape()...)
		}
	}
}

func removeDropout(g *ir.Graph) {
	for _, n := range g.Nodes {
		if n.Op == "Dropout" {
			n.Op, n.Inputs, n.Outputs = "Identity", n.Inputs[:1], n.Outputs[:1]
		}
	}
}

func removeLastRelu(g *ir.Graph) {
	for _, n := range slices.Backward(g.Nodes) {
		if n.Op == "Relu" {
			n.Op = "Identity"
			return
		}
	}
}

// roundWeights drops the lowest 13 bits of every parameter's fraction, what half precision does to numbers of its range.
func roundWeights(m *onnx.Model) (*onnx.Model, error) {
	rounded := map[string]*tensor.Tensor{}
	for _, init := range m.Graph.Initializers {
		if init.Tensor.DType() != tensor.Float32 || init.Tensor.Len() < 2 {
			continue
		}
		t := init.Tensor.Clone()
		for i, b := range t.Bytes() {
			switch i % 4 {
			case 0:
				t.Bytes()[i] = 0
			case 1:
				t.Bytes()[i] = b &^ 0x1f
			}
		}
		rounded[init.Name] = t
	}
	return m.WithInitializers(rounded)
}

func shiftLabels(d *data) {
	classes := slices.Max(d.train.target) + 1
	for i, c := range d.train.target {
		d.train.target[i] = (c + 1) % classes
	}
}

// dropShortBatches leaves out the batches that are shorter than the first.
func dropShortBatches(d *data) {
	order, offsets := []int64{}, []int64{0}
	for i := 1; i < len(d.offsets); i++ {
		if rows := d.order[d.offsets[i-1]:d.offsets[i]]; int64(len(rows)) == d.offsets[1] {
			order = append(order, rows...)
			offsets = append(offsets, int64(len(order)))
		}
	}
	d.order, d.offsets = order, offsets
}
