package pass_test

import (
	"testing"

	"tandem/native/pass"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// FuzzImport gives Import models that onnx.Decode accepts, mutated: whatever they say, Import answers with a graph that Verify
// accepts or with an error. Loss and Differentiate follow where it succeeds.
func FuzzImport(f *testing.F) {
	ints := func(v ...int64) *tensor.Tensor { return of(f, v, len(v)) }
	seeds := []*onnx.Builder{
		linear(f),
		linear(f).Initializer("p", of(f, []float32{0.5})).Initializer("yes", of(f, []bool{true})).
			Node("Dropout", []string{"y", "p", "yes"}, []string{"z"}, nil),
		linear(f).Node("Reshape", []string{"y", "s"}, []string{"z"}, nil).Initializer("s", ints(0, -1, 1)).
			Node("Unsqueeze", []string{"z", "one"}, []string{"u"}, nil).Initializer("one", ints(1)).
			Node("Squeeze", []string{"u", "one"}, []string{"v"}, nil).
			Node("Flatten", []string{"v"}, []string{"q"}, nil),
		linear(f).Node("Slice", []string{"y", "s", "e", "a", "st"}, []string{"z"}, nil).
			Initializer("s", ints(-1)).Initializer("e", ints(-9)).Initializer("a", ints(1)).Initializer("st", ints(-2)),
		linear(f).Node("Split", []string{"y", "s"}, []string{"z", "zz"}, map[string]any{"axis": 1}).Initializer("s", ints(1, 2)).
			Node("Concat", []string{"zz", "z"}, []string{"c"}, map[string]any{"axis": -1}),
		linear(f).Node("ReduceMean", []string{"y", "s"}, []string{"z"}, map[string]any{"keepdims": 0}).Initializer("s", ints(1)).
			Node("Expand", []string{"z", "e"}, []string{"x2"}, nil).Initializer("e", ints(4, 1)).
			Node("Transpose", []string{"x2"}, []string{"tr"}, map[string]any{"perm": []int64{1, 0}}).
			Node("Softmax", []string{"tr"}, []string{"so"}, map[string]any{"axis": 0}),
		linear(f).Node("Gather", []string{"w", "i"}, []string{"z"}, nil).Initializer("i", ints(0, 2)).
			Node("Cast", []string{"i"}, []string{"fl"}, map[string]any{"to": 1}).
			Node("Constant", nil, []string{"k"}, map[string]any{"value_ints": []int64{1, 2}}).
			Node("MatMul", []string{"y", "w"}, []string{"mm"}, nil).
			Node("Clip", []string{"mm", "", "fl"}, []string{"cl"}, nil),
		linear(f).Manifest(manifest("w")),
	}
	for _, b := range seeds {
		m, err := b.Build()
		if err != nil {
			f.Fatal(err)
		}
		data, err := m.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := onnx.Decode(data, "fuzz.onnx")
		if err != nil {
			return
		}
		g, err := pass.Import(m, map[string]int{"batch": 3})
		if err != nil {
			return
		}
		if err := g.Verify(); err != nil {
			t.Fatalf("Import made an unsound graph: %v", err)
		}
		loss, err := pass.Loss(g, pass.LossConfig{Kind: "cross_entropy", Reduction: "mean"})
		if err != nil {
			return
		}
		if _, err := pass.Differentiate(g, loss); err == nil {
			if err := pass.Prune(g); err != nil {
				t.Fatalf("Differentiate made an unsound graph: %v", err)
			}
			if _, err := pass.NewPlan(g); err != nil {
				t.Fatal(err)
			}
		}
	})
}
