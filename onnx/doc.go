// Package onnx reads, checks and writes ONNX models.
//
// Load turns a file into a Model whose graph is known to be sound: each value is defined once and before its use, every initializer
// has the bytes that its shape asks for, element types are ones that tandem has, the operator set is stated. What follows (the native
// trainer, the report) need not check again. Errors are of type *Error and say which file, node and value is meant and what to do.
//
// A model is read-only. Other models are made of it by WithInitializers (trained weights put back) and EvalMode (Dropout and
// BatchNormalization as in inference), or from nothing by a Builder.
//
// The package does not know what an operator means. Shape rules, attribute defaults and the range of supported operators live with
// each operator in native/op, one file an operator, so there is no shape inference here; EvalMode is the one exception, for the two
// operators whose mode is written in the graph. Running a model is not its business either: see native and onnx/ort.
//
// # The manifest
//
// ONNX has no word for "parameter": an initializer may be a trained weight, a running statistic or a constant. tandem's PyTorch
// exporter therefore writes a Manifest, JSON under the metadata key "tandem.manifest", and Load checks it against the graph. A model
// from elsewhere has none (Model.Manifest is nil).
//
// # Not supported
//
// Control flow (attributes that hold graphs: If, Loop, Scan), model-local functions, sparse initializers, and values that are not
// tensors are refused with an error that says how to export without them. Training information (TrainingInfoProto) is kept but not read.
package onnx
