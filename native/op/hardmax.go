package op

import (
	"tandem/native/ir"
	"tandem/native/kernel"
)

// Hardmax is 1 at the first of the largest elements along an axis, and 0 elsewhere (before operator set 13 it meant something else).
func init() {
	Register(Def{
		Name: "Hardmax", Since: 13, MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			if _, err := axis(n, -1, len(n.Inputs[0].Shape)); err != nil {
				return err
			}
			return inferSame(n)
		},
		Float32: bindAlong(kernel.Hardmax[float32]), Float64: bindAlong(kernel.Hardmax[float64]),
		NoGradient: "it is constant wherever it is differentiable",
	})
}
