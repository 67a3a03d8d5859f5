package optim

import (
	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
)

// Gradients of several batches are added up by a node that is bound as an optimizer's is, in the place of the parameter their sum:
//
//	sum = sum + share * g, which the first part of a step begins with sum = share * g
const additionKind = "accumulate"

func init() {
	registerOperator(Rule{Kind: additionKind, Float32: add[float32], Float64: add[float64]}) // no optimizer that an experiment can name
}

func add[T kernel.Float](Config) Update[T] {
	var share T
	var first bool
	return Update[T]{
		Begin: func(run *op.Run) { share, first = T(run.Share), run.Part == 0 },
		Range: func(sum, g []T, _ [][]T, lo, hi int) {
			sum = sum[lo:hi]
			if first {
				kernel.Scale(sum, g, share)
				return
			}
			kernel.AddScaled(sum, g, share)
		},
	}
}

// Addition returns the node that adds a batch's gradient to a sum, which the run's Part and Share say how to do.
func Addition(sum, gradient *ir.Value) (*ir.Node, error) {
	return Node(Config{Kind: additionKind}, sum, gradient, nil, nil)
}
