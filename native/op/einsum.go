package op

import (
	"fmt"
	"slices"
	"strings"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Einsum multiplies its operands and sums by Einstein's convention: each dimension of an operand has a letter, equal letters run together,
// and those not behind the arrow are summed over. It is computed as matrix products of two operands at a time, from left to right.
func init() {
	equation := func(e string) map[string]any { return map[string]any{"equation": e} }
	x := func(shapes ...[]int) (in []CaseInput) {
		for _, s := range shapes {
			in = append(in, CaseInput{Shape: s})
		}
		return in
	}
	Register(Def{
		Name: "Einsum", Since: 12, MinInputs: 1, MaxInputs: -1,
		Infer:   inferEinsum,
		Float32: bindEinsum[float32], Float64: bindEinsum[float64],
		Gradient: gradientEinsum,
		Cases: []Case{
			{Name: "matrix product", Inputs: x([]int{2, 3}, []int{3, 4}), Attributes: equation("ij,jk->ik")},
			{Name: "attention", Inputs: x([]int{2, 3, 2, 4}, []int{2, 5, 2, 4}), Attributes: equation("bqhd,bkhd->bhqk")},
			{Name: "outer product, implicit", Inputs: x([]int{2}, []int{3}), Attributes: equation("i, j")},
			{Name: "three operands", Inputs: x([]int{2, 3}, []int{3, 4}, []int{4, 2}), Attributes: equation("ij,jk,kl->li")},
			{Name: "row sums", Inputs: x([]int{2, 3}), Attributes: equation("ij->i")},
			{Name: "transposed", Inputs: x([]int{2, 3, 4}), Attributes: equation("abc->cab")},
			{Name: "one operand's own sum", Inputs: x([]int{2, 3}, []int{2, 4}), Attributes: equation("ij,ik->k")},
			{Name: "ellipsis", Inputs: x([]int{2, 1, 3, 4}, []int{5, 4, 2}), Attributes: equation("...ij,...jk->...ik")},
			{Name: "elementwise", Inputs: x([]int{2, 3}, []int{2, 3}), Attributes: equation("ij,ij->ij")},
			{Name: "scalar product", Inputs: x([]int{4}, []int{4}), Attributes: equation("i,i->")},
		},
	})
	// tandem.Contract is Einsum with labels for letters: attribute labels has those of the first operand, then of the second, and so on; result
	// those of the result.
	Register(Def{
		Name: "tandem.Contract", MinInputs: 1, MaxInputs: -1,
		Infer:   inferEinsum,
		Float32: bindEinsum[float32], Float64: bindEinsum[float64],
		NoGradient: "tandem takes first derivatives alone",
	})
}

// contraction is a checked node: labels of the dimensions of each operand and of the result.
type contraction struct {
	shapes [][]int
	labels [][]int
	result []int
	size   map[int]int // by label
}

func newContraction(n *ir.Node) (c contraction, err error) {
	for i, v := range n.Inputs {
		if err := wantFloat(n, i); err != nil {
			return c, err
		}
		c.shapes = append(c.shapes, v.Shape)
	}
	if n.Op == "Einsum" {
		equation, err := n.Attributes.String("equation", "")
		if err != nil {
			return c, err
		}
		if err := c.parse(strings.ReplaceAll(equation, " ", "")); err != nil {
			return c, fmt.Errorf("equation %q: %w", equation, err)
		}
	} else {
		flat, err := n.Attributes.Ints("labels", nil)
		if err != nil {
			return c, err
		}
		result, err := n.Attributes.Ints("result", nil)
		if err != nil {
			return c, err
		}
		for _, shape := range c.shapes {
			c.labels = append(c.labels, toInts(flat[:len(shape)]))
			flat = flat[len(shape):]
		}
		c.result = toInts(result)
	}
	c.size = map[int]int{}
	for i, labels := range c.labels {
		for d, l := range labels {
			was, known := c.size[l]
			now := c.shapes[i][d]
			switch {
			case !known || was == 1:
				c.size[l] = now
			case now != was && now != 1:
				return c, fmt.Errorf("operands of shapes %v do not fit: one label stands for %d and %d elements", c.shapes, was, now)
			}
		}
	}
	for i, l := range c.result {
		if _, known := c.size[l]; !known || slices.Contains(c.result[:i], l) {
			return c, fmt.Errorf("the result has a label that no operand has, or one twice")
		}
	}
	return c, nil
}

// parse reads an equation. Letters are their own labels; the dimensions that an ellipsis stands for are labelled -1, -2, ... from the last one on.
func (c *contraction) parse(equation string) error {
	left, right, arrow := strings.Cut(equation, "->")
	terms := strings.Split(left, ",")
	if len(terms) != len(c.shapes) {
		return fmt.Errorf("there are %d operands", len(c.shapes))
	}
	broadcasts := 0
	term := func(text string, ellipsis int) ([]int, error) {
		before, after, dots := strings.Cut(text, "...")
		var labels []int
		for _, r := range before {
			labels = append(labels, int(r))
		}
		if dots {
			for i := ellipsis; i > 0; i-- {
				labels = append(labels, -i)
			}
		}
		for _, r := range after {
			labels = append(labels, int(r))
		}
		for _, l := range labels {
			if l > 0 && (l < 'A' || l > 'z' || l > 'Z' && l < 'a') {
				return nil, fmt.Errorf("%q is no letter", rune(l))
			}
		}
		return labels, nil
	}
	count := map[int]int{}
	for i, text := range terms {
		rank := len(c.shapes[i])
		hidden := 0
		if strings.Contains(text, "...") {
			hidden = rank - (len(text) - 3)
			broadcasts = max(broadcasts, hidden)
		}
		if hidden < 0 {
			return fmt.Errorf("operand %d has shape %v", i, c.shapes[i])
		}
		labels, err := term(text, hidden)
		if err != nil {
			return err
		}
		if len(labels) != rank {
			return fmt.Errorf("operand %d has shape %v", i, c.shapes[i])
		}
		c.labels = append(c.labels, labels)
		for _, l := range labels {
			count[l]++
		}
	}
	if arrow {
		labels, err := term(right, broadcasts)
		c.result = labels
		return err
	}
	for i := broadcasts; i > 0; i-- {
		c.result = append(c.result, -i)
	}
	var once []int
	for l, n := range count {
		if n == 1 && l > 0 {
			once = append(once, l)
		}
	}
	slices.Sort(once)
	c.result = append(c.result, once...)
	return nil
}

// sizes are the numbers of elements of labels.
func (c *contraction) sizes(labels []int) []int {
	shape := make([]int, len(labels))
	for i, l := range labels {
		shape[i] = c.size[l]
	}
	return shape
}

func inferEinsum(n *ir.Node) error {
	c, err := newContraction(n)
	if err != nil {
		return err
	}
	shape := c.sizes(c.result)
	if elements(shape) > 0 {
		n.Workspace = c.plan().workspace
	}
	setOutput(n, 0, ir.Float, shape...)
	return nil
}

// arrangement brings an operand's dimensions into an order, with some of them summed over; Reduction is nil where it has that order already.
type arrangement struct {
	*kernel.Reduction
	size int // of the result
}

// arrange orders an operand of those labels and that shape by kept labels and sums over the rest.
func (c *contraction) arrange(labels, shape, kept []int) arrangement {
	strides := map[int]int{}
	for d, stride := range denseStrides(shape) {
		if shape[d] != 1 || c.size[labels[d]] == 1 { // else it is broadcast
			strides[labels[d]] += stride
		} else {
			strides[labels[d]] += 0
		}
	}
	of := func(labels []int) []int {
		var s []int
		for _, l := range labels {
			s = append(s, strides[l])
		}
		return s
	}
	var summed []int
	for _, l := range labels {
		if !slices.Contains(kept, l) && !slices.Contains(summed, l) {
			summed = append(summed, l)
		}
	}
	sizes := c.sizes(kept)
	a := arrangement{size: elements(sizes)}
	asIs := len(kept) == len(shape)
	for d := range shape {
		asIs = asIs && labels[d] == kept[d] && shape[d] == sizes[d]
	}
	if !asIs {
		a.Reduction = &kernel.Reduction{Kept: offsets(sizes, of(kept)), Reduced: offsets(c.sizes(summed), of(summed))}
	}
	return a
}

// einsumPlan is a chain of products: of the first two operands, of the result and the third one, ...
type einsumPlan struct {
	products  []einsumProduct
	last      arrangement // of the last product's result, or of the only operand
	workspace int
}

type einsumProduct struct {
	left, right    arrangement
	batch, m, n, k int
}

func (c *contraction) plan() (p einsumPlan) {
	labels, shape := c.labels[0], c.shapes[0]
	for i := 1; i < len(c.labels); i++ {
		right := c.labels[i]
		needed := slices.Clone(c.result)
		for _, later := range c.labels[i+1:] {
			needed = append(needed, later...)
		}
		// In the order of the left operand, then of the right one.
		var batch, m, n, k []int
		for _, l := range distinct(labels) {
			inRight, isNeeded := slices.Contains(right, l), slices.Contains(needed, l)
			switch {
			case inRight && isNeeded:
				batch = append(batch, l)
			case inRight:
				k = append(k, l)
			case isNeeded:
				m = append(m, l)
			}
		}
		for _, l := range distinct(right) {
			if !slices.Contains(labels, l) && slices.Contains(needed, l) {
				n = append(n, l)
			}
		}
		q := einsumProduct{
			left: c.arrange(labels, shape, slices.Concat(batch, m, k)), right: c.arrange(right, c.shapes[i], slices.Concat(batch, k, n)),
			batch: elements(c.sizes(batch)), m: elements(c.sizes(m)), n: elements(c.sizes(n)), k: elements(c.sizes(k)),
		}
		for _, a := range []arrangement{q.left, q.right} {
			if a.Reduction != nil {
				p.workspace += a.size
			}
		}
		p.workspace += q.batch * q.m * q.n
		p.products = append(p.products, q)
		labels = slices.Concat(batch, m, n)
		shape = c.sizes(labels)
	}
	p.last = c.arrange(labels, shape, c.result)
	return p
}

func distinct(labels []int) (out []int) {
	for _, l := range labels {
		if !slices.Contains(out, l) {
			out = append(out, l)
		}
	}
	return out
}

func bindEinsum[T kernel.Float](c *Context[T]) (func(), error) {
	v, err := newContraction(c.Node)
	if err != nil {
		return nil, err
	}
	y := c.Out[0].Float
	if len(y) == 0 {
		return func() {}, nil
	}
	p := v.plan()
	take := taker(c.Workspace)
	var calls []func()
	arranged := func(x []T, a arrangement, y []T) []T {
		if a.Reduction == nil {
			return x
		}
		r, grain := a.Reduction, max(1, elementGrain/max(1, len(a.Reduced)))
		body := func(_, lo, hi int) { kernel.StridedSum(y, x, r, lo, hi) }
		calls = append(calls, func() { c.Pool.For(len(y), grain, body) })
		return y
	}
	room := func(a arrangement) []T {
		if a.Reduction == nil {
			return nil
		}
		return take(a.size)
	}
	result := c.In[0].Float
	for i, q := range p.products {
		left, right := arranged(result, q.left, room(q.left)), arranged(c.In[i+1].Float, q.right, room(q.right))
		result = take(q.batch * q.m * q.n)
		if i == len(p.products)-1 && p.last.Reduction == nil {
			result = y
		}
		g := kernel.Gemm[T]{
			M: q.m, N: q.n, K: q.k, Alpha: 1, C: result,
			A: kernel.Matrix[T]{Data: left, Stride: q.k}, B: kernel.Matrix[T]{Data: right, Stride: q.n},
		}
		if q.batch == 1 {
			calls = append(calls, g.Prepare(c.Pool))
			continue
		}
		offsets := make([]kernel.Offsets, q.batch)
		for b := range offsets {
			offsets[b] = kernel.Offsets{A: b * q.m * q.k, B: b * q.k * q.n, C: b * q.m * q.n}
		}
		calls = append(calls, g.PrepareBatch(c.Pool, offsets))
	}
	switch {
	case p.last.Reduction != nil:
		arranged(result, p.last, y)
	case len(p.products) == 0:
		calls = append(calls, func() { copy(y, result) })
	}
	return sequence(calls), nil
}

// gradientEinsum contracts the result's gradient with all operands but one, and repeats it along the dimensions that only that one has.
func gradientEinsum(g *Gradient) error {
	c, err := newContraction(g.Node)
	if err != nil {
		return err
	}
	for i, own := range c.labels {
		if !g.Needs(i) {
			continue
		}
		if len(distinct(own)) < len(own) {
			return fmt.Errorf("the gradient of an operand with a diagonal taken (operand %d) is %w", i, ErrUnsupported)
		}
		inputs, labels := []*ir.Value{g.Out[0]}, slices.Clone(c.result)
		for j, v := range g.Node.Inputs {
			if j != i {
				inputs, labels = append(inputs, v), append(labels, c.labels[j]...)
			}
		}
		var result, kept []int
		for _, l := range own {
			if slices.Contains(labels, l) {
				result = append(result, l)
			}
		}
		d := g.Add("tandem.Contract", map[string]any{"labels": toInt64s(labels), "result": toInt64s(result)}, inputs...)
		next := 0
		for _, l := range own {
			size := 1
			if slices.Contains(labels, l) {
				size = d.Shape[next]
				next++
			}
			kept = append(kept, size)
		}
		d = g.sumToOrExpand(g.reshape(d, kept), c.shapes[i])
		g.Set(i, d)
	}
	return nil
}

// sumToOrExpand returns v summed where the shape has a 1 and repeated where v has one.
func (g *Gradient) sumToOrExpand(v *ir.Value, shape []int) *ir.Value {
	larger := slices.Clone(v.Shape)
	for d, s := range shape {
		if s != 1 {
			larger[d] = s
		}
	}
	if !equalShapes(larger, v.Shape) {
		v = g.Add("tandem.Expand", map[string]any{"shape": toInt64s(larger)}, v)
	}
	return g.sumTo(v, shape)
}
