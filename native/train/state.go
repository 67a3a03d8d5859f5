package train

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/optim"
	"tandem/onnx/tensor"
)

type stateKey struct {
	role ir.Role
	name string
}

// stateTensor is one persistent tensor; all programs share its elements.
type stateTensor[T kernel.Float] struct {
	key   string // in a state file: see package results/engine
	value *ir.Value
	data  []T
}

// StepKey is the name of the step counter in a state.
const StepKey = "step"

func stateName(v *ir.Value) string {
	return map[ir.Role]string{ir.Parameter: "parameters/", ir.Buffer: "buffers/", ir.Slot: "optimizer/"}[v.Role] + v.Name
}

func (t *Trainer[T]) addState(v *ir.Value) {
	s := &stateTensor[T]{key: stateName(v), value: v, data: make([]T, v.Len())}
	if v.Const != nil {
		assign(s.data, v.Const)
	}
	if v.Role == ir.Slot {
		slot, _, _ := strings.Cut(v.Name, "/")
		initial := T(optim.Initial(t.options.Optimizer, slot))
		for i := range s.data {
			s.data[i] = initial
		}
	}
	t.state = append(t.state, s)
	t.byValue[stateKey{v.Role, v.Name}] = s
}

// assign copies a tensor's elements, rounded where T is narrower.
func assign[T kernel.Float](dst []T, t *tensor.Tensor) {
	if t.DType() == tensor.TypeOf[T]() {
		copy(dst, tensor.View[T](t))
		return
	}
	for i, x := range t.Float64s() {
		dst[i] = T(x)
	}
}

// releaseInitial lets the trainer's model have the present state in the place of the initial one, where its element type allows it: they
// share the memory, and the initial weights need none of their own.
func (t *Trainer[T]) releaseInitial() error {
	shared := map[string]*tensor.Tensor{}
	for _, s := range t.state {
		if init := t.model.Graph.Initializer(s.value.Name); init != nil && init.DType() == tensor.TypeOf[T]() {
			own, err := tensor.Wrap(s.data, s.value.Shape...)
			if err != nil {
				return err
			}
			shared[s.value.Name] = own
			s.value.Const = own
		}
	}
	m, err := t.model.WithInitializers(shared)
	if err == nil {
		t.model = m
	}
	return err
}

// elements returns the memory of a persistent value of any of the trainer's graphs.
func (t *Trainer[T]) elements(v *ir.Value) []T {
	if s := t.byValue[stateKey{v.Role, v.Name}]; s != nil {
		return s.data
	}
	return nil
}

// Parameter is one parameter of the model; Data is the trainer's own memory.
type Parameter[T kernel.Float] struct {
	Name   string
	Shape  []int
	Frozen bool
	Data   []T
}

// Parameters returns the parameters in the order of the model file.
func (t *Trainer[T]) Parameters() []Parameter[T] { return t.persistent(ir.Parameter) }

// Buffers returns what the forward pass keeps from step to step, such as BatchNorm's running statistics.
func (t *Trainer[T]) Buffers() []Parameter[T] { return t.persistent(ir.Buffer) }

func (t *Trainer[T]) persistent(role ir.Role) (out []Parameter[T]) {
	for _, s := range t.state {
		if s.value.Role == role {
			out = append(out, Parameter[T]{s.value.Name, s.value.Shape, s.value.Frozen, s.data})
		}
	}
	return out
}

// State returns a copy of all that a step reads and changes, under the names of a state file (package
// results/engine): "parameters/<name>", "buffers/<name>", "optimizer/<slot>/<name>" and "step".
func (t *Trainer[T]) State() map[string]*tensor.Tensor {
	out := map[string]*tensor.Tensor{StepKey: newTensor([]int64{t.step}, nil)}
	for _, s := range t.state {
		out[s.key] = newTensor(s.data, s.value.Shape)
	}
	return out
}

// StateView is State without a copy: its tensors are the trainer's own memory, which the next step or SetState changes.
func (t *Trainer[T]) StateView() map[string]*tensor.Tensor {
	out := map[string]*tensor.Tensor{StepKey: newTensor([]int64{t.step}, nil)}
	for _, s := range t.state {
		v, err := tensor.Wrap(s.data, s.value.Shape...)
		if err != nil {
			panic(err) // the trainer's own shapes fit
		}
		out[s.key] = v
	}
	return out
}

// SetState replaces the state; it must name each of the state's tensors with its shape, and no others. Nothing changes when it
// does not.
func (t *Trainer[T]) SetState(state map[string]*tensor.Tensor) error {
	counter := state[StepKey]
	if counter == nil || counter.DType() != tensor.Int64 || counter.Len() != 1 || tensor.View[int64](counter)[0] < 0 {
		return fmt.Errorf("train: the state needs %q, one int64 that is not negative", StepKey)
	}
	known := map[string]bool{StepKey: true}
	for _, s := range t.state {
		known[s.key] = true
		v := state[s.key]
		switch {
		case v == nil:
			return fmt.Errorf("train: the state lacks %q", s.key)
		case !slices.Equal(v.Shape(), s.value.Shape):
			return fmt.Errorf("train: the state's %q has shape %v, must have %v", s.key, v.Shape(), s.value.Shape)
		case !v.DType().IsFloat():
			return fmt.Errorf("train: the state's %q is %v, must be floating-point", s.key, v.DType())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(state)) {
		if !known[name] {
			return fmt.Errorf("train: the state has %q, which the model does not", name)
		}
	}
	for _, s := range t.state {
		assign(s.data, state[s.key])
	}
	t.step = tensor.View[int64](counter)[0]
	return nil
}

// Updated returns the state after one update of the present state with the given gradients, by parameter; the
// trainer's own state stays as it is.
func (t *Trainer[T]) Updated(gradients map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	after := &Trainer[T]{pool: t.pool, run: t.run, byValue: map[stateKey]*stateTensor[T]{}}
	after.run.Step = t.step
	after.run.LearningRate = t.options.Schedule.Rate(t.step)
	after.step = t.step + 1
	g := ir.NewGraph("update")
	values := map[*ir.Value]*ir.Value{}
	used := 0
	for _, s := range t.state {
		c := &stateTensor[T]{s.key, s.value, slices.Clone(s.data)}
		after.state = append(after.state, c)
		after.byValue[stateKey{s.value.Role, s.value.Name}] = c
		if s.value.Role != ir.Parameter {
			continue
		}
		g.State = append(g.State, s.value)
		d := gradients[s.value.Name]
		if d == nil {
			continue
		}
		used++
		if !slices.Equal(d.Shape(), s.value.Shape) || !d.DType().IsFloat() {
			return nil, fmt.Errorf("train: the gradient of %q is %v, must be floating-point of shape %v", s.value.Name, d, s.value.Shape)
		}
		v := &ir.Value{Name: g.UniqueName("gradients/" + s.value.Name), Type: ir.Float, Shape: s.value.Shape, Role: ir.Input}
		g.Inputs = append(g.Inputs, v)
		values[s.value] = v
	}
	if used != len(gradients) {
		for _, name := range slices.Sorted(maps.Keys(gradients)) {
			if t.byValue[stateKey{ir.Parameter, name}] == nil {
				return nil, fmt.Errorf("train: there is a gradient for %q, which the model does not have", name)
			}
		}
	}
	if err := t.options.update(g, values); err != nil {
		return nil, err
	}
	p, err := after.compile(g, &after.arena)
	if err != nil {
		return nil, err
	}
	for parameter, v := range values {
		b, err := p.Buffer(v)
		if err != nil {
			return nil, err
		}
		assign(b.Float, gradients[parameter.Name])
	}
	p.Run()
	return after.StateView(), nil // of memory that nobody else has
}

// initializers returns the parameters and buffers as float32 tensors by name.
func (t *Trainer[T]) initializers() (map[string]*tensor.Tensor, error) {
	out := map[string]*tensor.Tensor{}
	for _, s := range t.state {
		if s.value.Role == ir.Slot {
			continue
		}
		v, err := newTensor(s.data, s.value.Shape).Convert(s.value.Const.DType())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.value.Name, err)
		}
		out[s.value.Name] = v
	}
	return out, nil
}

// newTensor copies elements whose number is right by construction.
func newTensor[E tensor.Element](data []E, shape []int) *tensor.Tensor {
	t, err := tensor.Of(data, shape...)
	if err != nil {
		panic(err)
	}
	return t
}
