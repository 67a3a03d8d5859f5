package train

import (
	"errors"
	"fmt"

	"tandem/native/ir"
	"tandem/native/optim"
	"tandem/native/pass"
)

// A step may add up the gradients of several batches, its parts, before it updates the parameters: each part runs a program that ends with
// adding its gradients to the sums, and one more program clips and updates with these.

// sumSlot begins the names of the sums. They are no part of the state: a step begins and ends with none.
const sumSlot = "sum of gradients"

// Share is what the loss and the gradients of each of so many parts of a step are multiplied with: a mean over a step is the mean of the
// parts' means, whatever their sizes.
func Share(l Loss, parts int) float64 {
	if l.Reduction == "sum" {
		return 1
	}
	return 1 / float64(parts)
}

// AccumulationBatch compiles forward pass, gradients and their addition to the sums for a number of rows.
func (t *Trainer[T]) AccumulationBatch(rows int) (*Batch[T], error) {
	return t.batch(accumulation, rows)
}

// Accumulate runs a part of a step, numbered from 0, and returns the part's loss. The first part begins the sums anew. The batch must be filled
// and come from AccumulationBatch. After the last part comes Update.
func (t *Trainer[T]) Accumulate(b *Batch[T], part, parts int) (T, error) {
	if b.kind != accumulation || b.owner != t {
		return 0, errors.New("train: Accumulate needs a batch made by this trainer's AccumulationBatch")
	}
	if part < 0 || part >= parts {
		return 0, fmt.Errorf("train: part %d of %d", part, parts)
	}
	if err := b.checkTargets(); err != nil {
		return 0, err
	}
	t.begin()
	t.run.Part, t.run.Share = part, t.PartShare(part, parts)
	b.program.Run()
	return b.loss[0], nil
}

// PartShare is what the gradients of a part of a step are multiplied with.
func (t *Trainer[T]) PartShare(part, parts int) float64 {
	if t.options.PartShare != nil && parts > 1 {
		return t.options.PartShare(part, parts)
	}
	return Share(t.options.Loss, parts)
}

// Update takes the step whose gradients were added up.
func (t *Trainer[T]) Update() error {
	if t.updates == nil {
		return errors.New("train: Update without Accumulate")
	}
	t.begin()
	t.updates.Run()
	t.step++
	return nil
}

// compileAccumulation builds the program of a part.
func (b *Batch[T]) compileAccumulation() error {
	t := b.owner
	g, loss, gradients, err := t.gradientGraph(b.Rows)
	if err != nil {
		return err
	}
	g.Outputs = []*ir.Value{loss}
	if err := pass.Statistics(g); err != nil {
		return err
	}
	first := len(t.sums) == 0
	for _, p := range g.State[:len(g.State):len(g.State)] {
		d := gradients[p]
		if d == nil {
			continue
		}
		sum := &ir.Value{Name: sumSlot + "/" + p.Name, Type: ir.Float, Shape: p.Shape, Role: ir.Slot}
		g.State = append(g.State, sum)
		n, err := optim.Addition(sum, d)
		if err != nil {
			return err
		}
		g.Nodes = append(g.Nodes, n)
		if first {
			t.sums = append(t.sums, sum)
			t.byValue[stateKey{sum.Role, sum.Name}] = &stateTensor[T]{value: sum, data: make([]T, sum.Len())}
		}
	}
	if err := g.Verify(); err != nil {
		return err
	}
	if err := pass.Prune(g); err != nil {
		return err
	}
	if err := b.bind(g, loss); err != nil {
		return err
	}
	if t.updates == nil { // here, so that no step has to wait for it
		return t.compileUpdates()
	}
	return nil
}

// compileUpdates builds the program that updates with the sums.
func (t *Trainer[T]) compileUpdates() error {
	g := ir.NewGraph("update")
	gradients := map[*ir.Value]*ir.Value{}
	for _, s := range t.state {
		if s.value.Role != ir.Parameter {
			continue
		}
		g.State = append(g.State, s.value)
		for _, sum := range t.sums {
			if sum.Name == sumSlot+"/"+s.value.Name {
				gradients[s.value] = sum
			}
		}
	}
	g.State = append(g.State, t.sums...)
	err := t.options.update(g, gradients)
	if err == nil {
		t.updates, err = t.compile(g, &t.arena)
	}
	return err
}
