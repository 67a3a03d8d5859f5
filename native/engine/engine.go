package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"tandem/fixtures/experiment"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/optim"
	"tandem/native/train"
	"tandem/onnx"
	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/engine"
	"tandem/results/environment"
)

// Native is the native trainer as an engine. The zero value is not ready: use New.
type Native struct {
	engine.Unimplemented

	version  string
	baseline environment.ResidentSet

	model   *onnx.Model
	data    *data
	epoch   int // steps of an epoch
	train   experiment.Train
	options train.Options
	mutant  mutant
	// mean and std are what the data's images were normalized by; nil where they were not. They exist to plant mistakes.
	mean, std []float64
	trainer   *train.Trainer[float32]
	// double computes float64 gradients and updates; it is made when first asked for.
	double *train.Trainer[float64]
}

// New returns an engine that holds nothing yet. version is tandem's own.
func New(version string) *Native {
	n := &Native{version: version}
	if m, err := environment.Resident(os.Getpid()); err == nil {
		n.baseline = m
	}
	return n
}

// Hello describes the engine.
func (n *Native) Hello() engine.Hello {
	return engine.Hello{
		Protocol: engine.Version, Name: "native", Version: n.version,
		Versions: map[string]string{"go": runtime.Version(), "kernels": kernel.Path()},
		Device:   "cpu", PID: os.Getpid(),
		DTypes:       []string{tensor.Float32.String(), tensor.Float64.String()},
		Variants:     variantNames(),
		Mutants:      mutantNames(),
		SharedRandom: true, Activations: true, Save: true, Profile: true,
	}
}

// Load reads experiment, model and data, and compiles the training step for every batch size that the order has.
func (n *Native) Load(_ context.Context, p engine.LoadParams) (*engine.Loaded, error) {
	loaded, err := n.load(p)
	return loaded, asProtocolError(err)
}

func (n *Native) load(p engine.LoadParams) (*engine.Loaded, error) {
	n.close()
	if err := kernel.UseVariable(); err != nil {
		return nil, engine.Errorf(engine.KindInput, "%v", err)
	}
	if err := op.CheckConvVariable(); err != nil {
		return nil, engine.Errorf(engine.KindInput, "%v", err)
	}
	text, err := os.ReadFile(p.Experiment)
	if err != nil {
		return nil, engine.Errorf(engine.KindInput, "%v", err)
	}
	e, err := experiment.ParseJSON(text, p.Experiment)
	if err != nil {
		return nil, engine.Errorf(engine.KindInput, "%v", err)
	}
	if p.Mode != "" {
		return nil, engine.Errorf(engine.KindUnsupported, "the native engine has no mode %q: it has one way of running", p.Mode)
	}
	if p.Random != engine.RandomShared && p.Random != engine.RandomOwn {
		return nil, engine.Errorf(engine.KindInput, "random is %q, must be %q or %q", p.Random, engine.RandomShared, engine.RandomOwn)
	}
	if n.mutant, err = findMutant(p.Mutant); err != nil {
		return nil, err
	}
	if n.model, err = onnx.Load(p.Model); err != nil {
		return nil, err
	}
	n.options = TrainOptions(e)
	n.options.Threads = p.Threads
	if n.data, err = openData(p.Data, n.model, e.Data.InputNames(), n.options.Loss); err != nil {
		return nil, err
	}
	n.mean, n.std = e.Data.Mean, e.Data.Std
	n.epoch, n.train = e.StepsPerEpoch(n.data.train.rows), e.Train
	if err := n.mutant.plant(n); err != nil {
		return nil, err
	}
	if n.trainer, err = train.New[float32](n.model, n.options); err != nil {
		return nil, err
	}
	n.model = n.trainer.Model() // with the trainer's own parameters: the initial ones need no memory any more
	debug.FreeOSMemory()        // nor does what the file was read into, which may be as much as the whole state
	if err := n.compile(); err != nil {
		return nil, err
	}
	loaded := &engine.Loaded{Data: n.data.digests, Threads: n.trainer.Threads(), Sites: n.trainer.DropoutSites()}
	for _, t := range n.trainer.Parameters() {
		loaded.Parameters = append(loaded.Parameters, tensorInfo(t))
	}
	for _, t := range n.trainer.Buffers() {
		loaded.Buffers = append(loaded.Buffers, tensorInfo(t))
	}
	debug.FreeOSMemory()
	return loaded, nil
}

func (n *Native) close() {
	if n.trainer != nil {
		n.trainer.Close()
	}
	if n.double != nil {
		n.double.Close()
	}
	n.data.close()
	n.trainer, n.double, n.data = nil, nil, nil
}

func tensorInfo(p train.Parameter[float32]) engine.TensorInfo {
	t, err := tensor.Of(p.Data, p.Shape...)
	if err != nil {
		panic(err) // the trainer's own shapes fit
	}
	return engine.TensorInfo{Name: p.Name, DType: t.DType().String(), Shape: p.Shape, SHA256: t.SHA256()}
}

// GetState writes the whole state.
func (n *Native) GetState(_ context.Context, file string) (*engine.StateInfo, error) {
	if err := n.ready(); err != nil {
		return nil, err
	}
	state := n.trainer.StateView()
	n.mutant.hide(state)
	if err := safetensors.WriteFile(file, state, nil); err != nil {
		return nil, asProtocolError(err)
	}
	return &engine.StateInfo{Step: n.trainer.Steps()}, nil
}

// SetState replaces the whole state.
func (n *Native) SetState(_ context.Context, file string) (*engine.StateInfo, error) {
	if err := n.ready(); err != nil {
		return nil, err
	}
	f, err := safetensors.ReadFile(file)
	if err != nil {
		return nil, asProtocolError(err)
	}
	n.mutant.complete(n, f.Tensors)
	if err := n.trainer.SetState(f.Tensors); err != nil {
		return nil, engine.Errorf(engine.KindInput, "%s: %v", file, err)
	}
	return &engine.StateInfo{Step: n.trainer.Steps()}, nil
}

// Grad writes loss, outputs and gradients of the present step's batch.
func (n *Native) Grad(_ context.Context, p engine.GradParams) (*engine.GradResult, error) {
	if err := n.ready(); err != nil {
		return nil, err
	}
	if p.Variant != "" && !slices.Contains(variantNames(), p.Variant) {
		return nil, engine.Errorf(engine.KindUnsupported, "the native engine has no variant %q: it has %s", p.Variant, strings.Join(variantNames(), ", "))
	}
	var out map[string]*tensor.Tensor
	var loss float64
	var err error
	switch {
	case p.DType == "float32" && p.Variant != "":
		out, loss, err = varied[float32](n, p.Variant, p.Activations)
	case p.DType == "float64" && p.Variant != "":
		out, loss, err = varied[float64](n, p.Variant, p.Activations)
	case p.DType == "float32":
		out, loss, err = gradient(n, n.trainer, p.Activations)
	case p.DType == "float64":
		if err = n.syncDouble(); err == nil {
			out, loss, err = gradient(n, n.double, p.Activations)
		}
	default:
		err = engine.Errorf(engine.KindUnsupported, "the native engine does not compute in %q", p.DType)
	}
	if err != nil {
		return nil, asProtocolError(err)
	}
	if err := safetensors.WriteFile(p.File, out, nil); err != nil {
		return nil, asProtocolError(err)
	}
	result := &engine.GradResult{Loss: engine.Float(loss)}
	if p.DType == "float32" && p.Variant == "" {
		if result.Batch, err = n.batchDigests(); err != nil {
			return nil, asProtocolError(err)
		}
	}
	return result, nil
}

// batchDigests returns the SHA-256 of each tensor of the present step's batch, as the training step is given it.
func (n *Native) batchDigests() (map[string]string, error) {
	of, err := n.data.batch(n.mutant.step(n, n.trainer.Steps()))
	if err != nil {
		return nil, err
	}
	floats, ints := map[string][]float32{}, map[string][]int64{}
	for _, part := range n.parts(of) {
		b, err := n.partBatch(part, len(of.rows))
		if err != nil {
			return nil, err
		}
		if err := fill(n.data, n.data.train, b, part); err != nil {
			return nil, err
		}
		for i := range n.data.train.inputs {
			in := &n.data.train.inputs[i]
			if in.stored.DType == tensor.Int64 {
				ints[in.name] = append(ints[in.name], b.IntInput(in.name)...)
			} else {
				floats[in.name] = append(floats[in.name], b.Input(in.name)...)
			}
		}
		switch numbers, classes := b.NumberTargets(), b.Targets(); {
		case numbers != nil:
			floats["target"] = append(floats["target"], numbers...)
		case classes != nil:
			ints["target"] = append(ints["target"], classes...)
		}
	}
	out := map[string]string{}
	for name, x := range floats {
		if out[name], err = digest(x); err != nil {
			return nil, err
		}
	}
	for name, x := range ints {
		if out[name], err = digest(x); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func digest[E float32 | int64](x []E) (string, error) {
	t, err := tensor.Of(x, len(x))
	if err != nil {
		return "", err
	}
	return t.SHA256(), nil
}

func gradient[T float32 | float64](n *Native, t *train.Trainer[T], activations bool) (map[string]*tensor.Tensor, float64, error) {
	of, err := n.data.batch(n.mutant.step(n, t.Steps()))
	if err != nil {
		return nil, 0, err
	}
	if n.train.Parts(len(of.rows)) > 1 {
		return accumulatedGradient(n, t, of, activations)
	}
	b, err := t.GradientBatch(len(of.rows), activations)
	if err != nil {
		return nil, 0, err
	}
	if err := fill(n.data, n.data.train, b, of); err != nil {
		return nil, 0, err
	}
	loss, err := t.Gradient(b)
	if err != nil {
		return nil, 0, err
	}
	out := map[string]*tensor.Tensor{}
	if out["loss"], err = tensor.Of([]T{loss}); err != nil {
		return nil, 0, err
	}
	add := func(prefix string, tensors map[string]*tensor.Tensor) {
		for name, v := range tensors {
			out[prefix+name] = v
		}
	}
	add("gradients/", b.Gradients())
	add("outputs/", b.Outputs())
	add("activations/", b.Activations())
	add("buffers/", b.Buffers())
	return out, float64(loss), nil
}

// syncDouble gives the float64 trainer the present state.
func (n *Native) syncDouble() (err error) {
	if n.double == nil {
		if n.double, err = train.New[float64](n.model, n.options); err != nil {
			return err
		}
	}
	return n.double.SetState(n.trainer.StateView())
}

// Update writes the state after one optimizer update with given gradients.
func (n *Native) Update(_ context.Context, p engine.UpdateParams) (*engine.StateInfo, error) {
	if err := n.ready(); err != nil {
		return nil, err
	}
	after, err := n.update(p)
	if err != nil {
		return nil, asProtocolError(err)
	}
	n.mutant.hide(after)
	if err := safetensors.WriteFile(p.File, after, nil); err != nil {
		return nil, asProtocolError(err)
	}
	return &engine.StateInfo{Step: n.trainer.Steps() + 1}, nil
}

func (n *Native) update(p engine.UpdateParams) (after map[string]*tensor.Tensor, err error) {
	f, err := safetensors.ReadFile(p.Gradients)
	if err != nil {
		return nil, err
	}
	gradients := map[string]*tensor.Tensor{}
	for name, v := range f.Tensors {
		if after, ok := strings.CutPrefix(name, "gradients/"); ok {
			gradients[after] = v
		}
	}
	undo, err := n.mutant.forget(n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, undo()) }()
	switch p.DType {
	case "float32":
		return n.trainer.Updated(gradients)
	case "float64":
		if err := n.syncDouble(); err != nil {
			return nil, err
		}
		return n.double.Updated(gradients)
	}
	return nil, engine.Errorf(engine.KindUnsupported, "the native engine does not compute in %q", p.DType)
}

// Step trains and measures each step around its calls alone.
func (n *Native) Step(ctx context.Context, count int) (*engine.StepResult, error) {
	if err := n.ready(); err != nil {
		return nil, err
	}
	r := &engine.StepResult{Losses: make([]engine.Float, 0, count), Seconds: make([]float64, 0, count)}
	for range count {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		loss, seconds, err := n.step()
		if err != nil {
			return nil, asProtocolError(err)
		}
		r.Losses = append(r.Losses, engine.Float(loss))
		r.Seconds = append(r.Seconds, seconds)
	}
	r.Step = n.trainer.Steps()
	return r, nil
}

func (n *Native) step() (loss float32, seconds float64, err error) {
	of, err := n.data.batch(n.mutant.step(n, n.trainer.Steps()))
	if err != nil {
		return 0, 0, err
	}
	if n.train.Parts(len(of.rows)) > 1 {
		return n.accumulatedStep(of)
	}
	b, err := n.trainer.TrainingBatch(len(of.rows))
	if err != nil {
		return 0, 0, err
	}
	if err := fill(n.data, n.data.train, b, of); err != nil {
		return 0, 0, err
	}
	if _, err := n.mutant.forget(n); err != nil {
		return 0, 0, err
	}
	start := time.Now()
	loss, err = n.trainer.Step(b)
	return loss, time.Since(start).Seconds(), err
}

// Forward writes the outputs for all rows of a split in evaluation mode.
func (n *Native) Forward(_ context.Context, p engine.ForwardParams) (*engine.ForwardResult, error) {
	if err := n.ready(); err != nil {
		return nil, err
	}
	if p.Mode != "eval" {
		return nil, engine.Errorf(engine.KindUnsupported, "forward in mode %q: the native engine has \"eval\"", p.Mode)
	}
	s, err := n.data.split(p.Split)
	if err != nil {
		return nil, err
	}
	var out map[string]*tensor.Tensor
	switch p.DType {
	case "float32":
		out, err = forward(n.data, s, n.trainer)
	case "float64":
		if err = n.syncDouble(); err == nil {
			out, err = forward(n.data, s, n.double)
		}
	default:
		err = engine.Errorf(engine.KindUnsupported, "the native engine does not compute in %q", p.DType)
	}
	if err != nil {
		return nil, asProtocolError(err)
	}
	if err := safetensors.WriteFile(p.File, out, nil); err != nil {
		return nil, asProtocolError(err)
	}
	return &engine.ForwardResult{Rows: s.rows}, nil
}

// forward computes the outputs for all rows of a split, some rows at a time.
func forward[T float32 | float64](d *data, s *split, t *train.Trainer[T]) (map[string]*tensor.Tensor, error) {
	parts := map[string][]T{}
	shapes := map[string][]int{}
	size := engine.RowsOfPass(t.Model())
	rows := make([]int64, 0, size)
	for from := 0; from < s.rows; from += size {
		rows = rows[:0]
		for r := from; r < min(from+size, s.rows); r++ {
			rows = append(rows, int64(r))
		}
		b, err := t.EvaluationBatch(len(rows))
		if err != nil {
			return nil, err
		}
		if err := fill(d, s, b, samples{rows: rows}); err != nil {
			return nil, err
		}
		if err := t.Forward(b); err != nil {
			return nil, err
		}
		for name, v := range b.Outputs() {
			shape := v.Shape()
			if len(shape) == 0 { // one number a pass
				shape = []int{1}
			} else if shape[0] != len(rows) {
				return nil, engine.Errorf(engine.KindUnsupported, "output %q has shape %v for %d rows: forward needs one row a sample, or a scalar", name, shape, len(rows))
			}
			parts[name] = append(parts[name], tensor.View[T](v)...)
			if shapes[name] == nil {
				shapes[name] = append([]int{0}, shape[1:]...)
			}
			shapes[name][0] += shape[0]
		}
	}
	out := map[string]*tensor.Tensor{}
	for name, v := range parts {
		t, err := tensor.Of(v, shapes[name]...)
		if err != nil {
			return nil, err
		}
		out["outputs/"+name] = t
	}
	return out, nil
}

// Save writes the model with its present weights as ONNX.
func (n *Native) Save(_ context.Context, file string) error {
	if err := n.ready(); err != nil {
		return err
	}
	m, err := n.trainer.Trained()
	if err != nil {
		return asProtocolError(err)
	}
	return asProtocolError(m.Save(file))
}

// Memory is the process's resident memory.
func (n *Native) Memory(context.Context) (*engine.Memory, error) {
	m, err := environment.Resident(os.Getpid())
	if err != nil {
		return nil, asProtocolError(err)
	}
	return &engine.Memory{
		BaselineBytes: n.baseline.CurrentBytes, CurrentBytes: m.CurrentBytes, PeakBytes: m.PeakBytes,
		BaselineProgramBytes: n.baseline.ProgramBytes, ProgramBytes: m.ProgramBytes,
	}, nil
}

func (n *Native) ready() error {
	if n.trainer == nil {
		return engine.Errorf(engine.KindInput, "nothing is loaded")
	}
	return nil
}

// asProtocolError says of an error whose fault it is: an unsupported operator, the user's file, or this engine.
func asProtocolError(err error) error {
	var already *engine.Error
	var model *onnx.Error
	var file *safetensors.Error
	var pattern *optim.PatternError
	var system syscall.Errno
	switch {
	case err == nil, errors.As(err, &already):
		return err
	case errors.Is(err, op.ErrUnsupported), errors.Is(err, onnx.ErrUnsupported):
		return engine.Errorf(engine.KindUnsupported, "%v", err)
	case errors.As(err, &model), errors.As(err, &file), errors.As(err, &pattern):
		return engine.Errorf(engine.KindInput, "%v", err)
	case errors.As(err, &system): // no room on the disk, a folder that cannot be written: the user's to mend
		return engine.Errorf(engine.KindInput, "%v", err)
	}
	return fmt.Errorf("native engine: %w", err)
}
