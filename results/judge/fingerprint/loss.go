package fingerprint

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tandem/fixtures/experiment"
	"tandem/onnx"
	"tandem/results/judge/lossformula"
	"tandem/results/trace"
)

// logits returns the candidate's logits of the step, as (rows, classes) with a row for each target, and with the loss that it made of them; float64 if it has both.
func (l *Look) logits() (x []float64, rows, classes int, loss, tolerance float64, ok bool) {
	if l.C == nil || l.Experiment == nil || l.Experiment.Loss.Kind != "cross_entropy" || !l.Experiment.Loss.Plain() || l.Experiment.Loss.ClassDim == 1 {
		return nil, 0, 0, 0, 0, false
	}
	set, loss, tolerance := l.C.Float32, float64(l.C.Loss32), 2e-6
	if l.C.Loss64 != nil && l.C.Float64 != nil {
		set, loss, tolerance = l.C.Float64, float64(*l.C.Loss64), 1e-11
	}
	s, known := l.lossOutput(set)
	if !known || len(s.Shape) < 2 {
		return nil, 0, 0, 0, 0, false
	}
	x, classes = s.Values.Float64s(), s.Shape[len(s.Shape)-1]
	if len(x) != s.Len() || classes < 2 || !trace.Finite(x) {
		return nil, 0, 0, 0, 0, false
	}
	return x, len(x) / classes, classes, loss, tolerance, !math.IsNaN(loss) && !math.IsInf(loss, 0)
}

// lossOutput returns the output that the loss is taken of: the only one, or of several the one that the experiment means.
func (l *Look) lossOutput(set trace.Set) (trace.Sampled, bool) {
	var names []string
	for name := range set {
		if after, is := strings.CutPrefix(name, "outputs/"); is {
			names = append(names, after)
		}
	}
	if len(names) > 1 {
		if l.Model == nil || l.Experiment == nil {
			return trace.Sampled{}, false
		}
		names = l.Model.Graph.OutputNames()
		i, err := onnx.OutputIndex(names, l.Experiment.Loss.Output)
		if err != nil {
			return trace.Sampled{}, false
		}
		names = names[i : i+1]
	}
	if len(names) == 0 {
		return trace.Sampled{}, false
	}
	s, there := set["outputs/"+names[0]]
	return s, there
}

// crossEntropy is -log softmax(x)[target], summed or averaged over the rows.
func crossEntropy(x []float64, classes int, target []int64, mean bool) float64 {
	sum := 0.0
	for r, t := range target {
		row := x[r*classes : (r+1)*classes]
		top := math.Inf(-1)
		for _, v := range row {
			top = max(top, v)
		}
		total := 0.0
		for _, v := range row {
			total += math.Exp(v - top)
		}
		if t < 0 || int(t) >= classes {
			return math.NaN()
		}
		sum += top + math.Log(total) - row[t]
	}
	if mean {
		sum /= float64(len(target))
	}
	return sum
}

func softmax(x []float64, classes int) []float64 {
	out := make([]float64, len(x))
	for at := 0; at < len(x); at += classes {
		top := math.Inf(-1)
		for _, v := range x[at : at+classes] {
			top = max(top, v)
		}
		total := 0.0
		for i, v := range x[at : at+classes] {
			out[at+i] = math.Exp(v - top)
			total += out[at+i]
		}
		for i := range classes {
			out[at+i] /= total
		}
	}
	return out
}

// recomputed compares the candidate's loss with one that is computed anew from its logits. It says nothing where the right loss fits, too.
func (l *Look) recomputed(compute func(x []float64, classes int, target []int64, mean bool) float64) (residual float64, ok bool) {
	x, rows, classes, loss, tolerance, ok := l.logits()
	if !ok || l.Data == nil {
		return 0, false
	}
	target := l.Data.Targets(l.Step)
	if len(target) != rows {
		return 0, false
	}
	mean := l.Experiment.Loss.Reduction == "mean"
	if plain := crossEntropy(x, classes, target, mean); math.IsNaN(plain) || math.Abs(plain-loss) <= 16*tolerance*math.Abs(loss) {
		return 0, false
	}
	residual = math.Abs(compute(x, classes, target, mean)-loss) / math.Abs(loss)
	return residual, residual <= tolerance
}

// findLossSettings computes the loss anew from the candidate's own outputs, by the losses that can be taken for the experiment's.
func findLossSettings(l *Look) *Finding {
	if l.C == nil || l.Experiment == nil || l.Data == nil || l.Step < 0 {
		return nil
	}
	set, loss, tolerance := l.C.Float32, float64(l.C.Loss32), 2e-6
	if l.C.Loss64 != nil && l.C.Float64 != nil {
		set, loss, tolerance = l.C.Float64, float64(*l.C.Loss64), 1e-11
	}
	s, known := l.lossOutput(set)
	if !known {
		return nil
	}
	output := lossformula.Output{Values: s.Values.Float64s(), Shape: s.Shape}
	if len(output.Values) != s.Len() || !trace.Finite(output.Values) {
		return nil
	}
	targets := lossformula.Targets{Classes: l.Data.Targets(l.Step), Numbers: l.Data.Numbers(l.Step)}
	off := func(o experiment.Loss) float64 {
		x, err := lossformula.Value(o, output, targets)
		if err != nil {
			return math.Inf(1)
		}
		return math.Abs(x-loss) / math.Abs(loss)
	}
	if !(off(l.Experiment.Loss) > 16*tolerance) {
		return nil
	}
	for _, other := range lossformula.Others(l.Experiment.Loss) {
		if residual := off(other.Loss); residual <= tolerance {
			return &Finding{"the loss is what the candidate's own outputs give when " + other.Text, residual}
		}
	}
	return nil
}

func findLossReduction(l *Look) *Finding {
	rows, targets := float64(l.rows()), float64(l.targets())
	if !l.usable() || len(l.Suspect.Exact) != 1 || targets < 2 {
		return nil
	}
	for _, c := range []struct {
		factor float64
		text   string
	}{
		{targets, fmt.Sprintf("%g times the reference's: it is the sum over the batch's targets where the mean is asked for", targets)},
		{targets / rows, fmt.Sprintf("%g times the reference's: it is divided by the %g samples instead of their %g targets", targets/rows, rows, targets)},
		{1 / targets, fmt.Sprintf("1/%g of the reference's: it is divided by the number of targets once more", targets)},
		{1 / rows, fmt.Sprintf("1/%g of the reference's: it is divided by the number of samples once more", rows)},
	} {
		if c.factor == 1 {
			continue
		}
		if f := l.Suspect.fit([]float64{c.factor * l.Suspect.Exact[0]}, "the loss is %s", c.text); f != nil {
			return f
		}
	}
	return nil
}

func findNominalDivisor(l *Look) *Finding {
	rows, nominal := float64(l.rows()), float64(l.nominal())
	if !l.usable() || len(l.Suspect.Exact) != 1 || rows == nominal || rows == 0 {
		return nil
	}
	return l.Suspect.fit([]float64{rows / nominal * l.Suspect.Exact[0]}, "the loss of the short batch of %g rows is divided by the full batch's %g", rows, nominal)
}

func findSoftmaxTwice(l *Look) *Finding {
	residual, ok := l.recomputed(func(x []float64, classes int, target []int64, mean bool) float64 {
		return crossEntropy(softmax(x, classes), classes, target, mean)
	})
	if !ok {
		return nil
	}
	return &Finding{"the loss is what the candidate's own outputs give when softmax is applied to them twice", residual}
}

func findLabelsShifted(l *Look) *Finding {
	if l.Step < 0 {
		return l.digestLabels()
	}
	if l.Data == nil {
		return nil
	}
	if len(l.Data.Target) == 0 {
		return nil
	}
	named := slices.Max(l.Data.Target) + 1 // a model may have more classes than the data names
	for _, by := range []int64{1, -1, 2, -2} {
		for _, all := range []bool{true, false} {
			residual, ok := l.recomputed(func(x []float64, classes int, target []int64, mean bool) float64 {
				n := named
				if all {
					n = int64(classes)
				}
				other := make([]int64, len(target))
				for i, t := range target {
					other[i] = (t + by + n) % n
				}
				return crossEntropy(x, classes, other, mean)
			})
			if ok {
				return &Finding{fmt.Sprintf("the loss is what the candidate's own outputs give with every label moved by %+d", by), residual}
			}
		}
	}
	return nil
}

// nearSteps is how far off a batch may be whose labels are recognized in float32, where among many batches one fits by chance.
const nearSteps = 16

// batch returns the step whose labels give the candidate's own loss with its own outputs; -1 where its own step's do, or none.
func (l *Look) batch() (step int, residual float64) {
	x, rows, classes, loss, tolerance, ok := l.logits()
	if !ok || l.Data == nil {
		return -1, 0
	}
	mean := l.Experiment.Loss.Reduction == "mean"
	off := func(step int) float64 {
		target := l.Data.Targets(step)
		if len(target) != rows {
			return math.Inf(1)
		}
		return math.Abs(crossEntropy(x, classes, target, mean)-loss) / math.Abs(loss)
	}
	if off(l.Step) <= 16*tolerance {
		return -1, 0
	}
	steps := l.Data.Steps()
	for distance := 1; distance < steps; distance++ {
		if tolerance > 1e-9 && distance > nearSteps {
			break
		}
		for _, k := range []int{l.Step - distance, l.Step + distance} {
			if k >= 0 && k < steps {
				if residual := off(k); residual <= tolerance {
					return k, residual
				}
			}
		}
	}
	return -1, 0
}

// findOtherBatch recomputes the candidate's loss from its own outputs with the labels of every other batch.
func findOtherBatch(l *Look) *Finding {
	k, residual := l.batch()
	if k < 0 {
		return nil
	}
	return &Finding{fmt.Sprintf("the loss is what the candidate's own outputs give with the labels of step %d: it computed another batch, %+d from its own", k, k-l.Step), residual}
}

// findShortBatchDropped looks for full batches in the place of short ones, and for the batch that the step has when only full ones count.
func findShortBatchDropped(l *Look) *Finding {
	if l.Step < 0 {
		return l.digestOffsets()
	}
	if p := l.Suspect; p != nil && len(p.GotShape) > 0 && len(p.Shape) > 0 && p.Shape[0] == l.rows() && l.rows() < l.nominal() && p.GotShape[0] == l.nominal() {
		return &Finding{fmt.Sprintf("at step %d, whose batch has %d rows, the candidate computed a full one of %d: the short batch was dropped or filled up", l.Step, l.rows(), l.nominal()), math.NaN()}
	}
	k, residual := l.batch()
	if k < 0 {
		return nil
	}
	full := 0
	for step := range k {
		if len(l.Data.Rows(step)) == len(l.Data.Rows(0)) {
			full++
		}
	}
	if full != l.Step {
		return nil
	}
	return &Finding{fmt.Sprintf("the candidate computed the batch of step %d, which is step %d when the %d short batches before it are left out", k, l.Step, k-l.Step), residual}
}
