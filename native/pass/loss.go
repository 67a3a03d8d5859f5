package pass

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// Target is the name of the input that Loss adds.
const Target = "target"

// LossConfig is a loss and its settings, under PyTorch's names and with its meanings; the zero value of a setting leaves it out. Fields
// that the kind does not use are ignored.
type LossConfig struct {
	Kind      string // one of LossKinds
	Reduction string // "mean" or "sum"; "batchmean" of "kl_div"
	Output    string // the output that it is taken of, by name or position from 0 (onnx.OutputIndex); "" is the first

	ClassWeights   []float64 // cross_entropy, nll: a factor for each class
	IgnoreIndex    *int64    // cross_entropy, nll: the label of what does not count
	LabelSmoothing float64   // cross_entropy
	ClassDim       int       // cross_entropy, nll: 1, or anything else for the last dimension

	Delta           float64   // huber
	Beta            float64   // smooth_l1
	PositiveWeights []float64 // bce_with_logits: a factor for each of the last dimension, or one
	LogTarget       bool      // kl_div
}

// lossBuilder holds what a loss is built with.
type lossBuilder struct {
	graph  *ir.Graph
	config LossConfig
	// output is the model's output that the loss is taken of.
	output *ir.Value
	err    error
}

// losses are the losses by kind; each returns a scalar. To add one, add a line and, where it takes more than a few nodes, a file.
var losses = map[string]func(b *lossBuilder) *ir.Value{
	"cross_entropy":   (*lossBuilder).crossEntropy,
	"nll":             (*lossBuilder).negativeLogLikelihood,
	"mse":             (*lossBuilder).squares,
	"l1":              (*lossBuilder).distances,
	"huber":           (*lossBuilder).huber,
	"smooth_l1":       (*lossBuilder).smooth,
	"bce_with_logits": (*lossBuilder).binaryCrossEntropy,
	"kl_div":          (*lossBuilder).divergence,
	"output":          (*lossBuilder).itself,
}

// LossKinds returns the kinds of losses, sorted.
func LossKinds() []string { return slices.Sorted(maps.Keys(losses)) }

// TakesClasses reports whether the targets are class numbers, int64; others are floating-point.
func (c LossConfig) TakesClasses() bool { return c.Kind == "cross_entropy" || c.Kind == "nll" }

// TakesTarget reports whether there are targets at all.
func (c LossConfig) TakesTarget() bool { return c.Kind != "output" }

// Loss adds a loss on one of the graph's outputs and returns it. The targets become the input [Target], the last of the graph's; "output" has
// none. Class numbers have shape (N), one for each row of scores (..., C) in their order, the classes being the last dimension, or
// the second of (N, C, ...) with ClassDim 1; other targets have the output's shape. "mean" is over all of them.
func Loss(g *ir.Graph, c LossConfig) (*ir.Value, error) {
	build := losses[c.Kind]
	if build == nil {
		return nil, fmt.Errorf("loss %q is %w; it has %s", c.Kind, op.ErrUnsupported, strings.Join(LossKinds(), ", "))
	}
	var names []string
	for _, v := range g.Outputs {
		names = append(names, v.Name)
	}
	i, err := onnx.OutputIndex(names, c.Output)
	if err != nil {
		return nil, fmt.Errorf("loss.output: %w", err)
	}
	if g.Outputs[i].Type != ir.Float {
		return nil, fmt.Errorf("the model's output %s is %v: no loss can be taken of it; its outputs are %s (loss.output chooses one)", names[i], g.Outputs[i].Type, strings.Join(names, ", "))
	}
	b := &lossBuilder{graph: g, config: c, output: g.Outputs[i]}
	loss := build(b)
	if b.err != nil {
		return nil, b.err
	}
	return loss, g.Verify()
}

// origin is what the loss's nodes say that they come from.
var origin = ir.Origin{Node: "loss", Phase: ir.Loss}

// add appends a node; after an error it does nothing.
func (b *lossBuilder) add(operator string, attributes map[string]any, in ...*ir.Value) (out *ir.Value) {
	if b.err != nil {
		return nil
	}
	out, b.err = op.Append(b.graph, operator, attributes, origin, ir.Loss, in...)
	return out
}

// target adds the input of the targets.
func (b *lossBuilder) target(t ir.Type, shape []int) *ir.Value {
	v := &ir.Value{Name: b.graph.UniqueName(Target), Type: t, Shape: shape, Role: ir.Input}
	b.graph.Inputs = append(b.graph.Inputs, v)
	return v
}

// constant is a vector of numbers, or one.
func (b *lossBuilder) constant(shape []int, values ...float64) *ir.Value {
	t, err := tensor.Of(values, shape...)
	if err != nil && b.err == nil {
		b.err = err
	}
	return &ir.Value{Name: b.graph.UniqueName("loss/constant"), Type: ir.Float, Shape: shape, Role: ir.Constant, Const: t}
}

// number is a scalar constant.
func (b *lossBuilder) number(x float64) *ir.Value { return b.constant([]int{}, x) }

func (b *lossBuilder) scale(x *ir.Value, factor float64) *ir.Value {
	return b.add("Mul", nil, x, b.number(factor))
}

// reduce takes the mean or the sum of all elements.
func (b *lossBuilder) reduce(x *ir.Value) *ir.Value {
	if b.err != nil {
		return nil
	}
	all := map[string]any{"keepdims": int64(0)}
	switch r := b.config.Reduction; {
	case r == "mean":
		return b.add("ReduceMean", all, x)
	case r == "sum":
		return b.add("ReduceSum", all, x)
	case r == "batchmean" && b.config.Kind == "kl_div":
		return b.scale(b.add("ReduceSum", all, x), 1/float64(b.output.Shape[0]))
	}
	b.err = fmt.Errorf("reduction %q of the loss %q is %w: it may be mean or sum", b.config.Reduction, b.config.Kind, op.ErrUnsupported)
	return nil
}

// rows returns scores as (N, C), a row for each target.
func (b *lossBuilder) rows() *ir.Value {
	scores := b.output
	n := len(scores.Shape)
	if n < 2 {
		b.err = fmt.Errorf("the model's output %s has shape %v; the loss %q needs at least two dimensions, batch and classes", scores.Name, scores.Shape, b.config.Kind)
		return nil
	}
	if n > 2 && b.config.ClassDim == 1 {
		perm := []int64{0}
		for i := 2; i < n; i++ {
			perm = append(perm, int64(i))
		}
		scores = b.add("Transpose", map[string]any{"perm": append(perm, 1)}, scores)
	}
	if n > 2 {
		scores = b.add("Flatten", map[string]any{"axis": int64(-1)}, scores)
	}
	return scores
}

// crossEntropy is the softmax cross-entropy.
func (b *lossBuilder) crossEntropy() *ir.Value {
	c, scores := b.config, b.rows()
	if b.err != nil {
		return nil
	}
	if c.ClassWeights != nil || c.IgnoreIndex != nil || c.LabelSmoothing != 0 {
		return b.classLoss(b.add("LogSoftmax", map[string]any{"axis": int64(1)}, scores), c.LabelSmoothing)
	}
	target := b.target(ir.Int64, scores.Shape[:1])
	n := &ir.Node{
		Op: "SoftmaxCrossEntropyLoss", Attributes: onnx.NewAttributes(map[string]any{"reduction": c.Reduction}),
		Inputs: []*ir.Value{scores, target}, Origin: origin,
	}
	loss := &ir.Value{Name: b.graph.UniqueName("loss"), Producer: n}
	n.Outputs = []*ir.Value{loss, {Name: b.graph.UniqueName("log_probability"), Producer: n}}
	if b.err = op.Infer(n); b.err != nil {
		return nil
	}
	b.graph.Nodes = append(b.graph.Nodes, n)
	return loss
}

// negativeLogLikelihood takes the output for log-probabilities.
func (b *lossBuilder) negativeLogLikelihood() *ir.Value { return b.classLoss(b.rows(), 0) }

// classLoss is the loss of log-probabilities (N, C).
func (b *lossBuilder) classLoss(rows *ir.Value, smoothing float64) *ir.Value {
	if b.err != nil {
		return nil
	}
	c := b.config
	in := []*ir.Value{rows, b.target(ir.Int64, rows.Shape[:1])}
	if c.ClassWeights != nil {
		if len(c.ClassWeights) != rows.Shape[1] {
			b.err = fmt.Errorf("loss.class_weights has %d numbers, the model's output %s %d classes", len(c.ClassWeights), b.output.Name, rows.Shape[1])
			return nil
		}
		in = append(in, b.constant([]int{len(c.ClassWeights)}, c.ClassWeights...))
	}
	attributes := map[string]any{"reduction": c.Reduction, "label_smoothing": smoothing}
	if c.IgnoreIndex != nil {
		attributes["ignore_index"] = *c.IgnoreIndex
	}
	return b.add("tandem.ClassLoss", attributes, in...)
}

// difference is output - target.
func (b *lossBuilder) difference() *ir.Value {
	return b.add("Sub", nil, b.output, b.target(ir.Float, b.output.Shape))
}

func (b *lossBuilder) squares() *ir.Value {
	d := b.difference()
	return b.reduce(b.add("Mul", nil, d, d))
}

func (b *lossBuilder) distances() *ir.Value { return b.reduce(b.add("Abs", nil, b.difference())) }

// huber is d^2 / 2 where |d| < delta, else delta (|d| - delta/2).
func (b *lossBuilder) huber() *ir.Value {
	d, delta := b.difference(), b.config.Delta
	distance := b.add("Abs", nil, d)
	return b.reduce(b.add("Where", nil,
		b.add("Less", nil, distance, b.number(delta)),
		b.scale(b.add("Mul", nil, d, d), 0.5),
		b.scale(b.add("Sub", nil, distance, b.number(delta/2)), delta)))
}

// smooth is d^2 / (2 beta) where |d| < beta, else |d| - beta/2.
func (b *lossBuilder) smooth() *ir.Value {
	beta := b.config.Beta
	if beta == 0 {
		return b.distances()
	}
	d := b.difference()
	distance := b.add("Abs", nil, d)
	return b.reduce(b.add("Where", nil,
		b.add("Less", nil, distance, b.number(beta)),
		b.scale(b.add("Mul", nil, d, d), 0.5/beta),
		b.add("Sub", nil, distance, b.number(beta/2))))
}

// binaryCrossEntropy is (1-t) x + (1 + (w-1) t) log(1 + exp(-x)) for logits x, targets t and weights w of the positive ones.
func (b *lossBuilder) binaryCrossEntropy() *ir.Value {
	x := b.output
	t := b.target(ir.Float, x.Shape)
	positive := b.add("Softplus", nil, b.scale(x, -1))
	if w := b.config.PositiveWeights; len(w) > 0 {
		if len(w) > 1 && (len(x.Shape) == 0 || len(w) != x.Shape[len(x.Shape)-1]) {
			b.err = fmt.Errorf("loss.positive_weights has %d numbers; the model's output %s has shape %v, so one or as many as its last dimension are needed", len(w), x.Name, x.Shape)
			return nil
		}
		more := make([]float64, len(w))
		for i := range w {
			more[i] = w[i] - 1
		}
		factor := b.add("Add", nil, b.add("Mul", nil, t, b.constant([]int{len(w)}, more...)), b.number(1))
		positive = b.add("Mul", nil, positive, factor)
	}
	negative := b.add("Mul", nil, b.add("Sub", nil, b.number(1), t), x)
	return b.reduce(b.add("Add", nil, negative, positive))
}

// divergence is t (log t - x) for log-probabilities x and probabilities t, with 0 log 0 = 0; exp(t) (t - x) where the targets are
// log-probabilities too.
func (b *lossBuilder) divergence() *ir.Value {
	x := b.output
	t := b.target(ir.Float, x.Shape)
	if b.config.LogTarget {
		return b.reduce(b.add("Mul", nil, b.add("Exp", nil, t), b.add("Sub", nil, t, x)))
	}
	some := b.add("Where", nil, b.add("Greater", nil, t, b.number(0)), t, b.number(1))
	return b.reduce(b.add("Mul", nil, t, b.add("Sub", nil, b.add("Log", nil, some), x)))
}

// itself takes the model's output for the loss; of more than one number the mean or the sum.
func (b *lossBuilder) itself() *ir.Value { return b.reduce(b.output) }
