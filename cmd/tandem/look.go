package main

import (
	"context"
	"os"
	"path/filepath"

	"tandem/onnx"
	"tandem/onnx/ort"
	"tandem/onnx/tensor"
	"tandem/results/compare"
)

// onnxRuntime is the third look at the forward pass.
func onnxRuntime(hint string) compare.Looker {
	l := compare.Looker{Name: "onnxruntime"}
	if err := ort.Available(); err != nil {
		l.Missing = err.Error()
		return l
	}
	library, err := ort.Find(hint)
	if err != nil {
		l.Missing = err.Error()
		return l
	}
	if _, err := ort.Version(library); err != nil { // it is there, but cannot be loaded
		l.Missing = err.Error()
		return l
	}
	l.Forward = func(_ context.Context, model string, inputs map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
		m, err := onnx.Load(model)
		if err != nil {
			return nil, err
		}
		if m, err = onnx.EvalMode(m); err != nil {
			return nil, err
		}
		dir, err := os.MkdirTemp("", "tandem-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		file := filepath.Join(dir, "eval.onnx")
		if err := m.Save(file); err != nil {
			return nil, err
		}
		return ort.Run(library, file, inputs)
	}
	return l
}
