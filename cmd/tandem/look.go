package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"tandem/onnx"
	"tandem/onnx/ort"
	"tandem/onnx/tensor"
	"tandem/results/compare"
	"tandem/results/engine"
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
		return forward(m, inputs, func(part map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
			return ort.Run(library, file, part)
		})
	}
	return l
}

// forward computes a model's outputs for some rows: at once, or where an output is a scalar or the batch's size is fixed in the passes that the
// engines' protocol prescribes.
func forward(m *onnx.Model, inputs map[string]*tensor.Tensor, run func(map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error)) (map[string]*tensor.Tensor, error) {
	scalar := func(out onnx.ValueInfo) bool { return out.HasShape && len(out.Shape) == 0 }
	if !slices.ContainsFunc(m.Graph.Outputs, scalar) && m.Graph.FixedBatch() == 0 {
		return run(inputs)
	}
	rows, size := 0, engine.RowsOfPass(m)
	for _, t := range inputs {
		rows = t.Shape()[0]
	}
	values, shapes := map[string][]float64{}, map[string][]int{}
	for from := 0; from < rows; from += size {
		part := map[string]*tensor.Tensor{}
		for name, t := range inputs {
			var err error
			if part[name], err = rowsOf(t, from, min(from+size, rows)); err != nil {
				return nil, err
			}
		}
		got, err := run(part)
		if err != nil {
			return nil, err
		}
		for name, t := range got {
			shape := t.Shape()
			if len(shape) == 0 {
				shape = []int{1}
			}
			if shapes[name] == nil {
				shapes[name] = append([]int{0}, shape[1:]...)
			}
			shapes[name][0] += shape[0]
			values[name] = append(values[name], t.Float64s()...)
		}
	}
	out := map[string]*tensor.Tensor{}
	for name, v := range values {
		t, err := tensor.Of(v, shapes[name]...)
		if err != nil {
			return nil, err
		}
		out[name] = t
	}
	return out, nil
}

// rowsOf returns rows of a tensor, float32 or int64.
func rowsOf(t *tensor.Tensor, from, to int) (*tensor.Tensor, error) {
	shape := append([]int{to - from}, t.Shape()[1:]...)
	width := t.Len() / max(t.Shape()[0], 1)
	if t.DType() == tensor.Int64 {
		return tensor.Of(tensor.View[int64](t)[from*width:to*width], shape...)
	}
	return tensor.Of(tensor.View[float32](t)[from*width:to*width], shape...)
}
