package op_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/pass"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// TestEveryOperatorHasCases holds each operator that a model can bring to at least one case, so that none escapes the
// conformance test.
func TestEveryOperatorHasCases(t *testing.T) {
	for _, d := range op.All() {
		if d.Gradient != nil && len(d.Cases) == 0 {
			t.Errorf("%s has a gradient and no case", d.Name)
		}
	}
}

// TestConformance runs each operator's cases: float32 against float64, the same bits for any number of threads, and
// the gradient against central differences in float64. The upstream gradient is random: a plain sum would hide the
// gradient of a softmax.
func TestConformance(t *testing.T) {
	ran := 0
	for _, d := range op.All() {
		for i := range d.Cases {
			c := &example{t: t, def: d, Case: &d.Cases[i]}
			ran++
			t.Run(d.Name+"/"+c.Name, func(t *testing.T) {
				c.t = t
				c.draw()
				want := run[float64](c, 1)
				got := run[float32](c, 1)
				for k := range want {
					close(t, fmt.Sprintf("float32 result %d", k), got[k], want[k], 2e-6)
				}
				for threads := 1; threads <= 3; threads++ {
					again := run[float32](c, threads)
					for k := range got {
						if !slices.Equal(got[k], again[k]) {
							t.Errorf("%d threads: result %d has other bits than with one", threads, k)
						}
					}
				}
				c.checkGradient()
			})
		}
	}
	if ran == 0 {
		t.Fatal("no operator has a case")
	}
}

// example is a case with its elements drawn. Its floating-point inputs that are not constant are parameters, so that
// they can be changed between runs.
type example struct {
	*op.Case
	t        *testing.T
	def      *op.Def
	elements [][]float64 // by input
	upstream []float64
	// after, if not nil, is a pass over the graph before it runs.
	after func(*ir.Graph) error
}

func (c *example) draw() {
	rng := rand.New(rand.NewPCG(7, 11))
	c.elements = nil
	for _, in := range c.Inputs {
		n, err := tensor.Elements(in.Shape)
		if err != nil {
			c.t.Fatal(err)
		}
		var x []float64
		if in.Type <= ir.Float && !in.Omitted {
			x = slices.Clone(in.Float)
			for len(x) < n {
				s := rng.NormFloat64()
				x = append(x, s+math.Copysign(in.Away, s))
			}
			for i := range x { // the same number in float32 and float64
				x[i] = float64(float32(x[i]))
			}
		}
		c.elements = append(c.elements, x)
	}
	c.upstream = make([]float64, 1<<12)
	for i := range c.upstream {
		c.upstream[i] = float64(float32(rng.NormFloat64()))
	}
}

// graph builds the node and, when the operator has one, its gradient. The graph's outputs are the node's and then the wanted
// gradients; inputs[i] is the number of the input that gradient i belongs to.
func (c *example) graph() (g *ir.Graph, inputs []int) {
	c.t.Helper()
	g = ir.NewGraph(c.Name)
	n := &ir.Node{Op: c.def.Name, Attributes: onnx.NewAttributes(c.Attributes), Origin: ir.Origin{Node: "tested"}}
	needs := make([]bool, len(c.Inputs))
	for i, in := range c.Inputs {
		if in.Omitted {
			n.Inputs = append(n.Inputs, nil)
			continue
		}
		v := &ir.Value{Name: fmt.Sprintf("x%d", i), Type: max(in.Type, ir.Float), Shape: in.Shape, Role: ir.Constant}
		var err error
		switch {
		case v.Type == ir.Int64:
			v.Const, err = tensor.Of(in.Int, in.Shape...)
		case v.Type == ir.Bool:
			v.Const, err = tensor.Of(in.Bool, in.Shape...)
		case in.Const:
			v.Const, err = tensor.Of(c.elements[i], in.Shape...)
		default:
			v.Role = ir.Parameter
			g.State = append(g.State, v)
			needs[i] = !in.NoGrad
		}
		if err != nil {
			c.t.Fatal(err)
		}
		n.Inputs = append(n.Inputs, v)
	}
	for i := range max(1, c.def.Saves, c.Outputs) {
		n.Outputs = append(n.Outputs, &ir.Value{Name: fmt.Sprintf("y%d", i), Producer: n})
	}
	if err := op.Infer(n); err != nil {
		c.t.Fatal(err)
	}
	g.Nodes = append(g.Nodes, n)
	g.Outputs = slices.Clone(n.Outputs[:max(1, c.Outputs)])
	if c.def.Gradient == nil {
		return g, nil
	}
	out := make([]*ir.Value, len(n.Outputs))
	first := 0
	for i, y := range g.Outputs {
		dy, err := tensor.Of(c.upstream[first:first+y.Len()], y.Shape...)
		if err != nil {
			c.t.Fatal(err)
		}
		out[i] = &ir.Value{Name: "dy", Type: ir.Float, Shape: y.Shape, Role: ir.Constant, Const: dy}
		first += y.Len()
	}
	gradients, err := op.NewGradient(g, n, out, needs).Run()
	if err != nil {
		c.t.Fatal(err)
	}
	for i, v := range gradients {
		if needs[i] {
			g.Outputs = append(g.Outputs, v)
			inputs = append(inputs, i)
		}
	}
	return g, inputs
}

// run computes the graph's outputs.
func run[T kernel.Float](c *example, threads int) [][]float64 {
	c.t.Helper()
	g, _ := c.graph()
	if err := pass.Prune(g); err != nil {
		c.t.Fatal(err)
	}
	if c.after != nil {
		if err := c.after(g); err != nil {
			c.t.Fatal(err)
		}
	}
	plan, err := pass.NewPlan(g)
	if err != nil {
		c.t.Fatal(err)
	}
	pool := kernel.NewPool(threads)
	defer pool.Close()
	state := map[*ir.Value][]T{}
	for _, v := range g.State {
		var i int
		if _, err := fmt.Sscanf(v.Name, "x%d", &i); err != nil {
			c.t.Fatal(err)
		}
		for _, x := range c.elements[i] {
			state[v] = append(state[v], T(x))
		}
	}
	p, err := pass.Bind(g, plan, &op.Run{Seed: 9, Step: 4}, pool, func(v *ir.Value) []T { return state[v] })
	if err != nil {
		c.t.Fatal(err)
	}
	for range 2 { // a second run must not see what the first one left
		for _, call := range p.Calls {
			call()
		}
	}
	var results [][]float64
	for _, v := range g.Outputs {
		b, err := p.Buffer(v)
		if err != nil {
			c.t.Fatal(err)
		}
		var x []float64
		for _, e := range b.Float {
			x = append(x, float64(e))
		}
		results = append(results, x)
	}
	return results
}

// checkGradient compares each gradient with central differences of sum(upstream * y) in float64.
func (c *example) checkGradient() {
	_, inputs := c.graph()
	results := run[float64](c, 1)
	const h = 1e-5
	for k, i := range inputs {
		got, want := results[max(1, c.Outputs)+k], make([]float64, len(c.elements[i]))
		for e := range c.elements[i] {
			was := c.elements[i][e]
			value := func(x float64) (sum float64) {
				c.elements[i][e] = x
				for j, y := range slices.Concat(run[float64](c, 1)[:max(1, c.Outputs)]...) {
					sum += c.upstream[j] * y
				}
				return sum
			}
			want[e] = (value(was+h) - value(was-h)) / (2 * h)
			c.elements[i][e] = was
		}
		// Truncation h^2 and cancellation 2^-53/h are both about 1e-10; a wrong rule is off by far more than 1e-7.
		close(c.t, fmt.Sprintf("gradient of input %d", i), got, want, 1e-7)
	}
}

// close compares norm-wise: ||got - want|| <= limit * (||want|| + 1).
func close(t *testing.T, what string, got, want []float64, limit float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s has %d elements, want %d", what, len(got), len(want))
		return
	}
	var diff, norm float64
	for i := range want {
		diff += (got[i] - want[i]) * (got[i] - want[i])
		norm += want[i] * want[i]
	}
	if !(math.Sqrt(diff) <= limit*(math.Sqrt(norm)+1)) {
		t.Errorf("%s is off by %g of %g: got %v, want %v", what, math.Sqrt(diff), math.Sqrt(norm), head(got), head(want))
	}
}

func head(x []float64) []float64 { return x[:min(len(x), 12)] }
