package train

import (
	"errors"
	"slices"
	"time"
	"unsafe"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
)

// Call is one call of a training step and the time that it takes.
type Call struct {
	Node *ir.Node
	// Layer is the node of the forward pass that the call belongs to: itself, the one that it differentiates, or the first one that reads
	// the parameter which it updates. It is Node where there is no such node.
	Layer *ir.Node
	// Algorithm says how it is computed, where there is a choice.
	Algorithm string
	Work      op.Work
	Seconds   float64 // the median of the steps'
	Fastest   float64 // other work on the machine disturbs it least
}

// Profile trains steps steps on a batch and times each of their calls. next is called before each step, to fill the batch.
func (t *Trainer[T]) Profile(b *Batch[T], steps int, next func() error) ([]Call, error) {
	if b.kind != training || b.owner != t {
		return nil, errors.New("train: Profile needs a batch made by this trainer's TrainingBatch")
	}
	if steps < 1 {
		return nil, errors.New("train: a profile needs a step")
	}
	calls := b.program.Calls
	times := make([][]float64, len(calls))
	for i := range times {
		times[i] = make([]float64, 0, steps)
	}
	for range steps {
		if err := next(); err != nil {
			return nil, err
		}
		if err := b.checkTargets(); err != nil {
			return nil, err
		}
		t.begin()
		for i, call := range calls {
			start := time.Now()
			call()
			times[i] = append(times[i], time.Since(start).Seconds())
		}
		t.step++
	}
	var zero T
	size := int(unsafe.Sizeof(zero))
	layers := layersOf(b.program.Nodes)
	out := make([]Call, len(calls))
	for i, n := range b.program.Nodes {
		slices.Sort(times[i])
		out[i] = Call{
			Node: n, Layer: layers[i], Algorithm: op.Algorithm(n, size == 8), Work: op.WorkOf(n, size),
			Seconds: times[i][steps/2], Fastest: times[i][0],
		}
	}
	return out, nil
}

// Limits measures what the machine can do at this moment on the trainer's threads.
func (t *Trainer[T]) Limits() kernel.Limits { return kernel.MeasureLimits(t.pool) }

// layersOf finds each node's layer.
func layersOf(nodes []*ir.Node) []*ir.Node {
	named := map[string]*ir.Node{}
	reader := map[*ir.Value]*ir.Node{}
	for _, n := range nodes {
		if n.Origin.Phase == ir.Forward || n.Origin.Phase == ir.Loss {
			if named[n.Origin.Node] == nil {
				named[n.Origin.Node] = n
			}
			for _, v := range n.Inputs {
				if v != nil && reader[v] == nil {
					reader[v] = n
				}
			}
		}
	}
	out := make([]*ir.Node, len(nodes))
	for i, n := range nodes {
		out[i] = n
		if layer := named[n.Origin.Node]; layer != nil {
			out[i] = layer
		}
		for _, v := range n.Writes {
			if v.Role == ir.Parameter && reader[v] != nil {
				out[i] = reader[v]
			}
		}
	}
	return out
}
