package fingerprint

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"tandem/onnx"
	"tandem/onnx/tensor"
)

// array is a value of the graph as it is computed anew: numbers of any type in float64, which holds them all.
type array struct {
	shape []int
	x     []float64
}

func (a *array) at(axis int64) int {
	if axis < 0 {
		axis += int64(len(a.shape))
	}
	return int(axis)
}

// around returns the number of elements that an axis' elements are apart, and that of the blocks that the axis repeats in.
func (a *array) around(axis int) (outer, inner int) {
	outer, inner = 1, 1
	for i, d := range a.shape {
		switch {
		case i < axis:
			outer *= d
		case i > axis:
			inner *= d
		}
	}
	return outer, inner
}

// alteration is a mistake that is planted in an evaluation.
type alteration struct {
	epsilon  *float64          // every normalization's, where it is not nil
	unbiased bool              // every normalization divides its sum of squares by n-1
	eval     bool              // no dropout drops
	flipped  bool              // every convolution's kernel is turned by half a turn
	offset   bool              // every padded convolution with a stride begins a pixel later
	replaced map[string]*array // constants by name
}

// evaluation computes values of the model's graph at the look's step, in float64, from those that both sides agree on. It is no engine: it has
// the operators that lie inside a module, as far as mistakes in them are known (evaluate_operators.go), and it gives up on all others.
type evaluation struct {
	*Look
	alteration
	producer map[string]*onnx.Node
	known    map[string]*array
	work     int
	used     []*onnx.Node // in the order of computation
}

// evaluationWork is the largest number of multiplications that one evaluation is worth: some tenths of a second.
const evaluationWork = 1 << 28

// evaluate computes the suspect with a mistake, and the nodes between the values that both sides agree on and it.
func (l *Look) evaluate(a alteration) (x []float64, nodes []*onnx.Node, err error) {
	if l.Model == nil || l.R == nil || l.Node == nil || !l.whole() {
		return nil, nil, fmt.Errorf("no node")
	}
	e := &evaluation{Look: l, alteration: a, producer: map[string]*onnx.Node{}, known: map[string]*array{}}
	for _, n := range l.Model.Graph.Nodes {
		for _, v := range n.Outputs {
			if v != "" {
				e.producer[v] = n
			}
		}
	}
	for i := range l.Pairs {
		p := &l.Pairs[i]
		if _, name, _ := strings.Cut(p.Name, "/"); !p.Off && p.Got != nil && !p.Sampled {
			e.known[name] = &array{p.Shape, p.Exact}
		}
	}
	_, name, _ := strings.Cut(l.Suspect.Name, "/")
	out, err := e.value(name)
	if err != nil {
		return nil, nil, err
	}
	if !slices.Equal(out.shape, l.Suspect.Shape) {
		return nil, nil, fmt.Errorf("%s has shape %v, not %v", name, out.shape, l.Suspect.Shape)
	}
	return out.x, e.used, nil
}

// value returns a value: one that both sides agree on, one of the model or the batch, or what its node computes.
func (e *evaluation) value(name string) (*array, error) {
	if a := e.replaced[name]; a != nil {
		return a, nil
	}
	if a := e.known[name]; a != nil {
		return a, nil
	}
	n := e.producer[name]
	if n == nil {
		a, err := e.given(name)
		if err == nil {
			e.known[name] = a
		}
		return a, err
	}
	var in []*array
	for _, v := range n.Inputs {
		var a *array
		if v != "" {
			var err error
			if a, err = e.value(v); err != nil {
				return nil, err
			}
		}
		in = append(in, a)
	}
	f := operators[n.OpType]
	if f == nil {
		return nil, fmt.Errorf("node %q: the operator %s is not computed anew", n.Name, n.OpType)
	}
	out, err := e.call(f, n, in)
	if err != nil {
		return nil, fmt.Errorf("node %q (%s): %w", n.Name, n.OpType, err)
	}
	e.used = append(e.used, n)
	for i, v := range n.Outputs {
		if v != "" && i < len(out) {
			e.known[v] = out[i]
		}
	}
	if e.known[name] == nil {
		return nil, fmt.Errorf("node %q (%s): the output %s is not computed anew", n.Name, n.OpType, name)
	}
	return e.known[name], nil
}

// call computes a node. A graph may be anything, so that an index out of range is no fault of this program.
func (e *evaluation) call(f operator, n *onnx.Node, in []*array) (out []*array, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("it does not fit its inputs: %v", r)
		}
	}()
	return f(e, n, in)
}

// given is a constant with the double that it stands for, a parameter, a buffer or an input of the batch.
func (e *evaluation) given(name string) (*array, error) {
	v, ok := e.Look.value(name)
	if !ok || !v.Whole {
		return nil, fmt.Errorf("%s is not known", name)
	}
	a := &array{v.Shape, v.Float64}
	t := e.Model.Graph.Initializer(name)
	if t == nil || len(a.x) != 1 || t.DType() != tensor.Float32 {
		return a, nil
	}
	if m := e.Model.Manifest; m != nil {
		if !slices.Contains(m.Constants, name) {
			return a, nil // a parameter of one element
		}
		for _, s := range m.Scalars {
			if s.Value == name {
				return &array{a.shape, []float64{s.Number}}, nil
			}
		}
	}
	return &array{a.shape, []float64{onnx.Widen(float32(a.x[0]))}}, nil
}

// count adds to the work done and refuses too much of it.
func (e *evaluation) count(n int) error {
	if e.work += n; e.work > evaluationWork {
		return fmt.Errorf("it is too much to compute anew")
	}
	return nil
}

// site returns the dropout site of a node.
func (e *evaluation) site(n *onnx.Node) (onnx.DropoutSite, bool) {
	if m := e.Model.Manifest; m != nil {
		for _, s := range m.Dropout {
			if s.Node == n.Name {
				return s, true
			}
		}
	}
	return onnx.DropoutSite{}, false
}

// near reports whether the graph, as it is, gives the reference's value: else nothing can be said about changes of it.
func near(x, exact []float64, size float64) bool {
	if len(x) != len(exact) {
		return false
	}
	sum := 0.0
	for i := range x {
		d := x[i] - exact[i]
		if x[i] == exact[i] {
			d = 0 // infinities, too
		}
		sum += d * d
	}
	return math.Sqrt(sum) <= 1e-9*size
}
