// Package native is the folder of tandem's own trainer: it reads an ONNX model, derives the gradients, plans the
// memory and trains, in plain Go, in float32 and in float64 from the same kernels. Start with package
// native/train, whose example trains a small model.
//
// Data flows one way:
//
//	onnx.Model → pass.Import → ir.Graph → pass.Simplify, pass.Differentiate, pass.Update, pass.Prune → pass.Plan → pass.Bind → a list of calls
//
//	native/ir      the graph that all passes share: values with static shapes, nodes, where each came from
//	native/op      the operators, one file each: shape rule, kernel, gradient
//	native/optim   the optimizers, one file each
//	native/pass    the passes, one file each
//	native/kernel  the arithmetic on slices: no graph, no operator
//	native/philox  the counter-based random numbers of dropout
//	native/train   the trainer: programs for each batch size, the state, a step
//	native/engine  the trainer behind tandem's engine protocol
//
// Nothing here knows PyTorch or the judge: a mistake made here cannot hide in what it is compared with.
package native
