package train

import (
	"errors"
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/optim"
	"tandem/native/pass"
	"tandem/native/schedule"
	"tandem/onnx"
)

// Loss is a loss and its settings.
type Loss = pass.LossConfig

// Options are what a model file does not say.
type Options struct {
	// PartShare, when set, is what the gradients of one of several parts of a step are multiplied with, in the place of Share. It exists to
	// plant known mistakes.
	PartShare func(part, parts int) float64
	// RepeatMasks has each part of a step draw the dropout masks of the first. It exists to plant a known mistake.
	RepeatMasks bool
	Loss        Loss
	Optimizer   optim.Config
	// Schedule changes the learning rate from step to step; its peak is the optimizer's rate. The zero value does not.
	Schedule schedule.Config
	// Seed keys the dropout masks.
	Seed uint64
	// Threads is the number of threads; 0 means one. The results do not depend on it.
	Threads int
	// Rewrite, when set, changes each training graph after the forward pass and the loss are built and before anything is derived
	// from them; RewriteGradients changes it once more, with the gradients by parameter, before the updates are
	// added, and RewriteUpdate with the updates. They exist to plant known mistakes.
	Rewrite          func(*ir.Graph) error
	RewriteGradients func(g *ir.Graph, gradients map[*ir.Value]*ir.Value) error
	RewriteUpdate    func(*ir.Graph) error
}

// Trainer holds a model's state and its compiled programs. It serves one goroutine at a time.
type Trainer[T kernel.Float] struct {
	model    *onnx.Model
	options  Options
	pool     *kernel.Pool
	run      op.Run
	step     int64
	state    []*stateTensor[T]
	byValue  map[stateKey]*stateTensor[T]
	programs map[programKey]*Batch[T]
	// sums are those of a step's gradients where they are added up, updates the program that takes the step with them.
	sums    []*ir.Value
	updates *pass.Program[T]
	// arena is the memory of all programs' values.
	arena pass.Arena[T]
	// unfused leaves each node to its own kernel, for tests to compare with.
	unfused bool
}

// The symbolic dimension that PyTorch's export leaves open.
const batchDim = "batch"

// New compiles nothing yet but checks that the model can be trained: it builds the training graph for a batch of one, or of the
// only size that the model takes, and reports the first operator, attribute or shape that is not supported.
func New[T kernel.Float](m *onnx.Model, o Options) (*Trainer[T], error) {
	t := &Trainer[T]{
		model: m, options: o, pool: kernel.NewPool(o.Threads),
		byValue: map[stateKey]*stateTensor[T]{}, programs: map[programKey]*Batch[T]{},
	}
	t.run.Seed, t.run.Sites = o.Seed, uint32(t.DropoutSites())
	if o.RepeatMasks { // sites are numbered behind those of the part before
		t.run.Sites = 0
	}
	t.options.Schedule.Peak = o.Optimizer.LearningRate
	if err := t.options.Schedule.Check(); err != nil {
		t.pool.Close()
		return nil, fmt.Errorf("train: %w", err)
	}
	g, _, err := t.trainingGraph(max(m.Graph.FixedBatch(), 1))
	if err != nil {
		t.pool.Close()
		return nil, err
	}
	var names []string
	for _, v := range g.State {
		t.addState(v)
		if v.Role == ir.Parameter {
			names = append(names, v.Name)
		}
	}
	err = o.Optimizer.CheckNames(names)
	if err == nil {
		err = t.releaseInitial()
	}
	if err != nil {
		t.pool.Close()
		return nil, fmt.Errorf("train: %w", err)
	}
	return t, nil
}

// Model returns the model that the trainer was made from. Its parameters and buffers may be the trainer's own memory and so change with
// every step: another trainer that is made from it starts from the present ones. Use Trained for a copy.
func (t *Trainer[T]) Model() *onnx.Model { return t.model }

// Close ends the trainer's threads.
func (t *Trainer[T]) Close() { t.pool.Close() }

// Threads returns the number of threads.
func (t *Trainer[T]) Threads() int { return t.pool.Threads() }

// Steps returns the number of steps taken.
func (t *Trainer[T]) Steps() int64 { return t.step }

// DropoutSites returns the number of nodes that draw a mask: those that the manifest names, as far as there is one.
func (t *Trainer[T]) DropoutSites() int {
	if m := t.model.Manifest; m != nil {
		return len(m.Dropout)
	}
	n := 0
	for _, node := range t.model.Graph.Nodes {
		if node.OpType == "Dropout" || node.OpType == "Bernoulli" {
			n++
		}
	}
	return n
}

// trainingGraph builds forward pass, loss, gradients and updates for a batch size, and returns the gradients by
// parameter.
func (t *Trainer[T]) trainingGraph(rows int) (*ir.Graph, map[*ir.Value]*ir.Value, error) {
	g, loss, gradients, err := t.gradientGraph(rows)
	if err != nil {
		return nil, nil, err
	}
	g.Outputs = []*ir.Value{loss}
	if err := pass.Statistics(g); err != nil {
		return nil, nil, err
	}
	if err := t.options.update(g, gradients); err != nil {
		return nil, nil, err
	}
	return g, gradients, pass.Prune(g)
}

// update adds the optimizer's nodes.
func (o *Options) update(g *ir.Graph, gradients map[*ir.Value]*ir.Value) error {
	if err := pass.Update(g, gradients, o.Optimizer); err != nil || o.RewriteUpdate == nil {
		return err
	}
	return o.RewriteUpdate(g)
}

// gradientGraph builds forward pass, loss and gradients.
func (t *Trainer[T]) gradientGraph(rows int) (g *ir.Graph, loss *ir.Value, gradients map[*ir.Value]*ir.Value, err error) {
	if g, loss, err = t.forwardGraph(rows); err != nil {
		return nil, nil, nil, err
	}
	if err = pass.Simplify(g, loss); err != nil {
		return nil, nil, nil, err
	}
	gradients, err = t.differentiate(g, loss)
	return g, loss, gradients, err
}

// differentiate adds the gradients.
func (t *Trainer[T]) differentiate(g *ir.Graph, loss *ir.Value) (map[*ir.Value]*ir.Value, error) {
	gradients, err := pass.Differentiate(g, loss)
	if err == nil && t.options.RewriteGradients != nil {
		err = t.options.RewriteGradients(g, gradients)
	}
	return gradients, err
}

// forwardGraph builds forward pass and loss, node by node as the model file has them.
func (t *Trainer[T]) forwardGraph(rows int) (g *ir.Graph, loss *ir.Value, err error) {
	if g, err = pass.Import(t.model, map[string]int{batchDim: rows}); err != nil {
		return nil, nil, err
	}
	if loss, err = pass.Loss(g, t.options.Loss); err != nil {
		return nil, nil, err
	}
	if t.options.Rewrite != nil {
		if err := t.options.Rewrite(g); err != nil {
			return nil, nil, err
		}
	}
	return g, loss, nil
}

// compile rearranges, fuses, plans and binds a graph. Its values get the memory of the arena.
func (t *Trainer[T]) compile(g *ir.Graph, a *pass.Arena[T]) (*pass.Program[T], error) {
	if !t.unfused {
		if err := pass.Recompute(g); err != nil {
			return nil, err
		}
		if err := pass.Fuse(g); err != nil {
			return nil, err
		}
		if err := pass.ChannelsLast(g); err != nil {
			return nil, err
		}
		if err := pass.Near(g); err != nil {
			return nil, err
		}
	}
	plan, err := pass.NewPlan(g)
	if err != nil {
		return nil, err
	}
	return pass.BindIn(a, g, plan, &t.run, t.pool, t.elements)
}

// Step trains on one batch and returns the loss before the update. The batch must be filled and come from TrainingBatch.
func (t *Trainer[T]) Step(b *Batch[T]) (T, error) {
	if b.kind != training || b.owner != t {
		return 0, errors.New("train: Step needs a batch made by this trainer's TrainingBatch")
	}
	if err := b.checkTargets(); err != nil {
		return 0, err
	}
	t.begin()
	b.program.Run()
	t.step++
	return b.loss[0], nil
}

// begin sets the numbers that differ from step to step.
func (t *Trainer[T]) begin() {
	t.run.Step, t.run.Part = t.step, 0
	t.run.LearningRate = t.options.Schedule.Rate(t.step)
}

// Gradient computes the loss of the batch at the present state. Read the gradients from the batch, which must come
// from GradientBatch. The state does not change.
func (t *Trainer[T]) Gradient(b *Batch[T]) (T, error) { return t.PartGradient(b, 0) }

// PartGradient is Gradient of a part of a step, numbered from 0: it has the masks of that part.
func (t *Trainer[T]) PartGradient(b *Batch[T], part int) (T, error) {
	if b.kind != gradient && b.kind != activations || b.owner != t {
		return 0, errors.New("train: Gradient needs a batch made by this trainer's GradientBatch")
	}
	if err := b.checkTargets(); err != nil {
		return 0, err
	}
	t.run.Step, t.run.Part = t.step, part
	b.program.Run()
	if err := b.runForward(); err != nil {
		return 0, err
	}
	return b.loss[0], nil
}

// Forward computes the model's outputs in evaluation mode; the batch must come from EvaluationBatch.
func (t *Trainer[T]) Forward(b *Batch[T]) error {
	if b.kind != evaluation || b.owner != t {
		return errors.New("train: Forward needs a batch made by this trainer's EvaluationBatch")
	}
	b.program.Run()
	return nil
}

// Trained returns the model with the present parameters and buffers in the place of the initial ones, rounded to
// float32 if the trainer computes in float64.
func (t *Trainer[T]) Trained() (*onnx.Model, error) {
	values, err := t.initializers()
	if err != nil {
		return nil, fmt.Errorf("train: %w", err)
	}
	return t.model.WithInitializers(values)
}
