package trace

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/engine"
)

// CollectReference collects the trace of a reference engine. The engine is left at the end of a training; it is not
// closed.
func CollectReference(ctx context.Context, e engine.Engine, o ReferenceOptions) (*Reference, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("collecting a reference trace: %w", err)
	}
	c := &collector{
		engine: e, dir: o.WorkDir, sample: o.Sample, activations: o.Activations, progress: o.Progress,
		total: o.Steps*(1+o.Nudges) + judgedWork*len(o.JudgedSteps),
	}
	if !c.can(float64Type) || !c.can(float32Type) {
		return nil, c.fail(fmt.Errorf("it offers %v", e.Hello().DTypes), "a reference must compute in float32 and float64")
	}
	var err error
	r := &Reference{Experiment: o.Experiment, Sample: o.Sample, Frozen: o.Frozen}
	if err = c.begin(ctx, o.Load, &r.Common); err != nil {
		return nil, err
	}
	if o.Sample == SampleLarge {
		c.sample, r.Sample = 0, 0
		c.decide = func(file string) error {
			r.Sample, err = sampleOfLarge(r.Initial, file, len(o.JudgedSteps))
			c.sample = r.Sample
			return err
		}
	}
	for _, s := range o.JudgedSteps {
		if r.Losses, err = c.train(ctx, r.Losses, s, "reference"); err != nil {
			return nil, err
		}
		step, err := c.judgedStep(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("judged step %d: %w", s, err)
		}
		if err := c.nudgedReplays(ctx, step, o.Steps, o.Seed); err != nil {
			return nil, fmt.Errorf("judged step %d: %w", s, err)
		}
		if s == 0 && o.OmitInitialState {
			step.State, step.InitialState = nil, true
		}
		r.Losses = append(r.Losses, float64(step.StepLoss))
		r.Steps = append(r.Steps, *step)
	}
	if r.Losses, err = c.train(ctx, r.Losses, o.Steps, "reference"); err != nil {
		return nil, err
	}
	final, err := c.lookAtState(ctx, "final")
	if err != nil {
		return nil, err
	}
	r.Final = final.info
	r.FinalValues = only(final.sampled, "parameters/")
	if r.EvalTrained, err = c.forward(ctx); err != nil {
		return nil, err
	}
	for i := range o.Nudges {
		name := fmt.Sprintf("one ulp, start %d", i+1)
		initial, err := safetensors.ReadFile(c.path("initial"))
		if err != nil {
			return nil, err
		}
		if err := safetensors.WriteFile(c.path("nudged"), Nudge(initial.Tensors, o.Seed, uint64(i+1)), nil); err != nil {
			return nil, err
		}
		losses, end, err := c.freeRun(ctx, "nudged", o.Steps)
		if err != nil {
			return nil, fmt.Errorf("free run %q: %w", name, err)
		}
		run := FreeRun{Name: name, Losses: losses}
		if run.Distance, err = distances(only(end.sampled, "parameters/"), r.FinalValues, r.Sample); err != nil {
			return nil, fmt.Errorf("free run %q: %w", name, err)
		}
		r.FreeRuns = append(r.FreeRuns, run)
	}
	return r, nil
}

// sampleOfLarge returns the sample's size for the model that has this state and whose gradient, with what a batch goes through, lies in file.
func sampleOfLarge(state []engine.TensorInfo, file string, judged int) (int, error) {
	parameters, activations := 0, 0
	for _, t := range state {
		if strings.HasPrefix(t.Name, "parameters/") {
			parameters += elementsOf(t.Shape)
		}
	}
	stored, err := safetensors.Open(file)
	if err != nil {
		return 0, err
	}
	for name, t := range stored.Tensors {
		if !strings.HasPrefix(name, "gradients/") {
			activations += elementsOf(t.Shape)
		}
	}
	return sampleOf(parameters, activations, judged), stored.Close()
}

// judgedStep measures the reference at its present state, which is that before step s, and then trains that step.
func (c *collector) judgedStep(ctx context.Context, s int) (*ReferenceStep, error) {
	out := &ReferenceStep{}
	out.Step = s
	var err error
	if out.State, err = c.getState(ctx, "state"); err != nil {
		return nil, err
	}
	if got := counter(out.State["step"]); got != int64(s) {
		return nil, c.fail(fmt.Errorf("it is %d", got), "the state's step counter must be %d", s)
	}
	own := c.path("grad-" + float32Type)
	err = c.measure(ctx, &out.Measured, whole{float32: []string{"gradients/"}}, func() (string, error) { return own, nil })
	if err != nil {
		return nil, err
	}
	out.Before = SampleAll(only(out.State, "parameters/"), c.sample)
	for name, t := range out.Float32 {
		if len(name) > len("outputs/") && name[:len("outputs/")] == "outputs/" && len(t.Shape) > 0 {
			out.Rows = max(out.Rows, t.Shape[0]) // scalar outputs of a step of several parts have a row for each part
		}
	}
	if err := c.noise(ctx, out); err != nil {
		return nil, err
	}
	// A reference whose grad or update changes its state would be no reference for anyone.
	now, err := c.lookAtState(ctx, "state-again")
	if err != nil {
		return nil, err
	}
	if !slices.EqualFunc(describe(out.State), now.info, sameInfo) {
		return nil, c.fail(fmt.Errorf("the state before and after differs"), "grad and update must change nothing")
	}
	if err := c.ownStep(ctx, &out.Measured); err != nil {
		return nil, err
	}
	d, err := distances(stepSet(out.After), out.Exact, c.sample)
	if err != nil {
		return nil, err
	}
	out.StepNoise = append(out.StepNoise, Noise{Variant: "step", Distance: d})
	c.advance(judgedWork, "judged step %d of the reference", s)
	return out, nil
}

// noise measures each variant's distance from the float64 result, for the gradients and for the step they lead to.
func (c *collector) noise(ctx context.Context, out *ReferenceStep) error {
	// The exact step: gradients that are right to one rounding, updated in float64. They were asked for just before.
	exact := Tensors{}
	err := c.readGradients(c.path("grad-"+float64Type), float64Type, func(name string, t *tensor.Tensor) (err error) {
		if strings.HasPrefix(name, "gradients/") {
			exact[name], err = t.Convert(tensor.Float32)
		}
		return err
	})
	if err != nil {
		return c.fail(err, "gradients in %s", float64Type)
	}
	if err := safetensors.WriteFile(c.path("grad-exact"), exact, nil); err != nil {
		return err
	}
	if out.Exact, _, err = c.update(ctx, float64Type, c.path("grad-exact")); err != nil {
		return err
	}

	for _, variant := range append([]string{""}, c.engine.Hello().Variants...) {
		result, loss, err := c.grad(ctx, float32Type, variant, nil)
		if refused := new(engine.Error); variant != "" && errors.As(err, &refused) && refused.Kind == engine.KindUnsupported {
			// Not every variant fits every model: channels-last needs images.
			if out.Refused == nil {
				out.Refused = map[string]string{}
			}
			out.Refused[variant] = refused.Message
			continue
		}
		if err != nil {
			return err
		}
		d, err := distances(result, out.Float64, c.sample)
		if err != nil {
			return fmt.Errorf("variant %q: %w", variant, err)
		}
		d["loss"] = engine.Float(Distance([]float64{float64(loss)}, []float64{float64(*out.Loss64)}))
		out.Noise = append(out.Noise, Noise{Variant: variant, Distance: d})

		file := c.path("grad-" + float32Type + variantFile(variant))
		step, _, err := c.update(ctx, float32Type, file)
		if err != nil {
			return err
		}
		if variant != "" {
			if err := os.Remove(file); err != nil { // as large as the model, and there are many
				return err
			}
		}
		if d, err = distances(step, out.Exact, c.sample); err != nil {
			return fmt.Errorf("variant %q: %w", variant, err)
		}
		out.StepNoise = append(out.StepNoise, Noise{Variant: variant, Distance: d})
	}
	return nil
}

// stepSet is what an update changes.
func stepSet(s Set) Set {
	out := Set{}
	for name, t := range s {
		if hasPrefix(name, []string{"parameters/", "optimizer/"}) {
			out[name] = t
		}
	}
	return out
}

// distances are those of every tensor of x from the one of the same name in o. The reference must be consistent with itself:
// a tensor without counterpart is an error, except an activation, which a variant may not have.
func distances(x, o Set, sample int) (map[string]engine.Float, error) {
	out := make(map[string]engine.Float, len(o))
	for name, want := range o {
		got, ok := x[name]
		if !ok && hasPrefix(name, []string{"activations/"}) {
			continue
		}
		if !ok || !slices.Equal(got.Shape, want.Shape) {
			return nil, fmt.Errorf("tensor %q has shape %v where %v was expected", name, got.Shape, want.Shape)
		}
		a, err := got.Float64s(sample)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		b, err := want.Float64s(sample)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		out[name] = engine.Float(Distance(a, b))
	}
	return out, nil
}

func sameInfo(a, b engine.TensorInfo) bool {
	return a.Name == b.Name && a.DType == b.DType && a.SHA256 == b.SHA256 && slices.Equal(a.Shape, b.Shape)
}
