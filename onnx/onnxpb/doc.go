// Package onnxpb is the Go form of onnx-ml.proto, the official definition of the ONNX file format.
//
// onnx-ml.proto is copied unchanged from the Python package onnx 1.23.2 (the ONNX project, Apache License 2.0, text in LICENSE.onnx, its notice in NOTICE.onnx);
// onnx-ml.pb.go is generated from it and is never edited. Nothing else belongs here: package onnx reads and checks models, and
// everything else uses that package.
//
// To regenerate, with uv (or pip) and Go installed, run in this folder:
//
//	go generate .
//
// which calls regenerate.sh. The result must be the committed file, byte for byte, as long as the versions named there stay.
package onnxpb

//go:generate sh regenerate.sh
