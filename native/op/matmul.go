package op

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// MatMul is the matrix product of the last two dimensions, the others broadcast, with NumPy's rules for operands of one dimension.
func init() {
	Register(Def{
		Name: "MatMul", Since: 1, MinInputs: 2, MaxInputs: 2,
		Infer: func(n *ir.Node) error {
			p, err := newProduct(n)
			if err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, p.shape...)
			return nil
		},
		Float32: bindMatMul[float32], Float64: bindMatMul[float64],
		Operations: matMulOperations,
		Gradient:   gradientMatMul,
		Cases: []Case{
			{Name: "matrices", Inputs: []CaseInput{{Shape: []int{3, 4}}, {Shape: []int{4, 5}}}},
			{Name: "linear layer of three dimensions", Inputs: []CaseInput{{Shape: []int{2, 3, 4}}, {Shape: []int{4, 5}}}},
			{Name: "batch", Inputs: []CaseInput{{Shape: []int{2, 3, 4}}, {Shape: []int{2, 4, 5}}}},
			{Name: "broadcast", Inputs: []CaseInput{{Shape: []int{2, 1, 3, 4}}, {Shape: []int{3, 4, 2}}}},
			{Name: "broadcast left", Inputs: []CaseInput{{Shape: []int{3, 4}}, {Shape: []int{2, 4, 2}}}},
			{Name: "vectors", Inputs: []CaseInput{{Shape: []int{4}}, {Shape: []int{4}}}},
			{Name: "vector and batch", Inputs: []CaseInput{{Shape: []int{4}}, {Shape: []int{3, 4, 2}}}},
			{Name: "batch and vector", Inputs: []CaseInput{{Shape: []int{3, 2, 4}}, {Shape: []int{4}}}},
			{Name: "matrix and vector", Inputs: []CaseInput{{Shape: []int{3, 4}}, {Shape: []int{4}}}},
			{Name: "empty sum", Inputs: []CaseInput{{Shape: []int{3, 0}}, {Shape: []int{0, 2}}}},
		},
	})
	// tandem.MatMul takes operands of at least two dimensions, each with its last two exchanged if transA or transB says so.
	Register(Def{
		Name: "tandem.MatMul", MinInputs: 2, MaxInputs: 2,
		Infer:   Lookup("MatMul").Infer,
		Float32: bindMatMul[float32], Float64: bindMatMul[float64],
		Operations: matMulOperations,
		NoGradient: "tandem takes first derivatives alone",
	})
}

// product is a checked matrix product.
type product struct {
	a, b           []int // the operands' shapes with at least two dimensions
	transA, transB bool
	m, n, k        int
	batch          []int // the dimensions before the last two, broadcast
	shape          []int // of the result
}

func newProduct(node *ir.Node) (p product, err error) {
	if err := wantFloat(node, 0, 1); err != nil {
		return p, err
	}
	transA, err := node.Attributes.Int("transA", 0)
	if err != nil {
		return p, err
	}
	transB, err := node.Attributes.Int("transB", 0)
	if err != nil {
		return p, err
	}
	p.transA, p.transB = transA != 0, transB != 0
	p.a, p.b = node.Inputs[0].Shape, node.Inputs[1].Shape
	rowVector, columnVector := len(p.a) == 1, len(p.b) == 1
	if len(p.a) == 0 || len(p.b) == 0 {
		return p, fmt.Errorf("shapes %v and %v: a scalar has no matrix product", p.a, p.b)
	}
	if rowVector {
		p.a = []int{1, p.a[0]}
	}
	if columnVector {
		p.b = []int{p.b[0], 1}
	}
	p.m, p.k = lastTwo(p.a, p.transA)
	depth, columns := lastTwo(p.b, p.transB)
	p.n = columns
	if p.k != depth {
		return p, fmt.Errorf("shapes %v and %v: the first has %d columns, the second %d rows", node.Inputs[0].Shape, node.Inputs[1].Shape, p.k, depth)
	}
	if p.batch, err = broadcast(p.a[:len(p.a)-2], p.b[:len(p.b)-2]); err != nil {
		return p, err
	}
	p.shape = slices.Clone(p.batch)
	if !rowVector {
		p.shape = append(p.shape, p.m)
	}
	if !columnVector {
		p.shape = append(p.shape, p.n)
	}
	return p, nil
}

func matMulOperations(n *ir.Node) float64 {
	p, err := newProduct(n)
	if err != nil {
		return 0
	}
	return 2 * float64(elements(p.batch)) * float64(p.m) * float64(p.n) * float64(p.k)
}

func lastTwo(shape []int, transposed bool) (rows, columns int) {
	rows, columns = shape[len(shape)-2], shape[len(shape)-1]
	if transposed {
		return columns, rows
	}
	return rows, columns
}

func bindMatMul[T kernel.Float](c *Context[T]) (func(), error) {
	p, err := newProduct(c.Node)
	if err != nil {
		return nil, err
	}
	g := kernel.Gemm[T]{
		M: p.m, N: p.n, K: p.k, Alpha: 1, C: c.Out[0].Float,
		A: kernel.Matrix[T]{Data: c.In[0].Float, Stride: p.a[len(p.a)-1], Transposed: p.transA},
		B: kernel.Matrix[T]{Data: c.In[1].Float, Stride: p.b[len(p.b)-1], Transposed: p.transB},
	}
	if len(g.C) == 0 {
		return func() {}, nil
	}
	count := len(g.C) / (p.m * p.n)
	if elements(p.b[:len(p.b)-2]) == 1 && !p.transA { // one right factor: the rows of all left ones make a single matrix
		g.M *= count
		return g.Prepare(c.Pool), nil
	}
	a, b := newWalk(p.a[:len(p.a)-2], p.batch), newWalk(p.b[:len(p.b)-2], p.batch)
	width := 1
	if len(p.batch) > 0 {
		width = p.batch[len(p.batch)-1]
	}
	offsets := make([]kernel.Offsets, count)
	for i := range offsets {
		offsets[i] = kernel.Offsets{
			A: (a.offset[i/width] + i%width*a.step) * p.m * p.k,
			B: (b.offset[i/width] + i%width*b.step) * p.k * p.n,
			C: i * p.m * p.n,
		}
	}
	return g.PrepareBatch(c.Pool, offsets), nil
}

// gradientMatMul is dA = dY B', dB = A' dY, each summed over what was broadcast.
func gradientMatMul(g *Gradient) error {
	p, err := newProduct(g.Node)
	if err != nil {
		return err
	}
	a, b := g.reshape(g.Node.Inputs[0], p.a), g.reshape(g.Node.Inputs[1], p.b)
	dY := g.reshape(g.Out[0], append(slices.Clone(p.batch), p.m, p.n))
	if g.Needs(0) {
		dA := g.Add("tandem.MatMul", map[string]any{"transB": int64(1)}, dY, b)
		g.Set(0, g.reshape(g.sumTo(dA, p.a), g.Node.Inputs[0].Shape))
	}
	if g.Needs(1) {
		var dB *ir.Value
		if elements(p.b[:len(p.b)-2]) == 1 && equalShapes(p.a[:len(p.a)-2], p.batch) {
			// One right factor: the sum over the batch is part of a single product.
			rows := elements(p.batch) * p.m
			dB = g.Add("Gemm", map[string]any{"transA": int64(1)}, g.reshape(a, []int{rows, p.k}), g.reshape(dY, []int{rows, p.n}))
		} else {
			dB = g.sumTo(g.Add("tandem.MatMul", map[string]any{"transA": int64(1)}, a, dY), p.b)
		}
		g.Set(1, g.reshape(dB, g.Node.Inputs[1].Shape))
	}
	return nil
}

// reshape returns v with another shape; v itself when it has it.
func (g *Gradient) reshape(v *ir.Value, shape []int) *ir.Value {
	if equalShapes(v.Shape, shape) {
		return v
	}
	return g.Add("tandem.ReshapeTo", map[string]any{"shape": toInt64s(shape)}, v)
}

// elements is the number of elements of a shape.
func elements(shape []int) int {
	n := 1
	for _, s := range shape {
		n *= s
	}
	return n
}
