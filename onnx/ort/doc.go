// Package ort runs a model with ONNX Runtime: a third, independent opinion on the forward pass beside PyTorch and the native trainer.
//
// It binds to the shared library that comes with the Python package onnxruntime, found by Find and loaded when first used; nothing
// of ONNX Runtime is linked into the program. The binding (github.com/yalue/onnxruntime_go) needs cgo, which is why it is alone in
// this package: built with CGO_ENABLED=0 the package compiles, and each call says what is missing.
//
// All graph optimizations are switched off. They give wrong results for BatchNormalization in training mode, and a check should run
// the model as it is written. The package is not for speed: a session is made for every call.
//
// Dropout in a model exported for training draws ONNX Runtime's own random numbers; apply onnx.EvalMode first to compare.
package ort
