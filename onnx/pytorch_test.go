package onnx_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"tandem/onnx"
	"tandem/onnx/tensor"
)

// The file was written by tandem's PyTorch exporter: see testdata/make.py.
const pytorch = "testdata/bn.onnx"

func load(t testing.TB, path string) *onnx.Model {
	t.Helper()
	m, err := onnx.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestLoadPyTorch(t *testing.T) {
	m := load(t, pytorch)
	if m.Path != pytorch || m.Producer != "pytorch" || !strings.HasPrefix(m.ProducerVersion, "2.") || m.Opset[""] != 20 || m.IRVersion < 8 {
		t.Errorf("path %q, producer %q %q, opsets %v, IR version %d", m.Path, m.Producer, m.ProducerVersion, m.Opset, m.IRVersion)
	}
	g := m.Graph
	if got := fmt.Sprint(g.Inputs, g.Outputs); got != "[input float32[batch 3]] [logits float32[batch 2]]" {
		t.Errorf("inputs and outputs %s", got)
	}
	var got []string
	for _, n := range g.Nodes {
		got = append(got, n.OpType+" "+n.ModulePath+" | "+n.Source)
	}
	want := []string{
		"Gemm body.0 | make.py:20: h = torch.relu(self.body(x))",
		"BatchNormalization body.1 | make.py:20: h = torch.relu(self.body(x))",
		"Relu  | make.py:20: h = torch.relu(self.body(x))",
		"Dropout drop | make.py:21: return self.head(self.drop(h))",
		"Gemm head | make.py:21: return self.head(self.drop(h))",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("nodes\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if w := g.Initializer("body.0.weight"); w == nil || w.String() != "float32[4 3]" {
		t.Errorf("body.0.weight is %v", w)
	}
	if g.Initializer("nothing") != nil || g.Node("nothing") != nil {
		t.Error("an absent initializer or node must be nil")
	}
	bn := g.Nodes[1]
	if eps, err := bn.Attributes.Float("epsilon", 0); err != nil || eps != 1e-5 {
		t.Errorf("epsilon is %v, %v; want the double 1e-5 exactly", eps, err)
	}
	p := m.Manifest
	if p == nil || len(p.Parameters) != 6 || p.Parameters[0].Name != "body.0.weight" || !p.Parameters[0].RequiresGrad {
		t.Fatalf("manifest %+v", p)
	}
	if len(p.BatchNorm) != 1 || p.BatchNorm[0].Node != bn.Name || p.BatchNorm[0].Mean != "body.1.running_mean" || p.BatchNorm[0].Momentum != 0.1 {
		t.Errorf("batch_norm %+v", p.BatchNorm)
	}
	if len(p.Dropout) != 1 || p.Dropout[0].P != 0.2 || p.Dropout[0].Module != "drop" || p.Dropout[0].Node != g.Nodes[3].Name {
		t.Errorf("dropout %+v", p.Dropout)
	}
	if len(p.Checks) == 0 || len(p.Activations) == 0 {
		t.Errorf("checks %q, activations %v", p.Checks, p.Activations)
	}
}

func TestSaveKeepsTheModel(t *testing.T) {
	m := load(t, pytorch)
	path := filepath.Join(t.TempDir(), "saved.onnx")
	if err := m.Save(path); err != nil {
		t.Fatal(err)
	}
	again := load(t, path)
	if !reflect.DeepEqual(again.Graph, m.Graph) || !reflect.DeepEqual(again.Manifest, m.Manifest) || !reflect.DeepEqual(again.Metadata, m.Metadata) {
		t.Error("the saved model differs from the one that was read")
	}
	first, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	second, err := again.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if string(first) != string(second) {
		t.Error("the same model gives different bytes")
	}
}

func TestWithInitializers(t *testing.T) {
	m := load(t, pytorch)
	old := m.Graph.Initializer("head.bias")
	before := old.Clone()
	trained, err := tensor.Of([]float32{7, -8}, 2)
	if err != nil {
		t.Fatal(err)
	}
	n, err := m.WithInitializers(map[string]*tensor.Tensor{"head.bias": trained})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "trained.onnx")
	if err := n.Save(path); err != nil {
		t.Fatal(err)
	}
	again := load(t, path)
	changed := 0
	for i, init := range again.Graph.Initializers {
		if !init.Tensor.Equal(m.Graph.Initializers[i].Tensor) {
			changed++
		}
	}
	if changed != 1 || !again.Graph.Initializer("head.bias").Equal(trained) {
		t.Errorf("%d initializers changed, head.bias is %v", changed, again.Graph.Initializer("head.bias").Float64s())
	}
	if m.Graph.Initializer("head.bias") != old || !old.Equal(before) {
		t.Error("the original model was changed")
	}

	wrongType, err := trained.Convert(tensor.Float64)
	if err != nil {
		t.Fatal(err)
	}
	for label, values := range map[string]map[string]*tensor.Tensor{
		"unknown name":  {"head.bia": trained},
		"another type":  {"head.bias": wrongType},
		"another shape": {"head.bias": tensor.New(tensor.Float32, 1, 2)},
		"nil":           {"head.bias": nil},
	} {
		if _, err := m.WithInitializers(values); err == nil || !strings.Contains(err.Error(), "head.bia") {
			t.Errorf("%s: %v, want an error that names the initializer", label, err)
		}
	}
}

func TestEvalModeOfPyTorch(t *testing.T) {
	m := load(t, pytorch)
	e, err := onnx.EvalMode(m)
	if err != nil {
		t.Fatal(err)
	}
	bn, drop := e.Graph.Nodes[1], e.Graph.Nodes[3]
	if len(bn.Outputs) != 1 || bn.Attributes.Has("training_mode") || len(drop.Inputs) != 2 {
		t.Errorf("BatchNormalization %v %v, Dropout %v", bn.Outputs, bn.Attributes.Names(), drop.Inputs)
	}
	if len(e.Manifest.Parameters) != 6 || len(e.Manifest.BatchNorm)+len(e.Manifest.Dropout) != 0 {
		t.Errorf("manifest %+v", e.Manifest)
	}
	if e.Path != m.Path || !reflect.DeepEqual(e.Graph.Initializers, m.Graph.Initializers) {
		t.Error("path and initializers must stay")
	}
	if bn := m.Graph.Nodes[1]; len(bn.Outputs) != 3 || !bn.Attributes.Has("training_mode") {
		t.Error("the original model was changed")
	}
	path := filepath.Join(t.TempDir(), "eval.onnx")
	if err := e.Save(path); err != nil {
		t.Fatal(err)
	}
	load(t, path)
}
