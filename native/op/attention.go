package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/philox"
	"tandem/onnx"
)

// tandem.Attention is softmax(scale Q K' + mask) V, with dropout on the softmax (Vaswani et al., "Attention Is All You Need", 2017), for
// every head. Pass Simplify finds it in a graph. Queries, keys and values are read where they lie in other values, the projections
// that they were split from, and the result is written where it is wanted: nothing is transposed or copied. Attribute names are those of [Attention].
//
// Inputs are the values that queries, keys and values lie in, each once, and then the mask: truth values, or numbers that are added to the scores.
// Output 1 is the softmax and output 2 which elements dropout keeps; the gradient is computed from them.
//
// A head at a time is computed from the first product to the last, so that its scores stay in the cache. The softmax of a row ends at the
// last element that a constant mask leaves visible: half the exponentials of a causal mask.
func init() {
	packed := Attention{ // two heads of two samples, packed as GPT-2 packs them: [batch, length, query or key or value, head, width]
		Heads: []int{2, 2}, Rows: 5, Columns: 5, Width: 3, ValueWidth: 3, Roots: 1,
		Query:  View{Root: 0, Offset: 0, Heads: []int{90, 3}, Row: 18, Column: 1},
		Key:    View{Root: 0, Offset: 6, Heads: []int{90, 3}, Row: 18, Column: 1},
		Value:  View{Root: 0, Offset: 12, Heads: []int{90, 3}, Row: 18, Column: 1},
		Result: View{Heads: []int{30, 3}, Row: 6, Column: 1}, Shape: []int{2, 5, 6}, Scale: 0.5,
	}
	causal := make([]bool, 25)
	for i := range causal {
		causal[i] = i%5 <= i/5
	}
	apart := Attention{ // three values, the keys transposed, more keys than queries, values of another width, in front of a gap
		Heads: []int{2}, Rows: 3, Columns: 4, Width: 2, ValueWidth: 5, Roots: 3,
		Query:  View{Root: 0, Heads: []int{6}, Row: 2, Column: 1},
		Key:    View{Root: 1, Heads: []int{8}, Row: 2, Column: 1},
		Value:  View{Root: 2, Heads: []int{28}, Row: 7, Column: 1},
		Result: View{Heads: []int{15}, Row: 5, Column: 1}, Shape: []int{2, 3, 5}, Scale: 2,
	}
	mask := CaseInput{Type: ir.Bool, Shape: []int{5, 5}, Bool: causal, Const: true, NoGrad: true}
	holes := CaseInput{Type: ir.Bool, Shape: []int{2, 1, 4}, Bool: []bool{true, false, true, true, false, false, true, false}, NoGrad: true}
	input := func(shape ...int) CaseInput { return CaseInput{Shape: shape} }
	with := func(a Attention, change func(*Attention)) map[string]any {
		change(&a)
		return a.Attributes()
	}
	three := []CaseInput{input(2, 3, 2), input(2, 4, 2), input(2, 4, 7)}
	Register(Def{
		Name: "tandem.Attention", MinInputs: 1, MaxInputs: 4, Saves: 3,
		Infer:   inferAttention,
		Float32: bindAttention[float32], Float64: bindAttention[float64],
		Gradient: func(g *Gradient) error {
			a, err := ReadAttention(g.Node.Attributes)
			if err != nil {
				return err
			}
			if g.Out[0] == nil || g.Out[1] != nil {
				return fmt.Errorf("a gradient through the weights is %w", ErrUnsupported)
			}
			if g.Needs(a.Roots) {
				return fmt.Errorf("a gradient of the mask is %w", ErrUnsupported)
			}
			wanted := make([]bool, a.Roots)
			for i := range wanted {
				wanted[i] = g.Needs(i)
			}
			inputs := append([]*ir.Value{g.Out[0], g.Node.Outputs[1]}, g.Node.Inputs[:a.Roots]...)
			inputs = append(inputs, g.Node.Input(a.Roots), g.Node.Outputs[2])
			for i, v := range g.AddOutputs("tandem.AttentionGradient", g.Node.Attributes, wanted, inputs...) {
				if v != nil {
					g.Set(i, v)
				}
			}
			return nil
		},
		Cases: []Case{
			{Name: "packed", Inputs: []CaseInput{input(2, 5, 18)}, Attributes: packed.Attributes()},
			{Name: "causal", Inputs: []CaseInput{input(2, 5, 18), mask}, Attributes: packed.Attributes()},
			{Name: "causal with dropout", Inputs: []CaseInput{input(2, 5, 18), mask}, Attributes: with(packed, func(a *Attention) { a.Drop, a.Site = 0.4, 3 })},
			{Name: "apart", Inputs: three, Attributes: apart.Attributes()},
			{Name: "apart, one frozen", Inputs: []CaseInput{three[0], {Shape: []int{2, 4, 2}, NoGrad: true, Const: true}, three[2]}, Attributes: apart.Attributes()},
			{Name: "holes, filled with a number", Inputs: append(slices.Clone(three), holes), Attributes: with(apart, func(a *Attention) { a.Fill = -1.5 })},
			{Name: "holes where the mask is false", Inputs: append(slices.Clone(three), holes), Attributes: with(apart, func(a *Attention) { a.Hides, a.Fill = true, -1.5 })},
			{Name: "added mask with dropout", Inputs: append(slices.Clone(three), CaseInput{Shape: []int{3, 4}, NoGrad: true}), Attributes: with(apart, func(a *Attention) { a.Drop = 0.25 })},
		},
	})
	Register(Def{
		Name: "tandem.AttentionGradient", MinInputs: 3, MaxInputs: 7, // dy, softmax, roots, mask and kept elements, each perhaps omitted
		Infer: func(n *ir.Node) error {
			for i := range n.Outputs {
				setOutput(n, i, ir.Float, n.Inputs[2+i].Shape...)
			}
			return nil
		},
		Float32: bindAttentionGradient[float32], Float64: bindAttentionGradient[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// View says where the matrices of all heads lie in a value: element (i, j) of head h, numbered by several dimensions, is Offset + h . Heads +
// Row i + Column j elements from its beginning.
type View struct {
	Root   int // which of the node's inputs the value is
	Offset int
	Heads  []int
	Row    int
	Column int
}

// Attention is what the attributes of tandem.Attention say.
type Attention struct {
	// Heads are the dimensions that number the heads, the batch among them.
	Heads []int
	// Rows and Columns are the scores' size for one head, Width that of a query and a key, ValueWidth that of a value.
	Rows, Columns, Width, ValueWidth int
	// Roots is the number of inputs that hold queries, keys and values.
	Roots                     int
	Query, Key, Value, Result View
	// Shape is the result's.
	Shape []int
	Scale float64
	// A score takes the number Fill where the mask, of truth values, is false, or with Hides where it is true.
	Fill  float64
	Hides bool
	// Drop is the probability that dropout sets an element of the softmax to zero, Site the dropout's.
	Drop float64
	Site int
}

// Attributes returns the node's attributes.
func (a Attention) Attributes() map[string]any {
	view := func(v View) []int64 {
		return toInt64s(append([]int{v.Root, v.Offset, v.Row, v.Column}, v.Heads...))
	}
	return map[string]any{
		"heads": toInt64s(a.Heads), "sizes": toInt64s([]int{a.Rows, a.Columns, a.Width, a.ValueWidth, a.Roots}),
		"query": view(a.Query), "key": view(a.Key), "value": view(a.Value), "result": view(a.Result), "shape": toInt64s(a.Shape),
		"scale": a.Scale, "fill": a.Fill, "hides": flag(a.Hides), "tandem_p": a.Drop, "tandem_site": int64(a.Site),
	}
}

// ReadAttention is the reverse of Attributes.
func ReadAttention(from onnx.Attributes) (a Attention, err error) {
	ints := func(name string) []int {
		v, e := from.Ints(name, nil)
		if e != nil && err == nil {
			err = e
		}
		return toInts(v)
	}
	number := func(name string) float64 {
		v, e := from.Float(name, 0)
		if e != nil && err == nil {
			err = e
		}
		return v
	}
	whole := func(name string) int {
		v, e := from.Int(name, 0)
		if e != nil && err == nil {
			err = e
		}
		return int(v)
	}
	a.Heads, a.Shape = ints("heads"), ints("shape")
	sizes := ints("sizes")
	if len(sizes) != 5 {
		return a, fmt.Errorf("sizes %v are not five", sizes)
	}
	a.Rows, a.Columns, a.Width, a.ValueWidth, a.Roots = sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
	for name, v := range map[string]*View{"query": &a.Query, "key": &a.Key, "value": &a.Value, "result": &a.Result} {
		n := ints(name)
		if len(n) != 4+len(a.Heads) {
			return a, fmt.Errorf("%s has %d numbers for %d dimensions of heads", name, len(n), len(a.Heads))
		}
		*v = View{n[0], n[1], n[4:], n[2], n[3]}
	}
	a.Scale, a.Fill, a.Drop = number("scale"), number("fill"), number("tandem_p")
	a.Hides, a.Site = whole("hides") != 0, whole("tandem_site")
	return a, err
}

// offsets returns where each head's matrix begins.
func (v View) offsets(heads []int) []int {
	w := stridedWalk(append(slices.Clone(heads), 1), append(slices.Clone(v.Heads), 0), v.Offset)
	return w.offset
}

// matrix returns the view's matrix of a head that begins at 0.
func matrixView[T kernel.Float](data []T, v View) kernel.Matrix[T] {
	if v.Column == 1 {
		return kernel.Matrix[T]{Data: data, Stride: v.Row}
	}
	return kernel.Matrix[T]{Data: data, Stride: v.Column, Transposed: true}
}

func transposedView(v View) View {
	v.Row, v.Column = v.Column, v.Row
	return v
}

func (a Attention) scores() []int { return append(slices.Clone(a.Heads), a.Rows, a.Columns) }

func inferAttention(n *ir.Node) error {
	a, err := ReadAttention(n.Attributes)
	if err != nil {
		return err
	}
	if len(n.Inputs) < a.Roots || len(n.Inputs) > a.Roots+1 {
		return fmt.Errorf("there are %d inputs, want %d and perhaps a mask", len(n.Inputs), a.Roots)
	}
	for i := range a.Roots {
		if err := wantFloat(n, i); err != nil {
			return err
		}
	}
	if mask := n.Input(a.Roots); mask != nil {
		shape, err := broadcast(mask.Shape, a.scores())
		if err != nil || !equalShapes(shape, a.scores()) {
			return fmt.Errorf("a mask of shape %v does not broadcast to the scores' %v", mask.Shape, a.scores())
		}
	}
	setOutput(n, 0, ir.Float, a.Shape...)
	setOutput(n, 1, ir.Float, a.scores()...)
	if len(n.Outputs) > 2 && a.Drop == 0 {
		n.Outputs[2] = nil
	}
	setOutput(n, 2, ir.Bool, a.scores()...)
	return nil
}

// attention is what forward and backward share: the operands and the mask.
type attention[T kernel.Float] struct {
	Attention
	heads int
	// visible is the length of each row's part that the mask leaves, if that is all that it does; else nil.
	visible []int
	// hidden and added read the mask along the rows of all heads; at most one is set.
	hidden func(head, row, column int) bool
	added  func(head, row, column int) T
}

func newAttention[T kernel.Float](n *ir.Node, mask *Buffer[T], maskValue *ir.Value) (*attention[T], error) {
	a, err := ReadAttention(n.Attributes)
	if err != nil {
		return nil, err
	}
	s := &attention[T]{Attention: a, heads: elements(a.Heads)}
	if mask == nil {
		return s, nil
	}
	w := newWalk(mask.Shape, a.scores())
	at := func(head, row, column int) int { return w.offset[head*a.Rows+row] + column*w.step }
	if maskValue.Type == ir.Float {
		numbers := mask.Float
		s.added = func(head, row, column int) T { return numbers[at(head, row, column)] }
		return s, nil
	}
	truth := mask.Bool
	s.hidden = func(head, row, column int) bool { return truth[at(head, row, column)] == a.Hides }
	if maskValue.Role == ir.Constant && a.Fill < 0 && a.Fill*2 == a.Fill { // minus infinity
		s.visible = s.prefixes()
	}
	return s, nil
}

// prefixes returns the length of what is visible in each row of all heads, nil if that is not a first part of at least one element.
func (s *attention[T]) prefixes() []int {
	lengths := make([]int, s.heads*s.Rows)
	for i := range lengths {
		n := 0
		for n < s.Columns && !s.hidden(i/s.Rows, i%s.Rows, n) {
			n++
		}
		for c := n; c < s.Columns; c++ {
			if !s.hidden(i/s.Rows, i%s.Rows, c) {
				return nil
			}
		}
		if n == 0 {
			return nil
		}
		lengths[i] = n
	}
	return lengths
}

// softmax replaces a head's scores by their softmax.
func (s *attention[T]) softmax(scores []T, head int) {
	for r := range s.Rows {
		row := scores[r*s.Columns : (r+1)*s.Columns]
		switch {
		case s.visible != nil:
			n := s.visible[head*s.Rows+r]
			clear(row[n:])
			row = row[:n]
		case s.hidden != nil:
			for c := range row {
				if s.hidden(head, r, c) {
					row[c] = T(s.Fill)
				}
			}
		case s.added != nil:
			for c := range row {
				row[c] += s.added(head, r, c)
			}
		}
		if s.visible != nil {
			kernel.Softmax(row, row, len(row), 1, 0, 1)
		}
	}
	if s.visible == nil {
		kernel.Softmax(scores, scores, s.Columns, 1, 0, s.Rows)
	}
}

// softmaxGradient replaces the gradient of a head's softmax by that of its scores before the mask.
func (s *attention[T]) softmaxGradient(d, softmax []T, head int) {
	kernel.SoftmaxGradient(d, d, softmax, s.Columns, 1, 0, s.Rows)
	if s.hidden == nil || s.visible != nil { // the softmax is zero where hidden, and so is this
		return
	}
	for i := range d {
		if s.hidden(head, i/s.Columns, i%s.Columns) {
			d[i] = 0
		}
	}
}

// products returns the offsets of the products of all heads.
func products(a, b, c []int) []kernel.Offsets {
	out := make([]kernel.Offsets, len(a))
	for i := range out {
		out[i] = kernel.Offsets{A: a[i], B: b[i], C: c[i]}
	}
	return out
}

func (s *attention[T]) dense() []int {
	offsets := make([]int, s.heads)
	for i := range offsets {
		offsets[i] = i * s.Rows * s.Columns
	}
	return offsets
}

// workspace is memory for one head's scores on each of the pool's workers. All heads' offsets into it are those of their worker, so that a
// product prepared for worker w has all its heads at the same place.
type workspace[T kernel.Float] struct {
	each [][]T
}

func newWorkspace[T kernel.Float](pool *kernel.Pool, size int) workspace[T] {
	w := workspace[T]{make([][]T, pool.Threads())}
	for i := range w.each {
		w.each[i] = make([]T, size)
	}
	return w
}

// product prepares a product of all heads with at most one operand in a workspace; of makes it for that operand.
func (w workspace[T]) product(pool *kernel.Pool, offsets []kernel.Offsets, of func(space []T) kernel.Gemm[T]) func(worker, head int) {
	calls := make([]func(worker, head int), len(w.each))
	for i, space := range w.each {
		calls[i] = of(space).PrepareEach(pool, offsets)
	}
	return func(worker, head int) { calls[worker](worker, head) }
}

// maskOf returns the mask's buffer and value, nil when there is none; first is the number of the first root.
func maskOf[T kernel.Float](c *Context[T], first int) (*Buffer[T], *ir.Value, error) {
	a, err := ReadAttention(c.Node.Attributes)
	if err != nil {
		return nil, nil, err
	}
	if i := first + a.Roots; c.Node.Input(i) != nil {
		return &c.In[i], c.Node.Inputs[i], nil
	}
	return nil, nil, nil
}

func bindAttention[T kernel.Float](c *Context[T]) (func(), error) {
	mask, maskValue, err := maskOf(c, 0)
	if err != nil {
		return nil, err
	}
	s, err := newAttention(c.Node, mask, maskValue)
	if err != nil {
		return nil, err
	}
	size := s.Rows * s.Columns
	var softmax []T
	if len(c.Out) > 1 {
		softmax = c.Out[1].Float
	}
	if softmax == nil {
		softmax = make([]T, s.heads*size)
	}
	query, key, value := c.In[s.Query.Root].Float, c.In[s.Key.Root].Float, c.In[s.Value.Root].Float
	q, k, v, y := s.Query.offsets(s.Heads), s.Key.offsets(s.Heads), s.Value.offsets(s.Heads), s.Result.offsets(s.Heads)
	score := kernel.Gemm[T]{
		M: s.Rows, N: s.Columns, K: s.Width, Alpha: T(s.Scale), C: softmax,
		A: matrixView(query, s.Query), B: matrixView(key, transposedView(s.Key)),
	}.PrepareEach(c.Pool, products(q, k, s.dense()))
	mix := func(weights []T) kernel.Gemm[T] {
		return kernel.Gemm[T]{
			M: s.Rows, N: s.ValueWidth, K: s.Columns, Alpha: 1, C: c.Out[0].Float, StrideC: s.Result.Row,
			A: kernel.Matrix[T]{Data: weights, Stride: s.Columns}, B: matrixView(value, s.Value),
		}
	}
	if s.Drop == 0 {
		mixed := mix(softmax).PrepareEach(c.Pool, products(s.dense(), v, y))
		return s.each(c.Pool, func(w, head int) {
			score(w, head)
			s.softmax(softmax[head*size:(head+1)*size], head)
			mixed(w, head)
		}), nil
	}
	var kept []bool
	if len(c.Out) > 2 {
		kept = c.Out[2].Bool
	}
	if kept == nil {
		kept = make([]bool, s.heads*size)
	}
	space := newWorkspace[T](c.Pool, size)
	mixed := space.product(c.Pool, products(make([]int, s.heads), v, y), mix)
	run, scale := c.Run, dropoutScale[T](s.Drop)
	return s.each(c.Pool, func(w, head int) {
		score(w, head)
		lo, hi := head*size, (head+1)*size
		s.softmax(softmax[lo:hi], head)
		kernel.Keep(kept[lo:hi], philox.Stream{Seed: run.Seed, Step: uint64(run.Step), Site: uint32(s.Site)}, lo, s.Drop)
		kernel.Mask(space.each[w], softmax[lo:hi], kept[lo:hi], scale)
		mixed(w, head)
	}), nil
}

// each returns the call that does something for every head.
func (s *attention[T]) each(pool *kernel.Pool, do func(worker, head int)) func() {
	body := func(w, lo, hi int) {
		for head := lo; head < hi; head++ {
			do(w, head)
		}
	}
	grain := max(1, elementGrain/max(1, s.Rows*s.Columns))
	return func() { pool.For(s.heads, grain, body) }
}

// bindAttentionGradient computes, for a head, with P the softmax and D what dropout multiplies it with:
//
//	dV = (P D)' dY,  dP = D (dY V'),  dS = P (dP - sum of dP P over the row),  dQ = scale dS K,  dK = scale dS' Q
func bindAttentionGradient[T kernel.Float](c *Context[T]) (func(), error) {
	mask, maskValue, err := maskOf(c, 2)
	if err != nil {
		return nil, err
	}
	s, err := newAttention(c.Node, mask, maskValue)
	if err != nil {
		return nil, err
	}
	dy, softmax, kept := c.In[0].Float, c.In[1].Float, c.In[2+s.Roots+1].Bool
	root := func(v View) (data, gradient []T) { return c.In[2+v.Root].Float, c.Out[v.Root].Float }
	query, dQuery := root(s.Query)
	key, dKey := root(s.Key)
	value, dValue := root(s.Value)
	q, k, v, y := s.Query.offsets(s.Heads), s.Key.offsets(s.Heads), s.Value.offsets(s.Heads), s.Result.offsets(s.Heads)
	size, none := s.Rows*s.Columns, make([]int, s.heads)
	dScores, dropped := newWorkspace[T](c.Pool, size), workspace[T]{}
	upstream := kernel.Matrix[T]{Data: dy, Stride: s.Result.Row}
	nothing := func(int, int) {}
	intoScores, intoQuery, intoKey, intoValue := nothing, nothing, nothing, nothing
	if dValue != nil {
		gemm := func(weights []T) kernel.Gemm[T] {
			return kernel.Gemm[T]{
				M: s.Columns, N: s.ValueWidth, K: s.Rows, Alpha: 1, C: dValue, StrideC: s.Value.Row,
				A: kernel.Matrix[T]{Data: weights, Stride: s.Columns, Transposed: true}, B: upstream,
			}
		}
		if s.Drop == 0 {
			intoValue = gemm(softmax).PrepareEach(c.Pool, products(s.dense(), y, v))
		} else {
			dropped = newWorkspace[T](c.Pool, size)
			intoValue = dropped.product(c.Pool, products(none, y, v), gemm)
		}
	}
	deeper := dQuery != nil || dKey != nil
	if deeper {
		intoScores = dScores.product(c.Pool, products(y, v, none), func(space []T) kernel.Gemm[T] {
			return kernel.Gemm[T]{
				M: s.Rows, N: s.Columns, K: s.ValueWidth, Alpha: 1, C: space,
				A: upstream, B: matrixView(value, transposedView(s.Value)),
			}
		})
	}
	if dQuery != nil {
		intoQuery = dScores.product(c.Pool, products(none, k, q), func(space []T) kernel.Gemm[T] {
			return kernel.Gemm[T]{
				M: s.Rows, N: s.Width, K: s.Columns, Alpha: T(s.Scale), C: dQuery, StrideC: s.Query.Row,
				A: kernel.Matrix[T]{Data: space, Stride: s.Columns}, B: matrixView(key, s.Key),
			}
		})
	}
	if dKey != nil {
		intoKey = dScores.product(c.Pool, products(none, q, k), func(space []T) kernel.Gemm[T] {
			return kernel.Gemm[T]{
				M: s.Columns, N: s.Width, K: s.Rows, Alpha: T(s.Scale), C: dKey, StrideC: s.Key.Row,
				A: kernel.Matrix[T]{Data: space, Stride: s.Columns, Transposed: true}, B: matrixView(query, s.Query),
			}
		})
	}
	scale := dropoutScale[T](s.Drop)
	all := s.each(c.Pool, func(w, head int) {
		lo, hi := head*size, (head+1)*size
		if s.Drop > 0 && dValue != nil {
			kernel.Mask(dropped.each[w], softmax[lo:hi], kept[lo:hi], scale)
		}
		intoValue(w, head)
		if !deeper {
			return
		}
		d := dScores.each[w]
		intoScores(w, head)
		if s.Drop > 0 {
			kernel.Mask(d, d, kept[lo:hi], scale)
		}
		s.softmaxGradient(d, softmax[lo:hi], head)
		intoQuery(w, head)
		intoKey(w, head)
	})
	gaps := s.gaps(c)
	return func() {
		for _, g := range gaps {
			clear(g)
		}
		all()
	}, nil
}

// gaps returns the gradients that are not written as a whole.
func (s *attention[T]) gaps(c *Context[T]) (gaps [][]T) {
	for i, out := range c.Out {
		written := 0
		for _, v := range []struct {
			View
			size int
		}{{s.Query, s.Rows * s.Width}, {s.Key, s.Columns * s.Width}, {s.Value, s.Columns * s.ValueWidth}} {
			if v.Root == i {
				written += s.heads * v.size
			}
		}
		if written < len(out.Float) {
			gaps = append(gaps, out.Float)
		}
	}
	return gaps
}
