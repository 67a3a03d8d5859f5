package op

import (
	"fmt"
	"math"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx"
)

// tandem.Attention is softmax(scale Q K' + mask) V, with dropout on the softmax (Vaswani et al., "Attention Is All You Need", 2017), for
// every head. Pass Simplify finds it in a graph. Queries, keys and values are read where they lie in other values, the projections
// that they were split from, and the result is written where it is wanted: nothing is transposed or copied. Attribute names are those of [Attention].
//
// Inputs are the values that queries, keys and values lie in, each once, and then the mask: truth values, or numbers that are added to the scores.
// Output 1 is the softmax and output 2 which elements dropout keeps; the gradient is computed from them.
//
// A head at a time is computed from the first product to the last, so that its scores stay in the cache. Where a constant mask leaves only the
// first elements of each row visible, as a causal one does, the softmax of a row ends there, and the products leave out the blocks that are hidden as
// a whole.
//
// tandem.AttentionAgain computes the result and the softmax a second time, given which elements dropout kept.
func init() {
	packed := Attention{ // two heads of two samples, packed as GPT-2 packs them: [batch, length, query or key or value, head, width]
		Heads: []int{2, 2}, Rows: 5, Columns: 5, Width: 3, ValueWidth: 3, Roots: 1,
		Query:  View{Root: 0, Offset: 0, Heads: []int{90, 3}, Row: 18, Column: 1},
		Key:    View{Root: 0, Offset: 6, Heads: []int{90, 3}, Row: 18, Column: 1},
		Value:  View{Root: 0, Offset: 12, Heads: []int{90, 3}, Row: 18, Column: 1},
		Result: View{Heads: []int{30, 3}, Row: 6, Column: 1}, Shape: []int{2, 5, 6}, Scale: 0.5, Fill: math.Inf(-1),
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
	long := Attention{ // enough rows for two bands
		Heads: []int{1}, Rows: 70, Columns: 70, Width: 2, ValueWidth: 2, Roots: 1,
		Query:  View{Offset: 0, Heads: []int{420}, Row: 6, Column: 1},
		Key:    View{Offset: 2, Heads: []int{420}, Row: 6, Column: 1},
		Value:  View{Offset: 4, Heads: []int{420}, Row: 6, Column: 1},
		Result: View{Heads: []int{140}, Row: 2, Column: 1}, Shape: []int{70, 2}, Scale: 0.5, Fill: math.Inf(-1), Drop: 0.25,
	}
	seen := func(length func(row int) int) CaseInput {
		m := CaseInput{Type: ir.Bool, Shape: []int{70, 70}, Const: true, NoGrad: true}
		for i := range 70 * 70 {
			m.Bool = append(m.Bool, i%70 < length(i/70))
		}
		return m
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
		Again: attentionAgain,
		Operations: func(n *ir.Node) float64 {
			return attentionOperations(n, func(a Attention) (*ir.Value, int) { return n.Input(a.Roots), a.Width + a.ValueWidth })
		},
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
			{Name: "causal in bands", Inputs: []CaseInput{input(70, 6), seen(func(row int) int { return row + 1 })}, Attributes: long.Attributes()},
			{Name: "any lengths in bands", Inputs: []CaseInput{input(70, 6), seen(func(row int) int { return 1 + row*7%59 })}, Attributes: long.Attributes()},
			{Name: "apart", Inputs: three, Attributes: apart.Attributes()},
			{Name: "apart, one frozen", Inputs: []CaseInput{three[0], {Shape: []int{2, 4, 2}, NoGrad: true, Const: true}, three[2]}, Attributes: apart.Attributes()},
			{Name: "holes, filled with a number", Inputs: append(slices.Clone(three), holes), Attributes: with(apart, func(a *Attention) { a.Fill = -1.5 })},
			{Name: "holes where the mask is false", Inputs: append(slices.Clone(three), holes), Attributes: with(apart, func(a *Attention) { a.Hides, a.Fill = true, -1.5 })},
			{Name: "added mask with dropout", Inputs: append(slices.Clone(three), CaseInput{Shape: []int{3, 4}, NoGrad: true}), Attributes: with(apart, func(a *Attention) { a.Drop = 0.25 })},
		},
	})
	Register(Def{
		Name: "tandem.AttentionAgain", MinInputs: 1, MaxInputs: 5, // roots, mask and kept elements, each perhaps omitted
		Infer: func(n *ir.Node) error {
			a, err := ReadAttention(n.Attributes)
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, a.Shape...)
			setOutput(n, 1, ir.Float, a.scores()...)
			return nil
		},
		Float32: bindAttentionAgain[float32], Float64: bindAttentionAgain[float64],
		Operations: func(n *ir.Node) float64 {
			return attentionOperations(n, func(a Attention) (*ir.Value, int) { return n.Input(a.Roots), a.Width + a.ValueWidth })
		},
		NoGradient: "it is made after differentiation",
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
		Operations: func(n *ir.Node) float64 {
			return attentionOperations(n, func(a Attention) (*ir.Value, int) { return n.Input(2 + a.Roots), 2 * (a.Width + a.ValueWidth) })
		},
		NoGradient: "tandem takes first derivatives alone",
	})
}

// againColumns is the number of columns of the scores up to which softmax and result are quickly computed again: each score takes as many multiply-adds as a
// query and a value are wide, and of so few scores there is little beside what the products around the attention take. Of more of them there is not: they are kept.
const againColumns = 128

// attentionAgain returns the node that computes an attention's result and softmax again.
func attentionAgain(n *ir.Node) *ir.Node {
	a, err := ReadAttention(n.Attributes)
	if err != nil || a.Columns > againColumns {
		return nil
	}
	inputs := append(slices.Clone(n.Inputs[:a.Roots]), n.Input(a.Roots), nil)
	if a.Drop > 0 {
		if len(n.Outputs) < 3 || n.Outputs[2] == nil {
			return nil
		}
		inputs[len(inputs)-1] = n.Outputs[2]
	}
	return &ir.Node{Op: "tandem.AttentionAgain", Attributes: n.Attributes, Inputs: inputs, Outputs: make([]*ir.Value, 2)}
}

// attentionOperations are a node's at the scores that the mask does not hide. With gives the mask, and how many multiply-adds each such score takes: as many as a query and
// a value are wide, of which the result alone takes the value's, and the gradient twice as many.
func attentionOperations(n *ir.Node, with func(Attention) (mask *ir.Value, each int)) float64 {
	a, err := ReadAttention(n.Attributes)
	if err != nil {
		return 0
	}
	share := 1.0
	m, each := with(a)
	if m != nil && m.Type == ir.Bool && m.Role == ir.Constant && m.Len() > 0 {
		shown := 0
		for _, b := range m.Const.Bytes() {
			if (b != 0) != a.Hides {
				shown++
			}
		}
		share = float64(shown) / float64(m.Len())
	}
	return 2 * share * float64(elements(a.scores())) * float64(each)
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
	// Empty lets a row of which the mask hides every score weigh all values with 0; else its weights are no numbers.
	Empty bool
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
		"scale": a.Scale, "fill": a.Fill, "hides": flag(a.Hides), "empty": flag(a.Empty), "tandem_p": a.Drop, "tandem_site": int64(a.Site),
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
	a.Hides, a.Empty, a.Site = whole("hides") != 0, whole("empty") != 0, whole("tandem_site")
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

// transposedMatrix is the same transposed.
func transposedMatrix[T kernel.Float](data []T, v View) kernel.Matrix[T] {
	m := matrixView(data, v)
	m.Transposed = !m.Transposed
	return m
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
