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

// begin loads, reads the initial state and looks at the untrained model.
func (c *collector) begin(ctx context.Context, p engine.LoadParams, out *Common) (Tensors, error) {
	loaded, err := c.engine.Load(ctx, p)
	if err != nil {
		return nil, c.fail(err, "load")
	}
	out.Engine, out.Loaded, out.Mutant = c.engine.Hello(), *loaded, p.Mutant
	initial, err := c.getState(ctx, "initial")
	if err != nil {
		return nil, err
	}
	out.Initial = describe(initial)
	out.EvalInitial, err = c.forward(ctx)
	return initial, err
}

// freeRun trains from the state in the file name to the end.
func (c *collector) freeRun(ctx context.Context, name string, steps int) ([]float64, Tensors, error) {
	if err := c.setState(ctx, name); err != nil {
		return nil, nil, err
	}
	losses, err := c.train(ctx, nil, steps, name)
	if err != nil {
		return nil, nil, err
	}
	final, err := c.getState(ctx, "final")
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
	own, loss, err := c.grad(ctx, float32Type, "")
	if err != nil {
		return err
	}
	m.Loss32 = loss
	m.Float32 = c.keep(own, whole.float32)
	if c.can(float64Type) {
		double, loss, err := c.grad(ctx, float64Type, "")
		if err != nil {
			return err
		}
		m.Loss64 = &loss
		m.Float64 = c.keep(double, whole.float64)
	}
	gradients, err := ready()
	if err != nil {
		return err
	}
	single, step, err := c.update(ctx, float32Type, gradients)
	if err != nil {
		return err
	}
	m.UpdateStep = step
	m.Update32 = SampleAll(single, c.sample)
	if c.can(float64Type) {
		double, _, err := c.update(ctx, float64Type, gradients)
		if err != nil {
			return err
		}
		m.Update64 = SampleAll(double, c.sample)
	}
	return nil
}

// whole are the beginnings of the names of tensors that are kept whole.
type whole struct{ float32, float64 []string }

// keep samples all but the tensors whose names begin with one of whole.
func (c *collector) keep(ts Tensors, whole []string) Set {
	out := make(Set, len(ts))
	for name, t := range ts {
		k := c.sample
		if hasPrefix(name, whole) {
			k = 0
		}
		out[name] = Sample(t, k)
	}
	return out
}

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
	after, err := c.getState(ctx, "after")
	if err != nil {
		return err
	}
	m.AfterStep = counter(after)
	m.After = SampleAll(without(after, "step"), c.sample)
	return nil
}

func (c *collector) grad(ctx context.Context, dtype, variant string) (Tensors, engine.Float, error) {
	file := c.path("grad-" + dtype + variantFile(variant))
	result, err := c.engine.Grad(ctx, engine.GradParams{
		DType: dtype, Variant: variant, File: file,
		Activations: c.activations && c.engine.Hello().Activations,
	})
	if err != nil {
		return nil, 0, c.fail(err, "gradients in %s, variant %q", dtype, variant)
	}
	tensors, err := c.read(file, append([]string{"loss"}, gradPrefixes...), dtype)
	if err != nil {
		return nil, 0, c.fail(err, "gradients in %s, variant %q", dtype, variant)
	}
	return without(tensors, "loss"), result.Loss, nil
}

// variantFile makes a file name of a variant's name, which is an engine's and may hold anything.
func variantFile(variant string) string {
	if variant == "" {
		return ""
	}
	return fmt.Sprintf("-%x", variant)
}

func (c *collector) update(ctx context.Context, dtype, gradients string) (Tensors, int64, error) {
	file := c.path("update-" + dtype)
	if _, err := c.engine.Update(ctx, engine.UpdateParams{Gradients: gradients, DType: dtype, File: file}); err != nil {
		return nil, 0, c.fail(err, "update in %s", dtype)
	}
	tensors, err := c.read(file, append([]string{"step"}, statePrefixes...), dtype)
	if err != nil {
		return nil, 0, c.fail(err, "update in %s", dtype)
	}
	step := counter(tensors)
	for name := range tensors {
		if !strings.HasPrefix(name, "parameters/") && !strings.HasPrefix(name, "optimizer/") {
			delete(tensors, name)
		}
	}
	return tensors, step, nil
}

func (c *collector) getState(ctx context.Context, name string) (Tensors, error) {
	file := c.path(name)
	if _, err := c.engine.GetState(ctx, file); err != nil {
		return nil, c.fail(err, "get_state")
	}
	tensors, err := c.read(file, append([]string{"step"}, statePrefixes...), float32Type)
	if err != nil {
		return nil, c.fail(err, "get_state")
	}
	return tensors, nil
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
	tensors, err := c.read(file, []string{"outputs/"}, float32Type)
	if err != nil {
		return nil, c.fail(err, "forward")
	}
	return tensors, nil
}

// read reads an engine's file and refuses what the protocol does not know. Whether a tensor is there and has the
// right shape is the judge's question.
func (c *collector) read(file string, prefixes []string, dtype string) (Tensors, error) {
	content, err := safetensors.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(content.Tensors)) {
		if !hasPrefix(name, prefixes) {
			return nil, fmt.Errorf("%s has tensor %q, which the protocol does not know; names begin with %s", file, name, strings.Join(prefixes, ", "))
		}
		if t := content.Tensors[name]; name != "step" && t.DType().String() != dtype {
			return nil, fmt.Errorf("%s: tensor %q is %v, not %s", file, name, t, dtype)
		}
	}
	return content.Tensors, nil
}

// counter is a state's step counter, -1 when it has none.
func counter(state Tensors) int64 {
	t := state["step"]
	if t == nil || t.DType() != tensor.Int64 || t.Len() != 1 {
		return -1
	}
	return tensor.View[int64](t)[0]
}

func without(ts Tensors, name string) Tensors {
	out := maps.Clone(ts)
	delete(out, name)
	return out
}

// only returns the tensors whose names begin with prefix.
func only(ts Tensors, prefix string) Tensors {
	out := Tensors{}
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
		t := state[name]
		out = append(out, engine.TensorInfo{Name: name, DType: t.DType().String(), Shape: append([]int{}, t.Shape()...), SHA256: t.SHA256()})
	}
	return out
}
