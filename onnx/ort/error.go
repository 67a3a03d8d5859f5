package ort

import "errors"

// ErrUnavailable is what errors wrap when ONNX Runtime cannot be used here at all: no cgo, no library, or one that cannot be loaded.
var ErrUnavailable = errors.New("ONNX Runtime is not available")
