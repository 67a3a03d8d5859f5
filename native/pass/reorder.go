package pass

import (
	"fmt"
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx/tensor"
)

// Reordering is another order of summation in the products of matrices and in convolutions: right in exact arithmetic, rounded differently.
type Reordering string

// The reorderings. The inner dimension is the one that is summed over in the forward pass; rows are summed over in the gradients of weights.
const (
	InnerReversed    Reordering = "inner=reversed"    // the products are added from the last to the first
	InnerHalved      Reordering = "inner=halved"      // the sum over each half, then their sum
	InnerInterleaved Reordering = "inner=interleaved" // the sum over the even numbers, then over the odd ones
	RowsReversed     Reordering = "rows=reversed"     // the rows of the left factor from the last to the first
	RowsHalved       Reordering = "rows=halved"       // the two halves of the rows as products of their own
)

// Reorderings lists them all.
func Reorderings() []Reordering {
	return []Reordering{InnerReversed, InnerHalved, InnerInterleaved, RowsReversed, RowsHalved}
}

// Reorder rewrites every product of matrices and every convolution in a graph of forward pass and loss, before it is differentiated, and returns how many
// it has rewritten. Nodes that a reordering cannot be applied to are left as they are. The values that the products compute keep their names.
func Reorder(g *ir.Graph, r Reordering) (int, error) {
	nodes := g.Nodes
	g.Nodes = make([]*ir.Node, 0, 4*len(nodes))
	changed := 0
	for _, n := range nodes {
		p, ok, err := productOf(n)
		if err != nil {
			return changed, err
		}
		length := len(g.Nodes)
		if ok {
			b := reorderer{graph: g, product: p}
			if err := b.rewrite(r); err != nil {
				return changed, fmt.Errorf("reordering %s: %w", r, err)
			}
		}
		if len(g.Nodes) == length {
			g.Nodes = append(g.Nodes, n)
			continue
		}
		changed++
		last, out := g.Nodes[len(g.Nodes)-1], n.Outputs[0]
		if !slices.Equal(last.Outputs[0].Shape, out.Shape) {
			return changed, fmt.Errorf("reordering %s: %s became a value of shape %v", r, n, last.Outputs[0].Shape)
		}
		last.Outputs[0], out.Producer = out, last
	}
	return changed, g.Verify()
}

// product is a node that multiplies matrices, and the axes that it does so along.
type product struct {
	node           *ir.Node
	innerA, innerB int // the dimension that is summed over, in either operand
	rowsA, rowsY   int // the rows, in the left operand and in the result
	bias           *ir.Value
	biasRows       bool // the bias has rows of its own
	grouped        bool // the inner dimension is that of groups: it cannot be divided
}

// productOf describes a node, if it is a product. A new operator that sums products is added here.
func productOf(n *ir.Node) (p product, ok bool, err error) {
	switch n.Op {
	case "Gemm":
		transA, err := n.Attributes.Int("transA", 0)
		if err != nil {
			return p, false, err
		}
		transB, err := n.Attributes.Int("transB", 0)
		if err != nil {
			return p, false, err
		}
		p = product{node: n, innerA: 1, innerB: 0, rowsA: 0, bias: n.Input(2)}
		if transA != 0 {
			p.innerA, p.rowsA = 0, 1
		}
		if transB != 0 {
			p.innerB = 1
		}
		p.biasRows = p.bias != nil && len(p.bias.Shape) == 2 && p.bias.Shape[0] > 1
		return p, true, nil
	case "MatMul":
		a, b := len(n.Inputs[0].Shape), len(n.Inputs[1].Shape)
		if a < 2 || b < 2 {
			return p, false, nil
		}
		return product{node: n, innerA: a - 1, innerB: b - 2, rowsA: a - 2, rowsY: max(a, b) - 2}, true, nil
	case "Conv": // a sum over the channels and the kernel's elements; the images are its rows
		group, err := n.Attributes.Int("group", 1)
		return product{node: n, innerA: 1, innerB: 1, bias: n.Input(2), grouped: group != 1}, err == nil, err
	}
	return p, false, nil
}

// reorderer adds the nodes that stand for one product; the last of them computes its result.
type reorderer struct {
	graph *ir.Graph
	product
}

func (b *reorderer) rewrite(r Reordering) error {
	x, w := b.node.Inputs[0], b.node.Inputs[1]
	depth, rows := x.Shape[b.innerA], x.Shape[b.rowsA]
	if b.grouped {
		depth = 1
	}
	switch r {
	case InnerReversed:
		if depth < 2 {
			return nil
		}
		x, err := b.slice(x, b.innerA, -1, -depth-1, -1)
		if err != nil {
			return err
		}
		if w, err = b.slice(w, b.innerB, -1, -depth-1, -1); err != nil {
			return err
		}
		_, err = b.multiply(x, w, b.bias)
		return err
	case InnerHalved:
		return b.inTwo(depth, []int{0, depth / 2}, []int{depth / 2, depth}, 1)
	case InnerInterleaved:
		return b.inTwo(depth, []int{0, 1}, []int{depth, depth}, 2)
	case RowsReversed:
		if rows < 2 || b.biasRows {
			return nil
		}
		x, err := b.slice(x, b.rowsA, -1, -rows-1, -1)
		if err != nil {
			return err
		}
		y, err := b.multiply(x, w, b.bias)
		if err != nil {
			return err
		}
		_, err = b.slice(y, b.rowsY, -1, -rows-1, -1)
		return err
	case RowsHalved:
		if rows < 2 || b.biasRows {
			return nil
		}
		var parts []*ir.Value
		for _, part := range [][2]int{{0, rows / 2}, {rows / 2, rows}} {
			x, err := b.slice(x, b.rowsA, part[0], part[1], 1)
			if err != nil {
				return err
			}
			y, err := b.multiply(x, w, b.bias)
			if err != nil {
				return err
			}
			parts = append(parts, y)
		}
		_, err := b.add("Concat", map[string]any{"axis": int64(b.rowsY)}, parts...)
		return err
	}
	return fmt.Errorf("there is no such reordering; there are %v", Reorderings())
}

// inTwo computes the product as the sum of two, over every step-th inner number between from and to.
func (b *reorderer) inTwo(depth int, from, to []int, step int) error {
	if depth < 2 {
		return nil
	}
	var parts []*ir.Value
	for i := range from {
		x, err := b.slice(b.node.Inputs[0], b.innerA, from[i], to[i], step)
		if err != nil {
			return err
		}
		w, err := b.slice(b.node.Inputs[1], b.innerB, from[i], to[i], step)
		if err != nil {
			return err
		}
		bias := b.bias
		if i > 0 {
			bias = nil
		}
		y, err := b.multiply(x, w, bias)
		if err != nil {
			return err
		}
		parts = append(parts, y)
	}
	_, err := b.add("Add", nil, parts...)
	return err
}

// multiply applies the node's own operator to other operands.
func (b *reorderer) multiply(x, w, bias *ir.Value) (*ir.Value, error) {
	inputs := []*ir.Value{x, w}
	if bias != nil {
		inputs = append(inputs, bias)
	}
	n := &ir.Node{Op: b.node.Op, Attributes: b.node.Attributes, Version: b.node.Version, Inputs: inputs, Origin: b.node.Origin}
	y := &ir.Value{Name: b.graph.UniqueName(b.node.Origin.Node + "/part"), Role: ir.Intermediate, Producer: n}
	n.Outputs = []*ir.Value{y}
	if err := op.Infer(n); err != nil {
		return nil, err
	}
	b.graph.Nodes = append(b.graph.Nodes, n)
	return y, nil
}

func (b *reorderer) slice(x *ir.Value, axis, from, to, step int) (*ir.Value, error) {
	return b.add("Slice", nil, x, b.index(from), b.index(to), b.index(axis), b.index(step))
}

func (b *reorderer) add(operator string, attributes map[string]any, inputs ...*ir.Value) (*ir.Value, error) {
	return op.Append(b.graph, operator, attributes, b.node.Origin, b.node.Origin.Phase, inputs...)
}

// index is a constant vector of one element.
func (b *reorderer) index(x int) *ir.Value {
	t, err := tensor.Of([]int64{int64(x)}, 1)
	if err != nil {
		panic(err) // a vector of its own length
	}
	return &ir.Value{Name: b.graph.UniqueName("constant"), Type: ir.Int64, Shape: t.Shape(), Role: ir.Constant, Const: t}
}
