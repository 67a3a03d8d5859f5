package op

import "tandem/native/ir"

// Work is what a node has to do whatever computes it: what a profile holds its time to.
type Work struct {
	// Operations are the floating-point operations of its products, a multiplication with its addition being two. Those of other arithmetic are
	// not counted: it is bound by what it reads and writes.
	Operations float64
	// Bytes are those of all elements that it reads and writes, each once.
	Bytes float64
}

// WorkOf returns the work of a node whose floating-point elements have so many bytes. Where an algorithm gets by with fewer operations than the
// operator's definition, as Winograd's does for a convolution, the operations are still those of the definition.
func WorkOf(n *ir.Node, elementBytes int) Work {
	var w Work
	d := registry[n.Op]
	size := func(v *ir.Value) float64 {
		switch v.Type {
		case ir.Int64:
			return 8 * float64(v.Len())
		case ir.Bool:
			return float64(v.Len())
		}
		return float64(elementBytes) * float64(v.Len())
	}
	seen := map[*ir.Value]bool{}
	for i, v := range n.Inputs {
		if v == nil || seen[v] {
			continue
		}
		seen[v] = true
		bytes := size(v)
		if i == 0 && d != nil && d.Picks && len(n.Outputs) > 0 && n.Outputs[0] != nil {
			bytes = min(bytes, size(n.Outputs[0]))
		}
		w.Bytes += bytes
	}
	for _, v := range n.Outputs {
		if v != nil {
			w.Bytes += size(v)
		}
	}
	for _, v := range n.Writes {
		w.Bytes += size(v)
	}
	if d != nil && d.Operations != nil {
		w.Operations = d.Operations(n)
	}
	return w
}

// gemmOperations are those of a product of two matrices by the attributes of a Gemm.
func gemmOperations(n *ir.Node) float64 {
	a, err := readGemm(n)
	if err != nil {
		return 0
	}
	rows, columns, depth, err := gemmSizes(n, a)
	if err != nil {
		return 0
	}
	return 2 * float64(rows) * float64(columns) * float64(depth)
}

// convOperations are those of a convolution with that result, and of its gradients: each element of the result is a sum over the weights of one
// filter.
func convOperations(result, weights *ir.Value) float64 {
	if len(weights.Shape) == 0 || weights.Shape[0] == 0 {
		return 0
	}
	return 2 * float64(result.Len()) * float64(weights.Len()/weights.Shape[0])
}
