package onnx_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	"tandem/onnx"
	"tandem/onnx/onnxpb"
)

func TestProvenance(t *testing.T) {
	for _, test := range []struct {
		label, scopes, trace string
		module, source       string
	}{
		{"nothing", "", "", "", ""},
		{"nested module", `['', 'layer1', 'layer1.0', 'conv2d_1']`, "", "layer1.0", ""},
		{"outermost module", `['', 'relu']`, "", "", ""},
		{"operation alone", `['relu']`, "", "", ""},
		{"double quotes", `["", "it's", "op"]`, "", "it's", ""},
		{"backslash", `['a\'b', 'op']`, "", "a'b", ""},
		{"unclosed", `['a', 'b`, "", "", ""},
		{"no list", `hello`, "", "", ""},
		{
			"the user's frame, not PyTorch's", "",
			"File \"/home/me/net.py\", line 6, in forward\n    return self.fc1(x)\n  File \"/env/lib/python3.11/site-packages/torch/nn/modules/linear.py\", line 134, in forward\n    return F.linear(input, self.weight, self.bias)",
			"", "net.py:6: return self.fc1(x)",
		},
		{
			"paths that tandem's exporter has cut", "",
			"File \"net.py\", line 6, in forward\n    return self.fc1(x)\nFile \"torch/nn/modules/linear.py\", line 134, in forward\n    return F.linear(input, self.weight, self.bias)",
			"", "net.py:6: return self.fc1(x)",
		},
		{"innermost of two", "", "File \"a.py\", line 1, in f\n    g()\nFile \"b.py\", line 2, in g\n    h()", "", "b.py:2: h()"},
		{"no code", "", "File \"a.py\", line 1, in f\nFile \"torch/x.py\", line 2, in g", "", "a.py:1"},
		{"Windows", "", `File "C:\me\a.py", line 1, in f`, "", "a.py:1"},
		{"only PyTorch", "", "File \"/x/dist-packages/torch/a.py\", line 1, in f\n    g()", "", ""},
		{"no trace", "", "something else", "", ""},
	} {
		t.Run(test.label, func(t *testing.T) {
			m, err := onnx.Decode(edited(t, func(p *onnxpb.ModelProto) {
				p.Graph.Node[0].MetadataProps = []*onnxpb.StringStringEntryProto{
					{Key: proto.String("pkg.torch.onnx.name_scopes"), Value: &test.scopes},
					{Key: proto.String("pkg.torch.onnx.stack_trace"), Value: &test.trace},
				}
			}), "")
			if err != nil {
				t.Fatal(err)
			}
			if n := m.Graph.Nodes[0]; n.ModulePath != test.module || n.Source != test.source {
				t.Errorf("module %q, source %q; want %q, %q", n.ModulePath, n.Source, test.module, test.source)
			}
		})
	}
}

func TestLongSourceIsShortened(t *testing.T) {
	trace := "File \"a.py\", line 1, in f\n    " + strings.Repeat("ö", 1000)
	m, err := onnx.Decode(edited(t, func(p *onnxpb.ModelProto) {
		p.Graph.Node[0].MetadataProps = []*onnxpb.StringStringEntryProto{{Key: proto.String("pkg.torch.onnx.stack_trace"), Value: &trace}}
	}), "")
	if err != nil {
		t.Fatal(err)
	}
	if s := m.Graph.Nodes[0].Source; utf8.RuneCountInString(s) != 120 || !strings.HasSuffix(s, "...") || !utf8.ValidString(s) {
		t.Errorf("%d runes: %q", utf8.RuneCountInString(s), s)
	}
}
