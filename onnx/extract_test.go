package onnx_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"tandem/onnx"
	"tandem/onnx/onnxpb"
	"tandem/onnx/tensor"
)

func TestExtract(t *testing.T) {
	float := func(shape ...int) *tensor.Tensor { return tensor.New(tensor.Float32, shape...) }
	m, err := onnx.NewBuilder("two layers", 20).Input("x", tensor.Float32, -1, 3).
		Initializer("w", float(2, 3)).Initializer("b", float(2)).
		Node("Gemm", []string{"x", "w", "b"}, []string{"z"}, map[string]any{"transB": 1}).
		Node("Relu", []string{"z"}, []string{"a"}, nil).
		Output("a", tensor.Float32, -1, 2).Build()
	if err != nil {
		t.Fatal(err)
	}
	tensors := func(pairs ...any) map[string]*tensor.Tensor {
		out := map[string]*tensor.Tensor{}
		for i := 0; i < len(pairs); i += 2 {
			out[pairs[i].(string)] = pairs[i+1].(*tensor.Tensor)
		}
		return out
	}
	for _, test := range []struct {
		name            string
		nodes           []string
		inputs, outputs map[string]*tensor.Tensor
		want            string // inputs, nodes and outputs, or a part of the error
	}{
		{"one node with its initializers", []string{"Gemm_0"}, tensors("x", float(4, 3), "w", float(2, 3), "b", float(2)), tensors("z", float(4, 2)), "x float32[4 3] w float32[2 3] b float32[2] Gemm_0 z float32[4 2]"},
		{"two nodes", []string{"Relu_1", "Gemm_0"}, tensors("x", float(4, 3), "w", float(2, 3), "b", float(2)), tensors("a", float(4, 2)), "x float32[4 3] w float32[2 3] b float32[2] Gemm_0 Relu_1 a float32[4 2]"},
		{"in double", []string{"Relu_1"}, tensors("z", tensor.New(tensor.Float64, 4, 2)), tensors("a", tensor.New(tensor.Float64, 4, 2)), "z float64[4 2] Relu_1 a float64[4 2]"},
		{"no such node", []string{"Tanh_7"}, nil, nil, "no node of that name"},
		{"a missing input", []string{"Gemm_0"}, tensors("x", float(4, 3)), tensors("z", float(4, 2)), "w"},
		{"a foreign input", []string{"Relu_1"}, tensors("z", float(4, 2), "x", float(4, 3)), tensors("a", float(4, 2)), "none of the 1 extracted nodes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := m.Extract(test.nodes, test.inputs, test.outputs)
			if err != nil {
				if !strings.Contains(err.Error(), test.want) {
					t.Errorf("error %v, want one with %q", err, test.want)
				}
				return
			}
			var words []string
			for _, v := range got.Graph.Inputs {
				words = append(words, v.String())
			}
			for _, n := range got.Graph.Nodes {
				words = append(words, n.Name)
			}
			for _, v := range got.Graph.Outputs {
				words = append(words, v.String())
			}
			if s := strings.Join(words, " "); s != test.want {
				t.Errorf("got %s, want %s", s, test.want)
			}
		})
	}
}

func TestEncodeTensor(t *testing.T) {
	x, err := tensor.Of([]float64{1, 2, 3, 4, 5, 6}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	data, err := onnx.EncodeTensor("x", x)
	if err != nil {
		t.Fatal(err)
	}
	p := &onnxpb.TensorProto{}
	if err := proto.Unmarshal(data, p); err != nil {
		t.Fatal(err)
	}
	if p.GetName() != "x" || p.GetDataType() != int32(onnxpb.TensorProto_DOUBLE) || len(p.Dims) != 2 || len(p.RawData) != 48 {
		t.Errorf("%v", p)
	}
}
