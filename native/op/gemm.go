package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Gemm is Y = alpha * A' * B' + beta * C, where ' transposes if transA or transB says so and C is broadcast to Y.
func init() {
	Register(Def{
		Name: "Gemm", Since: 13, MinInputs: 2, MaxInputs: 3,
		Infer:   inferGemm,
		Float32: bindGemm[float32], Float64: bindGemm[float64],
		Operations: gemmOperations,
		Gradient:   gradientGemm,
		Cases: []Case{
			{Name: "linear layer", Inputs: []CaseInput{{Shape: []int{4, 7}}, {Shape: []int{5, 7}}, {Shape: []int{5}}}, Attributes: map[string]any{"transB": int64(1)}},
			{Name: "plain", Inputs: []CaseInput{{Shape: []int{4, 3}}, {Shape: []int{3, 5}}}},
			{Name: "transA", Inputs: []CaseInput{{Shape: []int{3, 4}}, {Shape: []int{3, 5}}, {Shape: []int{4, 5}}}, Attributes: map[string]any{"transA": int64(1), "alpha": 0.5, "beta": 2.0}},
			{Name: "both, column C", Inputs: []CaseInput{{Shape: []int{3, 4}}, {Shape: []int{5, 3}}, {Shape: []int{4, 1}}}, Attributes: map[string]any{"transA": int64(1), "transB": int64(1)}},
			{Name: "scalar C", Inputs: []CaseInput{{Shape: []int{2, 3}}, {Shape: []int{3, 2}}, {Shape: []int{}}}},
			{Name: "row C of shape 1xN", Inputs: []CaseInput{{Shape: []int{2, 3}}, {Shape: []int{3, 4}}, {Shape: []int{1, 4}}}, Attributes: map[string]any{"beta": 0.25}},
			{Name: "one element of C", Inputs: []CaseInput{{Shape: []int{2, 3}}, {Shape: []int{3, 4}}, {Shape: []int{1}}}},
		},
	})
}

// gemmAttributes are the node's attributes with ONNX's defaults.
type gemmAttributes struct {
	alpha, beta    float64
	transA, transB bool
}

func readGemm(n *ir.Node) (a gemmAttributes, err error) {
	if a.alpha, err = n.Attributes.Float("alpha", 1); err != nil {
		return a, err
	}
	if a.beta, err = n.Attributes.Float("beta", 1); err != nil {
		return a, err
	}
	transA, err := n.Attributes.Int("transA", 0)
	if err != nil {
		return a, err
	}
	transB, err := n.Attributes.Int("transB", 0)
	a.transA, a.transB = transA != 0, transB != 0
	return a, err
}

// gemmSizes returns m, n, k of a checked or unchecked node.
func gemmSizes(n *ir.Node, a gemmAttributes) (rows, columns, depth int, err error) {
	sa, sb := n.Inputs[0].Shape, n.Inputs[1].Shape
	if len(sa) != 2 || len(sb) != 2 {
		return 0, 0, 0, fmt.Errorf("operand A has shape %v and B %v, both must be matrices", sa, sb)
	}
	rows, depth = sa[0], sa[1]
	if a.transA {
		rows, depth = depth, rows
	}
	depthB, columns := sb[0], sb[1]
	if a.transB {
		depthB, columns = columns, depthB
	}
	if depth != depthB {
		return 0, 0, 0, fmt.Errorf("operand A gives %d columns and B %d rows after transposing, they must agree", depth, depthB)
	}
	return rows, columns, depth, nil
}

func inferGemm(n *ir.Node) error {
	if err := wantFloat(n, 0, 1, 2); err != nil {
		return err
	}
	a, err := readGemm(n)
	if err != nil {
		return err
	}
	rows, columns, _, err := gemmSizes(n, a)
	if err != nil {
		return err
	}
	if c := n.Input(2); c != nil {
		shape, err := broadcast(c.Shape, []int{rows, columns})
		if err != nil || !equalShapes(shape, []int{rows, columns}) {
			return fmt.Errorf("operand C has shape %v, which does not broadcast to %v", c.Shape, []int{rows, columns})
		}
	}
	setOutput(n, 0, ir.Float, rows, columns)
	return nil
}

func bindGemm[T kernel.Float](c *Context[T]) (func(), error) {
	g, added, err := boundGemm(c)
	if err != nil {
		return nil, err
	}
	g.End = EndRuns(g.N, added...)
	return g.Prepare(c.Pool), nil
}

// boundGemm returns the product of a node without the operand C, and what adds that, if anything does.
func boundGemm[T kernel.Float](c *Context[T]) (g kernel.Gemm[T], added []OnRun[T], err error) {
	if g, err = Product(c.Node, c.In[0], c.In[1]); err != nil {
		return g, nil, err
	}
	g.C = c.Out[0].Float
	a, err := readGemm(c.Node)
	if err == nil && len(c.In) > 2 && c.In[2].Shape != nil && a.beta != 0 {
		added = []OnRun[T]{addOperand(c.In[2], g.M, g.N, T(a.beta))}
	}
	return g, added, err
}

// Product returns the product of two matrices by a node's attributes transA, transB and alpha; its result is to be set.
func Product[T kernel.Float](n *ir.Node, a, b Buffer[T]) (g kernel.Gemm[T], err error) {
	attributes, err := readGemm(n)
	if err != nil {
		return g, err
	}
	g.M, g.N, g.K, err = gemmSizes(n, attributes)
	g.Alpha = T(attributes.alpha)
	g.A = kernel.Matrix[T]{Data: a.Float, Stride: a.Shape[1], Transposed: attributes.transA}
	g.B = kernel.Matrix[T]{Data: b.Float, Stride: b.Shape[1], Transposed: attributes.transB}
	return g, err
}

// OnRun changes or uses elements of a matrix that lie one behind the other: run[0] is number first of them. It is called on a thread of
// the pool.
type OnRun[T kernel.Float] func(worker int, run []T, first int)

// EndRuns is what a product of so many columns ends with to do the steps, one after the other, on each part of it; nil for none.
func EndRuns[T kernel.Float](columns int, steps ...OnRun[T]) kernel.End[T] {
	if len(steps) == 0 {
		return nil
	}
	return func(worker int, c []T, stride, lo, hi, left, right int) {
		rows, n := hi-lo, right-left
		if n == stride && n == columns { // the rows follow each other
			rows, n = 1, rows*n
		}
		for i := range rows {
			for _, step := range steps {
				step(worker, c[i*stride:][:n], (lo+i)*columns+left)
			}
		}
	}
}

// addOperand adds beta times an operand that is broadcast to a matrix.
func addOperand[T kernel.Float](operand Buffer[T], rows, columns int, beta T) OnRun[T] {
	added := operand.Float
	rowStride, columnStride := broadcastStrides2(operand.Shape, rows, columns)
	return func(_ int, run []T, first int) {
		for len(run) > 0 {
			i, j := first/columns, first%columns
			n := min(columns-j, len(run))
			row := run[:n]
			if columnStride == 1 && beta == 1 { // a layer's bias
				kernel.Accumulate(row, added[i*rowStride+j:i*rowStride+j+n])
			} else {
				for k := range row {
					row[k] += T(beta * added[i*rowStride+(j+k)*columnStride])
				}
			}
			run, first = run[n:], first+n
		}
	}
}

// broadcastStrides2 returns the strides by which an operand of at most two dimensions is read as a matrix.
func broadcastStrides2(shape []int, rows, columns int) (rowStride, columnStride int) {
	last, first := 1, 1
	if len(shape) > 0 {
		last = shape[len(shape)-1]
	}
	if len(shape) > 1 {
		first = shape[0]
	}
	if last == columns && last != 1 {
		columnStride = 1
	}
	if first == rows && first != 1 {
		rowStride = last
	}
	return rowStride, columnStride
}

func gradientGemm(g *Gradient) error {
	a, err := readGemm(g.Node)
	if err != nil {
		return err
	}
	A, B, dY := g.Node.Inputs[0], g.Node.Inputs[1], g.Out[0]
	product := func(x, y *ir.Value, transX, transY bool) *ir.Value {
		return g.Add("Gemm", map[string]any{"alpha": a.alpha, "transA": flag(transX), "transB": flag(transY)}, x, y)
	}
	if g.Needs(0) { // dA' = dY B'^T
		if a.transA {
			g.Set(0, product(B, dY, a.transB, true))
		} else {
			g.Set(0, product(dY, B, false, !a.transB))
		}
	}
	if g.Needs(1) { // dB' = A'^T dY
		if a.transB {
			g.Set(1, product(dY, A, true, a.transA))
		} else {
			g.Set(1, product(A, dY, !a.transA, false))
		}
	}
	if g.Needs(2) {
		dC := g.Add("tandem.SumTo", map[string]any{"shape": toInt64s(g.Node.Inputs[2].Shape)}, dY)
		if a.beta != 1 {
			dC = g.Add("tandem.Scale", map[string]any{"factor": a.beta}, dC)
		}
		g.Set(2, dC)
	}
	return nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func toInt64s(shape []int) []int64 {
	out := make([]int64, len(shape))
	for i, s := range shape {
		out[i] = int64(s)
	}
	return out
}
