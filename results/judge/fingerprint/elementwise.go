package fingerprint

import (
	"fmt"
	"math"

	"tandem/results/trace"
)

// significant is the least number of elements that a common factor is read from: one always has one, and two often.
const significant = 3

// factor returns the constant that the candidate's tensor (or its change) is of the reference's, if it is one.
func (p *Pair) factor() (c, residual float64, ok bool) {
	if len(p.Got) != len(p.Exact) || !trace.Finite(p.Got) {
		return 0, 0, false
	}
	x, y := p.change(p.Exact), p.change(p.Got)
	xx, xy, n := 0.0, 0.0, 0
	scale := trace.Norm(x)
	if scale == 0 {
		return 0, 0, false
	}
	for i := range x {
		a, b := x[i]/scale, y[i]/scale
		xx += a * a
		xy += a * b
		if math.Abs(a) > 1e-3/math.Sqrt(float64(len(x))) {
			n++
		}
	}
	c = xy / xx
	if n < significant || c == 0 {
		return c, 0, false
	}
	prediction := make([]float64, len(x))
	for i := range x {
		prediction[i] = c * x[i]
		if p.Before != nil {
			prediction[i] += p.Before[i]
		}
	}
	residual, ok = p.explained(prediction)
	return c, residual, ok
}

// others says how many of the tensors that left the noise have the factor as well.
func (l *Look) others(c float64) string {
	same := 0
	for i := range l.Pairs {
		if p := &l.Pairs[i]; p.Off {
			if other, _, ok := p.factor(); ok && math.Abs(other-c) <= 4*max(p.Tolerance, l.Suspect.Tolerance)*math.Abs(c) {
				same++
			}
		}
	}
	if n := l.off(); n > 1 {
		return fmt.Sprintf(", as %d of the %d tensors that are off are", same, n)
	}
	return ""
}

func findNotFinite(l *Look) *Finding {
	if l.Suspect == nil || len(l.Suspect.Got) == 0 {
		return nil
	}
	for i, v := range l.Suspect.Got {
		if (math.IsNaN(v) || math.IsInf(v, 0)) && (len(l.Suspect.Exact) != len(l.Suspect.Got) || trace.Finite(l.Suspect.Exact[i:i+1])) {
			return &Finding{fmt.Sprintf("%s holds %v, first at element %d of those compared, where the reference is finite", l.Suspect.Name, v, i), math.NaN()}
		}
	}
	return nil
}

func findMissingTensor(l *Look) *Finding {
	switch p := l.Suspect; {
	case p == nil || p.Got != nil:
		return nil
	case p.GotShape == nil:
		return &Finding{fmt.Sprintf("the candidate has no %s", p.Name), math.NaN()}
	default:
		return &Finding{fmt.Sprintf("%s has shape %v, where the reference's has %v", p.Name, p.GotShape, p.Shape), math.NaN()}
	}
}

func findScaled(l *Look) *Finding {
	if !l.usable() {
		return nil
	}
	c, residual, ok := l.Suspect.factor()
	if !ok {
		return nil
	}
	name, known := l.called(c, l.Suspect.Tolerance)
	text := fmt.Sprintf("%s is the reference's times %.10g%s", l.Suspect.Name, c, l.others(c))
	if known {
		text = fmt.Sprintf("%s is the reference's times %s (%.10g)%s", l.Suspect.Name, name, c, l.others(c))
	}
	return &Finding{text, residual}
}

func findSign(l *Look) *Finding {
	if !l.usable() {
		return nil
	}
	c, residual, ok := l.Suspect.factor()
	if !ok || math.Abs(c+1) > 4*l.Suspect.Tolerance {
		return nil
	}
	return &Finding{fmt.Sprintf("%s is the reference's with the other sign%s", l.Suspect.Name, l.others(c)), residual}
}

func findAllZero(l *Look) *Finding {
	if !l.usable() || trace.Norm(l.Suspect.Got) != 0 {
		return nil
	}
	return &Finding{fmt.Sprintf("%s is zero throughout, where the reference's has the norm %.3g", l.Suspect.Name, trace.Norm(l.Suspect.Exact)), 0}
}

// transposed exchanges the last two of a tensor's dimensions, which must be equal.
func transposed(x []float64, shape []int) []float64 {
	if len(shape) < 2 {
		return nil
	}
	n := shape[len(shape)-1]
	if shape[len(shape)-2] != n || n < 2 || len(x)%(n*n) != 0 {
		return nil
	}
	out := make([]float64, len(x))
	for at := 0; at < len(x); at += n * n {
		for i := range n {
			for j := range n {
				out[at+j*n+i] = x[at+i*n+j]
			}
		}
	}
	return out
}

func findTransposed(l *Look) *Finding {
	if !l.whole() {
		return nil
	}
	t := transposed(l.Suspect.Exact, l.Suspect.Shape)
	if t == nil {
		return nil
	}
	return l.Suspect.fit(t, "%s is the reference's transposed", l.Suspect.Name)
}

// findShifted compares with the reference moved by one along each axis, where both have elements.
func findShifted(l *Look) *Finding {
	if !l.whole() {
		return nil
	}
	p := l.Suspect
	inner := len(p.Exact)
	for axis, d := range p.Shape {
		if d < 1 {
			return nil
		}
		inner /= d
		if d < 3 {
			continue
		}
		for _, by := range []int{1, -1} {
			var got, moved, still []float64
			for i := range p.Exact {
				if at := i / inner % d; at+by >= 0 && at+by < d {
					got, moved, still = append(got, p.Got[i]), append(moved, p.Exact[i+by*inner]), append(still, p.Exact[i])
				}
			}
			part := Pair{Exact: still, Got: got, Size: trace.Norm(still), Tolerance: p.Tolerance}
			if residual, ok := part.explained(moved); ok && len(got) >= 2*significant {
				return &Finding{fmt.Sprintf("%s is the reference's shifted by %d along axis %d", p.Name, -by, axis), residual}
			}
		}
	}
	return nil
}

// bits is the number of significant bits of v: 24 at most in float32, 11 in half precision, 8 in bfloat16.
func bits(v float64) int {
	if v == 0 {
		return 0
	}
	fraction, _ := math.Frexp(v)
	n := 0
	for fraction = math.Abs(fraction); fraction != 0; n++ {
		fraction *= 2
		fraction -= math.Floor(fraction)
	}
	return n
}

func findHalf(l *Look) *Finding {
	if !l.usable() {
		return nil
	}
	for _, format := range []struct {
		name string
		bits int
	}{{"bfloat16", 8}, {"half precision", 11}} {
		rounded := 0
		fits := true
		for k := range l.Pairs { // one small tensor proves little
			p := &l.Pairs[k]
			if !p.Off || len(p.Got) != len(p.Exact) {
				continue
			}
			for i, v := range p.Got {
				if bits(v) > format.bits {
					fits = false
					break
				}
				if bits(float64(float32(p.Exact[i]))) > format.bits && v != 0 {
					rounded++
				}
			}
		}
		limit := math.Ldexp(1, 1-format.bits) // of truncation; rounding to nearest has half of it
		if e := trace.Distance(l.Suspect.Got, l.Suspect.Exact) / l.Suspect.Size; fits && rounded >= 2*significant && e <= limit {
			return &Finding{fmt.Sprintf("every element of %s has at most %d significant bits: it was rounded to %s, and is off by %.2g as that makes it", l.Suspect.Name, format.bits, format.name, e), math.NaN()}
		}
	}
	return nil
}

// rowErrors returns each row's distance and size; rows are along the first axis.
func rowErrors(p *Pair) (off []bool) {
	n := p.Shape[0]
	width := len(p.Exact) / n
	size := p.Size / math.Sqrt(float64(n))
	for r := range n {
		d := trace.Distance(p.Got[r*width:(r+1)*width], p.Exact[r*width:(r+1)*width])
		off = append(off, !(d <= 4*p.Tolerance*max(size, trace.Norm(p.Exact[r*width:(r+1)*width]))))
	}
	return off
}

func findLastRows(l *Look) *Finding {
	if !l.whole() || len(l.Suspect.Shape) == 0 || l.Suspect.Shape[0] < 3 {
		return nil
	}
	off := rowErrors(l.Suspect)
	first, n := -1, 0
	for r, bad := range off {
		if bad {
			n++
			if first < 0 {
				first = r
			}
		}
	}
	if n == 0 || first == 0 || n != len(off)-first || 2*n > len(off) {
		return nil
	}
	return &Finding{fmt.Sprintf("%s differs in its last %d of %d rows alone", l.Suspect.Name, n, len(off)), math.NaN()}
}

// findRowScaled looks for a factor of its own for each row, as a normalization's wrong statistic gives.
func findRowScaled(l *Look) *Finding {
	if !l.whole() || len(l.Suspect.Shape) < 2 {
		return nil
	}
	p := l.Suspect
	width := p.Shape[len(p.Shape)-1]
	if width < 2*significant {
		return nil
	}
	low, high, worst, rows := math.Inf(1), math.Inf(-1), 0.0, 0
	for at := 0; at < len(p.Exact); at += width {
		x, y := p.Exact[at:at+width], p.Got[at:at+width]
		xx, xy := 0.0, 0.0
		for i := range x {
			xx += x[i] * x[i]
			xy += x[i] * y[i]
		}
		if xx == 0 {
			if trace.Norm(y) != 0 {
				return nil
			}
			continue
		}
		c := xy / xx
		left := 0.0
		for i := range x {
			left += (y[i] - c*x[i]) * (y[i] - c*x[i])
		}
		residual := math.Sqrt(left/xx) / math.Abs(c)
		if !(residual <= 4*p.Tolerance) {
			return nil
		}
		worst, low, high, rows = max(worst, residual), min(low, c), max(high, c), rows+1
	}
	if rows < 2 || !(high-low > 64*p.Tolerance) {
		return nil // one common factor, or none
	}
	return &Finding{fmt.Sprintf("each row of %s is the reference's times a factor of its own, from %.7g to %.7g: a statistic that is taken by row is another one (an epsilon, a variance)", p.Name, low, high), worst}
}

// findPreviousStep compares with the reference at other judged steps.
func findPreviousStep(l *Look) *Finding {
	if !l.usable() {
		return nil
	}
	for i := range l.Ref.Steps {
		other := &l.Ref.Steps[i]
		if l.R == nil || other.Step == l.R.Step {
			continue
		}
		if s, ok := other.Float64[l.Suspect.Name]; ok && len(s.Shape) == len(l.Suspect.Shape) {
			if x, err := s.Float64s(l.Ref.Sample); err == nil {
				if f := l.Suspect.fit(x, "%s is the reference's of step %d", l.Suspect.Name, other.Step); f != nil {
					return f
				}
			}
		}
	}
	return nil
}
