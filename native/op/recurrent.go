package op

import (
	"fmt"
	"slices"
	"strings"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// recurrence is a checked LSTM, GRU or RNN node, or the gradient of one. X has the shape (steps, batch, inputs), the weights (directions,
// gates * hidden, inputs) and (directions, gates * hidden, hidden), the bias (directions, 2 * gates * hidden), the initial state (directions, batch,
// hidden); the results are (steps, directions, batch, hidden), and the last states.
//
// Outputs beyond ONNX's are tandem's own: what the gates were, (directions, steps, batch, blocks * hidden), and for LSTM the cells' states, (directions,
// steps, batch, hidden). The gradient through time is computed from them (Werbos, "Backpropagation Through Time", 1990): a product for each
// step, and one for all steps where the order does not matter.
type recurrence struct {
	cell                          recurrentCell
	steps, batch, inputs, hidden  int
	directions                    int
	reverse                       []bool   // by direction
	activations                   []string // as many as the cell has, by direction
	linearBeforeReset             bool     // GRU: the reset gate is applied after the product with the state
	columns, width                int      // of all gates, and of all blocks that are kept
	initialHidden, initialCell    int      // numbers of inputs
	output, last, lastCell, saved int      // numbers of outputs; -1 for none
	cells                         int
}

// recurrentCell is what distinguishes the three operators.
type recurrentCell struct {
	name        string
	gates       int
	blocks      int // kept of each step
	activations []string
	hasCell     bool
}

var recurrentCells = map[string]recurrentCell{
	"LSTM": {"LSTM", 4, 4, []string{"Sigmoid", "Tanh", "Tanh"}, true},
	"GRU":  {"GRU", 3, 4, []string{"Sigmoid", "Tanh"}, false},
	"RNN":  {"RNN", 1, 1, []string{"Tanh"}, false},
}

// registerRecurrent registers a recurrent operator and its gradient.
func registerRecurrent(name string, cases ...Case) {
	cell := recurrentCells[name]
	saves, maxInputs := 3, 6
	if cell.hasCell {
		saves, maxInputs = 5, 8
	}
	gradient := "tandem." + name + "Gradient"
	Register(Def{
		Name: name, Since: 7, MinInputs: 3, MaxInputs: maxInputs, Settings: []int{4}, Saves: saves,
		Infer:   inferRecurrent,
		Float32: bindRecurrent[float32], Float64: bindRecurrent[float64],
		Gradient: func(g *Gradient) error {
			v, err := newRecurrence(g.Node)
			if err != nil {
				return err
			}
			for i := v.saved; i < len(g.Out); i++ {
				if g.Out[i] != nil {
					return fmt.Errorf("a gradient through the gates is %w", ErrUnsupported)
				}
			}
			out := func(values []*ir.Value, i int) *ir.Value {
				if i < 0 || i >= len(values) {
					return nil
				}
				return values[i]
			}
			n := g.Node
			inputs := []*ir.Value{n.Inputs[0], n.Inputs[1], n.Inputs[2], n.Outputs[v.output], n.Outputs[v.saved], n.Input(v.initialHidden)}
			inputs = append(inputs, out(g.Out, v.output), out(g.Out, v.last))
			wanted := []bool{g.Needs(0), g.Needs(1), g.Needs(2), g.Needs(3), g.Needs(v.initialHidden)}
			if cell.hasCell {
				inputs = append(inputs, n.Outputs[v.cells], n.Input(v.initialCell), out(g.Out, v.lastCell))
				wanted = append(wanted, g.Needs(v.initialCell))
			}
			of := []int{0, 1, 2, 3, v.initialHidden, v.initialCell}
			for i, d := range g.AddOutputs(gradient, n.Attributes, wanted, inputs...) {
				if d != nil {
					g.Set(of[i], d)
				}
			}
			return nil
		},
		Cases: cases,
	})
	Register(Def{
		// X, W, R, Y, what the gates were, initial h, dY, gradient of the last h; for LSTM the cells' states, initial c, gradient of the last c
		Name: gradient, MinInputs: 5, MaxInputs: 11,
		Infer:   inferRecurrentGradient,
		Float32: bindRecurrentGradient[float32], Float64: bindRecurrentGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// recurrentCases are the cases of an operator with so many gates. cell says whether it has an initial c.
func recurrentCases(gates int, cell bool, more ...Case) []Case {
	const steps, batch, inputs, hidden = 3, 2, 3, 2
	x := func(directions int) []CaseInput {
		return []CaseInput{{Shape: []int{steps, batch, inputs}}, {Shape: []int{directions, gates * hidden, inputs}}, {Shape: []int{directions, gates * hidden, hidden}}}
	}
	bias := func(directions int) CaseInput { return CaseInput{Shape: []int{directions, 2 * gates * hidden}} }
	all := func(directions int) []CaseInput {
		state := CaseInput{Shape: []int{directions, batch, hidden}}
		in := append(x(directions), bias(directions), CaseInput{Omitted: true}, state)
		if cell {
			in = append(in, state)
		}
		return in
	}
	attributes := func(direction string, more ...any) map[string]any {
		a := map[string]any{"hidden_size": int64(hidden), "direction": direction}
		for i := 0; i < len(more); i += 2 {
			a[more[i].(string)] = more[i+1]
		}
		return a
	}
	outputs := 2
	if cell {
		outputs = 3
	}
	cases := []Case{
		{Name: "forward, weights alone", Inputs: x(1), Attributes: attributes("forward")},
		{Name: "forward, all outputs", Inputs: all(1), Attributes: attributes("forward"), Outputs: outputs},
		{Name: "reverse", Inputs: append(x(1), bias(1)), Attributes: attributes("reverse"), Outputs: outputs},
		{Name: "bidirectional", Inputs: all(2), Attributes: attributes("bidirectional"), Outputs: outputs},
	}
	for _, c := range more {
		c.Inputs, c.Attributes["hidden_size"], c.Outputs = all(1), int64(hidden), outputs
		cases = append(cases, c)
	}
	return cases
}

// newRecurrence reads a node. For a gradient node, whose first three inputs are the same, only the sizes and attributes count.
func newRecurrence(n *ir.Node) (v recurrence, err error) {
	v.cell = recurrentCells[strings.TrimSuffix(strings.TrimPrefix(n.Op, "tandem."), "Gradient")]
	x, w, r := n.Inputs[0].Shape, n.Inputs[1].Shape, n.Inputs[2].Shape
	direction, err := n.Attributes.String("direction", "forward")
	if err != nil {
		return v, err
	}
	switch direction {
	case "forward", "reverse":
		v.reverse = []bool{direction == "reverse"}
	case "bidirectional":
		v.reverse = []bool{false, true}
	default:
		return v, fmt.Errorf("direction %q is none", direction)
	}
	v.directions = len(v.reverse)
	if len(x) != 3 || len(w) != 3 || len(r) != 3 || w[0] != v.directions || r[0] != v.directions || w[1] != v.cell.gates*r[2] || r[1] != w[1] || w[2] != x[2] {
		return v, fmt.Errorf("inputs of shape %v, weights of shape %v and recurrent weights of shape %v do not fit (steps, batch, inputs), (%d, %d * hidden, inputs) and (%d, %d * hidden, hidden)",
			x, w, r, v.directions, v.cell.gates, v.directions, v.cell.gates)
	}
	v.steps, v.batch, v.inputs, v.hidden = x[0], x[1], x[2], r[2]
	v.columns, v.width = v.cell.gates*v.hidden, v.cell.blocks*v.hidden
	size, err := n.Attributes.Int("hidden_size", int64(v.hidden))
	if err != nil || size != int64(v.hidden) {
		return v, fmt.Errorf("hidden_size is %d, the recurrent weights are of shape %v (%w)", size, r, orElse(err))
	}
	if elements(x) == 0 || v.hidden == 0 {
		return v, fmt.Errorf("inputs of shape %v and %d hidden units are %w: there is nothing to compute", x, v.hidden, ErrUnsupported)
	}
	for name, fallback := range map[string]int64{"layout": 0, "input_forget": 0} {
		given, err := n.Attributes.Int(name, fallback)
		if err != nil {
			return v, err
		}
		if given != fallback {
			return v, fmt.Errorf("%s = %d is %w", name, given, ErrUnsupported)
		}
	}
	for _, name := range []string{"clip", "activation_alpha", "activation_beta"} {
		if n.Attributes.Has(name) {
			return v, fmt.Errorf("the attribute %s is %w", name, ErrUnsupported)
		}
	}
	v.activations, err = n.Attributes.Strings("activations", slices.Repeat(v.cell.activations, v.directions))
	if err != nil {
		return v, err
	}
	if len(v.activations) != len(v.cell.activations)*v.directions {
		return v, fmt.Errorf("activations %v must be %d for each of %d directions", v.activations, len(v.cell.activations), v.directions)
	}
	for _, a := range v.activations {
		if _, err := activation[float64](a); err != nil {
			return v, err
		}
	}
	linear, err := n.Attributes.Int("linear_before_reset", 0)
	v.linearBeforeReset = linear != 0
	v.initialHidden, v.initialCell = 5, -1
	v.output, v.last, v.saved, v.lastCell, v.cells = 0, 1, 2, -1, -1
	if v.cell.hasCell {
		v.initialCell, v.lastCell, v.saved, v.cells = 6, 2, 3, 4
	}
	return v, err
}

// orElse is an error to name beside another reason.
func orElse(err error) error {
	if err == nil {
		return fmt.Errorf("they must agree")
	}
	return err
}

func activation[T kernel.Float](name string) (a kernel.Activation[T], err error) {
	switch strings.ToLower(name) {
	case "sigmoid":
		return kernel.Activation[T]{Apply: kernel.Sigmoid[T], Gradient: kernel.SigmoidGradient[T]}, nil
	case "tanh":
		return kernel.Activation[T]{Apply: kernel.Tanh[T], Gradient: kernel.TanhGradient[T]}, nil
	case "relu":
		return kernel.Activation[T]{Apply: kernel.Relu[T], Gradient: kernel.ReluGradient[T]}, nil
	}
	return a, fmt.Errorf("the activation %q is %w: it may be Sigmoid, Tanh or Relu", name, ErrUnsupported)
}

func inferRecurrent(n *ir.Node) error {
	for i := range n.Inputs {
		if i != 4 {
			if err := wantFloat(n, i); err != nil {
				return err
			}
		}
	}
	v, err := newRecurrence(n)
	if err != nil {
		return err
	}
	if b := n.Input(3); b != nil && !equalShapes(b.Shape, []int{v.directions, 2 * v.columns}) {
		return fmt.Errorf("the bias has shape %v, want %v", b.Shape, []int{v.directions, 2 * v.columns})
	}
	state := []int{v.directions, v.batch, v.hidden}
	for _, i := range []int{v.initialHidden, v.initialCell} {
		if i > 0 && n.Input(i) != nil && !equalShapes(n.Input(i).Shape, state) {
			return fmt.Errorf("the initial state (input %d) has shape %v, want %v", i, n.Input(i).Shape, state)
		}
	}
	if n.Input(4) != nil {
		given, err := constantInts(n, 4)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(given, func(l int64) bool { return l != int64(v.steps) }) || len(given) != v.batch {
			return fmt.Errorf("sequence_lens %v are %w: all must be %d", given, ErrUnsupported, v.steps)
		}
	}
	if n.Input(7) != nil {
		return fmt.Errorf("weights of peepholes (input 7) are %w", ErrUnsupported)
	}
	setOutput(n, v.output, ir.Float, v.steps, v.directions, v.batch, v.hidden)
	setOutput(n, v.last, ir.Float, state...)
	setOutput(n, v.saved, ir.Float, v.directions, v.steps, v.batch, v.width)
	if v.cell.hasCell {
		setOutput(n, v.lastCell, ir.Float, state...)
		setOutput(n, v.cells, ir.Float, v.directions, v.steps, v.batch, v.hidden)
	}
	n.Workspace = v.batch*(3*v.hidden+v.columns) + v.columns
	return nil
}

func inferRecurrentGradient(n *ir.Node) error {
	v, err := newRecurrence(n)
	if err != nil {
		return err
	}
	state := []int{v.directions, v.batch, v.hidden}
	for i := range 3 {
		setOutput(n, i, ir.Float, n.Inputs[i].Shape...)
	}
	setOutput(n, 3, ir.Float, v.directions, 2*v.columns)
	setOutput(n, 4, ir.Float, state...)
	setOutput(n, 5, ir.Float, state...)
	n.Workspace = v.steps*v.batch*(v.width+2*v.hidden) + v.batch*(v.width+4*v.hidden) + v.width
	return nil
}

// at returns the part of a tensor that begins with that many parts of the same length.
func at[T kernel.Float](x []T, i, length int) []T {
	if x == nil {
		return nil
	}
	return x[i*length : (i+1)*length]
}

// taker hands out the parts of a workspace one after the other.
func taker[T kernel.Float](w []T) func(n int) []T {
	return func(n int) []T {
		part := w[:n:n]
		w = w[n:]
		return part
	}
}

// copyOrClear copies x, or zeros when there is none.
func copyOrClear[T kernel.Float](y, x []T) {
	if x == nil {
		clear(y)
		return
	}
	copy(y, x)
}

// added leaves what a product is added to as it is.
func added(lo, hi, left, right int) {}

func bindRecurrent[T kernel.Float](c *Context[T]) (func(), error) {
	v, err := newRecurrence(c.Node)
	if err != nil {
		return nil, err
	}
	in := func(i int) []T {
		if i < 0 || i >= len(c.In) {
			return nil
		}
		return c.In[i].Float
	}
	out := func(i, length int) []T {
		switch {
		case i < 0:
			return nil
		case i < len(c.Out) && c.Out[i].Float != nil:
			return c.Out[i].Float
		}
		return make([]T, length)
	}
	rows, state := v.steps*v.batch, v.batch*v.hidden
	x, weights, recurrent, bias := in(0), in(1), in(2), in(3)
	y, last, saved := out(v.output, v.directions*rows*v.hidden), out(v.last, v.directions*state), out(v.saved, v.directions*rows*v.width)
	lastCell, cells := out(v.lastCell, v.directions*state), out(v.cells, v.directions*rows*v.hidden)
	take := taker(c.Workspace)
	h, cell, reset, product, both := take(state), take(state), take(state), take(v.batch*v.columns), take(v.columns)
	grain := max(1, elementGrain/16/v.columns) // an activation costs as much as many additions
	var calls []func()
	for d := range v.directions {
		var act [3]kernel.Activation[T]
		for i := range v.cell.activations {
			if act[i], err = activation[T](v.activations[d*len(v.cell.activations)+i]); err != nil {
				return nil, err
			}
		}
		gates, own := at(saved, d, rows*v.width), at(cells, d, rows*v.hidden)
		r := at(recurrent, d, v.columns*v.hidden)
		biases := at(bias, d, 2*v.columns)
		var stateBias []T // of a GRU, what is added before the reset gate is applied
		if v.cell.name == "GRU" && v.linearBeforeReset && biases != nil {
			stateBias = biases[v.columns+2*v.hidden:]
		}
		inputs := kernel.Gemm[T]{
			M: rows, N: v.columns, K: v.inputs, Alpha: 1, C: gates, StrideC: v.width,
			A: kernel.Matrix[T]{Data: x, Stride: v.inputs},
			B: kernel.Matrix[T]{Data: at(weights, d, v.columns*v.inputs), Stride: v.inputs, Transposed: true},
		}
		if biases != nil {
			inputs.Start = func(lo, hi, left, right int) {
				for i := lo; i < hi; i++ {
					copy(gates[i*v.width+left:i*v.width+right], both[left:right])
				}
			}
		}
		ofState := func(from []T, first, count int) func() {
			return kernel.Gemm[T]{
				M: v.batch, N: count, K: v.hidden, Alpha: 1, C: product[:v.batch*count],
				A: kernel.Matrix[T]{Data: from, Stride: v.hidden},
				B: kernel.Matrix[T]{Data: r[first*v.hidden:], Stride: v.hidden, Transposed: true},
			}.Prepare(c.Pool)
		}
		t := 0 // the step
		now := func() []T { return at(gates, t, v.batch*v.width) }
		var step func()
		switch {
		case v.cell.hasCell:
			multiply := ofState(h, 0, v.columns)
			body := func(_, lo, hi int) {
				kernel.LSTMStep(h, cell, at(own, t, state), now(), product, v.hidden, act[0], act[1], act[2], lo, hi)
			}
			step = func() {
				multiply()
				c.Pool.For(v.batch, grain, body)
			}
		case v.cell.name == "GRU" && v.linearBeforeReset:
			multiply := ofState(h, 0, v.columns)
			body := func(_, lo, hi int) {
				kernel.GRUGates(now(), nil, product, h, stateBias, v.hidden, v.columns, act[0], lo, hi)
				kernel.GRUStep(h, now(), nil, v.hidden, act[1], lo, hi)
			}
			step = func() {
				multiply()
				c.Pool.For(v.batch, grain, body)
			}
		case v.cell.name == "GRU":
			multiply, again := ofState(h, 0, 2*v.hidden), ofState(reset, 2*v.hidden, v.hidden)
			first := func(_, lo, hi int) {
				kernel.GRUGates(now(), reset, product, h, nil, v.hidden, 2*v.hidden, act[0], lo, hi)
			}
			second := func(_, lo, hi int) { kernel.GRUStep(h, now(), product[:state], v.hidden, act[1], lo, hi) }
			step = func() {
				multiply()
				c.Pool.For(v.batch, grain, first)
				again()
				c.Pool.For(v.batch, grain, second)
			}
		default:
			multiply := ofState(h, 0, v.columns)
			body := func(_, lo, hi int) {
				g := now()[lo*v.hidden : hi*v.hidden]
				kernel.Accumulate(g, product[lo*v.hidden:hi*v.hidden])
				act[0].Apply(g, g)
				copy(h[lo*v.hidden:hi*v.hidden], g)
			}
			step = func() {
				multiply()
				c.Pool.For(v.batch, grain, body)
			}
		}
		all := inputs.Prepare(c.Pool)
		initial, initialCell := at(in(v.initialHidden), d, state), at(in(v.initialCell), d, state)
		calls = append(calls, func() {
			if biases != nil {
				for j := range both {
					both[j] = biases[j] + biases[v.columns+j]
					if stateBias != nil && j >= 2*v.hidden {
						both[j] = biases[j]
					}
				}
			}
			all()
			copyOrClear(h, initial)
			copyOrClear(cell, initialCell)
			for s := range v.steps {
				t = s
				if v.reverse[d] {
					t = v.steps - 1 - s
				}
				step()
				copy(at(y, t*v.directions+d, state), h)
			}
			copy(at(last, d, state), h)
			if v.cell.hasCell {
				copy(at(lastCell, d, state), cell)
			}
		})
	}
	return sequence(calls), nil
}

func bindRecurrentGradient[T kernel.Float](c *Context[T]) (func(), error) {
	v, err := newRecurrence(c.Node)
	if err != nil {
		return nil, err
	}
	in := func(i int) []T {
		if i >= len(c.In) {
			return nil
		}
		return c.In[i].Float
	}
	out := func(i int) []T {
		if i >= len(c.Out) {
			return nil
		}
		return c.Out[i].Float
	}
	rows, state := v.steps*v.batch, v.batch*v.hidden
	x, weights, recurrent, y, saved, initial, dy, dLast := in(0), in(1), in(2), in(3), in(4), in(5), in(6), in(7)
	cells, initialCell, dLastCell := in(8), in(9), in(10)
	dx, dWeights, dRecurrent, dBias, dInitial, dInitialCell := out(0), out(1), out(2), out(3), out(4), out(5)
	take := taker(c.Workspace)
	dz, before, resets := take(rows*v.width), take(rows*v.hidden), take(rows*v.hidden)
	now, dh, dc, dReset, start, sums := take(v.batch*v.width), take(state), take(state), take(state), take(state), take(v.width)
	grain := max(1, elementGrain/16/v.columns)
	isGRU := v.cell.name == "GRU"
	var calls []func()
	for d := range v.directions {
		var act [3]kernel.Activation[T]
		for i := range v.cell.activations {
			if act[i], err = activation[T](v.activations[d*len(v.cell.activations)+i]); err != nil {
				return nil, err
			}
		}
		gates, own := at(saved, d, rows*v.width), at(cells, d, rows*v.hidden)
		r := at(recurrent, d, v.columns*v.hidden)
		// The gradient of the state before is added to dh: that of blocks first ... first+count of this step, times rows of the recurrent weights.
		toState := func(to []T, first, count, row int, start func(lo, hi, left, right int)) func() {
			return kernel.Gemm[T]{
				M: v.batch, N: v.hidden, K: count, Alpha: 1, C: to, Start: start,
				A: kernel.Matrix[T]{Data: now[first:], Stride: v.width},
				B: kernel.Matrix[T]{Data: r[row*v.hidden:], Stride: v.hidden},
			}.Prepare(c.Pool)
		}
		t := 0
		gatesNow := func() []T { return at(gates, t, v.batch*v.width) }
		beforeNow := func() []T { return at(before, t, state) }
		var step func()
		switch {
		case v.cell.hasCell:
			// The cells' states before each step, in start for the first one.
			body := func(_, lo, hi int) {
				was := start
				if prior := v.prior(d, t); prior >= 0 {
					was = at(own, prior, state)
				}
				kernel.LSTMStepGradient(now, dc, dh, gatesNow(), was, at(own, t, state), v.hidden, act[0], act[1], act[2], lo, hi)
			}
			multiply := toState(dh, 0, v.columns, 0, nil)
			step = func() {
				c.Pool.For(v.batch, grain, body)
				multiply()
			}
		case isGRU && v.linearBeforeReset:
			body := func(_, lo, hi int) {
				kernel.GRUStepGradient(now, dh, gatesNow(), beforeNow(), v.hidden, act[1], lo, hi)
				kernel.GRUGatesGradient(now, dh, nil, gatesNow(), beforeNow(), v.hidden, act[0], lo, hi)
			}
			multiply, more := toState(dh, 0, 2*v.hidden, 0, added), toState(dh, 3*v.hidden, v.hidden, 2*v.hidden, added)
			step = func() {
				c.Pool.For(v.batch, grain, body)
				multiply()
				more()
			}
		case isGRU:
			first := func(_, lo, hi int) {
				kernel.GRUStepGradient(now, dh, gatesNow(), beforeNow(), v.hidden, act[1], lo, hi)
			}
			second := func(_, lo, hi int) {
				kernel.GRUGatesGradient(now, dh, dReset, gatesNow(), beforeNow(), v.hidden, act[0], lo, hi)
			}
			ofReset, multiply := toState(dReset, 2*v.hidden, v.hidden, 2*v.hidden, nil), toState(dh, 0, 2*v.hidden, 0, added)
			step = func() {
				c.Pool.For(v.batch, grain, first)
				ofReset()
				c.Pool.For(v.batch, grain, second)
				multiply()
			}
		default:
			body := func(_, lo, hi int) {
				lo, hi = lo*v.hidden, hi*v.hidden
				act[0].Gradient(now[lo:hi], dh[lo:hi], gatesNow()[lo:hi])
			}
			multiply := toState(dh, 0, v.columns, 0, nil)
			step = func() {
				c.Pool.For(v.batch, grain, body)
				multiply()
			}
		}
		var after []func()
		if dx != nil {
			g := kernel.Gemm[T]{
				M: rows, N: v.inputs, K: v.columns, Alpha: 1, C: dx,
				A: kernel.Matrix[T]{Data: dz, Stride: v.width},
				B: kernel.Matrix[T]{Data: at(weights, d, v.columns*v.inputs), Stride: v.inputs},
			}
			if d > 0 {
				g.Start = added
			}
			after = append(after, g.Prepare(c.Pool))
		}
		// The gradient of rows of weights: blocks first ... first+count of all steps, times what the weights were multiplied with.
		toWeights := func(to, from []T, first, count, columns int) {
			after = append(after, kernel.Gemm[T]{
				M: count, N: columns, K: rows, Alpha: 1, C: to,
				A: kernel.Matrix[T]{Data: dz[first:], Stride: v.width, Transposed: true},
				B: kernel.Matrix[T]{Data: from, Stride: columns},
			}.Prepare(c.Pool))
		}
		if dWeights != nil {
			toWeights(at(dWeights, d, v.columns*v.inputs), x, 0, v.columns, v.inputs)
		}
		if dRecurrent != nil {
			to := at(dRecurrent, d, v.columns*v.hidden)
			switch {
			case isGRU && v.linearBeforeReset:
				toWeights(to, before, 0, 2*v.hidden, v.hidden)
				toWeights(to[2*v.hidden*v.hidden:], before, 3*v.hidden, v.hidden, v.hidden)
			case isGRU:
				toWeights(to, before, 0, 2*v.hidden, v.hidden)
				toWeights(to[2*v.hidden*v.hidden:], resets, 2*v.hidden, v.hidden, v.hidden)
			default:
				toWeights(to, before, 0, v.columns, v.hidden)
			}
		}
		initialNow, initialCellNow := at(initial, d, state), at(initialCell, d, state)
		dBiases := at(dBias, d, 2*v.columns)
		calls = append(calls, func() {
			for s := range v.steps { // the state before each step
				if prior := v.prior(d, s); prior >= 0 {
					copy(at(before, s, state), at(y, prior*v.directions+d, state))
				} else {
					copyOrClear(at(before, s, state), initialNow)
				}
			}
			copyOrClear(dh, at(dLast, d, state))
			copyOrClear(dc, at(dLastCell, d, state))
			copyOrClear(start, initialCellNow)
			for s := range v.steps {
				t = v.steps - 1 - s
				if v.reverse[d] {
					t = s
				}
				if dy != nil {
					kernel.Accumulate(dh, at(dy, t*v.directions+d, state))
				}
				step()
				copy(at(dz, t, v.batch*v.width), now)
			}
			if isGRU && !v.linearBeforeReset && dRecurrent != nil {
				for i := range resets { // what the last block of recurrent weights was multiplied with
					resets[i] = gates[i/v.hidden*v.width+v.hidden+i%v.hidden] * before[i]
				}
			}
			for _, call := range after {
				call()
			}
			if dBiases != nil {
				kernel.SumRows(sums, dz, rows, v.width, 0, v.width)
				copy(dBiases[:v.columns], sums)
				copy(dBiases[v.columns:], sums)
				if isGRU && v.linearBeforeReset {
					copy(dBiases[v.columns+2*v.hidden:], sums[3*v.hidden:])
				}
			}
			if dInitial != nil {
				copy(at(dInitial, d, state), dh)
			}
			if dInitialCell != nil {
				copy(at(dInitialCell, d, state), dc)
			}
		})
	}
	return sequence(calls), nil
}

// prior is the step before step t in a direction, or -1.
func (v *recurrence) prior(direction, t int) int {
	if !v.reverse[direction] {
		return t - 1
	}
	if t+1 < v.steps {
		return t + 1
	}
	return -1
}
