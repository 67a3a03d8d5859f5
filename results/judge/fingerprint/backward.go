package fingerprint

import (
	"fmt"
	"math"
	"strings"

	"tandem/onnx/tensor"
	"tandem/results/trace"
)

func findGradientMissing(l *Look) *Finding {
	if !l.usable() {
		return nil
	}
	var zero []string
	for i := range l.Pairs {
		p := &l.Pairs[i]
		if p.Off && len(p.Got) > 0 && trace.Norm(p.Got) == 0 {
			zero = append(zero, strings.TrimPrefix(p.Name, "gradients/"))
		}
	}
	// The first that is off must be one of them, or something else comes first.
	if len(zero) == 0 || trace.Norm(l.Suspect.Got) != 0 {
		return nil
	}
	return &Finding{fmt.Sprintf("the gradient is zero where the reference's is not: %s", strings.Join(zero, ", ")), 0}
}

func findBatchFactor(l *Look) *Finding {
	rows := float64(l.rows())
	if l.Experiment != nil && l.Experiment.Train.Parts(l.rows()) > 1 {
		rows = float64(l.Experiment.Train.Batch)
	}
	if !l.usable() || rows < 2 {
		return nil
	}
	c, residual, ok := l.Suspect.factor()
	if !ok {
		return nil
	}
	nominal, targets := float64(l.nominal()), float64(l.targets())
	for _, f := range []struct {
		factor float64
		text   string
	}{
		{1 / rows, fmt.Sprintf("1/B: it is divided by the batch twice (B = %g)", rows)},
		{rows, fmt.Sprintf("B: it is not divided by the batch (B = %g)", rows)},
		{1 / targets, fmt.Sprintf("1/N: it is divided by the number of targets twice (N = %g)", targets)},
		{targets, fmt.Sprintf("N: it is not divided by the number of targets (N = %g)", targets)},
		{rows / nominal, fmt.Sprintf("B/nominal batch: a short batch is divided by the full one's size (B = %g)", rows)},
	} {
		if f.factor != 1 && math.Abs(c-f.factor) <= 4*l.Suspect.Tolerance*f.factor {
			return &Finding{fmt.Sprintf("%s is the reference's times %s%s", l.Suspect.Name, f.text, l.others(c)), residual}
		}
	}
	return nil
}

// findAccumulationFactor looks for gradients of several batches that are added up but not averaged, or averaged twice.
func findAccumulationFactor(l *Look) *Finding {
	if !l.usable() || l.Experiment == nil || l.Experiment.Loss.Reduction == "sum" {
		return nil
	}
	parts := float64(l.Experiment.Train.Parts(l.rows()))
	c, residual, ok := l.Suspect.factor()
	if !ok || parts < 2 {
		return nil
	}
	for _, f := range []struct {
		factor float64
		text   string
	}{
		{parts, fmt.Sprintf("N: the gradients of the step's N = %g batches are added up and not divided by N", parts)},
		{1 / parts, fmt.Sprintf("1/N: the gradients of the step's N = %g batches are divided by N twice", parts)},
	} {
		if math.Abs(c-f.factor) <= 4*l.Suspect.Tolerance*f.factor {
			return &Finding{fmt.Sprintf("%s is the reference's times %s%s", l.Suspect.Name, f.text, l.others(c)), residual}
		}
	}
	return nil
}

// gradientOf returns the reference's float64 gradient of a parameter at a judged step, or nil.
func (l *Look) gradientOf(step int, parameter string) []float64 {
	for i := range l.Ref.Steps {
		if l.Ref.Steps[i].Step == step {
			if s, ok := l.Ref.Steps[i].Float64["gradients/"+parameter]; ok {
				if x, err := s.Float64s(l.Ref.Sample); err == nil {
					return x
				}
			}
		}
	}
	return nil
}

// implied returns the gradient that a first moment or momentum buffer says that the training step used.
func (l *Look) implied(p *Pair) (parameter string, gradient []float64) {
	if l.Experiment == nil || len(p.Got) != len(p.Exact) {
		return "", nil
	}
	o := l.Experiment.Optimizer
	before := l.stateValues(p.Name, trace.Sampled{Shape: p.Shape, Values: vector(p.Exact)})
	if len(before) != len(p.Got) {
		return "", nil
	}
	keep, add := 0.0, 0.0
	switch {
	case strings.HasPrefix(p.Name, "optimizer/exp_avg/") && o.Kind == "lion":
		keep, add = o.Betas[1], 1-o.Betas[1]
	case strings.HasPrefix(p.Name, "optimizer/exp_avg/"):
		keep, add = o.Betas[0], 1-o.Betas[0]
	case strings.HasPrefix(p.Name, "optimizer/grad_avg/"):
		keep, add = o.Alpha, 1-o.Alpha
	case strings.HasPrefix(p.Name, "optimizer/momentum_buffer/") && o.Kind == "sgd":
		keep, add = o.Momentum, 1-o.Dampening
		if l.Step == 0 {
			add = 1
		}
	}
	if add == 0 {
		return "", nil
	}
	gradient = make([]float64, len(p.Got))
	for i := range gradient {
		gradient[i] = (p.Got[i] - keep*before[i]) / add
	}
	_, parameter, _ = strings.Cut(strings.TrimPrefix(p.Name, "optimizer/"), "/")
	return parameter, gradient
}

func vector(x []float64) *tensor.Tensor {
	t, err := tensor.Of(x, len(x))
	if err != nil {
		panic(err) // n elements fill a vector of n
	}
	return t
}

// findAccumulated compares with the sum of this step's gradient and the one before, where that step was judged as well.
func findAccumulated(l *Look) *Finding {
	if l.Suspect == nil {
		return nil
	}
	for i := range l.Pairs {
		p := &l.Pairs[i]
		if !p.Off {
			continue
		}
		parameter, gradient := strings.TrimPrefix(p.Name, "gradients/"), p.Got
		if !strings.HasPrefix(p.Name, "gradients/") {
			if parameter, gradient = l.implied(p); gradient == nil {
				continue
			}
		}
		this, before := l.gradientOf(l.Step, parameter), l.gradientOf(l.Step-1, parameter)
		if len(this) == 0 || len(this) != len(before) || len(gradient) != len(this) {
			continue
		}
		for _, share := range []float64{1, 0.5} {
			sum := make([]float64, len(this))
			for k := range sum {
				sum[k] = share * (this[k] + before[k])
			}
			q := Pair{Exact: this, Got: gradient, Size: trace.Norm(this), Tolerance: p.Tolerance}
			if !strings.HasPrefix(p.Name, "gradients/") {
				q.Tolerance = max(p.Tolerance, 1e-5) // solved from a float32 moment
			}
			if f := q.fit(sum, "the gradient of %s is the sum of this step's and the one's before: gradients are not zeroed between steps", parameter); f != nil {
				return f
			}
		}
	}
	return nil
}

// findDecayInGradient looks for a multiple of the weights in the difference.
func findDecayInGradient(l *Look) *Finding {
	if !l.usable() {
		return nil
	}
	name := strings.TrimPrefix(l.Suspect.Name, "gradients/")
	w := l.stateValues("parameters/"+name, trace.Sampled{})
	if len(w) != len(l.Suspect.Got) || len(w) < significant {
		return nil
	}
	ww, wd := 0.0, 0.0
	for i := range w {
		ww += w[i] * w[i]
		wd += w[i] * (l.Suspect.Got[i] - l.Suspect.Exact[i])
	}
	if ww == 0 {
		return nil
	}
	decay := wd / ww
	prediction := make([]float64, len(w))
	for i := range w {
		prediction[i] = l.Suspect.Exact[i] + decay*w[i]
	}
	return l.Suspect.fit(prediction, "%s is the reference's plus %.5g times the weights: a weight decay is in the gradient", l.Suspect.Name, decay)
}

// findClipped looks for one factor below 1 on all gradients, with a round number for their common norm.
func findClipped(l *Look) *Finding {
	if !l.usable() || l.Suspect.Sampled {
		return nil
	}
	c, residual, ok := l.Suspect.factor()
	if !ok || c >= 1 || c <= 0 {
		return nil
	}
	square := 0.0
	for i := range l.Pairs {
		p := &l.Pairs[i]
		other, _, ok := p.factor()
		if !ok || p.Sampled || math.Abs(other-c) > 4*max(p.Tolerance, l.Suspect.Tolerance)*c {
			return nil
		}
		n := trace.Norm(p.Got)
		square += n * n
	}
	norm := math.Sqrt(square)
	for _, limit := range []float64{0.01, 0.1, 0.25, 0.5, 1, 2, 5, 10, 100} {
		if math.Abs(norm-limit) <= 1e-4*limit {
			return &Finding{fmt.Sprintf("all gradients are the reference's times %.7g, and their common norm is %g: they were clipped", c, limit), residual}
		}
	}
	return nil
}

// findRowsOverwritten looks for rows of an embedding that are right where the batch names them once and wrong where it does more often.
func findRowsOverwritten(l *Look) *Finding {
	if !l.whole() || len(l.Suspect.Shape) != 2 || l.Data == nil {
		return nil
	}
	for name, t := range l.Data.Inputs {
		if t.DType() != tensor.Int64 && t.DType() != tensor.Int32 {
			continue
		}
		times := map[int]int{}
		for _, v := range l.Data.Input(name, l.Step).Float64s() {
			times[int(v)]++
		}
		wrong, right, fits := 0, 0, true
		for r, off := range rowErrors(l.Suspect) {
			switch {
			case off && times[r] > 1:
				wrong++
			case off:
				fits = false
			case times[r] == 1:
				right++
			}
		}
		if fits && wrong > 0 && right > 0 {
			return &Finding{fmt.Sprintf("%s is wrong in %d rows, all of which the batch names more than once, and right in the %d that it names once: rows are overwritten where they must be added", l.Suspect.Name, wrong, right), math.NaN()}
		}
	}
	return nil
}
