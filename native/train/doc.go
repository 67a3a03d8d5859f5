// Package train is the trainer: it takes an ONNX model with its initial weights, compiles it for the batch sizes that it
// meets, and trains it. A compiled step is a flat list of calls on memory that was planned before: it allocates
// nothing and looks nothing up.
//
// [Trainer] computes in float32 or in float64 from the same kernels. It knows nothing of files of data, of the engine
// protocol or of comparisons; package native/engine puts it behind the protocol.
package train
