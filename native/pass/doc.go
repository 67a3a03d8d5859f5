// Package pass holds the passes that turn an ONNX model into a list of calls, one file each, in this order:
//
//	Import         onnx.Model → ir.Graph with static shapes; integers computed from shapes and constants are folded
//	Evaluate       (evaluation only) training behaviour is switched off
//	Loss           the loss is added to the model's output
//	Simplify       groups of nodes become single ones: attention, linear layers
//	Differentiate  the gradient nodes are added
//	Update         (training only) the optimizer's nodes are added
//	Prune          what nothing needs is taken away
//	Recompute      what is quickly computed a second time is not kept for the backward pass
//	Fuse           nodes that one kernel can compute are put together: a list of rules; the largest update comes last, for others to run beside it
//	ChannelsLast   images near convolutions get their channels last, and nodes are put together by rules of that layout
//	Near           what reads a large value once goes right behind what computes it
//	Plan           each value gets its place in memory
//	Bind           each node becomes a call
//
// Each takes a graph that ir.Graph.Verify accepts and leaves one.
package pass
