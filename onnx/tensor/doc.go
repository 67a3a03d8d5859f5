// Package tensor holds the one tensor type that every part of tandem exchanges: an element type, a shape and the
// elements as little-endian bytes in row-major order.
//
// It is for interchange (ONNX initializers, safetensors files, states, gradients) and for digests: two tensors are
// the same when their element type, shape and bytes are. It is not for arithmetic: the native trainer computes on
// its own buffers, the judge on float64 slices.
package tensor
