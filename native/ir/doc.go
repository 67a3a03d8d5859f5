// Package ir is the trainer's one graph: values with static shapes, and nodes in an order in which they can run.
// Forward pass, gradients and optimizer updates are nodes of the same kind, so that every pass sees all of them.
//
// It knows no operator: what a node means is told by package native/op under the node's name.
package ir
