package fingerprint

import (
	"fmt"
	"math"
)

// constant is a number that a factor may be, with its name.
type constant struct {
	name  string
	value float64
}

// constants are the numbers that a step's tensors have: the batch, the tensor's dimensions, the dropout's, the learning rate.
func (l *Look) constants() []constant {
	rows := float64(l.rows())
	out := []constant{
		{"-1", -1}, {"2", 2}, {"1/2", 0.5}, {"ln 2", math.Ln2}, {"1/ln 2", 1 / math.Ln2},
	}
	add := func(name string, v float64) {
		if v > 0 && v != 1 && !math.IsInf(v, 0) {
			out = append(out, constant{name, v}, constant{"1/" + name, 1 / v})
		}
	}
	add("B, the batch's rows", rows)
	if n := l.targets(); n != l.rows() {
		add("N, the batch's targets", float64(n))
	}
	if rows > 0 {
		add("B/nominal batch", rows/float64(l.nominal()))
		if rows > 1 {
			add("(B-1)/B", (rows-1)/rows)
			add("sqrt((B-1)/B)", math.Sqrt((rows-1)/rows))
		}
	}
	if l.Model != nil && l.Model.Manifest != nil {
		for _, site := range l.Model.Manifest.Dropout {
			add(fmt.Sprintf("(1-p) of the dropout %s", site.Node), 1-site.P)
		}
	}
	if l.Suspect != nil {
		for _, d := range l.dimensions() {
			add(fmt.Sprintf("sqrt(%d), a dimension", d), math.Sqrt(float64(d)))
			add(fmt.Sprintf("%d, a dimension", d), float64(d))
			if d > 1 {
				n := float64(d)
				add(fmt.Sprintf("sqrt((n-1)/n) with the dimension n = %d", d), math.Sqrt((n-1)/n))
			}
		}
	}
	if l.Experiment != nil {
		add("the learning rate", l.Experiment.Optimizer.LearningRate)
	}
	for _, c := range []float64{3, 4, 8, 10, 16, 100, 127.5, 255, 256, 1000, 1024, 65536} {
		add(fmt.Sprint(c), c)
	}
	return out
}

// dimensions are those of the suspect and of what its node reads.
func (l *Look) dimensions() []int {
	seen := map[int]bool{}
	var out []int
	add := func(shape []int) {
		for _, d := range shape {
			if d > 1 && !seen[d] {
				seen[d] = true
				out = append(out, d)
			}
		}
	}
	add(l.Suspect.Shape)
	if l.Node != nil {
		for _, name := range l.Node.Inputs {
			if v, ok := l.value(name); ok {
				add(v.Shape)
			}
		}
	}
	return out
}

// called names a factor: by a constant if one is within the tolerance, by its digits otherwise.
func (l *Look) called(factor, tolerance float64) (name string, known bool) {
	for _, c := range l.constants() {
		if math.Abs(factor-c.value) <= 4*tolerance*math.Abs(c.value) {
			return c.name, true
		}
	}
	return fmt.Sprintf("%.10g", factor), false
}

// rows is the number of samples of the step's batch.
func (l *Look) rows() int {
	if l.R == nil {
		return 0
	}
	return l.R.Rows
}

// targets is the number of targets of the step's batch: of its samples, or of all their positions. A loss's mean is over so many.
func (l *Look) targets() int {
	if l.R != nil && l.Experiment != nil && l.Experiment.Loss.Kind == "cross_entropy" {
		if s, known := l.lossOutput(l.R.Float64); known && len(s.Shape) > 1 {
			return elements(s.Shape[:len(s.Shape)-1])
		}
	}
	return l.rows()
}

// nominal is the number of samples of a full batch.
func (l *Look) nominal() int {
	n := l.rows()
	if l.Experiment != nil {
		n = max(n, l.Experiment.Train.StepRows())
	}
	for i := range l.Ref.Steps {
		n = max(n, l.Ref.Steps[i].Rows)
	}
	return n
}
