package fingerprint

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tandem/results/trace"
)

// input returns the reference's value of an input of the suspect's node with as many elements as the suspect; nil if there is none.
func (l *Look) input() (name string, x []float64) {
	if l.Node == nil || l.Suspect == nil {
		return "", nil
	}
	for _, name := range l.Node.Inputs {
		v, ok := l.value(name)
		if !ok {
			continue
		}
		x := v.Float64
		if v.Whole && l.Suspect.Sampled {
			continue
		}
		if len(x) == len(l.Suspect.Exact) {
			return name, x
		}
	}
	return "", nil
}

// keepProbability is 1-p of the suspect's node if that is a dropout.
func (l *Look) keepProbability() (float64, bool) {
	if l.Node == nil || l.Model == nil {
		return 0, false
	}
	if m := l.Model.Manifest; m != nil {
		for _, site := range m.Dropout {
			if site.Node == l.Node.Name {
				return 1 - site.P, true
			}
		}
	}
	if l.Node.OpType == "Dropout" {
		if t := l.Model.Graph.Initializer(l.Node.Input(1)); t != nil && t.Len() == 1 {
			return 1 - t.Float64s()[0], true
		}
		if l.Node.Input(1) == "" {
			return 0.5, true
		}
	}
	return 0, false
}

func findIdentity(dropout bool) func(l *Look) *Finding {
	return func(l *Look) *Finding {
		if !l.usable() {
			return nil
		}
		if _, ok := l.keepProbability(); ok != dropout {
			return nil
		}
		name, x := l.input()
		if x == nil {
			return nil
		}
		if dropout {
			return l.Suspect.fit(x, "%s is the dropout's input %q unchanged, which is its value in eval mode", l.Suspect.Name, name)
		}
		return l.Suspect.fit(x, "%s is the input %q of node %q unchanged: the operator was left out", l.Suspect.Name, name, l.Node.Name)
	}
}

func findDropoutUnscaled(l *Look) *Finding {
	keep, ok := l.keepProbability()
	if !ok || !l.usable() {
		return nil
	}
	c, residual, ok := l.Suspect.factor()
	if !ok {
		return nil
	}
	tolerance := max(4*l.Suspect.Tolerance, 1e-6) // an ONNX model holds p in float32
	switch {
	case math.Abs(c-keep) <= tolerance:
		return &Finding{fmt.Sprintf("%s is the reference's times %.7g, the probability 1-p of being kept: what is kept is not scaled by 1/(1-p)", l.Suspect.Name, c), residual}
	case math.Abs(c-1/keep) <= tolerance/keep:
		return &Finding{fmt.Sprintf("%s is the reference's times %.7g = 1/(1-p): what is kept is scaled twice", l.Suspect.Name, c), residual}
	}
	return nil
}

// findDropoutMask looks for other zeros with equal values beside them.
func findDropoutMask(l *Look) *Finding {
	if !l.usable() {
		return nil
	}
	p := l.Suspect
	lost, kept, zeros := 0, 0, 0
	var x, y []float64
	for i := range p.Exact {
		switch {
		case p.Exact[i] == 0 && p.Got[i] == 0:
			zeros++
		case p.Exact[i] == 0:
			kept++
		case p.Got[i] == 0:
			lost++
		default:
			x, y = append(x, p.Exact[i]), append(y, p.Got[i])
		}
	}
	if lost == 0 || kept == 0 || len(x) < significant {
		return nil
	}
	residual := trace.Distance(x, y) / trace.Norm(x)
	if !(residual <= p.Tolerance) {
		return nil
	}
	text := fmt.Sprintf("%s has other zeros than the reference's, and the same values where neither is zero: another mask (%d elements dropped that the reference keeps, %d kept that it drops)", p.Name, lost, kept)
	if of := l.maskOf(); of >= 0 {
		text += fmt.Sprintf("; it is the reference's mask of step %d, used again", of)
	}
	return &Finding{text, residual}
}

// maskOf returns the other judged step whose mask the candidate used, or -1.
func (l *Look) maskOf() int {
	_, in := l.input()
	if in == nil {
		return -1
	}
	p := l.Suspect
	for i := range l.Ref.Steps {
		r := &l.Ref.Steps[i]
		s, ok := r.Float64[p.Name]
		if !ok || r.Step == l.Step {
			continue
		}
		other := *l
		other.R, other.Step = r, r.Step
		x, err := s.Float64s(l.Ref.Sample)
		_, otherIn := other.input()
		if err != nil || len(x) != len(p.Got) || len(otherIn) != len(in) {
			continue
		}
		same, differ := 0, 0
		for i := range x {
			if in[i] == 0 || otherIn[i] == 0 {
				continue
			}
			if (x[i] == 0) == (p.Got[i] == 0) {
				same++
			} else {
				differ++
			}
		}
		if differ == 0 && same >= 16 {
			return r.Step
		}
	}
	return -1
}

func findAttentionScale(l *Look) *Finding {
	if !l.usable() || len(l.Suspect.Shape) < 3 {
		return nil
	}
	c, residual, ok := l.Suspect.factor()
	if !ok {
		return nil
	}
	for _, d := range l.dimensions() {
		root := math.Sqrt(float64(d))
		for _, f := range []float64{root, 1 / root} {
			if math.Abs(c-f) <= 4*l.Suspect.Tolerance*f {
				return &Finding{fmt.Sprintf("%s is the reference's times %.7g, a root of the dimension %d: scaled by 1/d, or not at all, where 1/sqrt(d) is asked for", l.Suspect.Name, c, d), residual}
			}
		}
	}
	return nil
}

// findUnbiased looks for the factor sqrt((n-1)/n), or its inverse, of a dimension or of the values of a channel.
func findUnbiased(l *Look) *Finding {
	if !l.usable() {
		return nil
	}
	c, residual, ok := l.Suspect.factor()
	if !ok {
		return nil
	}
	counts := l.dimensions()
	if s := l.Suspect.Shape; len(s) > 1 && s[1] > 0 {
		n := 1
		for _, d := range s {
			n *= d
		}
		counts = append(counts, n/s[1])
	}
	for _, n := range counts {
		if n < 2 {
			continue
		}
		f := math.Sqrt(float64(n-1) / float64(n))
		if near := 4 * max(l.Suspect.Tolerance, 1e-6); math.Abs(c-f) <= near || math.Abs(c-1/f) <= near {
			return &Finding{fmt.Sprintf("%s is the reference's times %.8g, sqrt((n-1)/n) or its inverse with n = %d: one side divides the variance by n, the other by n-1", l.Suspect.Name, c, n), residual}
		}
	}
	return nil
}

// product looks for the suspect as x W^T + b or x W + b of its node's inputs, to rounding in float64; nil if it is no such product.
func (l *Look) product() (x, w, b []float64, shape [3]int, transposed bool) {
	if l.Node == nil || !l.whole() || len(l.Suspect.Shape) < 2 {
		return nil, nil, nil, shape, false
	}
	rows, out := len(l.Suspect.Exact)/l.Suspect.Shape[len(l.Suspect.Shape)-1], l.Suspect.Shape[len(l.Suspect.Shape)-1]
	var values []Value
	for _, name := range l.Node.Inputs {
		v, ok := l.value(name)
		if !ok || !v.Whole {
			return nil, nil, nil, shape, false
		}
		values = append(values, v)
	}
	if len(values) < 2 || len(values) > 3 || len(values[1].Shape) != 2 || len(values[0].Float64)%rows != 0 {
		return nil, nil, nil, shape, false
	}
	in := len(values[0].Float64) / rows
	if len(values[1].Float64) != in*out || rows*in*out > 1<<28 {
		return nil, nil, nil, shape, false
	}
	x, w = values[0].Float64, values[1].Float64
	if len(values) == 3 {
		if b = values[2].Float64; len(b) != out {
			return nil, nil, nil, shape, false
		}
	}
	for _, t := range []bool{true, false} {
		if y := times(x, w, b, rows, in, out, t); trace.Distance(y, l.Suspect.Exact) <= 1e-12*trace.Norm(l.Suspect.Exact) {
			return x, w, b, [3]int{rows, in, out}, t
		}
	}
	return nil, nil, nil, shape, false
}

// times is x W^T + b with W (out,in), or x W + b with W (in,out).
func times(x, w, b []float64, rows, in, out int, transposed bool) []float64 {
	y := make([]float64, rows*out)
	for r := range rows {
		for o := range out {
			s := 0.0
			for i := range in {
				if transposed {
					s += x[r*in+i] * w[o*in+i]
				} else {
					s += x[r*in+i] * w[i*out+o]
				}
			}
			if b != nil {
				s += b[o]
			}
			y[r*out+o] = s
		}
	}
	return y
}

func findWeightTransposed(l *Look) *Finding {
	x, w, b, shape, t := l.product()
	if x == nil || shape[1] != shape[2] {
		return nil
	}
	return l.Suspect.fit(times(x, w, b, shape[0], shape[1], shape[2], !t), "%s is the product with the transposed %q", l.Suspect.Name, l.Node.Input(1))
}

func findWeightHalf(l *Look) *Finding {
	x, w, b, shape, t := l.product()
	if x == nil {
		return nil
	}
	for _, r := range roundings {
		rounded := apply(w, r.round)
		for _, bias := range [][]float64{b, apply(b, r.round)} {
			if f := l.Suspect.fit(times(x, rounded, bias, shape[0], shape[1], shape[2], t), "%s is the product with %q rounded to %s", l.Suspect.Name, l.Node.Input(1), r.name); f != nil {
				return f
			}
		}
	}
	return nil
}

func apply(x []float64, f func(float32) float32) []float64 {
	if x == nil {
		return nil
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = float64(f(float32(v)))
	}
	return out
}

// findGelu takes any value of the pass for the input: the operator may stand in the graph as several. D. Hendrycks and K. Gimpel, "Gaussian
// error linear units", 2016, have both forms.
func findGelu(l *Look) *Finding {
	if !l.usable() || l.R == nil {
		return nil
	}
	forms := []struct {
		name string
		f    func(x float64) float64
	}{
		{"erf", func(x float64) float64 { return x / 2 * (1 + math.Erf(x/math.Sqrt2)) }},
		{"tanh", func(x float64) float64 {
			return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)))
		}},
	}
	for name, s := range l.R.Float64 {
		if !strings.HasPrefix(name, "activations/") || !slices.Equal(s.Shape, l.Suspect.Shape) {
			continue
		}
		x, err := s.Float64s(l.Ref.Sample)
		if err != nil || len(x) != len(l.Suspect.Exact) {
			continue
		}
		y := make([][]float64, len(forms))
		for k, form := range forms {
			for _, v := range x {
				y[k] = append(y[k], form.f(v))
			}
		}
		for k, form := range forms {
			if trace.Distance(y[k], l.Suspect.Exact) <= 1e-10*l.Suspect.Size {
				return l.Suspect.fit(y[1-k], "%s is GELU by %s of %s, where the reference computes it by %s", l.Suspect.Name, forms[1-k].name, name, form.name)
			}
		}
	}
	return nil
}
