package op

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// Attention is scaled dot-product attention, of queries, keys and values that are shaped [batch, heads, length, width], or [batch, length, heads x
// width] with the numbers of heads as attributes. Several heads of queries may share one of keys and values (Ainslie et al., "GQA", 2023): as many, one
// after the other, as there are more of them. The mask, of truth values or of numbers that are added to the scores, and is_causal, by which query i sees the
// keys 0 ... i, may be combined.
//
// It is computed as tandem.Attention is, which says what the products leave out under a causal mask. Its gradient computes the softmax a second time, head
// by head, in place of keeping it. A row of which the masks hide every score gives zeros. Keys and values of a past, the output of scores, softcap and windows
// are not computed here: package pass puts other nodes in the place of such an Attention.
func init() {
	input := func(shape ...int) CaseInput { return CaseInput{Shape: shape} }
	omitted := CaseInput{Omitted: true}
	holes := CaseInput{Type: ir.Bool, Shape: []int{3, 5}, NoGrad: true, Bool: []bool{
		true, false, true, true, false, true, true, false, false, true, true, true, true, true, true,
	}}
	attributes := func(pairs ...any) map[string]any {
		out := map[string]any{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = pairs[i+1]
		}
		return out
	}
	nothing := CaseInput{Type: ir.Bool, Shape: []int{3, 5}, NoGrad: true, Bool: slices.Concat(make([]bool, 5), holes.Bool[:10])}
	added := CaseInput{Shape: []int{2, 4, 3, 5}, NoGrad: true}
	four := []CaseInput{input(2, 4, 3, 2), input(2, 4, 5, 2), input(2, 4, 5, 3)}
	grouped := []CaseInput{input(2, 4, 3, 2), input(2, 2, 5, 2), input(2, 2, 5, 3)}
	three := []CaseInput{input(2, 3, 8), input(2, 5, 4), input(2, 5, 6)}
	heads := attributes("q_num_heads", int64(4), "kv_num_heads", int64(2))
	Register(Def{
		Name: "Attention", Since: 23, MinInputs: 3, MaxInputs: 7,
		Infer: func(n *ir.Node) error {
			a, err := readAttentionOperator(n)
			if err == nil {
				setOutput(n, 0, ir.Float, a.Shape...)
			}
			return err
		},
		Float32: bindAttentionOperator[float32], Float64: bindAttentionOperator[float64],
		Operations: func(n *ir.Node) float64 { return attentionOperatorWork(n) },
		Gradient: func(g *Gradient) error {
			if g.Needs(3) {
				return fmt.Errorf("a gradient of the mask is %w", ErrUnsupported)
			}
			wanted := []bool{g.Needs(0), g.Needs(1), g.Needs(2)}
			inputs := append([]*ir.Value{g.Out[0]}, g.Node.Inputs...)
			for i, v := range g.AddOutputs("tandem.AttentionOperatorGradient", g.Node.Attributes, wanted, inputs...) {
				if v != nil {
					g.Set(i, v)
				}
			}
			return nil
		},
		Cases: []Case{
			{Name: "four axes", Inputs: four},
			{Name: "causal", Inputs: four, Attributes: attributes("is_causal", int64(1), "scale", 0.25)},
			{Name: "mask", Inputs: append(slices.Clone(four), holes)},
			{Name: "mask of a whole row", Inputs: append(slices.Clone(four), nothing)},
			{Name: "causal, mask", Inputs: append(slices.Clone(four), holes), Attributes: attributes("is_causal", int64(1))},
			{Name: "added mask", Inputs: append(slices.Clone(four), added)},
			{Name: "causal, added mask", Inputs: append(slices.Clone(four), added), Attributes: attributes("is_causal", int64(1))},
			{Name: "shared keys", Inputs: grouped},
			{Name: "shared keys, added mask", Inputs: append(slices.Clone(grouped), added)},
			{Name: "three axes", Inputs: three, Attributes: heads},
			{Name: "three axes, mask", Inputs: append(slices.Clone(three), holes), Attributes: heads},
			{Name: "frozen keys", Inputs: []CaseInput{four[0], {Shape: []int{2, 4, 5, 2}, NoGrad: true, Const: true}, four[2], omitted}},
		},
	})
	Register(Def{
		Name: "tandem.AttentionOperatorGradient", MinInputs: 4, MaxInputs: 8, // dy, and the operator's inputs
		Infer: func(n *ir.Node) error {
			a, err := readAttentionOperator(withoutGradient(n))
			if err != nil {
				return err
			}
			for i := range n.Outputs {
				setOutput(n, i, ir.Float, n.Inputs[1+i].Shape...)
			}
			n.Workspace = newAttentionSpace(a).size
			return nil
		},
		Float32: bindAttentionOperatorGradient[float32], Float64: bindAttentionOperatorGradient[float64],
		Operations: func(n *ir.Node) float64 { return 3 * attentionOperatorWork(withoutGradient(n)) },
		NoGradient: "tandem takes first derivatives alone",
	})
}

// withoutGradient is the operator's node whose gradient a node computes.
func withoutGradient(n *ir.Node) *ir.Node {
	return &ir.Node{Op: "Attention", Attributes: n.Attributes, Inputs: n.Inputs[1:], Origin: n.Origin}
}

func attentionOperatorWork(n *ir.Node) float64 {
	a, err := readAttentionOperator(n)
	if err != nil {
		return 0
	}
	share := 1.0
	if causal, err := n.Attributes.Int("is_causal", 0); err == nil && causal != 0 && a.Columns > 0 {
		shown := 0
		for i := range a.Rows {
			shown += min(i+1, a.Columns)
		}
		share = float64(shown) / float64(a.Rows*a.Columns)
	}
	return 2 * share * float64(elements(a.scores())) * float64(a.Width+a.ValueWidth)
}

// readAttentionOperator describes the node as a tandem.Attention whose roots are queries, keys and values. Heads are numbered by batch, head of keys
// and head of queries among those that share it.
func readAttentionOperator(n *ir.Node) (a Attention, err error) {
	if err := wantFloat(n, 0, 1, 2); err != nil {
		return a, err
	}
	for i, what := range []string{"past_key", "past_value", "nonpad_kv_seqlen"} {
		if n.Input(4+i) != nil {
			return a, fmt.Errorf("the input %s is %w: only attention of a whole sequence is", what, ErrUnsupported)
		}
	}
	for i, what := range []string{"", "present_key", "present_value", "qk_matmul_output"} {
		if i > 0 && i < len(n.Outputs) && n.Outputs[i] != nil {
			return a, fmt.Errorf("the output %s is %w", what, ErrUnsupported)
		}
	}
	softcap, err := n.Attributes.Float("softcap", 0)
	if err != nil {
		return a, err
	}
	if softcap != 0 {
		return a, fmt.Errorf("softcap = %g is %w: it must be 0", softcap, ErrUnsupported)
	}
	precision, err := n.Attributes.Int("softmax_precision", 1)
	if err != nil {
		return a, err
	}
	if precision != 1 && precision != 11 {
		return a, fmt.Errorf("softmax_precision = %d is %w: it may be 1 (float32) or 11 (float64)", precision, ErrUnsupported)
	}
	for _, name := range []string{"left_window_size", "right_window_size"} {
		if size, err := n.Attributes.Int(name, -1); err != nil || size != -1 {
			return a, errors.Join(err, fmt.Errorf("%s = %d is %w: it must be -1, no window", name, size, ErrUnsupported))
		}
	}
	counts := [3]int64{}
	for i, name := range []string{"q_num_heads", "kv_num_heads", "kv_num_heads"} {
		if counts[i], err = n.Attributes.Int(name, 0); err != nil {
			return a, err
		}
	}
	rank := len(n.Inputs[0].Shape)
	var batch, heads, length, width, headStride, row [3]int
	for i := range 3 {
		shape := n.Inputs[i].Shape
		switch {
		case rank == 4 && len(shape) == 4:
			batch[i], heads[i], length[i], width[i] = shape[0], shape[1], shape[2], shape[3]
			headStride[i], row[i] = length[i]*width[i], width[i]
		case rank == 3 && len(shape) == 3:
			heads[i] = int(counts[i])
			if heads[i] < 1 || shape[2]%heads[i] != 0 {
				return a, fmt.Errorf("input %d of shape %v does not divide into %d heads (q_num_heads, kv_num_heads)", i, shape, heads[i])
			}
			batch[i], length[i], width[i] = shape[0], shape[1], shape[2]/heads[i]
			headStride[i], row[i] = width[i], shape[2]
		default:
			return a, fmt.Errorf("input %d of shape %v beside queries of %d axes is %w: all must have three or four", i, shape, rank, ErrUnsupported)
		}
	}
	switch {
	case batch[1] != batch[0] || batch[2] != batch[0]:
		return a, fmt.Errorf("batches of %d, %d and %d differ", batch[0], batch[1], batch[2])
	case heads[1] != heads[2] || heads[1] == 0 || heads[0]%heads[1] != 0:
		return a, fmt.Errorf("%d heads of queries do not divide among %d of keys and %d of values", heads[0], heads[1], heads[2])
	case length[1] != length[2]:
		return a, fmt.Errorf("%d keys have %d values", length[1], length[2])
	case width[0] != width[1]:
		return a, fmt.Errorf("queries of width %d do not fit keys of width %d", width[0], width[1])
	case width[0] == 0 || length[1] == 0:
		return a, fmt.Errorf("no keys, or keys of width 0, are %w", ErrUnsupported)
	}
	group := heads[0] / heads[1]
	a = Attention{
		Heads: []int{batch[0], heads[1], group}, Rows: length[0], Columns: length[1], Width: width[0], ValueWidth: width[2], Roots: 3, Fill: math.Inf(-1), Empty: true,
	}
	if a.Scale, err = n.Attributes.Float("scale", 1/math.Sqrt(float64(a.Width))); err != nil {
		return a, err
	}
	if a.Scale == 0 {
		a.Scale = 1 / math.Sqrt(float64(a.Width))
	}
	view := func(i int) View {
		stride := headStride[i]
		if i > 0 {
			return View{Root: i, Heads: []int{heads[i] * length[i] * width[i], stride, 0}, Row: row[i], Column: 1}
		}
		return View{Root: i, Heads: []int{heads[i] * length[i] * width[i], group * stride, stride}, Row: row[i], Column: 1}
	}
	a.Query, a.Key, a.Value = view(0), view(1), view(2)
	all, result := heads[0]*a.ValueWidth, a.Rows*a.ValueWidth
	if rank == 4 {
		a.Shape = []int{batch[0], heads[0], a.Rows, a.ValueWidth}
		a.Result = View{Heads: []int{heads[0] * result, group * result, result}, Row: a.ValueWidth, Column: 1}
	} else {
		a.Shape = []int{batch[0], a.Rows, all}
		a.Result = View{Heads: []int{a.Rows * all, group * a.ValueWidth, a.ValueWidth}, Row: all, Column: 1}
	}
	if mask := n.Input(3); mask != nil {
		full := []int{batch[0], heads[0], a.Rows, a.Columns}
		if shape, err := broadcast(mask.Shape, full); err != nil || !equalShapes(shape, full) {
			return a, fmt.Errorf("a mask of shape %v that does not broadcast to the scores' %v is %w", mask.Shape, full, ErrUnsupported)
		}
		if mask.Type != ir.Bool && mask.Type != ir.Float {
			return a, fmt.Errorf("a mask of %v is %w", mask.Type, ErrUnsupported)
		}
	}
	_, err = n.Attributes.Int("is_causal", 0)
	return a, err
}

// attentionMask is the mask of a node as tandem.Attention wants it: along its five axes, with the causal one in it.
type attentionMask[T kernel.Float] struct {
	value  *ir.Value
	buffer Buffer[T]
	// fill computes it anew; nil where it stands.
	fill func()
}

func newAttentionMask[T kernel.Float](n *ir.Node, a Attention, given Buffer[T]) (m attentionMask[T], err error) {
	causal, err := n.Attributes.Int("is_causal", 0)
	mask := n.Input(3)
	if err != nil || causal == 0 && mask == nil {
		return m, err
	}
	if mask == nil {
		seen := make([]bool, a.Rows*a.Columns)
		for i := range seen {
			seen[i] = i%a.Columns <= i/a.Columns
		}
		t, err := tensor.Of(seen, a.Rows, a.Columns)
		if err != nil {
			return m, err
		}
		m.value = &ir.Value{Name: "causal", Type: ir.Bool, Shape: t.Shape(), Role: ir.Constant, Const: t}
		m.buffer = Buffer[T]{Shape: t.Shape(), Bool: seen}
		return m, nil
	}
	split := func(shape []int) []int { // of the heads' axis
		if len(shape) < 3 {
			return shape
		}
		at := len(shape) - 3
		heads := []int{1, 1}
		if shape[at] != 1 {
			heads = a.Heads[1:]
		}
		return slices.Concat(shape[:at], heads, shape[at+1:])
	}
	m.value = &ir.Value{Name: mask.Name, Type: mask.Type, Shape: split(mask.Shape)}
	m.buffer = Buffer[T]{Shape: m.value.Shape, Float: given.Float, Bool: given.Bool}
	if causal == 0 {
		return m, nil
	}
	full, err := broadcast(m.value.Shape, []int{a.Rows, a.Columns})
	if err != nil {
		return m, err
	}
	w, size := newWalk(m.value.Shape, full), elements(full)
	m.value.Shape, m.buffer.Shape = full, full
	each := func(set func(to, from int, seen bool)) func() {
		return func() {
			for i := range size {
				row, column := i/a.Columns, i%a.Columns
				set(i, w.offset[row]+column*w.step, column <= row%a.Rows)
			}
		}
	}
	if mask.Type == ir.Bool {
		out := make([]bool, size)
		m.fill = each(func(to, from int, seen bool) { out[to] = given.Bool[from] && seen })
		m.buffer.Bool = out
		return m, nil
	}
	out := make([]T, size)
	m.fill = each(func(to, from int, seen bool) {
		out[to] = T(math.Inf(-1))
		if seen {
			out[to] = given.Float[from]
		}
	})
	m.buffer.Float = out
	return m, nil
}

func bindAttentionOperator[T kernel.Float](c *Context[T]) (func(), error) {
	a, err := readAttentionOperator(c.Node)
	if err != nil {
		return nil, err
	}
	var given Buffer[T]
	if len(c.In) > 3 {
		given = c.In[3]
	}
	mask, err := newAttentionMask(c.Node, a, given)
	if err != nil {
		return nil, err
	}
	return bindAttentionParts(c, a, mask, slices.Clone(c.In[:3]), []Buffer[T]{c.Out[0]})
}

// bindAttentionParts binds tandem.Attention with other operands than the node's.
func bindAttentionParts[T kernel.Float](c *Context[T], a Attention, mask attentionMask[T], in, out []Buffer[T]) (func(), error) {
	n := &ir.Node{Op: "tandem.Attention", Attributes: onnx.NewAttributes(a.Attributes()), Inputs: make([]*ir.Value, 3), Origin: c.Node.Origin}
	if mask.value != nil {
		n.Inputs, in = append(n.Inputs, mask.value), append(in, mask.buffer)
	}
	call, err := bindAttention(&Context[T]{Node: n, In: in, Out: out, Pool: c.Pool, Run: c.Run})
	if err != nil || mask.fill == nil {
		return call, err
	}
	return func() { mask.fill(); call() }, nil
}

// attentionSpace says where the parts of the gradient's workspace begin: the softmax, the result, and where heads share keys and values their copies
// for each head and the gradients of those.
type attentionSpace struct {
	softmax, result, keys, values, dKeys, dValues, size int
}

func newAttentionSpace(a Attention) (s attentionSpace) {
	heads := elements(a.Heads)
	take := func(n int) int {
		at := s.size
		s.size += (n + 15) / 16 * 16
		return at
	}
	s.softmax, s.result = take(heads*a.Rows*a.Columns), take(heads*a.Rows*a.ValueWidth)
	if a.Heads[2] > 1 {
		s.keys, s.values = take(heads*a.Columns*a.Width), take(heads*a.Columns*a.ValueWidth)
		s.dKeys, s.dValues = take(heads*a.Columns*a.Width), take(heads*a.Columns*a.ValueWidth)
	}
	return s
}

func bindAttentionOperatorGradient[T kernel.Float](c *Context[T]) (func(), error) {
	n := withoutGradient(c.Node)
	a, err := readAttentionOperator(n)
	if err != nil {
		return nil, err
	}
	var given Buffer[T]
	if len(c.In) > 4 {
		given = c.In[4]
	}
	mask, err := newAttentionMask(n, a, given)
	if err != nil {
		return nil, err
	}
	space := newAttentionSpace(a)
	heads := elements(a.Heads)
	part := func(at, size int) Buffer[T] {
		return Buffer[T]{Shape: []int{size}, Float: c.Workspace[at : at+size : at+size]}
	}
	softmax, result := part(space.softmax, heads*a.Rows*a.Columns), part(space.result, heads*a.Rows*a.ValueWidth)
	in := slices.Clone(c.In[1:4])
	out := []Buffer[T]{{}, {}, {}}
	copy(out, c.Out)
	spread, gather := func() {}, func() {}
	if a.Heads[2] > 1 {
		keys, dKeys := part(space.keys, heads*a.Columns*a.Width), part(space.dKeys, heads*a.Columns*a.Width)
		values, dValues := part(space.values, heads*a.Columns*a.ValueWidth), part(space.dValues, heads*a.Columns*a.ValueWidth)
		k, v := sharedHeads[T]{a.Key.offsets(a.Heads), a.Key.Row, a.Columns, a.Width}, sharedHeads[T]{a.Value.offsets(a.Heads), a.Value.Row, a.Columns, a.ValueWidth}
		key, value, dKey, dValue := in[1].Float, in[2].Float, out[1].Float, out[2].Float
		spread = func() {
			k.spread(keys.Float, key)
			v.spread(values.Float, value)
		}
		gather = func() {
			k.gather(dKey, dKeys.Float)
			v.gather(dValue, dValues.Float)
		}
		in[1], in[2] = keys, values
		if dKey != nil {
			out[1] = dKeys
		}
		if dValue != nil {
			out[2] = dValues
		}
		dense := func(view *View, width int) {
			size := a.Columns * width
			*view = View{Root: view.Root, Heads: []int{a.Heads[1] * a.Heads[2] * size, a.Heads[2] * size, size}, Row: width, Column: 1}
		}
		dense(&a.Key, a.Width)
		dense(&a.Value, a.ValueWidth)
	}
	forward, err := bindAttentionParts(c, a, mask, slices.Clone(in), []Buffer[T]{result, softmax})
	if err != nil {
		return nil, err
	}
	g := &ir.Node{Op: "tandem.AttentionGradient", Attributes: onnx.NewAttributes(a.Attributes()), Inputs: make([]*ir.Value, 5), Origin: c.Node.Origin}
	g.Inputs = append(g.Inputs, mask.value, nil)
	backward, err := bindAttentionGradient(&Context[T]{
		Node: g, In: slices.Concat([]Buffer[T]{c.In[0], softmax}, in, []Buffer[T]{mask.buffer, {}}), Out: out, Pool: c.Pool, Run: c.Run,
	})
	if err != nil {
		return nil, err
	}
	return func() { spread(); forward(); backward(); gather() }, nil
}

// sharedHeads are matrices of which several heads have the same.
type sharedHeads[T kernel.Float] struct {
	offsets               []int
	stride, rows, columns int
}

// spread copies each head's matrix to its own place.
func (s sharedHeads[T]) spread(to, from []T) {
	for h, at := range s.offsets {
		for r := range s.rows {
			copy(to[(h*s.rows+r)*s.columns:][:s.columns], from[at+r*s.stride:])
		}
	}
}

// gather adds up what all heads have to a matrix, if it is wanted.
func (s sharedHeads[T]) gather(to, from []T) {
	clear(to)
	if to == nil {
		return
	}
	for h, at := range s.offsets {
		for r := range s.rows {
			kernel.Accumulate(to[at+r*s.stride:][:s.columns], from[(h*s.rows+r)*s.columns:][:s.columns])
		}
	}
}
