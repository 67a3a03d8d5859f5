package compare

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"tandem/onnx/safetensors"
	"tandem/onnx/tensor"
	"tandem/results/engine"
	"tandem/results/record"
	"tandem/results/trace"
)

// lookLimit is the largest difference between two forward passes in float32, relative to the largest output, that is taken for
// rounding. A layer with k inputs rounds by about sqrt(k) 2^-24 (Higham, "Accuracy and Stability of Numerical Algorithms", 2nd ed., section
// 3.1, with independent errors); 1e-5 leaves room for a dozen layers of a thousand inputs. The judge's own forward
// stage is far sharper: this look has to catch models that differ, not roundings.
const lookLimit = 1e-5

// look compares the outputs of two forward passes.
func look(weights, a, b string, x, y map[string]*tensor.Tensor) record.ForwardLook {
	l := record.ForwardLook{Weights: weights, A: a, B: b, Limit: lookLimit}
	if len(x) == 0 || !slices.Equal(slices.Sorted(maps.Keys(x)), slices.Sorted(maps.Keys(y))) {
		l.MaxDiff = record.Float(math.Inf(1))
		return l
	}
	worst := 0.0
	for name, t := range x {
		u := y[name]
		if !slices.Equal(t.Shape(), u.Shape()) || t.Len() == 0 {
			l.MaxDiff = record.Float(math.Inf(1))
			return l
		}
		l.Rows = t.Shape()[0]
		p, q := t.Float64s(), u.Float64s()
		diff, size := 0.0, 0.0
		for i := range p {
			if math.IsInf(p[i], 0) && p[i] == q[i] {
				continue // masked on both sides
			}
			d := math.Abs(p[i] - q[i])
			if math.IsNaN(d) {
				d = math.Inf(1)
			}
			diff, size = max(diff, d), max(size, math.Abs(p[i]))
		}
		if size > 0 {
			diff /= size
		}
		worst = max(worst, diff)
	}
	l.MaxDiff = record.Float(worst)
	l.OK = worst <= lookLimit
	return l
}

// looks compares the forward passes of both engines and of the third program, for the initial and the trained weights.
// trained is the candidate's trained model; it may be empty when the candidate cannot write one.
func looks(ctx context.Context, o *Options, ref *trace.Reference, cand *trace.Candidate, trained string) ([]record.ForwardLook, error) {
	refName, candName := ref.Engine.Name, cand.Engine.Name
	out := []record.ForwardLook{look("initial", refName, candName, ref.EvalInitial, cand.EvalInitial)}
	third := func(weights, model, other string, outputs map[string]*tensor.Tensor) error {
		l := record.ForwardLook{Weights: weights, A: other, B: o.Third.Name, Limit: lookLimit}
		switch {
		case o.Third.Forward == nil:
			l.Skipped = o.Third.Missing
		case model == "":
			l.Skipped = other + " cannot write its model as ONNX"
		default:
			got, err := o.Third.Forward(ctx, model, o.Data.Test)
			if err != nil {
				return fmt.Errorf("%s: %w", o.Third.Name, err)
			}
			l = look(weights, other, o.Third.Name, outputs, prefixed(got))
		}
		out = append(out, l)
		return nil
	}
	if err := third("initial", o.ModelFile, refName, ref.EvalInitial); err != nil {
		return nil, err
	}
	if err := third("initial", o.ModelFile, candName, cand.EvalInitial); err != nil {
		return nil, err
	}
	weights := candName + "'s trained"
	if err := third(weights, trained, candName, cand.EvalTrained); err != nil {
		return nil, err
	}
	l := record.ForwardLook{Weights: weights, A: candName, B: refName, Limit: lookLimit}
	switch {
	case trained == "":
		l.Skipped = candName + " cannot write its model as ONNX"
	case o.Reference.Start == nil:
		l.Skipped = "the reference is a recording"
	default:
		outputs, err := o.referenceForward(ctx, trained)
		if err != nil {
			return nil, err
		}
		l = look(weights, candName, refName, cand.EvalTrained, outputs)
	}
	out = append(out, l)
	for i := range out {
		if rows := o.testRows(); rows > 0 && out[i].Rows > 0 { // scalar outputs have a row for each pass
			out[i].Rows = rows
		}
	}
	return out, nil
}

func prefixed(outputs map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	out := map[string]*tensor.Tensor{}
	for name, t := range outputs {
		out["outputs/"+name] = t
	}
	return out
}

// referenceForward has a fresh reference engine load a model and compute its outputs for the test rows.
func (o *Options) referenceForward(ctx context.Context, model string) (out map[string]*tensor.Tensor, err error) {
	c, err := o.start(ctx, record.Reference, o.Threads)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	p := o.load(o.Reference, engine.RandomShared, "")
	p.Model = model
	if _, err := c.Load(ctx, p); err != nil {
		return nil, err
	}
	file := o.Folder.WorkFile("forward.safetensors")
	if _, err := c.Forward(ctx, engine.ForwardParams{Split: "test", Mode: "eval", DType: "float32", File: file}); err != nil {
		return nil, err
	}
	f, err := safetensors.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return f.Tensors, nil
}

// judgeLooks lets a look that failed fail the verdict: two programs that disagree on the same weights are not comparing the same
// model.
func judgeLooks(p *record.Parity, looks []record.ForwardLook) {
	for _, l := range looks {
		if l.OK || l.Skipped != "" {
			continue
		}
		p.Verdict = record.Fail
		if p.Stage == "" {
			p.Stage = record.StageForward
		}
		weights := strings.TrimSuffix(l.Weights, " weights")
		p.Reasons = append([]string{fmt.Sprintf("forward: with %s weights %s and %s differ by %.2g of the largest output on %d test rows in evaluation mode; rounding explains %.0e",
			weights, l.A, l.B, float64(l.MaxDiff), l.Rows, lookLimit)}, p.Reasons...)
	}
}
