package op

import (
	"math"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// attention is what forward and backward share: the operands and the mask.
type attention[T kernel.Float] struct {
	Attention
	heads int
	// visible is the length of each row's part that the mask leaves, if that is all that it does; else nil. It is of one head where it is the same for all.
	visible []int
	// hidden and added read the mask along the rows of all heads; at most one is set.
	hidden func(head, row, column int) bool
	added  func(head, row, column int) T
}

// newAttention reads a node whose roots begin at the input first, with the mask behind them where it has one.
func newAttention[T kernel.Float](c *Context[T], first int) (*attention[T], error) {
	a, err := ReadAttention(c.Node.Attributes)
	if err != nil {
		return nil, err
	}
	s := &attention[T]{Attention: a, heads: elements(a.Heads)}
	i := first + a.Roots
	if c.Node.Input(i) == nil {
		return s, nil
	}
	mask, maskValue := &c.In[i], c.Node.Inputs[i]
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
		if s.visible = s.prefixes(w); s.visible != nil {
			s.hidden = nil // and what it reads, an offset for each row, need not stay
		}
	}
	return s, nil
}

// prefixes returns the length of what is visible in each row of all heads, nil if that is not a first part of at least one element. Rows that
// the mask is broadcast to are looked at once.
func (s *attention[T]) prefixes(mask walk) []int {
	lengths, known := make([]int, s.heads*s.Rows), map[int]int{}
	for i := range lengths {
		n, ok := known[mask.offset[i]]
		if !ok {
			hidden := func(column int) bool { return s.hidden(i/s.Rows, i%s.Rows, column) }
			for n < s.Columns && !hidden(n) {
				n++
			}
			for c := n; c < s.Columns; c++ {
				if !hidden(c) {
					return nil
				}
			}
			if n == 0 {
				return nil
			}
			known[mask.offset[i]] = n
		}
		lengths[i] = n
	}
	for head := 1; head < s.heads; head++ {
		if !slices.Equal(lengths[head*s.Rows:(head+1)*s.Rows], lengths[:s.Rows]) {
			return lengths
		}
	}
	return slices.Clone(lengths[:min(s.Rows, len(lengths))])
}

// visibleOf returns the lengths of a head's rows.
func (s *attention[T]) visibleOf(head int) []int {
	if len(s.visible) == s.Rows {
		return s.visible
	}
	return s.visible[head*s.Rows : (head+1)*s.Rows]
}

// softmax replaces a head's scores by their softmax.
func (s *attention[T]) softmax(scores []T, head int) {
	if s.visible != nil {
		kernel.SoftmaxWithin(scores, scores, s.Columns, s.visibleOf(head))
		return
	}
	for r := range s.Rows {
		row := scores[r*s.Columns : (r+1)*s.Columns]
		switch {
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
	}
	kernel.Softmax(scores, scores, s.Columns, 1, 0, s.Rows)
	if !s.Empty || s.hidden == nil && s.added == nil {
		return
	}
	for r := range s.Rows {
		if s.empty(head, r) {
			clear(scores[r*s.Columns : (r+1)*s.Columns])
		}
	}
}

// empty reports whether the mask hides all of a row.
func (s *attention[T]) empty(head, row int) bool {
	for c := range s.Columns {
		if s.hidden != nil && !s.hidden(head, row, c) || s.added != nil && !math.IsInf(float64(s.added(head, row, c)), -1) {
			return false
		}
	}
	return true
}

// softmaxGradient replaces the gradient of a head's softmax by that of its scores before the mask. What the mask hides is zero afterwards,
// whatever it was.
func (s *attention[T]) softmaxGradient(d, softmax []T, head int) {
	if s.visible != nil {
		kernel.SoftmaxGradientWithin(d, d, softmax, s.Columns, s.visibleOf(head))
		return
	}
	kernel.SoftmaxGradient(d, d, softmax, s.Columns, 1, 0, s.Rows)
	if s.hidden == nil {
		return
	}
	for i := range d {
		if s.hidden(head, i/s.Columns, i%s.Columns) {
			d[i] = 0
		}
	}
}

// band is a strip of the scores, rows or columns lo ... hi, with what may be visible in it: the columns or rows from ... to.
type band struct{ lo, hi, from, to int }

// strip is the number of rows or columns of a band: an eighth of the scores, but not so few that packing the operands counts.
func strip(n int) int { return max(64, (n/8+31)/32*32) }

// rowBands cuts the scores into strips of rows, of which a mask with a constant visible part needs less and less.
func (s *attention[T]) rowBands() (bands []band) {
	if s.visible == nil {
		return []band{{0, s.Rows, 0, s.Columns}}
	}
	for lo := 0; lo < s.Rows; lo += strip(s.Rows) {
		p := band{lo: lo, hi: min(lo+strip(s.Rows), s.Rows)}
		for i, n := range s.visible {
			if r := i % s.Rows; r >= p.lo && r < p.hi {
				p.to = max(p.to, n)
			}
		}
		bands = append(bands, p)
	}
	return bands
}

// columnBands cuts them into strips of columns.
func (s *attention[T]) columnBands() (bands []band) {
	if s.visible == nil {
		return []band{{0, s.Columns, 0, s.Rows}}
	}
	for lo := 0; lo < s.Columns; lo += strip(s.Columns) {
		p := band{lo: lo, hi: min(lo+strip(s.Columns), s.Columns), from: s.Rows - 1, to: s.Rows} // a row of zeros where nothing is visible
		for i, n := range s.visible {
			if n > lo {
				p.from = min(p.from, i%s.Rows)
			}
		}
		bands = append(bands, p)
	}
	return bands
}

// rowsWithin returns how much of each row of a band of rows is visible, for kernel.Gemm; nil where that differs between heads or all is.
func (s *attention[T]) rowsWithin(p band) []int {
	if s.visible == nil || len(s.visible) != s.Rows {
		return nil
	}
	return s.visible[p.lo:p.hi]
}

// columnsWithin returns how much of each row of a band of columns is visible.
func (s *attention[T]) columnsWithin(p band) []int {
	if s.visible == nil || len(s.visible) != s.Rows {
		return nil
	}
	var within []int
	for _, n := range s.visible[p.from:p.to] {
		within = append(within, min(max(n-p.lo, 0), p.hi-p.lo))
	}
	return within
}

// over prepares a product for each band and returns the call that computes them for a head.
func over(bands []band, prepare func(p band) func(worker, head int)) func(worker, head int) {
	var calls []func(worker, head int)
	for _, p := range bands {
		calls = append(calls, prepare(p))
	}
	return func(worker, head int) {
		for _, call := range calls {
			call(worker, head)
		}
	}
}

// behind returns the offsets n elements further.
func behind(offsets []int, n int) []int {
	out := make([]int, len(offsets))
	for i, at := range offsets {
		out[i] = at + n
	}
	return out
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

func newWorkspace[T kernel.Float](pool *kernel.Pool, number, size int) workspace[T] {
	return workspace[T]{kernel.Workspace[T](pool, number, size)}
}

// product prepares a product of all heads with at most one operand in a workspace; of makes it for that operand.
func (w workspace[T]) product(pool *kernel.Pool, offsets []kernel.Offsets, of func(space []T) kernel.Gemm[T]) func(worker, head int) {
	calls := make([]func(worker, head int), len(w.each))
	for i, space := range w.each {
		calls[i] = of(space).PrepareEach(pool, offsets)
	}
	return func(worker, head int) { calls[worker](worker, head) }
}

func bindAttention[T kernel.Float](c *Context[T]) (func(), error) {
	s, err := newAttention(c, 0)
	if err != nil {
		return nil, err
	}
	size := s.Rows * s.Columns
	var kept []bool
	if len(c.Out) > 2 {
		kept = c.Out[2].Bool
	}
	if kept == nil && s.Drop > 0 {
		kept = make([]bool, s.heads*size)
	}
	weigh, run := s.weighing(c, kept), c.Run
	return s.each(c.Pool, func(w, head int) {
		if s.Drop > 0 {
			lo, hi := head*size, (head+1)*size
			kernel.Keep(kept[lo:hi], run.Stream(uint32(s.Site)), lo, s.Drop)
		}
		weigh(w, head)
	}), nil
}

func bindAttentionAgain[T kernel.Float](c *Context[T]) (func(), error) {
	s, err := newAttention(c, 0)
	if err != nil {
		return nil, err
	}
	return s.each(c.Pool, s.weighing(c, c.In[s.Roots+1].Bool)), nil
}

// weighing returns what computes the softmax of a head's scores and weighs the values with it, of which dropout keeps what it is told. The
// softmax becomes output 1 where there is one; else no more of it is there than a head's.
func (s *attention[T]) weighing(c *Context[T], kept []bool) func(worker, head int) {
	size := s.Rows * s.Columns
	query, key, value, result := c.In[s.Query.Root].Float, c.In[s.Key.Root].Float, c.In[s.Value.Root].Float, c.Out[0].Float
	q, k, v, y := s.Query.offsets(s.Heads), s.Key.offsets(s.Heads), s.Value.offsets(s.Heads), s.Result.offsets(s.Heads)
	score := func(scores []T, p band) kernel.Gemm[T] {
		return kernel.Gemm[T]{
			M: p.hi - p.lo, N: p.to, K: s.Width, Alpha: T(s.Scale), C: scores, StrideC: s.Columns,
			A: matrixView(query, s.Query), B: transposedMatrix(key, s.Key), ResultWithin: s.rowsWithin(p),
		}
	}
	mix := func(weights []T, p band) kernel.Gemm[T] {
		return kernel.Gemm[T]{
			M: p.hi - p.lo, N: s.ValueWidth, K: p.to, Alpha: 1, C: result, StrideC: s.Result.Row,
			A: kernel.Matrix[T]{Data: weights, Stride: s.Columns}, B: matrixView(value, s.Value), LeftWithin: s.rowsWithin(p),
		}
	}
	// in prepares a product that has scores, weights or the softmax as an operand, in an output or in a workspace.
	in := func(space workspace[T], all []T, at []int, offsets func(at []int) []kernel.Offsets, of func([]T) kernel.Gemm[T]) func(worker, head int) {
		if all != nil {
			return of(all).PrepareEach(c.Pool, offsets(at))
		}
		return space.product(c.Pool, offsets(make([]int, s.heads)), of)
	}
	var softmax []T
	if len(c.Out) > 1 {
		softmax = c.Out[1].Float
	}
	var own workspace[T]
	of := func(_, head int) []T { return softmax[head*size : (head+1)*size] }
	if softmax == nil {
		own = newWorkspace[T](c.Pool, 1, size)
		of = func(w, _ int) []T { return own.each[w] }
	}
	scored := over(s.rowBands(), func(p band) func(worker, head int) {
		offsets := func(at []int) []kernel.Offsets {
			return products(behind(q, p.lo*s.Query.Row), k, behind(at, p.lo*s.Columns))
		}
		return in(own, softmax, s.dense(), offsets, func(scores []T) kernel.Gemm[T] { return score(scores, p) })
	})
	weights, dropped := softmax, own
	if s.Drop > 0 {
		weights, dropped = nil, newWorkspace[T](c.Pool, 0, size)
	}
	mixed := over(s.rowBands(), func(p band) func(worker, head int) {
		offsets := func(at []int) []kernel.Offsets {
			return products(behind(at, p.lo*s.Columns), v, behind(y, p.lo*s.Result.Row))
		}
		return in(dropped, weights, s.dense(), offsets, func(weights []T) kernel.Gemm[T] { return mix(weights, p) })
	})
	scale := dropoutScale[T](s.Drop)
	return func(w, head int) {
		scored(w, head)
		p := of(w, head)
		s.softmax(p, head)
		if s.Drop > 0 {
			kernel.Mask(dropped.each[w], p, kept[head*size:(head+1)*size], scale)
		}
		mixed(w, head)
	}
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
	s, err := newAttention(c, 2)
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
	dScores, dropped := newWorkspace[T](c.Pool, 0, size), workspace[T]{}
	upstream := kernel.Matrix[T]{Data: dy, Stride: s.Result.Row}
	nothing := func(int, int) {}
	intoScores, intoQuery, intoKey, intoValue := nothing, nothing, nothing, nothing
	if dValue != nil {
		gemm := func(weights []T, p band) kernel.Gemm[T] {
			return kernel.Gemm[T]{
				M: p.hi - p.lo, N: s.ValueWidth, K: p.to - p.from, Alpha: 1, C: dValue, StrideC: s.Value.Row,
				A: kernel.Matrix[T]{Data: weights, Stride: s.Columns, Transposed: true}, B: upstream, LeftWithin: s.columnsWithin(p),
			}
		}
		if s.Drop > 0 {
			dropped = newWorkspace[T](c.Pool, 1, size)
		}
		intoValue = over(s.columnBands(), func(p band) func(worker, head int) {
			at := p.from*s.Columns + p.lo
			offsets := func(weights []int) []kernel.Offsets {
				return products(behind(weights, at), behind(y, p.from*s.Result.Row), behind(v, p.lo*s.Value.Row))
			}
			if s.Drop == 0 {
				return gemm(softmax, p).PrepareEach(c.Pool, offsets(s.dense()))
			}
			return dropped.product(c.Pool, offsets(none), func(weights []T) kernel.Gemm[T] { return gemm(weights, p) })
		})
	}
	deeper := dQuery != nil || dKey != nil
	if deeper {
		intoScores = over(s.rowBands(), func(p band) func(worker, head int) {
			offsets := products(behind(y, p.lo*s.Result.Row), v, behind(none, p.lo*s.Columns))
			return dScores.product(c.Pool, offsets, func(space []T) kernel.Gemm[T] {
				return kernel.Gemm[T]{
					M: p.hi - p.lo, N: p.to, K: s.ValueWidth, Alpha: 1, C: space, StrideC: s.Columns,
					A: upstream, B: transposedMatrix(value, s.Value), ResultWithin: s.rowsWithin(p),
				}
			})
		})
	}
	if dQuery != nil {
		intoQuery = over(s.rowBands(), func(p band) func(worker, head int) {
			offsets := products(behind(none, p.lo*s.Columns), k, behind(q, p.lo*s.Query.Row))
			return dScores.product(c.Pool, offsets, func(space []T) kernel.Gemm[T] {
				return kernel.Gemm[T]{
					M: p.hi - p.lo, N: s.Width, K: p.to, Alpha: T(s.Scale), C: dQuery, StrideC: s.Query.Row,
					A: kernel.Matrix[T]{Data: space, Stride: s.Columns}, B: matrixView(key, s.Key), LeftWithin: s.rowsWithin(p),
				}
			})
		})
	}
	if dKey != nil {
		intoKey = over(s.columnBands(), func(p band) func(worker, head int) {
			offsets := products(behind(none, p.from*s.Columns+p.lo), behind(q, p.from*s.Query.Row), behind(k, p.lo*s.Key.Row))
			return dScores.product(c.Pool, offsets, func(space []T) kernel.Gemm[T] {
				return kernel.Gemm[T]{
					M: p.hi - p.lo, N: s.Width, K: p.to - p.from, Alpha: T(s.Scale), C: dKey, StrideC: s.Key.Row,
					A: kernel.Matrix[T]{Data: space, Stride: s.Columns, Transposed: true}, B: matrixView(query, s.Query), LeftWithin: s.columnsWithin(p),
				}
			})
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
