// Package engine puts the native trainer behind tandem's engine protocol (package results/engine), so that it is driven,
// compared and timed exactly as any other engine is: "tandem engine native" serves it on standard input and output.
//
// It holds what the protocol asks for beyond a trainer: data files, batches by the written order, digests, clocks. How training
// works is package native/train's matter.
package engine
