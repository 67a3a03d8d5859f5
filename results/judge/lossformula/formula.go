package lossformula

import (
	"errors"
	"fmt"
	"math"

	"tandem/fixtures/experiment"
)

// Output is a model's output, row-major; a scalar has no shape and one value.
type Output struct {
	Values []float64
	Shape  []int
}

// Targets are those of the output's rows, row-major: Classes, or Numbers in the output's shape, or neither.
type Targets struct {
	Classes []int64
	Numbers []float64
}

// Value returns the loss of an output.
func Value(l experiment.Loss, x Output, t Targets) (float64, error) {
	if len(x.Values) == 0 || len(x.Shape) == 0 && (len(x.Values) > 1 || l.Kind != "output") {
		return 0, errors.New("loss: the output has no elements")
	}
	if l.TakesClasses() {
		return ofClasses(l, x, t.Classes)
	}
	each, ok := elements[l.Kind]
	if !ok {
		return 0, fmt.Errorf("loss: there is no formula for %q", l.Kind)
	}
	if l.TakesTarget() && len(t.Numbers) != len(x.Values) {
		return 0, fmt.Errorf("loss: there are %d targets for an output of shape %v", len(t.Numbers), x.Shape)
	}
	sum := 0.0
	for i, v := range x.Values {
		target := 0.0
		if l.TakesTarget() {
			target = t.Numbers[i]
		}
		sum += each(l, i, v, target)
	}
	switch l.Reduction {
	case "mean":
		sum /= float64(len(x.Values))
	case "batchmean":
		sum /= float64(x.Shape[0])
	}
	return sum, nil
}

// elements are the losses of one element x, the i-th, with its target t.
var elements = map[string]func(l experiment.Loss, i int, x, t float64) float64{
	"mse": func(_ experiment.Loss, _ int, x, t float64) float64 { return (x - t) * (x - t) },
	"l1":  func(_ experiment.Loss, _ int, x, t float64) float64 { return math.Abs(x - t) },
	"huber": func(l experiment.Loss, _ int, x, t float64) float64 {
		if d := math.Abs(x - t); d >= l.Delta {
			return l.Delta * (d - l.Delta/2)
		}
		return (x - t) * (x - t) / 2
	},
	"smooth_l1": func(l experiment.Loss, _ int, x, t float64) float64 {
		if d := math.Abs(x - t); d >= l.Beta {
			return d - l.Beta/2
		}
		return (x - t) * (x - t) / (2 * l.Beta)
	},
	"bce_with_logits": func(l experiment.Loss, i int, x, t float64) float64 {
		w := 1.0
		if n := len(l.PositiveWeights); n > 0 {
			w = l.PositiveWeights[i%n]
		}
		return (1-t)*x + (1+(w-1)*t)*(math.Max(-x, 0)+math.Log1p(math.Exp(-math.Abs(x))))
	},
	"kl_div": func(l experiment.Loss, _ int, x, t float64) float64 {
		switch {
		case l.LogTarget:
			return math.Exp(t) * (t - x)
		case t > 0:
			return t * (math.Log(t) - x)
		}
		return -t * x
	},
	"output": func(_ experiment.Loss, _ int, x, _ float64) float64 { return x },
}

// ofClasses is the loss of class numbers.
func ofClasses(l experiment.Loss, x Output, targets []int64) (float64, error) {
	rows, classes, err := Rows(l, x)
	if err != nil {
		return 0, err
	}
	if len(targets) != len(rows)/classes {
		return 0, fmt.Errorf("loss: there are %d targets for an output of shape %v", len(targets), x.Shape)
	}
	if len(l.ClassWeights) > 0 && len(l.ClassWeights) != classes {
		return 0, fmt.Errorf("loss: there are %d weights for %d classes", len(l.ClassWeights), classes)
	}
	weight := func(class int) float64 {
		if len(l.ClassWeights) == 0 {
			return 1
		}
		return l.ClassWeights[class]
	}
	sum, divisor := 0.0, 0.0
	for r, target := range targets {
		if l.IgnoreIndex != nil && target == int64(*l.IgnoreIndex) {
			continue
		}
		if target < 0 || target >= int64(classes) {
			return 0, fmt.Errorf("loss: target %d is class %d of %d", r, target, classes)
		}
		row := rows[r*classes : (r+1)*classes]
		shift := 0.0
		if l.Kind == "cross_entropy" {
			shift = logSumExp(row)
		}
		divisor += weight(int(target))
		sum -= (1 - l.LabelSmoothing) * weight(int(target)) * (row[target] - shift)
		if l.LabelSmoothing != 0 {
			for c, v := range row {
				sum -= l.LabelSmoothing / float64(classes) * weight(c) * (v - shift)
			}
		}
	}
	if l.Reduction == "mean" {
		sum /= divisor
	}
	return sum, nil
}

// Rows returns the scores of an output as a row of classes for each target.
func Rows(l experiment.Loss, x Output) (rows []float64, classes int, err error) {
	n := len(x.Shape)
	if n < 2 {
		return nil, 0, fmt.Errorf("loss: an output of shape %v has no classes", x.Shape)
	}
	if l.ClassDim != 1 || n == 2 {
		return x.Values, x.Shape[n-1], nil
	}
	classes = x.Shape[1]
	inner := len(x.Values) / (x.Shape[0] * classes)
	rows = make([]float64, len(x.Values))
	for i, v := range x.Values { // (batch, class, inner) becomes (batch, inner, class)
		batch, class, at := i/(classes*inner), i/inner%classes, i%inner
		rows[(batch*inner+at)*classes+class] = v
	}
	return rows, classes, nil
}

func logSumExp(row []float64) float64 {
	highest := math.Inf(-1)
	for _, v := range row {
		highest = math.Max(highest, v) // NaN stays
	}
	total := 0.0
	for _, v := range row {
		total += math.Exp(v - highest)
	}
	return highest + math.Log(total)
}

// Other is a loss that can be taken for another one.
type Other struct {
	Loss experiment.Loss
	Text string // what is different
}

// Others returns the losses that can be taken for one.
func Others(l experiment.Loss) (out []Other) {
	add := func(text string, change func(*experiment.Loss)) {
		o := l
		change(&o)
		out = append(out, Other{o, text})
	}
	if len(l.ClassWeights) > 0 {
		add("the weights of the classes are missing", func(o *experiment.Loss) { o.ClassWeights = nil })
	}
	if l.IgnoreIndex != nil {
		add(fmt.Sprintf("targets of %d count, which should be ignored", *l.IgnoreIndex), func(o *experiment.Loss) { o.IgnoreIndex = nil })
	}
	if l.LabelSmoothing != 0 {
		add("the label smoothing is missing", func(o *experiment.Loss) { o.LabelSmoothing = 0 })
	}
	if l.Kind == "cross_entropy" && l.LabelSmoothing == 0 {
		add("labels are smoothed by 0.1", func(o *experiment.Loss) { o.LabelSmoothing = 0.1 })
	}
	for _, x := range []float64{0.1, 0.25, 0.5, 1, 2} {
		if l.Kind == "huber" {
			for _, delta := range []float64{x, x * l.Delta} {
				if delta != l.Delta {
					add(fmt.Sprintf("delta is %g instead of %g", delta, l.Delta), func(o *experiment.Loss) { o.Delta = delta })
				}
			}
		}
		if l.Kind == "smooth_l1" {
			for _, beta := range []float64{x, x * l.Beta} {
				if beta != l.Beta {
					add(fmt.Sprintf("beta is %g instead of %g", beta, l.Beta), func(o *experiment.Loss) { o.Beta = beta })
				}
			}
		}
	}
	if len(l.PositiveWeights) > 0 {
		add("the weights of positive targets are missing", func(o *experiment.Loss) { o.PositiveWeights = nil })
	}
	if l.Kind == "kl_div" {
		add("targets are taken for probabilities where they are their logarithms, or the reverse", func(o *experiment.Loss) { o.LogTarget = !o.LogTarget })
	}
	if l.Kind == "huber" || l.Kind == "smooth_l1" || l.Kind == "mse" || l.Kind == "l1" {
		for _, kind := range []string{"mse", "l1"} {
			if kind != l.Kind {
				add(fmt.Sprintf("it is %q instead of %q", kind, l.Kind), func(o *experiment.Loss) { o.Kind = kind })
			}
		}
	}
	return out
}
