package onnx_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"tandem/onnx"
	"tandem/onnx/tensor"
)

// normalized is small with a BatchNormalization and an embedding before it, and a manifest that fits.
func normalized(t *testing.T) (*onnx.Builder, *onnx.Manifest) {
	stat := func() *tensor.Tensor { return tensor.New(tensor.Float32, 2) }
	b := onnx.NewBuilder("normalized", 20).Input("x", tensor.Int64, 3).
		Initializer("emb", tensor.New(tensor.Float32, 5, 2)).
		Initializer("scale", stat()).Initializer("bias", stat()).Initializer("mean", stat()).Initializer("var", stat()).
		Initializer("ratio", of(t, []float32{0.2})).Initializer("on", of(t, []bool{true})).
		Node("Gather", []string{"emb", "x"}, []string{"e"}, nil).
		Node("BatchNormalization", []string{"e", "scale", "bias", "mean", "var"}, []string{"n", "new_mean", "new_var"}, map[string]any{"training_mode": 1}).
		Node("Dropout", []string{"n", "ratio", "on"}, []string{"d"}, nil).
		Node("Dropout", []string{"d", "ratio", "on"}, []string{"y"}, nil).
		Output("y", tensor.Float32, 3, 2)
	return b, &onnx.Manifest{
		Version:    onnx.ManifestVersion,
		Parameters: []onnx.Parameter{{Name: "emb", Aliases: []string{"tied"}, RequiresGrad: true}, {Name: "scale"}, {Name: "bias"}},
		Buffers:    []string{"mean", "var"},
		Constants:  []string{"ratio", "on"},
		BatchNorm:  []onnx.BatchNorm{{Node: "BatchNormalization_1", Mean: "mean", Var: "var", MeanOutput: "new_mean", VarOutput: "new_var", Momentum: 0.1}},
		Dropout: []onnx.DropoutSite{
			{Site: 0, Node: "Dropout_2", Operator: "Dropout", P: 0.2, Module: "a"},
			{Site: 1, Node: "Dropout_3", Operator: "Dropout", P: 0.2, Module: "b"},
		},
		Scalars:          []onnx.Scalar{{Value: "ratio", Number: 0.2}},
		EmbeddingPadding: []onnx.EmbeddingPadding{{Weight: "emb", Row: 4}},
		Activations:      []onnx.Activation{{Value: "d", Module: "a"}},
		Checks:           []string{"a sentence"},
	}
}

func TestManifestFitsTheGraph(t *testing.T) {
	b, manifest := normalized(t)
	m, err := b.Manifest(manifest).Build()
	if err != nil {
		t.Fatal(err)
	}
	if m.Manifest.Parameters[0].Aliases[0] != "tied" || m.Manifest.BatchNorm[0] != manifest.BatchNorm[0] || m.Manifest.Dropout[1] != manifest.Dropout[1] ||
		m.Manifest.EmbeddingPadding[0].Row != 4 || m.Manifest.Activations[0].Value != "d" || m.Manifest.Checks[0] != "a sentence" {
		t.Errorf("%+v", m.Manifest)
	}
	for _, test := range []struct {
		label string
		edit  func(*onnx.Manifest)
		want  string
	}{
		{"unknown parameter", func(m *onnx.Manifest) { m.Parameters[0].Name = "embedding" }, `"embedding"`},
		{"empty name", func(m *onnx.Manifest) { m.Parameters[0].Name = "" }, "empty name"},
		{"parameter twice", func(m *onnx.Manifest) { m.Parameters[1].Name = "emb" }, `"emb" is listed as a parameter and again`},
		{"parameter and buffer", func(m *onnx.Manifest) { m.Buffers[0] = "scale" }, `"scale"`},
		{"alias in the graph", func(m *onnx.Manifest) { m.Parameters[0].Aliases[0] = "mean" }, "tied"},
		{"trained integer", func(m *onnx.Manifest) {
			m.Parameters = append(m.Parameters, onnx.Parameter{Name: "on", RequiresGrad: true})
			m.Constants = []string{"ratio"}
		}, "bool[]"},
		{"unknown buffer", func(m *onnx.Manifest) { m.Buffers = append(m.Buffers, "steps") }, `"steps", listed as a buffer`},
		{"unknown constant", func(m *onnx.Manifest) { m.Constants = append(m.Constants, "c") }, `"c", listed as a constant`},
		{"initializer not listed", func(m *onnx.Manifest) { m.Parameters = m.Parameters[:2] }, `"bias" is listed neither`},

		{"BatchNorm node unknown", func(m *onnx.Manifest) { m.BatchNorm[0].Node = "bn" }, `"bn"`},
		{"BatchNorm node of another operator", func(m *onnx.Manifest) { m.BatchNorm[0].Node = "Dropout_2" }, `"Dropout_2"`},
		{"BatchNorm twice", func(m *onnx.Manifest) { m.BatchNorm = append(m.BatchNorm, m.BatchNorm[0]) }, "twice"},
		{"BatchNorm statistics exchanged", func(m *onnx.Manifest) { m.BatchNorm[0].Mean, m.BatchNorm[0].Var = "var", "mean" }, "reads"},
		{"BatchNorm outputs exchanged", func(m *onnx.Manifest) { m.BatchNorm[0].MeanOutput = "new_var" }, "computes"},
		{"momentum 2", func(m *onnx.Manifest) { m.BatchNorm[0].Momentum = 2 }, "momentum 2"},

		{"sites from 1", func(m *onnx.Manifest) { m.Dropout = m.Dropout[1:] }, "site 1 stands at place 0"},
		{"site's node unknown", func(m *onnx.Manifest) { m.Dropout[0].Node = "none" }, `"none"`},
		{"site's operator wrong", func(m *onnx.Manifest) { m.Dropout[0].Operator = "Bernoulli" }, "Bernoulli"},
		{"site on another operator", func(m *onnx.Manifest) { m.Dropout[0].Node, m.Dropout[0].Operator = "Gather_0", "Gather" }, "not Dropout or Bernoulli"},
		{"node with two sites", func(m *onnx.Manifest) { m.Dropout[1].Node = "Dropout_2" }, "two dropout sites"},
		{"sites out of order", func(m *onnx.Manifest) {
			m.Dropout[0].Node, m.Dropout[1].Node = m.Dropout[1].Node, m.Dropout[0].Node
		}, "where site 0 belongs"},
		{"probability 1.5", func(m *onnx.Manifest) { m.Dropout[0].P = 1.5 }, "1.5"},

		{"number of a parameter", func(m *onnx.Manifest) { m.Scalars[0].Value = "emb" }, `"emb", which is not a constant`},
		{"number of another type", func(m *onnx.Manifest) { m.Scalars[0].Value = "on" }, "bool[]"},
		{"number that rounds to another", func(m *onnx.Manifest) { m.Scalars[0].Number = 0.2000001 }, "0.2000001"},
		{"padding of a buffer", func(m *onnx.Manifest) { m.EmbeddingPadding[0].Weight = "mean" }, `"mean"`},
		{"padding past the end", func(m *onnx.Manifest) { m.EmbeddingPadding[0].Row = 5 }, "row 5"},
		{"negative padding", func(m *onnx.Manifest) { m.EmbeddingPadding[0].Row = -1 }, "row -1"},
		{"activation unknown", func(m *onnx.Manifest) { m.Activations[0].Value = "x" }, `"x"`},
	} {
		t.Run(test.label, func(t *testing.T) {
			b, manifest := normalized(t)
			test.edit(manifest)
			_, err := b.Manifest(manifest).Build()
			var e *onnx.Error
			if !errors.As(err, &e) || !errors.Is(err, onnx.ErrInvalid) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), "export") {
				t.Errorf("%v; want %q and what to do", err, test.want)
			}
		})
	}
}

func TestParseManifest(t *testing.T) {
	_, manifest := normalized(t)
	text, err := manifest.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if m, err := onnx.ParseManifest(text); err != nil || m.BatchNorm[0] != manifest.BatchNorm[0] {
		t.Fatalf("%+v, %v", m, err)
	}
	for _, test := range []struct{ label, old, new, want string }{
		{"not JSON", `{"version"`, `version`, "not valid JSON"},
		{"another version", `"version":1`, `"version":2`, "version 2"},
		{"no version", `"version":1,`, ``, "no version"},
		{"unknown field", `"version":1`, `"version":1,"extra":1`, "extra"},
		{"unknown field inside", `"site":0`, `"site":0,"extra":1`, "extra"},
		{"missing list", `"buffers":["mean","var"],`, ``, "no buffers"},
		{"null list", `["mean","var"]`, `null`, "no buffers"},
		{"missing momentum", `,"momentum":0.1`, ``, "no batch_norm[0].momentum"},
		{"null momentum", `"momentum":0.1`, `"momentum":null`, "no batch_norm[0].momentum"},
		{"missing requires_grad", `,"requires_grad":true`, ``, "no parameters[0].requires_grad"},
		{"null entry", `["a sentence"]`, `[null]`, "no checks[0]"},
		{"wrong type", `"p":0.2`, `"p":"0.2"`, "expected form"},
		{"fractional site", `"site":0`, `"site":0.5`, "expected form"},
	} {
		t.Run(test.label, func(t *testing.T) {
			changed := strings.Replace(string(text), test.old, test.new, 1)
			if changed == string(text) {
				t.Fatal("the edit did nothing")
			}
			if m, err := onnx.ParseManifest([]byte(changed)); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), onnx.ManifestKey) {
				t.Errorf("%+v, %v; want an error that contains %q", m, err, test.want)
			}
		})
	}
	for _, bad := range []string{"", "null", "[]", "1", string(text) + "{}"} {
		if m, err := onnx.ParseManifest([]byte(bad)); err == nil {
			t.Errorf("ParseManifest(%q) = %+v", bad, m)
		}
	}
}

// An empty manifest is written with empty lists, not null, and does not change the value.
func TestManifestEncode(t *testing.T) {
	m := &onnx.Manifest{Version: 1, Parameters: []onnx.Parameter{{Name: "w"}}}
	text, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "null") || m.Buffers != nil || m.Parameters[0].Aliases != nil {
		t.Errorf("%s from %+v", text, m)
	}
	back, err := onnx.ParseManifest(text)
	if err != nil {
		t.Fatal(err)
	}
	again, err := back.Encode()
	if err != nil || string(again) != string(text) {
		t.Errorf("%s, %v; want %s", again, err, text)
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(`{"version":1}`))
	if text, err := smallManifest().Encode(); err == nil {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.ParseManifest(data)
		if err != nil {
			return
		}
		text, err := m.Encode()
		if err != nil || !json.Valid(text) {
			t.Fatalf("%s, %v", text, err)
		}
		again, err := onnx.ParseManifest(text)
		if err != nil || !reflect.DeepEqual(normal(m), normal(again)) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

// normal makes an empty list of activations nil, as it is read back.
func normal(m *onnx.Manifest) *onnx.Manifest {
	if len(m.Activations) == 0 {
		m.Activations = nil
	}
	return m
}
