package pass

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx/tensor"
)

// Differentiate adds the nodes that compute the gradient of a scalar with respect to every trained parameter
// (reverse accumulation; Griewank and Walther, "Evaluating Derivatives", 2nd ed., 2008, chapter 3), and returns the gradients by
// parameter. A parameter that the scalar does not depend on is not among them.
func Differentiate(g *ir.Graph, loss *ir.Value) (map[*ir.Value]*ir.Value, error) {
	if loss.Len() != 1 {
		return nil, fmt.Errorf("the loss %v is no scalar", loss)
	}
	needs := dependsOnParameters(g)
	if !needs[loss] {
		return nil, fmt.Errorf("the loss depends on no trained parameter: the model has none, or its operators have no gradient")
	}
	one, err := tensor.Of([]float64{1})
	if err != nil {
		return nil, err
	}
	gradients := map[*ir.Value]*ir.Value{
		loss: {Name: g.UniqueName("loss/gradient"), Type: ir.Float, Role: ir.Constant, Const: one},
	}
	forward := g.Nodes
	for i := len(forward) - 1; i >= 0; i-- {
		n := forward[i]
		out := make([]*ir.Value, len(n.Outputs))
		flows := false
		for k, v := range n.Outputs {
			if v != nil {
				out[k] = gradients[v]
				flows = flows || out[k] != nil
			}
		}
		wanted := make([]bool, len(n.Inputs))
		any := false
		for k, v := range n.Inputs {
			wanted[k] = v != nil && needs[v]
			any = any || wanted[k]
		}
		if !flows || !any {
			continue
		}
		in, err := op.NewGradient(g, n, out, wanted).Run()
		if err != nil {
			return nil, err
		}
		for k, d := range in {
			if d == nil || !wanted[k] {
				continue
			}
			v := n.Inputs[k]
			if was := gradients[v]; was != nil {
				if d, err = op.Append(g, "Add", nil, n.Origin, ir.Backward, was, d); err != nil {
					return nil, err
				}
			}
			gradients[v] = d
		}
	}
	byParameter := map[*ir.Value]*ir.Value{}
	for _, v := range g.State {
		if d := gradients[v]; d != nil && v.Role == ir.Parameter {
			byParameter[v] = d
		}
	}
	return byParameter, g.Verify()
}

// dependsOnParameters marks every floating-point value that a trained parameter flows into.
func dependsOnParameters(g *ir.Graph) map[*ir.Value]bool {
	needs := map[*ir.Value]bool{}
	for _, v := range g.State {
		needs[v] = v.Role == ir.Parameter && !v.Frozen
	}
	for _, n := range g.Nodes {
		for _, in := range n.Inputs {
			if in != nil && needs[in] {
				for _, out := range n.Outputs {
					if out != nil && out.Type == ir.Float {
						needs[out] = true
					}
				}
			}
		}
	}
	return needs
}
