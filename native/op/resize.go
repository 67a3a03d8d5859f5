package op

import (
	"fmt"
	"math"
	"slices"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/onnx"
	"tandem/onnx/tensor"
)

// Resize makes images larger or smaller along any dimensions, to the sizes in input 3 or by the factors in input 2, both constants: by
// the nearest element, linear or cubic interpolation (Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981), one
// dimension after the other. The modes of coordinates are those of ONNX but for tf_crop_and_resize, which needs a region.
func init() {
	x := func(shape ...int) CaseInput { return CaseInput{Shape: shape} }
	scales := func(v ...float64) CaseInput {
		return CaseInput{Shape: []int{len(v)}, Float: v, Const: true, NoGrad: true}
	}
	sizes := func(v ...int64) CaseInput {
		return CaseInput{Type: ir.Int64, Shape: []int{len(v)}, Int: v, Const: true, NoGrad: true}
	}
	none := CaseInput{Omitted: true}
	mode := func(mode, coordinates string, more ...any) map[string]any {
		a := map[string]any{"mode": mode, "coordinate_transformation_mode": coordinates}
		for i := 0; i < len(more); i += 2 {
			a[more[i].(string)] = more[i+1]
		}
		return a
	}
	Register(Def{
		Name: "Resize", Since: 11, MinInputs: 1, MaxInputs: 4, Settings: []int{1, 2, 3},
		Infer:   inferResize,
		Float32: bindResize[float32](false), Float64: bindResize[float64](false),
		Gradient: func(g *Gradient) error {
			r, err := newResizing(g.Node)
			if err != nil {
				return err
			}
			a := g.Node.Attributes.With("image", toInt64s(r.in)).With("tandem_factors", r.factors).With("tandem_sizes", toInt64s(r.out))
			g.Set(0, g.AddWith("tandem.ResizeGradient", a, g.Out[0]))
			return nil
		},
		Cases: []Case{
			{Name: "nearest, twice as large", Inputs: []CaseInput{x(2, 2, 2, 3), none, scales(1, 1, 2, 2)}, Attributes: mode("nearest", "asymmetric", "nearest_mode", "floor")},
			{Name: "nearest, other sizes", Inputs: []CaseInput{x(1, 2, 4, 5), none, none, sizes(1, 2, 3, 7)}, Attributes: mode("nearest", "half_pixel")},
			{Name: "linear, half pixel", Inputs: []CaseInput{x(1, 2, 3, 4), none, scales(1, 1, 2, 2)}, Attributes: mode("linear", "half_pixel")},
			{Name: "linear, corners", Inputs: []CaseInput{x(1, 2, 3, 4), none, none, sizes(1, 2, 5, 3)}, Attributes: mode("linear", "align_corners")},
			{Name: "linear, to one row", Inputs: []CaseInput{x(1, 1, 3, 4), none, none, sizes(1, 1, 1, 2)}, Attributes: mode("linear", "pytorch_half_pixel")},
			{Name: "linear, one dimension", Inputs: []CaseInput{x(2, 2, 5), none, scales(1, 1, 1.5)}, Attributes: mode("linear", "half_pixel")},
			{Name: "linear, three dimensions", Inputs: []CaseInput{x(1, 1, 2, 3, 2), none, none, sizes(1, 1, 3, 5, 4)}, Attributes: mode("linear", "align_corners")},
			{Name: "cubic", Inputs: []CaseInput{x(1, 2, 4, 3), none, scales(1, 1, 1.5, 2)}, Attributes: mode("cubic", "half_pixel", "cubic_coeff_a", -0.75)},
			{Name: "cubic, weights inside alone", Inputs: []CaseInput{x(1, 1, 4, 4), none, scales(1, 1, 0.75, 0.75)}, Attributes: mode("cubic", "half_pixel", "exclude_outside", 1)},
			{Name: "smaller, antialiased", Inputs: []CaseInput{x(1, 1, 6, 7), none, none, sizes(1, 1, 3, 4)}, Attributes: mode("linear", "half_pixel", "antialias", 1)},
			{Name: "same size", Inputs: []CaseInput{x(2, 3), none, scales(1, 1)}, Attributes: mode("linear", "half_pixel")},
		},
	})
	// Attributes image, tandem_factors and tandem_sizes say what was resized and how.
	Register(Def{
		Name: "tandem.ResizeGradient", MinInputs: 1, MaxInputs: 1, // dy
		Infer: func(n *ir.Node) error {
			if err := inferImage(n); err != nil {
				return err
			}
			r, err := newResizing(n)
			n.Workspace = r.workspace()
			return err
		},
		Float32: bindResize[float32](true), Float64: bindResize[float64](true),
		NoGradient: "tandem takes first derivatives alone",
	})
}

func inferResize(n *ir.Node) error {
	if err := wantFloat(n, 0); err != nil {
		return err
	}
	r, err := newResizing(n)
	if err != nil {
		return err
	}
	if elements(r.in) == 0 {
		return fmt.Errorf("an image of shape %v has nothing to resize", r.in)
	}
	for d := range r.in { // so that no attribute is found wrong later
		if _, err := resizeTaps(n.Attributes, r.in[d], r.out[d], r.factors[d]); err != nil {
			return err
		}
	}
	n.Workspace = r.workspace()
	setOutput(n, 0, ir.Float, r.out...)
	return nil
}

// resizing is the sizes of a node before and after, and the factors, which need not be their quotients.
type resizing struct {
	in, out []int
	factors []float64
}

func newResizing(n *ir.Node) (r resizing, err error) {
	if n.Attributes.Has("image") { // the gradient
		image, err := n.Attributes.Ints("image", nil)
		if err != nil {
			return r, err
		}
		sizes, err := n.Attributes.Ints("tandem_sizes", nil)
		if err != nil {
			return r, err
		}
		r.in, r.out = toInts(image), toInts(sizes)
		r.factors, err = n.Attributes.Floats("tandem_factors", nil)
		return r, err
	}
	r.in = n.Inputs[0].Shape
	axes := make([]int64, len(r.in))
	for d := range axes {
		axes[d] = int64(d)
	}
	if axes, err = n.Attributes.Ints("axes", axes); err != nil {
		return r, err
	}
	dimensions, err := distinctAxes(axes, len(r.in))
	if err != nil {
		return r, err
	}
	r.out, r.factors = slices.Clone(r.in), slices.Repeat([]float64{1}, len(r.in))
	scales, sizes := n.Input(2), n.Input(3)
	policy, err := n.Attributes.String("keep_aspect_ratio_policy", "stretch")
	switch {
	case err != nil:
		return r, err
	case sizes != nil && sizes.Len() > 0:
		wanted, err := constantInts(n, 3)
		if err != nil {
			return r, err
		}
		if len(wanted) != len(dimensions) {
			return r, fmt.Errorf("sizes %v must be one number for each of %d dimensions", wanted, len(dimensions))
		}
		common := math.Inf(1)
		if policy == "not_smaller" {
			common = 0
		}
		for i, d := range dimensions {
			if wanted[i] < 1 {
				return r, fmt.Errorf("sizes %v must be positive", wanted)
			}
			f := float64(wanted[i]) / float64(r.in[d])
			r.out[d], r.factors[d] = int(wanted[i]), f
			if policy == "not_smaller" {
				common = max(common, f)
			} else {
				common = min(common, f)
			}
		}
		switch policy {
		case "stretch":
		case "not_larger", "not_smaller":
			for _, d := range dimensions {
				r.out[d], r.factors[d] = int(math.Floor(common*float64(r.in[d])+0.5)), common
			}
		default:
			return r, fmt.Errorf("keep_aspect_ratio_policy %q is %w", policy, ErrUnsupported)
		}
	case scales != nil && scales.Len() > 0:
		if scales.Const == nil || scales.Type != ir.Float || scales.Len() != len(dimensions) {
			return r, fmt.Errorf("scales (%v) that are not %d constant numbers are %w", scales, len(dimensions), ErrUnsupported)
		}
		for i, f := range scales.Const.Float64s() {
			d := dimensions[i]
			if scales.Const.DType() == tensor.Float32 {
				f = onnx.Widen(float32(f)) // what its author wrote
			}
			size := math.Floor(float64(r.in[d]) * f)
			if !(f > 0) || !(size >= 1 && size < 1<<31) {
				return r, fmt.Errorf("the factor %g makes no size of %d", f, r.in[d])
			}
			r.out[d], r.factors[d] = int(size), f
		}
	default:
		return r, fmt.Errorf("neither scales nor sizes are given")
	}
	return r, nil
}

// changed are the dimensions that are resized, in the order in which they are: those that make it smaller first.
func (r *resizing) changed() (axes []int) {
	for d := range r.in {
		if r.in[d] != r.out[d] || r.factors[d] != 1 {
			axes = append(axes, d)
		}
	}
	slices.SortStableFunc(axes, func(a, b int) int { return r.out[a]*r.in[b] - r.out[b]*r.in[a] })
	return axes
}

// workspace is the memory for what lies between the first dimension's interpolation and the last one's: two buffers by turns.
func (r *resizing) workspace() int {
	largest, shape := 0, slices.Clone(r.in)
	axes := r.changed()
	for i, d := range axes {
		shape[d] = r.out[d]
		if i < len(axes)-1 {
			largest = max(largest, elements(shape))
		}
	}
	if len(axes) < 3 {
		return largest
	}
	return 2 * largest
}

func bindResize[T kernel.Float](gradient bool) Bind[T] {
	return func(c *Context[T]) (func(), error) {
		r, err := newResizing(c.Node)
		if err != nil {
			return nil, err
		}
		axes := r.changed()
		shape, after := slices.Clone(r.in), r.out
		if gradient {
			slices.Reverse(axes)
			shape, after = slices.Clone(r.out), r.in
		}
		if len(axes) == 0 {
			return copyBlocks(c.Out[0], c.In[0], 1, elements(shape), 0, 0), nil
		}
		half := len(c.Workspace)
		if len(axes) > 2 {
			half /= 2
		}
		buffers := [2][]T{c.Workspace[:half], c.Workspace[half:]}
		x := c.In[0].Float
		var calls []func()
		for i, d := range axes {
			taps, err := resizeTaps(c.Node.Attributes, r.in[d], r.out[d], r.factors[d])
			if err != nil {
				return nil, err
			}
			t := &kernel.Taps[T]{Start: taps.Start, Index: taps.Index, Weight: make([]T, len(taps.Weight))}
			for k, w := range taps.Weight {
				t.Weight[k] = T(w)
			}
			if gradient {
				t = t.Transposed(r.in[d])
			}
			outer, n, inner := along(shape, d)
			y := buffers[i%2]
			if i == len(axes)-1 {
				y = c.Out[0].Float
			}
			from := x
			body := func(_, lo, hi int) { kernel.Interpolate(y, from, t, n, inner, lo, hi) }
			grain := max(1, elementGrain/(max(n, after[d])*inner))
			calls = append(calls, func() { c.Pool.For(outer, grain, body) })
			shape[d], x = after[d], y
		}
		return sequence(calls), nil
	}
}

// resizeTaps returns which elements each of out elements along a dimension is made of, and how much of each.
func resizeTaps(a onnx.Attributes, in, out int, factor float64) (*kernel.Taps[float64], error) {
	mode, err := a.String("mode", "nearest")
	if err != nil {
		return nil, err
	}
	coordinates, err := a.String("coordinate_transformation_mode", "half_pixel")
	if err != nil {
		return nil, err
	}
	nearest, err := a.String("nearest_mode", "round_prefer_floor")
	if err != nil {
		return nil, err
	}
	cubic, err := a.Float("cubic_coeff_a", -0.75)
	if err != nil {
		return nil, err
	}
	exclude, err := a.Int("exclude_outside", 0)
	if err != nil {
		return nil, err
	}
	antialias, err := a.Int("antialias", 0)
	if err != nil {
		return nil, err
	}
	taps := &kernel.Taps[float64]{Start: []int{0}}
	for o := range out {
		x, err := resizeCoordinate(coordinates, o, in, out, factor)
		if err != nil {
			return nil, err
		}
		var first int
		var weights []float64
		switch mode {
		case "nearest":
			if first, err = nearestElement(nearest, x); err != nil {
				return nil, err
			}
			weights = []float64{1}
		case "linear":
			first, weights = filtered(x, 1, factor, antialias != 0, func(t float64) float64 { return max(0, 1-math.Abs(t)) })
		case "cubic":
			first, weights = filtered(x, 2, factor, antialias != 0, func(t float64) float64 { return cubicWeight(t, cubic) })
		default:
			return nil, fmt.Errorf("mode %q is %w: it may be nearest, linear or cubic", mode, ErrUnsupported)
		}
		sum := 0.0
		for k := range weights {
			if at := first + k; exclude != 0 && mode != "nearest" && (at < 0 || at >= in) {
				weights[k] = 0 // the others make up for it
			}
			sum += weights[k]
		}
		for k, w := range weights {
			if w == 0 && mode != "nearest" {
				continue
			}
			taps.Index = append(taps.Index, max(0, min(in-1, first+k)))
			taps.Weight = append(taps.Weight, w/sum)
		}
		taps.Start = append(taps.Start, len(taps.Index))
	}
	return taps, nil
}

// filtered returns the weights of the elements from first on, for the coordinate x and a filter that reaches support elements to either side. An
// antialiasing filter is as wide as the elements of a smaller image are.
func filtered(x, support, factor float64, antialias bool, filter func(t float64) float64) (first int, weights []float64) {
	narrow := 1.0
	if antialias && factor < 1 {
		narrow = factor
	}
	first = int(math.Floor(x-support/narrow)) + 1
	for at := first; float64(at) < x+support/narrow; at++ {
		weights = append(weights, filter((float64(at)-x)*narrow))
	}
	return first, weights
}

func cubicWeight(t, a float64) float64 {
	switch t = math.Abs(t); {
	case t <= 1:
		return ((a+2)*t-(a+3))*t*t + 1
	case t < 2:
		return ((t-5)*t+8)*t*a - 4*a
	}
	return 0
}

// resizeCoordinate returns where in the image, whose elements stand at 0, 1, ..., element o of the result is.
func resizeCoordinate(mode string, o, in, out int, factor float64) (float64, error) {
	x := float64(o)
	switch mode {
	case "half_pixel":
		return (x+0.5)/factor - 0.5, nil
	case "pytorch_half_pixel":
		if out == 1 {
			return -0.5, nil
		}
		return (x+0.5)/factor - 0.5, nil
	case "half_pixel_symmetric":
		exact := factor * float64(in)
		return float64(in)/2*(1-float64(out)/exact) + (x+0.5)/factor - 0.5, nil
	case "align_corners":
		if out == 1 {
			return 0, nil
		}
		size := factor * float64(in) // by ONNX's definition not cut off to out
		if math.Abs(size-float64(out)) < 1e-6 {
			size = float64(out)
		}
		return x * float64(in-1) / (size - 1), nil
	case "asymmetric":
		return x / factor, nil
	}
	return 0, fmt.Errorf("coordinate_transformation_mode %q is %w", mode, ErrUnsupported)
}

func nearestElement(mode string, x float64) (int, error) {
	switch mode {
	case "round_prefer_floor":
		return int(math.Ceil(x - 0.5)), nil
	case "round_prefer_ceil":
		return int(math.Floor(x + 0.5)), nil
	case "floor":
		return int(math.Floor(x)), nil
	case "ceil":
		return int(math.Ceil(x)), nil
	}
	return 0, fmt.Errorf("nearest_mode %q is %w", mode, ErrUnsupported)
}
