package pass_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/pass"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// fitting returns inputs and attributes of an operator that fit together, one of its cases, with the inputs as initializers.
func fitting(t *testing.T, rng *rand.Rand, b *onnx.Builder, prefix string, c op.Case) (inputs []string) {
	for i, in := range c.Inputs {
		if in.Omitted {
			inputs = append(inputs, "")
			continue
		}
		name := fmt.Sprintf("%s.%d", prefix, i)
		switch in.Type {
		case ir.Int64:
			b.Initializer(name, of(t, in.Int, in.Shape...))
		case ir.Bool:
			b.Initializer(name, of(t, in.Bool, in.Shape...))
		default:
			data := make([]float32, tensor.New(tensor.Float32, in.Shape...).Len())
			for k := range data {
				data[k] = float32(rng.NormFloat64())
				if k < len(in.Float) {
					data[k] = float32(in.Float[k])
				}
			}
			b.Initializer(name, of(t, data, in.Shape...))
		}
		inputs = append(inputs, name)
	}
	return inputs
}

// randomModel is a few nodes of any operators with any inputs and attributes: most are refused, some are sound.
func randomModel(t *testing.T, rng *rand.Rand) *onnx.Model {
	b := onnx.NewBuilder("random", 24).
		Input("image", tensor.Float32, -1, 2, 3, 4).Initializer("filter", of(t, []float32{1, 2, 3, 4, 5, 6, 7, 8}, 1, 2, 2, 2)).
		Initializer("channels", of(t, []float32{1, 2}, 2)).
		Input("x", tensor.Float32, -1, 3).Input("i", tensor.Int64, 2).Input("t", tensor.Bool, 2, 1).
		Initializer("w", of(t, []float32{1, 2, 3, 4, 5, 6}, 2, 3)).Initializer("v", of(t, []float32{1, 2, 3}, 3)).
		Initializer("wT", of(t, []float32{1, 2, 3, 4, 5, 6}, 3, 2)).Initializer("scalar", of(t, []float32{0.5})).Initializer("empty", of(t, []float32{}, 0, 3)).Initializer("yes", of(t, []bool{true}))
	names := []string{"x", "i", "t", "w", "v", "scalar", "empty", "yes", "", "x", "w"}
	for k, data := range [][]int64{{0}, {1}, {-1}, {3, 2}, {2, 1}, {0, -1}, {1, 0}, {2, 3, 1}, {}, {-9}, {1 << 40, 1 << 40}, {-1 << 63}, {1<<63 - 1}} {
		name := fmt.Sprintf("ints%d", k)
		b.Initializer(name, of(t, data, len(data)))
		names = append(names, name)
	}
	operators := append(op.Names(), "Constant", "Nonsense")
	last := "x"
	for n := range 1 + rng.IntN(5) {
		operator := operators[rng.IntN(len(operators))]
		var inputs, outputs []string
		count := rng.IntN(4)
		if d := op.Lookup(operator); d != nil && rng.IntN(8) > 0 { // a number that it takes
			count = d.MinInputs + rng.IntN(max(d.MaxInputs, d.MinInputs+1)-d.MinInputs+1)
		}
		attributes := map[string]any{}
		if d := op.Lookup(operator); d != nil && len(d.Cases) > 0 && rng.IntN(2) > 0 {
			c := d.Cases[rng.IntN(len(d.Cases))]
			inputs, count = fitting(t, rng, b, fmt.Sprintf("case%d", n), c), 0
			maps.Copy(attributes, c.Attributes)
		}
		for range count {
			from := names
			if rng.IntN(3) > 0 { // something that is likely to fit
				from = []string{last, "x", "w", "v", "scalar", "wT"}
				if slices.Contains([]string{"And", "Or", "Xor", "Not"}, operator) {
					from = []string{"t", "yes"}
				}
			}
			if len(inputs) > 0 && slices.Contains([]string{"Expand", "Reshape", "Slice", "Split", "Squeeze", "Unsqueeze", "ReduceSum", "ReduceMean"}, operator) {
				from = names[slices.Index(names, "ints0"):][:13]
			}
			if len(inputs) > 0 && operator == "LayerNormalization" {
				from = []string{"v", "v", "v", "w"}
			}
			inputs = append(inputs, from[rng.IntN(len(from))])
		}
		for o := range 1 + rng.IntN(8)/6 {
			last = fmt.Sprintf("n%d.%d", n, o)
			outputs = append(outputs, last)
		}
		small := func() int64 { return rng.Int64N(6) - 2 }
		if operator == "Cast" {
			attributes["to"] = []int64{1, 7, 9, 11}[rng.IntN(4)]
		}
		for range rng.IntN(3) {
			switch rng.IntN(10) {
			case 0:
				attributes["axis"] = small()
			case 1:
				attributes["axes"] = []int64{small()}
			case 2:
				attributes["perm"] = [][]int64{{1, 0}, {0}, {0, 0}, {2, 1, 0}, {-1, 0}}[rng.IntN(5)]
			case 3:
				attributes["keepdims"], attributes["noop_with_empty_axes"] = small(), small()
			case 4:
				attributes["to"] = []int64{1, 7, 9, 11, 16, 99, -1}[rng.IntN(7)]
			case 5:
				attributes["num_outputs"] = small()
			case 6:
				attributes["transA"], attributes["transB"], attributes["alpha"] = small()&1, small()&1, 0.5
			case 7:
				attributes["kernel_shape"], attributes["ceil_mode"] = [][]int64{{2, 2}, {1, 3}, {4, 5}, {3}, {0, 1}}[rng.IntN(5)], small()&1
			case 8:
				attributes["strides"], attributes["dilations"] = []int64{1 + small()&1, 1}, []int64{1, 1 + small()&1}
			case 9:
				attributes["pads"], attributes["training_mode"] = []int64{small(), 1, 0, 2}, small()&1
			}
		}
		b.Node(operator, inputs, outputs, attributes)
		names = append(names, outputs...)
	}
	m, err := b.Output(last, tensor.Float32).Build()
	if err != nil {
		return nil
	}
	return m
}

// TestRandomModelsAreTrainedOrRefused sends random models all the way to a step: none may panic, in any pass or any call. A Gather or Scatter whose
// index is out of range and a loss whose label is do so by contract: they are left out of the last part.
func TestRandomModelsAreTrainedOrRefused(t *testing.T) {
	imported, differentiated, bound := map[string]int{}, map[string]int{}, 0
	pool := kernel.NewPool(2)
	defer pool.Close()
	for seed := range uint64(16000) {
		m := randomModel(t, rand.New(rand.NewPCG(seed, 3)))
		if m == nil {
			continue
		}
		func() {
			defer func() {
				if r := recover(); r != nil {
					for _, n := range m.Graph.Nodes {
						t.Logf("%s(%q) = %q, %v", n.OpType, n.Inputs, n.Outputs, n.Attributes)
					}
					t.Errorf("seed %d: panic: %v", seed, r)
					panic(r)
				}
			}()
			g, err := pass.Import(m, map[string]int{"batch": 2})
			if err != nil {
				return
			}
			for _, n := range g.Nodes {
				imported[n.Op]++
			}
			runs := []*ir.Graph{g}
			if again, err := pass.Import(m, map[string]int{"batch": 2}); err != nil {
				t.Errorf("seed %d: the second import fails: %v", seed, err)
			} else if loss, err := pass.Loss(again, pass.LossConfig{Kind: "cross_entropy", Reduction: "sum"}); err == nil {
				if err := pass.Simplify(again, loss); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				if d, err := pass.Differentiate(again, loss); err == nil {
					again.Outputs = []*ir.Value{loss}
					for _, v := range again.State {
						if d[v] != nil {
							again.Outputs = append(again.Outputs, d[v])
						}
					}
					for _, n := range again.Nodes {
						if n.Origin.Phase == ir.Backward {
							differentiated[n.Op]++
						}
					}
					runs = append(runs, again)
				}
			}
			for _, g := range runs {
				if err := pass.Prune(g); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				if slices.ContainsFunc(g.Nodes, func(n *ir.Node) bool {
					return strings.HasPrefix(n.Op, "Gather") || strings.HasPrefix(n.Op, "Scatter") || n.Op == "SoftmaxCrossEntropyLoss" && n.Inputs[1].Name != pass.Target
				}) {
					continue
				}
				if err := pass.Fuse(g); err != nil {
					t.Errorf("seed %d: %v", seed, err)
				}
				plan, err := pass.NewPlan(g)
				if err != nil {
					t.Errorf("seed %d: %v", seed, err)
					continue
				}
				if plan.Length[ir.Float] > 1<<20 {
					continue // a shape of 2^40 elements is sound, and not for this machine
				}
				p, err := pass.Bind(g, plan, &op.Run{}, pool, func(v *ir.Value) []float32 {
					if v.Const != nil {
						return tensor.View[float32](v.Const)
					}
					return nil
				})
				if err != nil {
					continue
				}
				bound++
				for _, call := range p.Calls {
					call()
				}
			}
		}()
	}
	t.Logf("%d programs ran; operators imported: %v; in gradients: %v", bound, imported, differentiated)
	for _, name := range op.Names() {
		if imported[name] == 0 && !slices.Contains([]string{"NonZero", "Range", "Shape", "Size", "SoftmaxCrossEntropyLoss"}, name) { // four are folded, one wants labels
			t.Errorf("no random model with %s was sound: the test says nothing about it", name)
		}
	}
	if len(differentiated) < 10 {
		t.Errorf("only %d kinds of nodes stood in gradients", len(differentiated))
	}
}
