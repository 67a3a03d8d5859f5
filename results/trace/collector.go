package trace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// chunk is the number of steps asked for at a time, so that progress is seen and a cancelled run ends soon.
const chunk = 64

// The work that a judged step is reckoned as, in training steps.
const judgedWork = 20

const (
	float32Type = "float32"
	float64Type = "float64"
)

// collector drives one engine.
type collector struct {
	engine      engine.Engine
	dir         string
	sample      int
	activations bool
	progress    Progress
	batch       map[string]string            // of the last plain gradient in float32
	decide      func(gradients string) error // if not nil, is given the first file of gradients, before it is read
	done, total int
}

func (c *collector) path(name string) string { return filepath.Join(c.dir, name+".safetensors") }

func (c *collector) advance(n int, format string, args ...any) {
	c.done += n
	if c.progress != nil {
		c.progress(c.done, c.total, fmt.Sprintf(format, args...))
	}
}

func (c *collector) can(dtype string) bool { return slices.Contains(c.engine.Hello().DTypes, dtype) }

// fail names the engine and what it was doing. An error of a client of the protocol names both already.
func (c *collector) fail(err error, format string, args ...any) error {
	var refusal *engine.Refusal
	var failure *engine.Failure
	if errors.As(err, &refusal) || errors.As(err, &failure) {
		return err
	}
	return fmt.Errorf("engine %s: %s: %w", c.engine.Hello().Name, fmt.Sprintf(format, args...), err)
}

// begin loads, reads the initial state, which then lies in the file "initial", and looks at the untrained model.
func (c *collector) begin(ctx context.Context, p engine.LoadParams, out *Common) error {
	loaded, err := c.engine.Load(ctx, p)
	if err != nil {
		return c.fail(err, "load")
	}
	out.Engine, out.Loaded, out.Mutant = c.engine.Hello(), *loaded, p.Mutant
	initial, err := c.lookAtState(ctx, "initial")
	if err != nil {
		return err
	}
	out.Initial = initial.info
	out.EvalInitial, err = c.forward(ctx)
	return err
}

// freeRun trains from the state in the file name to the end.
func (c *collector) freeRun(ctx context.Context, name string, steps int) ([]float64, *stateLook, error) {
	if err := c.setState(ctx, name); err != nil {
		return nil, nil, err
	}
	losses, err := c.train(ctx, nil, steps, name)
	if err != nil {
		return nil, nil, err
	}
	final, err := c.lookAtState(ctx, "final")
	return losses, final, err
}

// train appends the losses of the steps up to (not including) step until.
func (c *collector) train(ctx context.Context, losses []float64, until int, what string) ([]float64, error) {
	for len(losses) < until {
		n := min(chunk, until-len(losses))
		result, err := c.engine.Step(ctx, n)
		if err != nil {
			return nil, c.fail(err, "training steps %d to %d", len(losses), len(losses)+n-1)
		}
		if len(result.Losses) != n {
			return nil, c.fail(fmt.Errorf("%d losses", len(result.Losses)), "training %d steps from step %d", n, len(losses))
		}
		for _, l := range result.Losses {
			losses = append(losses, float64(l))
		}
		c.advance(n, "training (%s)", what)
	}
	return losses, nil
}

// measure is what both roles answer at a judged step, all from the present state. The file of the reference's
// gradients is written by ready, which is called after the engine's own gradients are there. The tensors whose names begin with one of whole are
// kept whole.
func (c *collector) measure(ctx context.Context, m *Measured, whole whole, ready func() (gradients string, err error)) error {
	var err error
	if m.Float32, m.Loss32, err = c.grad(ctx, float32Type, "", whole.float32); err != nil {
		return err
	}
	m.Batch = c.batch
	if c.can(float64Type) {
		var loss engine.Float
		if m.Float64, loss, err = c.grad(ctx, float64Type, "", whole.float64); err != nil {
			return err
		}
		m.Loss64 = &loss
	}
	gradients, err := ready()
	if err != nil {
		return err
	}
	if m.Update32, m.UpdateStep, err = c.update(ctx, float32Type, gradients); err != nil {
		return err
	}
	if c.can(float64Type) {
		m.Update64, _, err = c.update(ctx, float64Type, gradients)
	}
	return err
}

// whole are the beginnings of the names of tensors that are kept whole.
type whole struct{ float32, float64 []string }

// ownStep lets the engine train one step as it always does.
func (c *collector) ownStep(ctx context.Context, m *Measured) error {
	result, err := c.engine.Step(ctx, 1)
	if err != nil {
		return c.fail(err, "training step %d", m.Step)
	}
	if len(result.Losses) != 1 {
		return c.fail(fmt.Errorf("%d losses", len(result.Losses)), "training step %d", m.Step)
	}
	m.StepLoss = result.Losses[0]
	after, err := c.lookAtState(ctx, "after")
	if err != nil {
		return err
	}
	m.After, m.AfterStep = after.sampled, after.step
	return nil
}

// grad asks for gradients, outputs and activations, and samples all but the tensors whose names begin with one of whole.
func (c *collector) grad(ctx context.Context, dtype, variant string, whole []string) (Set, engine.Float, error) {
	file := c.path("grad-" + dtype + variantFile(variant))
	result, err := c.engine.Grad(ctx, engine.GradParams{
		DType: dtype, Variant: variant, File: file,
		Activations: c.activations && c.engine.Hello().Activations,
	})
	if err != nil {
		return nil, 0, c.fail(err, "gradients in %s, variant %q", dtype, variant)
	}
	if dtype == float32Type && variant == "" {
		c.batch = result.Batch
	}
	if c.decide != nil {
		if err := c.decide(file); err != nil {
			return nil, 0, c.fail(err, "gradients in %s, variant %q", dtype, variant)
		}
		c.decide = nil
	}
	out := Set{}
	err = c.readGradients(file, dtype, func(name string, t *tensor.Tensor) error {
		k := c.sample
		if hasPrefix(name, whole) {
			k = 0
		}
		out[name] = Sample(t, k)
		return nil
	})
	if err != nil {
		return nil, 0, c.fail(err, "gradients in %s, variant %q", dtype, variant)
	}
	return out, result.Loss, nil
}

// readGradients reads what grad wrote, but the loss, which is in the answer as well.
func (c *collector) readGradients(file, dtype string, f func(name string, t *tensor.Tensor) error) error {
	return c.read(file, append([]string{"loss"}, gradPrefixes...), dtype, func(name string, t *tensor.Tensor) error {
		if name == "loss" {
			return nil
		}
		return f(name, t)
	})
}

// variantFile makes a file name of a variant's name, which is an engine's and may hold anything.
func variantFile(variant string) string {
	if variant == "" {
		return ""
	}
	return fmt.Sprintf("-%x", variant)
}

// update asks for the state after an update and samples what it changes: parameters and optimizer slots.
func (c *collector) update(ctx context.Context, dtype, gradients string) (Set, int64, error) {
	file := c.path("update-" + dtype)
	if _, err := c.engine.Update(ctx, engine.UpdateParams{Gradients: gradients, DType: dtype, File: file}); err != nil {
		return nil, 0, c.fail(err, "update in %s", dtype)
	}
	look, err := c.look(file, dtype, false)
	if err != nil {
		return nil, 0, c.fail(err, "update in %s", dtype)
	}
	return stepSet(look.sampled), look.step, nil
}

// stateLook is what is kept of a state of which not all is needed.
type stateLook struct {
	info    []engine.TensorInfo
	sampled Set // without the counter
	step    int64
}

// lookAtState has the engine write its state to the file of that name and looks at it.
func (c *collector) lookAtState(ctx context.Context, name string) (*stateLook, error) {
	if _, err := c.engine.GetState(ctx, c.path(name)); err != nil {
		return nil, c.fail(err, "get_state")
	}
	look, err := c.look(c.path(name), float32Type, true)
	if err != nil {
		return nil, c.fail(err, "get_state")
	}
	return look, nil
}

// look reads a state's file one tensor after the other. The digests are taken where they are asked for.
func (c *collector) look(file, dtype string, digests bool) (*stateLook, error) {
	out := &stateLook{sampled: Set{}, step: -1}
	err := c.read(file, append([]string{"step"}, statePrefixes...), dtype, func(name string, t *tensor.Tensor) error {
		if digests {
			out.info = append(out.info, info(name, t))
		}
		if name == "step" {
			out.step = counter(t)
		} else {
			out.sampled[name] = Sample(t, c.sample)
		}
		return nil
	})
	slices.SortFunc(out.info, func(a, b engine.TensorInfo) int { return strings.Compare(a.Name, b.Name) })
	return out, err
}

// getState returns the whole state.
func (c *collector) getState(ctx context.Context, name string) (Tensors, error) {
	if _, err := c.engine.GetState(ctx, c.path(name)); err != nil {
		return nil, c.fail(err, "get_state")
	}
	out := Tensors{}
	err := c.read(c.path(name), append([]string{"step"}, statePrefixes...), float32Type, func(name string, t *tensor.Tensor) error {
		out[name] = t
		return nil
	})
	if err != nil {
		return nil, c.fail(err, "get_state")
	}
	return out, nil
}

func (c *collector) setState(ctx context.Context, name string) error {
	if _, err := c.engine.SetState(ctx, c.path(name)); err != nil {
		return c.fail(err, "set_state")
	}
	return nil
}

// forward returns the outputs for the test rows in eval mode.
func (c *collector) forward(ctx context.Context) (Tensors, error) {
	file := c.path("forward")
	if _, err := c.engine.Forward(ctx, engine.ForwardParams{Split: "test", Mode: "eval", DType: float32Type, File: file}); err != nil {
		return nil, c.fail(err, "forward")
	}
	out := Tensors{}
	err := c.read(file, []string{"outputs/"}, float32Type, func(name string, t *tensor.Tensor) error {
		out[name] = t
		return nil
	})
	if err != nil {
		return nil, c.fail(err, "forward")
	}
	return out, nil
}

// read reads an engine's file, one tensor after the other, and refuses what the protocol does not know. Whether a tensor is there and has the
// right shape is the judge's question.
func (c *collector) read(file string, prefixes []string, dtype string, f func(name string, t *tensor.Tensor) error) error {
	return safetensors.Each(file, func(name string, t *tensor.Tensor) error {
		if !hasPrefix(name, prefixes) {
			return fmt.Errorf("%s has tensor %q, which the protocol does not know; names begin with %s", file, name, strings.Join(prefixes, ", "))
		}
		if name != "step" && t.DType().String() != dtype {
			return fmt.Errorf("%s: tensor %q is %v, not %s", file, name, t, dtype)
		}
		return f(name, t)
	})
}

// counter is a state's step counter, -1 when it has none.
func counter(t *tensor.Tensor) int64 {
	if t == nil || t.DType() != tensor.Int64 || t.Len() != 1 {
		return -1
	}
	return tensor.View[int64](t)[0]
}

// only returns the tensors whose names begin with prefix.
func only[T any](ts map[string]T, prefix string) map[string]T {
	out := map[string]T{}
	for name, t := range ts {
		if strings.HasPrefix(name, prefix) {
			out[name] = t
		}
	}
	return out
}

// describe lists a state's tensors by name with their digests.
func describe(state Tensors) []engine.TensorInfo {
	var out []engine.TensorInfo
	for _, name := range slices.Sorted(maps.Keys(state)) {
		out = append(out, info(name, state[name]))
	}
	return out
}

func info(name string, t *tensor.Tensor) engine.TensorInfo {
	return engine.TensorInfo{Name: name, DType: t.DType().String(), Shape: append([]int{}, t.Shape()...), SHA256: t.SHA256()}
}
