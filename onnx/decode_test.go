package onnx_test

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"tandem/onnx"
	"tandem/onnx/onnxpb"
)

func TestForeignFiles(t *testing.T) {
	model, err := os.ReadFile(pytorch)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		label string
		data  []byte
		want  string
	}{
		{"empty", nil, "the file is empty"},
		{"zeros", make([]byte, 100), "it holds zeros"},
		{"PNG", []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"), "a PNG image"},
		{"HTML", []byte("\n<!DOCTYPE html><html><body>404</body>"), "an HTML page"},
		{"XML", []byte(`<?xml version="1.0"?><a/>`), "an XML file"},
		{"JSON", []byte(`{"a": 1}`), "a JSON file"},
		{"text", []byte("Hello, wörld\n"), "a text file"},
		{"text cut inside a rune", []byte(strings.Repeat("x", 1023) + "ö"), "a text file"},
		{"checkpoint", []byte("PK\x03\x04\x00\x00archive/data.pkl"), "torch.save"},
		{"pickle", []byte("\x80\x02}q\x00."), "pickle"},
		{"safetensors", []byte("\x10\x00\x00\x00\x00\x00\x00\x00{\"a\":{}}"), "safetensors"},
		{"LFS", []byte("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"},
		{"TFLite", []byte("\x1c\x00\x00\x00TFL3\x00\x00"), "TensorFlow Lite"},
		{"noise", []byte{0xff, 0xfe, 0x01, 0x99, 0x07}, "truncated, damaged"},
		{"truncated model", model[:len(model)/2], "truncated, damaged"},
		{"first bytes of a model", model[:20], "truncated, damaged"},
	} {
		t.Run(test.label, func(t *testing.T) {
			refuses(t, test.data, onnx.ErrForeign, "not an ONNX model", test.want)
		})
	}
}

// No prefix of a model may pass for a model, except those that lack only what comes after the operator sets: metadata.
func TestTruncation(t *testing.T) {
	m, err := small(t).Build()
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(data) {
		if _, err := onnx.Decode(data[:n], ""); err == nil {
			t.Errorf("%d of %d bytes pass for a model", n, len(data))
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	node := func(p *onnxpb.ModelProto, i int) *onnxpb.NodeProto { return p.Graph.Node[i] }
	weight := func(p *onnxpb.ModelProto) *onnxpb.TensorProto { return p.Graph.Initializer[0] }
	for _, test := range []struct {
		label string
		edit  func(*onnxpb.ModelProto)
		kind  error
		want  []string
	}{
		{"no graph", func(p *onnxpb.ModelProto) { p.Graph = nil }, onnx.ErrInvalid, []string{"no graph"}},
		{"no IR version", func(p *onnxpb.ModelProto) { p.IrVersion = nil }, onnx.ErrInvalid, []string{"IR version"}},
		{"future IR version", func(p *onnxpb.ModelProto) { p.IrVersion = proto.Int64(1000) }, onnx.ErrUnsupported, []string{"1000"}},
		{"no operator set", func(p *onnxpb.ModelProto) { p.OpsetImport = nil }, onnx.ErrInvalid, []string{"operator set"}},
		{"operator set 0", func(p *onnxpb.ModelProto) { p.OpsetImport[0].Version = nil }, onnx.ErrInvalid, []string{"version 0"}},
		{"two operator sets", func(p *onnxpb.ModelProto) {
			p.OpsetImport = append(p.OpsetImport, &onnxpb.OperatorSetIdProto{Domain: proto.String("ai.onnx"), Version: proto.Int64(21)})
		}, onnx.ErrInvalid, []string{"twice", "20", "21"}},
		{"function", func(p *onnxpb.ModelProto) {
			p.Functions = []*onnxpb.FunctionProto{{Name: proto.String("mine")}}
		}, onnx.ErrUnsupported, []string{`"mine"`, "inline"}},
		{"metadata twice", func(p *onnxpb.ModelProto) {
			e := &onnxpb.StringStringEntryProto{Key: proto.String("k"), Value: proto.String("v")}
			p.MetadataProps = []*onnxpb.StringStringEntryProto{e, e}
		}, onnx.ErrInvalid, []string{`"k"`}},
		{"sparse initializer", func(p *onnxpb.ModelProto) {
			p.Graph.SparseInitializer = []*onnxpb.SparseTensorProto{{}}
		}, onnx.ErrUnsupported, []string{"sparse"}},

		{"initializer without a name", func(p *onnxpb.ModelProto) { weight(p).Name = nil }, onnx.ErrInvalid, []string{"no name"}},
		{"initializer twice", func(p *onnxpb.ModelProto) { p.Graph.Initializer[1].Name = proto.String("w") }, onnx.ErrInvalid, []string{`"w"`, "twice"}},
		{"initializer too short", func(p *onnxpb.ModelProto) { weight(p).RawData = weight(p).RawData[:15] }, onnx.ErrInvalid, []string{`"w"`, "16 bytes", "15"}},
		{"initializer without data", func(p *onnxpb.ModelProto) { weight(p).RawData = nil }, onnx.ErrInvalid, []string{`"w"`, "4 elements", "holds 0"}},
		{"initializer with data twice", func(p *onnxpb.ModelProto) { weight(p).FloatData = make([]float32, 4) }, onnx.ErrInvalid, []string{"twice"}},
		{"absurd shape", func(p *onnxpb.ModelProto) { weight(p).Dims = []int64{1 << 40, 1 << 40} }, onnx.ErrInvalid, []string{"impossible shape"}},
		{"large shape without data", func(p *onnxpb.ModelProto) { weight(p).Dims = []int64{1 << 40} }, onnx.ErrInvalid, []string{"16"}},
		{"negative dimension", func(p *onnxpb.ModelProto) { weight(p).Dims = []int64{-4} }, onnx.ErrInvalid, []string{"impossible shape"}},
		{"rank 65", func(p *onnxpb.ModelProto) { weight(p).Dims = make([]int64, 65) }, onnx.ErrInvalid, []string{"65"}},
		{"string initializer", func(p *onnxpb.ModelProto) { weight(p).DataType = proto.Int32(8) }, onnx.ErrUnsupported, []string{"STRING"}},
		{"float8 initializer", func(p *onnxpb.ModelProto) { weight(p).DataType = proto.Int32(17) }, onnx.ErrUnsupported, []string{"FLOAT8E4M3FN"}},
		{"unknown element type", func(p *onnxpb.ModelProto) { weight(p).DataType = proto.Int32(99) }, onnx.ErrUnsupported, []string{"99"}},
		{"no element type", func(p *onnxpb.ModelProto) { weight(p).DataType = nil }, onnx.ErrInvalid, []string{"no element type"}},
		{"segment", func(p *onnxpb.ModelProto) { weight(p).Segment = &onnxpb.TensorProto_Segment{} }, onnx.ErrUnsupported, []string{"segments"}},
		{"bool of 2", func(p *onnxpb.ModelProto) { p.Graph.Initializer[2].RawData = []byte{2} }, onnx.ErrInvalid, []string{`"on"`, "neither 0 nor 1"}},
		{"numbers under another type", func(p *onnxpb.ModelProto) {
			weight(p).RawData, weight(p).FloatData, weight(p).Int64Data = nil, make([]float32, 4), []int64{1}
		}, onnx.ErrInvalid, []string{"another element type"}},

		{"input twice", func(p *onnxpb.ModelProto) { p.Graph.Input = append(p.Graph.Input, p.Graph.Input[0]) }, onnx.ErrInvalid, []string{`"x"`}},
		{"input without a type", func(p *onnxpb.ModelProto) { p.Graph.Input[0].Type = nil }, onnx.ErrInvalid, []string{`"x"`, "no type"}},
		{"input of a sequence", func(p *onnxpb.ModelProto) {
			p.Graph.Input[0].Type = &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{}}
		}, onnx.ErrUnsupported, []string{`"x"`, "not a tensor"}},
		{"input of strings", func(p *onnxpb.ModelProto) {
			p.Graph.Input[0].Type.GetTensorType().ElemType = proto.Int32(8)
		}, onnx.ErrUnsupported, []string{`"x"`, "STRING"}},
		{"no outputs", func(p *onnxpb.ModelProto) { p.Graph.Output = nil }, onnx.ErrInvalid, []string{"no output"}},
		{"undefined output", func(p *onnxpb.ModelProto) { p.Graph.Output[0].Name = proto.String("z") }, onnx.ErrInvalid, []string{`"z"`, "nowhere"}},
		{"name not UTF-8", func(p *onnxpb.ModelProto) { p.Graph.Output[0].Name = proto.String("\xff") }, onnx.ErrInvalid, []string{"UTF-8"}},

		{"no operator", func(p *onnxpb.ModelProto) { node(p, 0).OpType = nil }, onnx.ErrInvalid, []string{"MatMul_0", "no operator"}},
		{"unknown domain", func(p *onnxpb.ModelProto) { node(p, 0).Domain = proto.String("my.ops") }, onnx.ErrInvalid, []string{"my.ops.MatMul"}},
		{"undefined input", func(p *onnxpb.ModelProto) { node(p, 0).Input[0] = "z" }, onnx.ErrInvalid, []string{"MatMul_0", `"z"`, "nowhere"}},
		{"wrong order", func(p *onnxpb.ModelProto) {
			n := p.Graph.Node
			n[0], n[1] = n[1], n[0]
		}, onnx.ErrInvalid, []string{"Dropout_1", `"h"`, "MatMul_0", "topological"}},
		{"cycle", func(p *onnxpb.ModelProto) { node(p, 0).Input[0] = "y" }, onnx.ErrInvalid, []string{"MatMul_0", `"y"`, "Dropout_1"}},
		{"own output as input", func(p *onnxpb.ModelProto) { node(p, 0).Input[0] = "h" }, onnx.ErrInvalid, []string{"MatMul_0", `"h"`}},
		{"defined twice", func(p *onnxpb.ModelProto) { node(p, 1).Output[0] = "h" }, onnx.ErrInvalid, []string{"Dropout_1", `"h"`, "twice", "MatMul_0"}},
		{"twice within a node", func(p *onnxpb.ModelProto) { node(p, 1).Output = []string{"y", "y"} }, onnx.ErrInvalid, []string{`"y"`, "twice"}},
		{"an initializer defined again", func(p *onnxpb.ModelProto) { node(p, 1).Output = []string{"y", "w"} }, onnx.ErrInvalid, []string{`"w"`, "an initializer"}},
		{"an input defined again", func(p *onnxpb.ModelProto) { node(p, 1).Output = []string{"y", "x"} }, onnx.ErrInvalid, []string{`"x"`, "an input"}},
		{"no node output", func(p *onnxpb.ModelProto) { node(p, 1).Output = []string{""} }, onnx.ErrInvalid, []string{"Dropout_1", "no output"}},

		{"attribute without a name", func(p *onnxpb.ModelProto) { node(p, 1).Attribute[0].Name = nil }, onnx.ErrInvalid, []string{"Dropout_1", "attribute"}},
		{"attribute twice", func(p *onnxpb.ModelProto) {
			node(p, 1).Attribute = append(node(p, 1).Attribute, node(p, 1).Attribute[0])
		}, onnx.ErrInvalid, []string{"Dropout_1", `"seed"`, "twice"}},
		{"attribute reference", func(p *onnxpb.ModelProto) { node(p, 1).Attribute[0].RefAttrName = proto.String("r") }, onnx.ErrInvalid, []string{`"seed"`, "function"}},
		{"subgraph", func(p *onnxpb.ModelProto) {
			node(p, 0).Attribute = []*onnxpb.AttributeProto{{Name: proto.String("then_branch"), Type: onnxpb.AttributeProto_GRAPH.Enum(), G: &onnxpb.GraphProto{}}}
		}, onnx.ErrUnsupported, []string{"MatMul_0", "then_branch", "control flow"}},
		{"tensor attribute without tensor", func(p *onnxpb.ModelProto) {
			node(p, 0).Attribute = []*onnxpb.AttributeProto{{Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum()}}
		}, onnx.ErrInvalid, []string{`"value"`}},
		{"damaged tensor attribute", func(p *onnxpb.ModelProto) {
			node(p, 0).Attribute = []*onnxpb.AttributeProto{{Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: &onnxpb.TensorProto{
				DataType: proto.Int32(1), Dims: []int64{1 << 50},
			}}}
		}, onnx.ErrInvalid, []string{"MatMul_0", `"value"`}},
		{"external data in memory", func(p *onnxpb.ModelProto) {
			weight(p).RawData, weight(p).DataLocation = nil, onnxpb.TensorProto_EXTERNAL.Enum()
		}, onnx.ErrUnsupported, []string{`"w"`, "another file"}},
		{"external data in memory, in an attribute", func(p *onnxpb.ModelProto) {
			node(p, 0).Attribute = []*onnxpb.AttributeProto{{Name: proto.String("value"), Type: onnxpb.AttributeProto_TENSOR.Enum(), T: &onnxpb.TensorProto{
				DataType: proto.Int32(1), DataLocation: onnxpb.TensorProto_EXTERNAL.Enum(),
			}}}
		}, onnx.ErrUnsupported, []string{"another file"}},
		{"stray external data", func(p *onnxpb.ModelProto) {
			weight(p).ExternalData = []*onnxpb.StringStringEntryProto{{}}
		}, onnx.ErrInvalid, []string{`"w"`, "not marked"}},
	} {
		t.Run(test.label, func(t *testing.T) {
			e := refuses(t, edited(t, test.edit), test.kind, test.want...)
			if e.Reason == "" || (e.Node == "") != (e.Op == "") && test.label != "no operator" {
				t.Errorf("fields %+v", e)
			}
		})
	}
}

func TestDecodeAccepts(t *testing.T) {
	for _, test := range []struct {
		label string
		edit  func(*onnxpb.ModelProto)
		want  func(*onnx.Model) bool
	}{
		{"as built", nil, func(m *onnx.Model) bool { return len(m.Graph.Nodes) == 2 && m.Manifest == nil }},
		{"initializers listed as inputs", func(p *onnxpb.ModelProto) {
			p.Graph.Input = append(p.Graph.Input, &onnxpb.ValueInfoProto{Name: proto.String("w")})
		}, func(m *onnx.Model) bool { return len(m.Graph.Inputs) == 1 && m.Graph.Inputs[0].Name == "x" }},
		{"long spelling of the domain", func(p *onnxpb.ModelProto) {
			p.OpsetImport[0].Domain, p.Graph.Node[0].Domain = proto.String("ai.onnx"), proto.String("ai.onnx")
		}, func(m *onnx.Model) bool { return m.Opset[""] == 20 && m.Graph.Nodes[0].Domain == "" }},
		{"omitted inputs and outputs", func(p *onnxpb.ModelProto) {
			p.Graph.Node[1].Input = []string{"h", "", "on", ""}
			p.Graph.Node[1].Output = []string{"y", ""}
		}, func(m *onnx.Model) bool {
			n := m.Graph.Nodes[1]
			return len(n.Inputs) == 3 && n.Input(1) == "" && n.Input(2) == "on" && n.Input(9) == "" && len(n.Outputs) == 1 && n.Output(1) == ""
		}},
		{
			"unknown rank", func(p *onnxpb.ModelProto) { p.Graph.Output[0].Type.GetTensorType().Shape = nil },
			func(m *onnx.Model) bool {
				out := m.Graph.Outputs[0]
				return !out.HasShape && out.Shape == nil && out.String() == "y float32[...]"
			},
		},
		{"a scalar is not an unknown rank", func(p *onnxpb.ModelProto) {
			p.Graph.Output[0].Type.GetTensorType().Shape = &onnxpb.TensorShapeProto{}
		}, func(m *onnx.Model) bool { return m.Graph.Outputs[0].HasShape && len(m.Graph.Outputs[0].Shape) == 0 }},
		{"dimension -1", func(p *onnxpb.ModelProto) {
			p.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &onnxpb.TensorShapeProto_Dimension_DimValue{DimValue: -1}
		}, func(m *onnx.Model) bool { return m.Graph.Inputs[0].Shape[0] == onnx.Dim{Value: -1} }},
		{"symbolic dimension", func(p *onnxpb.ModelProto) {
			p.Graph.Input[0].Type.GetTensorType().Shape.Dim[0].Value = &onnxpb.TensorShapeProto_Dimension_DimParam{DimParam: "batch"}
		}, func(m *onnx.Model) bool { return m.Graph.Inputs[0].Shape[0] == onnx.Dim{Value: -1, Param: "batch"} }},
		{"value info", func(p *onnxpb.ModelProto) {
			v := proto.CloneOf(p.Graph.Output[0])
			v.Name = proto.String("h")
			p.Graph.ValueInfo = []*onnxpb.ValueInfoProto{v, {Name: proto.String("sequence"), Type: &onnxpb.TypeProto{Value: &onnxpb.TypeProto_SequenceType{}}}}
		}, func(m *onnx.Model) bool {
			return len(m.Graph.ValueInfo) == 1 && m.Graph.ValueInfo["h"].String() == "h float32[? 2]"
		}},
		{"training information", func(p *onnxpb.ModelProto) { p.TrainingInfo = []*onnxpb.TrainingInfoProto{{}} }, func(*onnx.Model) bool { return true }},
		{"missing and double node names", func(p *onnxpb.ModelProto) {
			p.Graph.Node[0].Name, p.Graph.Node[1].Name = proto.String("Dropout_1"), proto.String("Dropout_1")
		}, func(m *onnx.Model) bool {
			return m.Graph.Nodes[0].Name == "Dropout_1" && m.Graph.Nodes[1].Name == "Dropout_1_1"
		}},
		{"a later node keeps the name that would be made up", func(p *onnxpb.ModelProto) {
			p.Graph.Node[0].Name, p.Graph.Node[1].Name = nil, proto.String("MatMul_0")
		}, func(m *onnx.Model) bool {
			return m.Graph.Nodes[0].Name == "MatMul_0_1" && m.Graph.Nodes[1].Name == "MatMul_0"
		}},
	} {
		t.Run(test.label, func(t *testing.T) {
			m, err := onnx.Decode(edited(t, test.edit), "")
			if err != nil {
				t.Fatal(err)
			}
			if !test.want(m) {
				t.Errorf("%+v", m.Graph)
			}
			data, err := m.Encode()
			if err != nil {
				t.Fatal(err)
			}
			again, err := onnx.Decode(data, "")
			if err != nil {
				t.Fatal(err)
			}
			if !test.want(again) {
				t.Errorf("after writing and reading: %+v", again.Graph)
			}
		})
	}
}

// Data in protobuf's own numbers, as older exporters and onnx.helper.make_tensor write it.
func TestTypedData(t *testing.T) {
	for _, test := range []struct {
		code onnxpb.TensorProto_DataType
		data *onnxpb.TensorProto
		want string // "" for an error
	}{
		{onnxpb.TensorProto_FLOAT, &onnxpb.TensorProto{FloatData: []float32{1.5, -2}}, "float32 [1.5 -2]"},
		{onnxpb.TensorProto_DOUBLE, &onnxpb.TensorProto{DoubleData: []float64{1.5, -2}}, "float64 [1.5 -2]"},
		{onnxpb.TensorProto_INT64, &onnxpb.TensorProto{Int64Data: []int64{1, -2}}, "int64 [1 -2]"},
		{onnxpb.TensorProto_INT32, &onnxpb.TensorProto{Int32Data: []int32{1, -2}}, "int32 [1 -2]"},
		{onnxpb.TensorProto_INT16, &onnxpb.TensorProto{Int32Data: []int32{1, -2}}, "int16 [1 -2]"},
		{onnxpb.TensorProto_INT8, &onnxpb.TensorProto{Int32Data: []int32{1, -2}}, "int8 [1 -2]"},
		{onnxpb.TensorProto_UINT8, &onnxpb.TensorProto{Int32Data: []int32{1, 255}}, "uint8 [1 255]"},
		{onnxpb.TensorProto_UINT16, &onnxpb.TensorProto{Int32Data: []int32{1, 65535}}, "uint16 [1 65535]"},
		{onnxpb.TensorProto_UINT32, &onnxpb.TensorProto{Uint64Data: []uint64{1, math.MaxUint32}}, "uint32 [1 4.294967295e+09]"},
		{onnxpb.TensorProto_UINT64, &onnxpb.TensorProto{Uint64Data: []uint64{1, 2}}, "uint64 [1 2]"},
		{onnxpb.TensorProto_BOOL, &onnxpb.TensorProto{Int32Data: []int32{1, 0}}, "bool [1 0]"},
		{onnxpb.TensorProto_FLOAT16, &onnxpb.TensorProto{Int32Data: []int32{0x3c00, 0xc100}}, "float16 [1 -2.5]"},
		{onnxpb.TensorProto_BFLOAT16, &onnxpb.TensorProto{Int32Data: []int32{0x3f80, 0xc020}}, "bfloat16 [1 -2.5]"},
		{onnxpb.TensorProto_FLOAT, &onnxpb.TensorProto{RawData: []byte{}, FloatData: []float32{1, 2}}, "float32 [1 2]"},
		{onnxpb.TensorProto_INT8, &onnxpb.TensorProto{Int32Data: []int32{1, 128}}, ""},
		{onnxpb.TensorProto_UINT8, &onnxpb.TensorProto{Int32Data: []int32{1, -1}}, ""},
		{onnxpb.TensorProto_BOOL, &onnxpb.TensorProto{Int32Data: []int32{1, 2}}, ""},
		{onnxpb.TensorProto_UINT32, &onnxpb.TensorProto{Uint64Data: []uint64{1, 1 << 32}}, ""},
		{onnxpb.TensorProto_FLOAT, &onnxpb.TensorProto{FloatData: []float32{1, 2, 3}}, ""},
		{onnxpb.TensorProto_FLOAT, &onnxpb.TensorProto{DoubleData: []float64{1, 2}}, ""},
	} {
		test.data.DataType, test.data.Dims, test.data.Name = proto.Int32(int32(test.code)), []int64{2}, proto.String("v")
		m, err := onnx.Decode(edited(t, func(p *onnxpb.ModelProto) { p.Graph.Initializer = append(p.Graph.Initializer, test.data) }), "")
		got := ""
		if err == nil {
			v := m.Graph.Initializer("v")
			got = fmt.Sprint(v.DType(), " ", v.Float64s())
		}
		if got != test.want {
			t.Errorf("%v: got %q, %v; want %q", test.data, got, err, test.want)
		}
	}
}

func TestElementTypeCodes(t *testing.T) {
	for code, name := range map[int64]string{1: "float32", 7: "int64", 9: "bool", 10: "float16", 11: "float64", 16: "bfloat16"} {
		d, err := onnx.DTypeOfCode(code)
		if err != nil || d.String() != name || onnx.CodeOfDType(d) != code {
			t.Errorf("code %d is %v, %v and back %d", code, d, err, onnx.CodeOfDType(d))
		}
	}
	for _, code := range []int64{-1, 0, 8, 17, 99, 1 << 40, 1<<32 + 1} {
		if d, err := onnx.DTypeOfCode(code); err == nil {
			t.Errorf("code %d is %v", code, d)
		}
	}
}

func FuzzDecode(f *testing.F) {
	model, err := os.ReadFile(pytorch)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(model)
	f.Add(model[:len(model)/2])
	f.Add(edited(f, nil))
	f.Add([]byte("<html>"))
	f.Add(edited(f, func(p *onnxpb.ModelProto) { p.Graph.Initializer[0].Dims = []int64{1 << 40, 1 << 40} }))
	f.Add(edited(f, func(p *onnxpb.ModelProto) { p.Graph.Node[0].Name, p.Graph.Node[1].Name = nil, nil }))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Decode(data, "fuzz.onnx")
		if err != nil {
			if !strings.Contains(err.Error(), "fuzz.onnx") {
				t.Fatalf("%v does not name the file", err)
			}
			return
		}
		first, err := m.Encode()
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := onnx.Decode(first, "")
		if err != nil {
			t.Fatalf("what was written cannot be read: %v", err)
		}
		second, err := again.Encode()
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("the model changed by writing and reading: %v", err)
		}
		if _, err := onnx.EvalMode(m); err == nil && len(m.Graph.Outputs) == 0 {
			t.Fatal("a model without outputs was accepted")
		}
	})
}
