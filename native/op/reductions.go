package op

import (
	"fmt"
	"math"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// ReduceMax, ReduceMin, ReduceProd, ReduceL1, ReduceL2, ReduceSumSquare, ReduceLogSum and ReduceLogSumExp take their axes as ReduceSum
// does. Of integers there are the largest, the smallest, the product and the sum of squares, of truth values the first two: whether any is true,
// and whether all are. Largest and smallest elements that are equal share the gradient equally, as PyTorch's amax does; where a norm is 0 its
// gradient is 0, as PyTorch's is.
func init() {
	axes := func(v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: []int{len(v)}, Int: v, Const: true, NoGrad: true}
	}
	for name, f := range reductions {
		x := func(shape ...int) CaseInput {
			in := CaseInput{Shape: shape, Away: 0.1}
			if f.positive {
				in.Float = []float64{0.5, 1.25, 0.25, 2, 3.5, 0.75, 1, 1.5, 2.5, 0.125, 4, 0.375}[:elements(shape)]
			}
			return in
		}
		Register(Def{
			Name: name, Since: 1, MinInputs: 1, MaxInputs: 2, Settings: []int{1},
			Infer: func(n *ir.Node) error {
				if t := n.Inputs[0].Type; t == ir.Int64 && f.integer == nil || t == ir.Bool && f.own != "extremum" {
					return fmt.Errorf("input 0 of type %v is %w", n.Inputs[0].Type, ErrUnsupported)
				}
				_, shape, err := reduction(n)
				if err != nil {
					return err
				}
				setOutput(n, 0, n.Inputs[0].Type, shape...)
				return nil
			},
			Float32: bindReduction[float32](f), Float64: bindReduction[float64](f),
			Gradient: func(g *Gradient) error {
				kept, _, err := reduction(g.Node)
				if err != nil {
					return err
				}
				dy, y := g.reshape(g.Out[0], kept), g.reshape(g.Node.Outputs[0], kept)
				g.Set(0, g.Add("tandem."+name+"Gradient", nil, dy, g.Node.Inputs[0], y))
				return nil
			},
			Cases: []Case{
				{Name: "all", Inputs: []CaseInput{x(3, 4)}},
				{Name: "rows", Inputs: []CaseInput{x(3, 4), axes(0)}, Attributes: map[string]any{"keepdims": int64(0)}},
				{Name: "last axis kept", Inputs: []CaseInput{x(3, 4), axes(-1)}},
				{Name: "first and last", Inputs: []CaseInput{x(2, 3, 2), axes(0, 2)}, Attributes: map[string]any{"keepdims": int64(0)}},
				{Name: "attribute", Inputs: []CaseInput{x(2, 3, 2)}, Attributes: map[string]any{"axes": []int64{1}}},
				{Name: "none", Inputs: []CaseInput{x(2, 3)}, Attributes: map[string]any{"noop_with_empty_axes": int64(1)}},
			},
		})
		Register(Def{
			Name: "tandem." + name + "Gradient", MinInputs: 3, MaxInputs: 3, // dy, x, y, reduced dimensions kept as 1
			Infer:   func(n *ir.Node) error { setOutput(n, 0, ir.Float, n.Inputs[1].Shape...); return nil },
			Float32: bindReductionGradient[float32](f), Float64: bindReductionGradient[float64](f),
			NoGradient: "tandem takes first derivatives alone",
		})
	}
}

// reductionRule is what one of the operators does with the elements: start, step and end of a sum, and the derivative of the result y by
// an element x. Those without a step have kernels of their own.
type reductionRule struct {
	start      float64
	step       func(sum, x float64) float64
	end        func(sum float64) float64
	derivative func(x, y float64) float64
	own        string
	integer    func(sum, x int64) int64
	first      int64 // of integers
	positive   bool  // defined for positive sums
}

var reductions = map[string]reductionRule{
	"ReduceMax": {
		start: math.Inf(-1), step: func(m, x float64) float64 { return max(m, x) }, end: same, own: "extremum",
		integer: func(m, x int64) int64 { return max(m, x) }, first: math.MinInt64,
	},
	"ReduceMin": {
		start: math.Inf(1), step: func(m, x float64) float64 { return min(m, x) }, end: same, own: "extremum",
		integer: func(m, x int64) int64 { return min(m, x) }, first: math.MaxInt64,
	},
	"ReduceProd": {
		start: 1, step: func(p, x float64) float64 { return p * x }, end: same, own: "product",
		integer: func(p, x int64) int64 { return p * x }, first: 1,
	},
	"ReduceL1": {
		step: func(s, x float64) float64 { return s + math.Abs(x) }, end: same,
		derivative: func(x, _ float64) float64 {
			if x == 0 {
				return 0
			}
			return math.Copysign(1, x)
		},
	},
	"ReduceL2": {
		step: func(s, x float64) float64 { return s + x*x }, end: math.Sqrt,
		derivative: func(x, y float64) float64 {
			if y == 0 {
				return 0
			}
			return x / y
		},
	},
	"ReduceSumSquare": {
		step: func(s, x float64) float64 { return s + x*x }, end: same,
		derivative: func(x, _ float64) float64 { return 2 * x },
		integer:    func(s, x int64) int64 { return s + x*x },
	},
	"ReduceLogSum": {
		step: func(s, x float64) float64 { return s + x }, end: math.Log,
		derivative: func(_, y float64) float64 { return math.Exp(-y) },
		positive:   true,
	},
	"ReduceLogSumExp": {own: "logarithm", derivative: func(x, y float64) float64 { return math.Exp(x - y) }},
}

func same(x float64) float64 { return x }

// newReduction divides an operand's elements between those of the result, whose shape has a 1 where the operand is reduced.
func newReduction(in, kept []int) *kernel.Reduction {
	stridesKept, stridesReduced := denseStrides(in), denseStrides(in)
	reduced := slices.Clone(in)
	for d := range in {
		if kept[d] == in[d] { // a reduced dimension of one element is kept as well
			stridesReduced[d], reduced[d] = 0, 1
		} else {
			stridesKept[d] = 0
		}
	}
	return &kernel.Reduction{Kept: offsets(kept, stridesKept), Reduced: offsets(reduced, stridesReduced)}
}

// offsets lists where the elements of an array of that shape and those strides lie.
func offsets(shape, strides []int) []int {
	w, width := stridedWalk(shape, strides, 0), 1
	if len(shape) > 0 {
		width = shape[len(shape)-1]
	}
	at := make([]int, 0, elements(shape))
	for _, first := range w.offset {
		for j := range width {
			at = append(at, first+j*w.step)
		}
	}
	return at
}

func bindReduction[T kernel.Float](f reductionRule) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		kept, _, err := reduction(c.Node)
		if err != nil {
			return nil, err
		}
		r := newReduction(c.In[0].Shape, kept)
		if c.Node.Inputs[0].Type == ir.Bool {
			x, y, any := c.In[0].Bool, c.Out[0].Bool, f.start < 0
			return func() { kernel.ReduceTruths(y, x, r, any) }, nil
		}
		if c.Node.Inputs[0].Type == ir.Int64 {
			x, y := c.In[0].Int, c.Out[0].Int
			return func() { kernel.ReduceIntegers(y, x, r, f.first, f.integer) }, nil
		}
		x, y := c.In[0].Float, c.Out[0].Float
		body := func(_, lo, hi int) { kernel.Reduce(y, x, r, f.start, f.step, f.end, lo, hi) }
		if f.own == "logarithm" {
			body = func(_, lo, hi int) { kernel.ReduceLogSumExp(y, x, r, lo, hi) }
		}
		grain := max(1, elementGrain/max(1, len(r.Reduced)))
		return func() { c.Pool.For(len(y), grain, body) }, nil
	}
}

func bindReductionGradient[T kernel.Float](f reductionRule) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		r := newReduction(c.In[1].Shape, c.In[2].Shape)
		dy, x, y, dx := c.In[0].Float, c.In[1].Float, c.In[2].Float, c.Out[0].Float
		body := func(_, lo, hi int) { kernel.ReduceGradient(dx, dy, x, y, r, f.derivative, lo, hi) }
		switch f.own {
		case "extremum":
			body = func(_, lo, hi int) { kernel.ReduceExtremumGradient(dx, dy, x, y, r, lo, hi) }
		case "product":
			body = func(_, lo, hi int) { kernel.ReduceProductGradient(dx, dy, x, r, lo, hi) }
		}
		grain := max(1, elementGrain/max(1, len(r.Reduced)))
		return func() { c.Pool.For(len(y), grain, body) }, nil
	}
}
