#!/bin/sh
# Regenerates onnx-ml.pb.go from onnx-ml.proto. protoc comes with the PyPI package grpcio-tools, so that no system package is
# needed; the generator is Go's. To move to a newer ONNX, replace onnx-ml.proto by the one in the onnx wheel first.
set -eu
cd "$(dirname "$0")"
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
python3 -m venv "$tools/venv"
"$tools/venv/bin/python" -m pip install --quiet grpcio-tools==1.85.1
GOBIN="$tools" go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12
PATH="$tools:$PATH" "$tools/venv/bin/python" -m grpc_tools.protoc -I. \
	--go_out=. --go_opt=paths=source_relative --go_opt=Monnx-ml.proto=tandem/onnx/onnxpb onnx-ml.proto
