package op_test

import (
	"archive/zip"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/pass"
	"tandem/onnx/tensor"
)

// notDifferentiable are node tests whose gradient cannot agree with differences, each with the reason.
var notDifferentiable = map[string]string{
	"test_sign": "it jumps at 0, by as much to either side",
	"test_attention_23_boolmask_fullymasked_row_nan_robustness_expanded":        fullyMasked,
	"test_attention_23_fullymasked_qk_matmul_output_mode3_zero_expanded":        fullyMasked,
	"test_attention_24_fullymasked_qk_matmul_output_mode3_zero_expanded":        fullyMasked,
	"test_attention_4d_causal_nonpad_negative_offset_structural_empty_expanded": fullyMasked,
	"test_attention_causal_boolmask_nan_robustness_expanded":                    fullyMasked,
	"test_attention_local_window_gqa_rank4_mask_expanded":                       fullyMasked,
}

const fullyMasked = "a row that is masked as a whole is NaN inside, and so is its gradient, in PyTorch too"

// TestNodeTestGradients takes the official ONNX node tests that run natively and compares the gradients of their floating-point inputs with
// central differences in float64. Elements at which the function has a kink, where the differences to either side do not agree, say nothing
// and are passed over.
func TestNodeTestGradients(t *testing.T) {
	archive, err := zip.OpenReader("testdata/nodetests.zip")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = archive.Close() }()
	checked, seen, elements, kinks := map[string]int{}, map[string]bool{}, 0, 0
	for _, f := range archive.File {
		name, ok := strings.CutSuffix(f.Name, ".onnx")
		if !ok || excluded[name] != "" {
			continue
		}
		c, err := readNodeTest(archive, name)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		e, k, err := c.checkGradients()
		_, listed := notDifferentiable[name]
		seen[name] = true
		switch {
		case listed && err == nil:
			t.Errorf("%s is listed as not differentiable, and its gradient agrees", name)
		case listed:
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case e > 0:
			elements, kinks = elements+e, kinks+k
			for _, operator := range c.operators {
				checked[operator]++
			}
		}
	}
	var missing []string
	for _, d := range op.All() {
		if d.Gradient != nil && checked[d.Name] == 0 && !strings.HasPrefix(d.Name, "tandem.") {
			missing = append(missing, d.Name)
		}
	}
	t.Logf("%d elements' gradients compared, %d at kinks passed over; of the operators with a gradient none has %v", elements, kinks, missing)
	if len(missing) > 2 || kinks > elements/100 {
		t.Errorf("%d of %d elements were at kinks, and no gradient of %v was compared: the test says too little", kinks, elements, missing)
	}
	for name := range notDifferentiable {
		if !seen[name] {
			t.Errorf("%s is listed as not differentiable and not in the archive", name)
		}
	}
}

// checkGradients compares the gradients of sum(upstream * outputs) with respect to some elements of each input. It returns how many, and how
// many of them were at kinks.
func (c *nodeTest) checkGradients() (compared, kinks int, err error) {
	for _, v := range c.data {
		if v.DType() == tensor.Float16 || v.Len() > 1<<14 {
			return 0, 0, nil
		}
	}
	build := func(outputs int) (*ir.Graph, *ir.Value, map[*ir.Value]*ir.Value, error) {
		g, err := pass.Import(c.model, nil)
		if err != nil {
			return nil, nil, nil, err
		}
		for _, v := range g.Inputs {
			if v.Type == ir.Float {
				v.Role = ir.Parameter
				g.State = append(g.State, v)
			}
		}
		for _, n := range g.Nodes {
			if n.Op == "BatchNormalization" { // running statistics have no gradient
				n.Inputs[3].Frozen, n.Inputs[4].Frozen = true, true
			}
		}
		g.Inputs = slices.DeleteFunc(g.Inputs, func(v *ir.Value) bool { return v.Role == ir.Parameter })
		rng := rand.New(rand.NewPCG(3, 4))
		var loss *ir.Value
		for _, y := range g.Outputs[:min(outputs, len(g.Outputs))] {
			if y.Type != ir.Float || y.Len() == 0 {
				continue
			}
			upstream := make([]float64, y.Len())
			for i := range upstream {
				upstream[i] = rng.NormFloat64()
			}
			u, err := tensor.Of(upstream, y.Shape...)
			if err != nil {
				return nil, nil, nil, err
			}
			weighted, err := op.Append(g, "Mul", nil, ir.Origin{}, ir.Loss, y, &ir.Value{Name: "upstream", Type: ir.Float, Shape: y.Shape, Role: ir.Constant, Const: u})
			if err != nil {
				return nil, nil, nil, err
			}
			sum, err := op.Append(g, "ReduceSum", map[string]any{"keepdims": 0}, ir.Origin{}, ir.Loss, weighted)
			if err == nil && loss != nil {
				sum, err = op.Append(g, "Add", nil, ir.Origin{}, ir.Loss, loss, sum)
			}
			if err != nil {
				return nil, nil, nil, err
			}
			loss = sum
		}
		if loss == nil {
			return g, nil, nil, nil
		}
		d, err := pass.Differentiate(g, loss)
		return g, loss, d, err
	}
	g, loss, gradients, err := build(1 << 10)
	if err != nil {
		g, loss, gradients, err = build(1) // statistics and the like have none
	}
	if err != nil || loss == nil {
		// Without a gradient rule, or without an input that one flows to: nothing to compare. That a model can be computed at all TestNodeTests asks.
		return 0, 0, nil
	}
	var inputs []*ir.Value
	g.Outputs = []*ir.Value{loss}
	for _, v := range g.State {
		if gradients[v] != nil {
			inputs = append(inputs, v)
			g.Outputs = append(g.Outputs, gradients[v])
		}
	}
	if err := pass.Prune(g); err != nil {
		return 0, 0, err
	}
	plan, err := pass.NewPlan(g)
	if err != nil {
		return 0, 0, err
	}
	pool := kernel.NewPool(1)
	defer pool.Close()
	state := map[*ir.Value][]float64{}
	for _, v := range g.State {
		if data := c.data[fmt.Sprintf("input_%d", slices.Index(c.inputs, v.Name))]; data != nil {
			state[v] = data.Float64s()
		} else if v.Const != nil {
			state[v] = v.Const.Float64s()
		}
	}
	p, err := pass.Bind(g, plan, &op.Run{}, pool, func(v *ir.Value) []float64 { return state[v] })
	if err != nil {
		return 0, 0, err
	}
	for _, v := range g.Inputs {
		b, err := p.Buffer(v)
		if err != nil {
			return 0, 0, err
		}
		for i, x := range c.data[fmt.Sprintf("input_%d", slices.Index(c.inputs, v.Name))].Float64s() {
			if v.Type == ir.Int64 {
				b.Int[i] = int64(x)
			} else {
				b.Bool[i] = x != 0
			}
		}
	}
	run := func() float64 {
		for _, call := range p.Calls {
			call()
		}
		b, err := p.Buffer(loss)
		if err != nil {
			panic(err)
		}
		return b.Float[0]
	}
	middle := run()
	if math.IsNaN(middle) || math.IsInf(middle, 0) {
		return 0, 0, nil
	}
	var got [][]float64
	for _, v := range inputs {
		b, err := p.Buffer(gradients[v])
		if err != nil {
			return 0, 0, err
		}
		got = append(got, slices.Clone(b.Float))
	}
	rng := rand.New(rand.NewPCG(5, 6))
	for k, v := range inputs {
		x := state[v]
		for try := range min(5, len(x)) {
			i := rng.IntN(len(x))
			if try == 0 {
				i = 0
			}
			was, h := x[i], 1e-5*max(1, math.Abs(x[i]))
			x[i] = was + h
			above := run()
			x[i] = was - h
			below := run()
			x[i] = was
			compared++
			want := (above - below) / (2 * h)
			if left, right := (middle-below)/h, (above-middle)/h; !(math.Abs(left-right) <= 1e-3*(1+math.Abs(want))) {
				kinks++
				continue
			}
			// Truncation is about h^2 of the third derivative, cancellation 2^-53/h of the sum.
			if limit := 1e-6 * (1 + math.Abs(want) + 1e-4*math.Abs(middle)); !(math.Abs(got[k][i]-want) <= limit) {
				return compared, kinks, fmt.Errorf("the gradient of %s at element %d is %g, by differences %g", v.Name, i, got[k][i], want)
			}
		}
	}
	return compared, kinks, nil
}
