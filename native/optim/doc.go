// Package optim holds the optimizers, one file each, by PyTorch's formulas in PyTorch's order of operations, since
// that is what is compared. An optimizer is registered as an operator of the graph ("tandem.optim.Adam") that changes a
// parameter and its slots in place, so that it is planned, scheduled and later fused like any other node.
//
// To add an optimizer, add a file like sgd.go with its test.
package optim
