package fingerprint

import (
	"fmt"
	"math"
	"strings"

	"tandem/results/trace"
)

// statistic returns the buffer's value before the step, and what PyTorch's momentum weighs the new one with where the manifest says.
func (l *Look) statistic(p *Pair) (before []float64, momentum float64) {
	before = l.stateValues(p.Name, trace.Sampled{Shape: p.Shape, Values: vector(p.Exact)})
	if len(before) != len(p.Got) {
		return nil, 0
	}
	if l.Model != nil && l.Model.Manifest != nil {
		name := strings.TrimPrefix(p.Name, "buffers/")
		for _, b := range l.Model.Manifest.BatchNorm {
			if b.Mean == name || b.Var == name {
				momentum = b.Momentum
			}
		}
	}
	return before, momentum
}

// changed is the pair with what was before taken off both sides.
func (p *Pair) changed(before []float64) Pair {
	q := *p
	q.Before = before
	q.Size = trace.Norm(q.change(q.Exact))
	if q.Size > 0 { // the noise is that of the whole number
		q.Tolerance = max(p.Tolerance, 4*p.Tolerance*p.Size/q.Size)
	}
	return q
}

func findBufferUnchanged(l *Look) *Finding {
	if !l.usable() {
		return nil
	}
	before, _ := l.statistic(l.Suspect)
	if before == nil || trace.Distance(before, l.Suspect.Got) != 0 {
		return nil
	}
	return &Finding{fmt.Sprintf("%s is what it was before the step: the statistics are not updated, as in eval mode", l.Suspect.Name), 0}
}

func findBufferMomentum(l *Look) *Finding {
	if !l.usable() {
		return nil
	}
	before, momentum := l.statistic(l.Suspect)
	if before == nil {
		return nil
	}
	p := l.Suspect.changed(before)
	c, residual, ok := p.factor()
	if !ok {
		return nil
	}
	if momentum > 0 {
		return &Finding{fmt.Sprintf("%s moves %.5g times as far as it should: the new statistic has the weight %.4g, where PyTorch's momentum is %g (ONNX's attribute is one minus it)", p.Name, c, c*momentum, momentum), residual}
	}
	return &Finding{fmt.Sprintf("%s moves %.5g times as far as it should: its momentum is another one", p.Name, c), residual}
}

// normalized is the number of elements of each channel that the suspect's node normalizes, 0 if it is not known.
func (l *Look) normalized() int {
	if l.Node == nil || l.Node.OpType != "BatchNormalization" {
		return 0
	}
	v, ok := l.value(l.Node.Input(0))
	if !ok || len(v.Shape) < 2 || v.Shape[1] < 1 {
		return 0
	}
	return elements(v.Shape) / v.Shape[1]
}

// findVarianceBiased solves for the batch's variance on both sides: they differ by (n-1)/n.
func findVarianceBiased(l *Look) *Finding {
	if !l.usable() {
		return nil
	}
	before, momentum := l.statistic(l.Suspect)
	if before == nil || momentum <= 0 {
		return nil
	}
	p := l.Suspect
	ours, theirs := make([]float64, len(before)), make([]float64, len(before))
	for i := range before {
		ours[i] = before[i] + (p.Exact[i]-before[i])/momentum
		theirs[i] = before[i] + (p.Got[i]-before[i])/momentum
	}
	q := Pair{Name: p.Name, Exact: ours, Got: theirs, Size: trace.Norm(ours), Tolerance: 4 * p.Tolerance * p.Size / (momentum * max(trace.Norm(ours), math.SmallestNonzeroFloat64))}
	c, residual, ok := q.factor()
	if !ok {
		return nil
	}
	n := 1 / (1 - min(c, 1/c)) // (n-1)/n = c
	if known := l.normalized(); known > 1 && math.Abs(float64(known-1)/float64(known)-min(c, 1/c)) <= q.Tolerance && 4*q.Tolerance <= 1/float64(known) {
		n = float64(known) // where n is large, the factor alone does not tell it exactly
	} else if rounded := math.Round(n); rounded < 2 || math.Abs((rounded-1)/rounded-min(c, 1/c)) > 4*q.Tolerance || math.Mod(rounded, float64(max(l.rows(), 1))) != 0 {
		return nil
	}
	which := "biased, where PyTorch keeps the unbiased one"
	if c > 1 {
		which = "unbiased, where the biased one is asked for"
	}
	return &Finding{fmt.Sprintf("the batch's variance that entered %s is %.7g times the reference's, (n-1)/n with n = %.0f: it is %s", p.Name, c, math.Round(n), which), residual}
}
