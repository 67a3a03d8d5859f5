package optim_test

import (
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"slices"
	"testing"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/native/optim"
	"tandem/native/pass"
	"tandem/native/schedule"
)

// recipe is testdata/recipe.json, written by testdata/recipe.py.
type recipe struct {
	Peak, Minimum               float64
	WeightDecay                 float64  `json:"weight_decay"`
	NoDecay                     []string `json:"no_decay"`
	ClipNorm                    float64  `json:"clip_norm"`
	WarmUp                      int64    `json:"warm_up"`
	Total                       int64
	Norms                       []float64
	Shapes                      map[string][]int
	Start                       map[string][]float64
	Gradients, Float64, Float32 []map[string][]float64
}

// TestRecipeAgainstTorch compares weight-decay groups, clipping and a schedule together with those of real PyTorch, for one thread and
// several, which must give the same bits.
func TestRecipeAgainstTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/recipe.json")
	if err != nil {
		t.Fatal(err)
	}
	var r recipe
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	if low, high := slices.Min(r.Norms), slices.Max(r.Norms); !(low < r.ClipNorm && high > r.ClipNorm) {
		t.Fatalf("the norms are from %g to %g: both sides of %g are wanted", low, high, r.ClipNorm)
	}
	t.Run("float64", func(t *testing.T) { replayRecipe[float64](t, r, r.Float64, 0x1p-53) })
	t.Run("float32", func(t *testing.T) { replayRecipe[float32](t, r, r.Float32, 0x1p-24) })
}

func replayRecipe[T kernel.Float](t *testing.T, r recipe, want []map[string][]float64, epsilon float64) {
	one, three := follow[T](t, r, 1), follow[T](t, r, 3)
	compared := 0
	for step := range want {
		for name, values := range want[step] {
			for i, w := range values {
				compared++
				// A step moves a parameter by at most about the rate; each is off by a few roundings, also of the scale.
				limit := epsilon * float64(step+1) * (2*math.Abs(w) + 2*math.Abs(r.Start[name][i]) + 16*r.Peak)
				if got := float64(one[step][name][i]); !(math.Abs(got-w) <= limit) {
					t.Errorf("step %d, %s[%d] is %.17g, PyTorch's %.17g, off by %g of %g", step, name, i, got, w, math.Abs(got-w), limit)
				}
			}
			if !slices.Equal(one[step][name], three[step][name]) {
				t.Errorf("step %d: %s depends on the number of threads", step, name)
			}
		}
	}
	if compared != len(r.Gradients)*45 {
		t.Errorf("%d numbers were compared", compared)
	}
}

// follow returns the parameters after each step.
func follow[T kernel.Float](t *testing.T, r recipe, threads int) (after []map[string][]T) {
	g := ir.NewGraph("update")
	gradients, state := map[*ir.Value]*ir.Value{}, map[*ir.Value][]T{}
	names := slices.Sorted(maps.Keys(r.Shapes))
	for _, name := range names {
		p := &ir.Value{Name: name, Type: ir.Float, Shape: r.Shapes[name], Role: ir.Parameter}
		d := &ir.Value{Name: "gradient of " + name, Type: ir.Float, Shape: p.Shape, Role: ir.Input}
		g.State, g.Inputs, gradients[p] = append(g.State, p), append(g.Inputs, d), d
	}
	c := optim.Config{
		Kind: "adamw", LearningRate: r.Peak, Betas: [2]float64{0.9, 0.999}, Eps: 1e-8, WeightDecay: r.WeightDecay,
		NoDecay: r.NoDecay, ClipNorm: r.ClipNorm,
	}
	if err := c.CheckNames(names); err != nil {
		t.Fatal(err)
	}
	if err := pass.Update(g, gradients, c); err != nil {
		t.Fatal(err)
	}
	for _, v := range g.State {
		state[v] = make([]T, v.Len())
		if v.Role == ir.Parameter {
			convert(state[v], r.Start[v.Name])
		}
	}
	plan, err := pass.NewPlan(g)
	if err != nil {
		t.Fatal(err)
	}
	pool := kernel.NewPool(threads)
	defer pool.Close()
	rates := schedule.Config{Kind: "cosine", Peak: r.Peak, WarmUp: r.WarmUp, Total: r.Total, Minimum: r.Minimum}
	run := &op.Run{}
	p, err := pass.Bind(g, plan, run, pool, func(v *ir.Value) []T { return state[v] })
	if err != nil {
		t.Fatal(err)
	}
	for step, given := range r.Gradients {
		for parameter, d := range gradients {
			b, err := p.Buffer(d)
			if err != nil {
				t.Fatal(err)
			}
			convert(b.Float, given[parameter.Name])
		}
		run.Step, run.LearningRate = int64(step), rates.Rate(int64(step))
		for _, call := range p.Calls {
			call()
		}
		now := map[string][]T{}
		for v, data := range state {
			if v.Role == ir.Parameter {
				now[v.Name] = slices.Clone(data)
			}
		}
		after = append(after, now)
	}
	return after
}

func convert[T kernel.Float](to []T, from []float64) {
	for i, x := range from {
		to[i] = T(x)
	}
}

// TestClippingInManyBlocks: parameters longer than the blocks that norm and scale work in, and one that shares its gradient.
func TestClippingInManyBlocks(t *testing.T) {
	const n = 3<<14 + 5
	for _, threads := range []int{1, 2, 5} {
		g := ir.NewGraph("update")
		d := &ir.Value{Name: "d", Type: ir.Float, Shape: []int{n}, Role: ir.Input}
		gradients, state := map[*ir.Value]*ir.Value{}, map[*ir.Value][]float64{}
		for _, name := range []string{"a", "b"} {
			p := &ir.Value{Name: name, Type: ir.Float, Shape: []int{n}, Role: ir.Parameter}
			g.State, gradients[p], state[p] = append(g.State, p), d, make([]float64, n)
		}
		g.Inputs = []*ir.Value{d}
		if err := pass.Update(g, gradients, optim.Config{Kind: "sgd", LearningRate: 1, ClipNorm: 0.5}); err != nil {
			t.Fatal(err)
		}
		plan, err := pass.NewPlan(g)
		if err != nil {
			t.Fatal(err)
		}
		pool := kernel.NewPool(threads)
		p, err := pass.Bind(g, plan, &op.Run{LearningRate: 1}, pool, func(v *ir.Value) []float64 { return state[v] })
		if err != nil {
			t.Fatal(err)
		}
		b, err := p.Buffer(d)
		if err != nil {
			t.Fatal(err)
		}
		var squares float64
		for i := range b.Float {
			b.Float[i] = math.Sin(float64(i))
			squares += 2 * b.Float[i] * b.Float[i]
		}
		for _, call := range p.Calls {
			call()
		}
		pool.Close()
		scale := 0.5 / (math.Sqrt(squares) + 1e-6)
		for v, data := range state {
			for i, x := range data {
				if want := -scale * math.Sin(float64(i)); !(math.Abs(x-want) <= 1e-13*math.Abs(want)) {
					t.Fatalf("%d threads: %s[%d] is %g, want %g", threads, v.Name, i, x, want)
				}
			}
		}
	}
}

func TestNoDecay(t *testing.T) {
	for _, tt := range []struct {
		name, pattern string
		fits          bool
	}{
		{"a.bias", "*.bias", true},
		{"a.bias.weight", "*.bias", false},
		{"a.bias", "bias", false},
		{"bias", "bias", true},
		{"bias", "*bias", true},
		{"blocks.3.norm1.weight", "*norm*", true},
		{"norm.weight", "norm*", true},
		{"blocks.3.norm1.weight", "norm*", false},
		{"blocks.3.norm1.weight", "blocks.*.norm*.w*t", true},
		{"blocks.3.norm1.weight", "blocks.*.norm*.b*", false},
		{"anything", "*", true},
		{"a", "a.", false},
	} {
		c := optim.Config{NoDecay: []string{"nothing", tt.pattern}}
		if got := !c.Decays(tt.name); got != tt.fits {
			t.Errorf("%q fits %q: %v", tt.name, tt.pattern, got)
		}
	}
	c := optim.Config{NoDecay: []string{"*.bias", "norn*"}}
	var misspelt *optim.PatternError
	if err := c.CheckNames([]string{"fc.bias", "norm.weight"}); !errors.As(err, &misspelt) || misspelt.Pattern != "norn*" {
		t.Errorf("the error is %v", err)
	}
}
