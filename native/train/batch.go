package train

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/pass"
	"tandem/onnx/tensor"
)

type kind uint8

const (
	training     kind = iota
	accumulation      // training, but the gradients are added up and the update comes later
	gradient
	activations // gradient, and a second program keeps every value of the forward pass
	evaluation
)

type programKey struct {
	kind kind
	rows int
}

// Batch is a compiled program for one number of rows, with the memory that a batch is written into. All batches of a trainer share
// this memory: fill one, run it and read its results before the next one is filled. It is as large as the largest takes, if that was compiled
// first.
type Batch[T kernel.Float] struct {
	// Rows is the number of samples.
	Rows int

	owner   *Trainer[T]
	kind    kind
	program *pass.Program[T]
	loss    []T
	// Of targets, which a loss may do without, one is set.
	targets []int64 // below classes
	numbers []T
	classes int64
	outputs []named[T]
	grads   []named[T]
	fresh   []named[T] // running statistics after the batch
	// forward computes the values of the forward pass node by node, where the program computes some nodes together.
	forward *pass.Program[T]
	values  []named[T]
}

type named[T kernel.Float] struct {
	name  string
	shape []int
	data  []T
}

// TrainingBatch compiles forward pass, gradients and update for a number of rows, or returns what it compiled before.
func (t *Trainer[T]) TrainingBatch(rows int) (*Batch[T], error) { return t.batch(training, rows) }

// GradientBatch compiles forward pass and gradients without the update. With keep, the values of the forward pass are
// kept and can be read by their ONNX names.
func (t *Trainer[T]) GradientBatch(rows int, keep bool) (*Batch[T], error) {
	if keep {
		return t.batch(activations, rows)
	}
	return t.batch(gradient, rows)
}

// EvaluationBatch compiles the forward pass in evaluation mode.
func (t *Trainer[T]) EvaluationBatch(rows int) (*Batch[T], error) { return t.batch(evaluation, rows) }

func (t *Trainer[T]) batch(k kind, rows int) (*Batch[T], error) {
	key := programKey{k, rows}
	if b := t.programs[key]; b != nil {
		return b, nil
	}
	if rows < 1 {
		return nil, fmt.Errorf("train: a batch of %d rows", rows)
	}
	if fixed := t.model.Graph.FixedBatch(); fixed > 0 && rows != fixed {
		return nil, fmt.Errorf("train: a batch of %d rows is %w: the model is for batches of %d rows alone", rows, op.ErrUnsupported, fixed)
	}
	b := &Batch[T]{Rows: rows, owner: t, kind: k}
	var err error
	switch k {
	case training:
		err = b.compileTraining()
	case accumulation:
		err = b.compileAccumulation()
	case gradient, activations:
		err = b.compileGradient()
	case evaluation:
		err = b.compileEvaluation()
	}
	if err != nil {
		return nil, err
	}
	t.programs[key] = b
	return b, nil
}

func (b *Batch[T]) compileTraining() error {
	g, _, err := b.owner.trainingGraph(b.Rows)
	if err != nil {
		return err
	}
	return b.bind(g, g.Outputs[0])
}

func (b *Batch[T]) compileGradient() error {
	g, loss, gradients, err := b.owner.gradientGraph(b.Rows)
	if err != nil {
		return err
	}
	outputs := g.Outputs
	g.Outputs = append([]*ir.Value{loss}, outputs...)
	for _, p := range g.State {
		if d := gradients[p]; d != nil {
			g.Outputs = append(g.Outputs, d)
		}
	}
	statistics, err := pass.RunningStatistics(g)
	if err != nil {
		return err
	}
	for _, s := range statistics {
		g.Outputs = append(g.Outputs, s.Fresh)
	}
	if err := pass.Prune(g); err != nil {
		return err
	}
	if err := b.bind(g, loss); err != nil {
		return err
	}
	for _, s := range statistics {
		if err := name(b.program, &b.fresh, s.Buffer.Name, s.Fresh); err != nil {
			return err
		}
	}
	for _, p := range g.State {
		if d := gradients[p]; d != nil {
			if err := name(b.program, &b.grads, p.Name, d); err != nil {
				return err
			}
		}
	}
	if b.kind == activations {
		if err := b.compileForward(); err != nil {
			return err
		}
	}
	return b.nameOutputs(outputs)
}

// compileForward makes the program that keeps every value of the forward pass.
func (b *Batch[T]) compileForward() error {
	g, _, err := b.owner.forwardGraph(b.Rows)
	if err != nil {
		return err
	}
	for _, n := range g.Nodes {
		for i, v := range n.Outputs {
			if n.Op == "BatchNormalization" && i > 0 {
				continue // the new running statistics are buffers, not what the forward pass goes on with
			}
			if n.Origin.Phase == ir.Forward && v != nil && v.Type == ir.Float {
				g.Outputs = append(g.Outputs, v)
			}
		}
	}
	if err := pass.Prune(g); err != nil {
		return err
	}
	if b.forward, err = b.owner.compile(g, new(pass.Arena[T])); err != nil { // the batch's program runs before it, and is read after it
		return err
	}
	for _, n := range g.Nodes {
		for _, v := range n.Outputs {
			if v != nil && v.Type == ir.Float {
				if err := name(b.forward, &b.values, v.Name, v); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// runForward computes the values of the forward pass from the program's inputs, if they were asked for.
func (b *Batch[T]) runForward() error {
	if b.forward == nil {
		return nil
	}
	for i, v := range b.forward.Graph.Inputs {
		to, err := b.forward.Buffer(v)
		if err != nil {
			return err
		}
		from, err := b.program.Buffer(b.program.Graph.Inputs[i])
		if err != nil {
			return err
		}
		copy(to.Float, from.Float)
		copy(to.Int, from.Int)
		copy(to.Bool, from.Bool)
	}
	b.forward.Run()
	return nil
}

func (b *Batch[T]) compileEvaluation() error {
	g, err := pass.Import(b.owner.model, map[string]int{batchDim: b.Rows})
	if err != nil {
		return err
	}
	if err := pass.Evaluate(g); err != nil {
		return err
	}
	if err := pass.Simplify(g); err != nil {
		return err
	}
	if err := b.bind(g, nil); err != nil {
		return err
	}
	return b.nameOutputs(g.Outputs)
}

// bind gives the graph memory and finds the loss and the targets in it.
func (b *Batch[T]) bind(g *ir.Graph, loss *ir.Value) (err error) {
	if b.program, err = b.owner.compile(g, &b.owner.arena); err != nil || loss == nil {
		return err
	}
	buffer, err := b.program.Buffer(loss)
	if err != nil {
		return err
	}
	b.loss = buffer.Float
	if !b.owner.options.Loss.TakesTarget() {
		return nil
	}
	target := g.Inputs[len(g.Inputs)-1]
	if buffer, err = b.program.Buffer(target); err != nil {
		return err
	}
	b.targets, b.numbers = buffer.Int, buffer.Float
	for _, n := range g.Nodes {
		if (n.Op == "SoftmaxCrossEntropyLoss" || n.Op == "tandem.ClassLoss") && n.Inputs[1] == target {
			b.classes = int64(n.Inputs[0].Shape[1])
		}
	}
	return nil
}

func name[T kernel.Float](p *pass.Program[T], list *[]named[T], name string, v *ir.Value) error {
	buffer, err := p.Buffer(v)
	if err != nil {
		return err
	}
	*list = append(*list, named[T]{name, v.Shape, buffer.Float})
	return nil
}

func (b *Batch[T]) nameOutputs(outputs []*ir.Value) error {
	for i, v := range outputs {
		if v.Type == ir.Float {
			if err := name(b.program, &b.outputs, b.owner.model.Graph.Outputs[i].Name, v); err != nil {
				return err
			}
		}
	}
	return nil
}

// Input returns where a floating-point input's elements are to be written, row after row; nil when there is no such input.
func (b *Batch[T]) Input(name string) []T {
	if v := b.input(name, ir.Float); v != nil {
		buffer, _ := b.program.Buffer(v)
		return buffer.Float
	}
	return nil
}

// IntInput is Input for an int64 input.
func (b *Batch[T]) IntInput(name string) []int64 {
	if v := b.input(name, ir.Int64); v != nil {
		buffer, _ := b.program.Buffer(v)
		return buffer.Int
	}
	return nil
}

func (b *Batch[T]) input(name string, t ir.Type) *ir.Value {
	for _, v := range b.program.Graph.Inputs {
		if v.Name == name && v.Type == t {
			return v
		}
	}
	return nil
}

// Targets returns where the class numbers are to be written, row after row, as many for each as the model has scores for; nil
// in an evaluation batch, and where the loss is not of classes.
func (b *Batch[T]) Targets() []int64 { return b.targets }

// NumberTargets returns where the targets are to be written that are not class numbers, row after row, as many for each as the model's
// first output has; nil in an evaluation batch, and where there are none.
func (b *Batch[T]) NumberTargets() []T { return b.numbers }

// Outputs returns the model's outputs after Gradient or Forward, as copies.
func (b *Batch[T]) Outputs() map[string]*tensor.Tensor { return copies(b.outputs) }

// Gradients returns the gradients by parameter after Gradient, as copies.
func (b *Batch[T]) Gradients() map[string]*tensor.Tensor { return copies(b.grads) }

// Buffers returns the buffers as a training step on the batch would leave them, after Gradient, as copies.
func (b *Batch[T]) Buffers() map[string]*tensor.Tensor {
	out := copies(b.fresh)
	for _, p := range b.owner.Buffers() {
		if out[p.Name] == nil {
			out[p.Name] = newTensor(p.Data, p.Shape)
		}
	}
	return out
}

// Activations returns the forward pass's values by their ONNX names after Gradient, as copies; it is empty unless they
// were asked for.
func (b *Batch[T]) Activations() map[string]*tensor.Tensor { return copies(b.values) }

// Bytes returns the memory that the batch's values take, state and constants aside.
func (b *Batch[T]) Bytes() int { return b.program.Bytes() }

func copies[T kernel.Float](list []named[T]) map[string]*tensor.Tensor {
	out := map[string]*tensor.Tensor{}
	for _, v := range list {
		out[v.name] = newTensor(v.data, v.shape)
	}
	return out
}

// checkTargets refuses class numbers that the model has no score for.
func (b *Batch[T]) checkTargets() error {
	ignored := b.owner.options.Loss.IgnoreIndex
	for i, c := range b.targets {
		if ignored != nil && c == *ignored {
			continue
		}
		if c < 0 || c >= b.classes {
			return fmt.Errorf("train: target %d of the batch is class %d, the model has classes 0 to %d", i, c, b.classes-1)
		}
	}
	return nil
}
