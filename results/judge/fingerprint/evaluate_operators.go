package fingerprint

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"tandem/onnx"
)

// operator computes a node's outputs.
type operator func(e *evaluation, n *onnx.Node, in []*array) ([]*array, error)

var errForm = errors.New("this form is not computed anew")

// operators are those that exporters write inside attention, normalizations and linear layers.
var operators map[string]operator

func init() {
	operators = map[string]operator{ // not at its declaration: an operator asks for values, which need operators
		"Add": pairwise(func(a, b float64) float64 { return a + b }),
		"Sub": pairwise(func(a, b float64) float64 { return a - b }),
		"Mul": pairwise(func(a, b float64) float64 { return a * b }),
		"Div": pairwise(func(a, b float64) float64 { return a / b }),
		"Pow": pairwise(math.Pow),

		"Sqrt": single(math.Sqrt), "Tanh": single(math.Tanh), "Erf": single(math.Erf),
		"Relu": single(func(v float64) float64 { return max(v, 0) }), "Identity": single(func(v float64) float64 { return v }),

		"MatMul": matMul, "Gemm": gemm, "Softmax": softmaxNode, "LayerNormalization": layerNorm, "Where": where, "Dropout": dropout, "Gather": gather,
		"Conv": convolution, "BatchNormalization": batchNorm,
		"Shape": shapeOf, "Reshape": reshape, "Squeeze": squeeze, "Unsqueeze": unsqueeze, "Concat": concat, "Split": split, "Transpose": transpose,
	}
}

func single(f func(float64) float64) operator {
	return func(_ *evaluation, _ *onnx.Node, in []*array) ([]*array, error) {
		out := &array{in[0].shape, make([]float64, len(in[0].x))}
		for i, v := range in[0].x {
			out.x[i] = f(v)
		}
		return []*array{out}, nil
	}
}

// broadcast returns the common shape, and where each of its elements is found in an operand.
func broadcast(operands ...*array) (shape []int, place [][]int) {
	rank := 0
	for _, a := range operands {
		rank = max(rank, len(a.shape))
	}
	shape = make([]int, rank)
	for i := range shape {
		shape[i] = 1
		for _, a := range operands {
			if at := i - rank + len(a.shape); at >= 0 && a.shape[at] != 1 {
				if shape[i] != 1 && shape[i] != a.shape[at] {
					panic(fmt.Sprintf("shapes %v and %v", shape, a.shape))
				}
				shape[i] = a.shape[at]
			}
		}
	}
	n := elements(shape)
	for _, a := range operands {
		strides := make([]int, rank)
		step := 1
		for i := range a.shape {
			at := len(a.shape) - 1 - i
			if a.shape[at] != 1 {
				strides[rank-1-i] = step
			}
			step *= a.shape[at]
		}
		index := make([]int, n)
		for i := range index {
			left, p := i, 0
			for d := rank - 1; d >= 0; d-- {
				p += left % shape[d] * strides[d]
				left /= shape[d]
			}
			index[i] = p
		}
		place = append(place, index)
	}
	return shape, place
}

func elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

func pairwise(f func(a, b float64) float64) operator {
	return func(_ *evaluation, _ *onnx.Node, in []*array) ([]*array, error) {
		shape, place := broadcast(in[0], in[1])
		out := &array{shape, make([]float64, elements(shape))}
		for i := range out.x {
			out.x[i] = f(in[0].x[place[0][i]], in[1].x[place[1][i]])
		}
		return []*array{out}, nil
	}
}

func where(_ *evaluation, _ *onnx.Node, in []*array) ([]*array, error) {
	shape, place := broadcast(in...)
	out := &array{shape, make([]float64, elements(shape))}
	for i := range out.x {
		if out.x[i] = in[2].x[place[2][i]]; in[0].x[place[0][i]] != 0 {
			out.x[i] = in[1].x[place[1][i]]
		}
	}
	return []*array{out}, nil
}

// matMul multiplies matrices in the last two dimensions; those before are broadcast.
func matMul(e *evaluation, _ *onnx.Node, in []*array) ([]*array, error) {
	a, b := in[0], in[1]
	if len(a.shape) < 2 || len(b.shape) < 2 {
		return nil, errForm
	}
	rows, inner := a.shape[len(a.shape)-2], a.shape[len(a.shape)-1]
	columns := b.shape[len(b.shape)-1]
	if b.shape[len(b.shape)-2] != inner {
		return nil, fmt.Errorf("shapes %v and %v", a.shape, b.shape)
	}
	batch := func(x *array) *array { return &array{shape: x.shape[:len(x.shape)-2]} }
	shape, place := broadcast(batch(a), batch(b))
	if err := e.count(elements(shape) * rows * inner * columns); err != nil {
		return nil, err
	}
	out := &array{append(slices.Clone(shape), rows, columns), make([]float64, elements(shape)*rows*columns)}
	for k := range elements(shape) {
		x, w := a.x[place[0][k]*rows*inner:], b.x[place[1][k]*inner*columns:]
		for r := range rows {
			y := out.x[(k*rows+r)*columns:][:columns]
			for i := range inner {
				v := x[r*inner+i]
				for c, u := range w[i*columns:][:columns] {
					y[c] += v * u
				}
			}
		}
	}
	return []*array{out}, nil
}

func gemm(e *evaluation, n *onnx.Node, in []*array) ([]*array, error) {
	alpha, err1 := n.Attributes.Float("alpha", 1)
	beta, err2 := n.Attributes.Float("beta", 1)
	transA, err3 := n.Attributes.Int("transA", 0)
	transB, err4 := n.Attributes.Int("transB", 0)
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return nil, err
	}
	if alpha != 1 || beta != 1 || transA != 0 {
		return nil, errForm
	}
	w := in[1]
	if transB != 0 {
		w = permuted(w, []int{1, 0})
	}
	out, err := matMul(e, n, []*array{in[0], w})
	if err != nil || len(in) < 3 {
		return out, err
	}
	return operators["Add"](e, n, []*array{out[0], in[2]})
}

func softmaxNode(_ *evaluation, n *onnx.Node, in []*array) ([]*array, error) {
	axis, err := n.Attributes.Int("axis", -1)
	if err != nil {
		return nil, err
	}
	if in[0].at(axis) != len(in[0].shape)-1 {
		return nil, errForm
	}
	return []*array{{in[0].shape, softmax(in[0].x, in[0].shape[len(in[0].shape)-1])}}, nil
}

func layerNorm(e *evaluation, n *onnx.Node, in []*array) ([]*array, error) {
	axis, err1 := n.Attributes.Int("axis", -1)
	epsilon, err2 := n.Attributes.Float("epsilon", 1e-5)
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	if e.epsilon != nil {
		epsilon = *e.epsilon
	}
	x := in[0]
	width := elements(x.shape[x.at(axis):])
	out := &array{x.shape, make([]float64, len(x.x))}
	for lo := 0; lo < len(x.x); lo += width {
		mean, variance := 0.0, 0.0
		for _, v := range x.x[lo : lo+width] {
			mean += v / float64(width)
		}
		for _, v := range x.x[lo : lo+width] {
			variance += (v - mean) * (v - mean)
		}
		if e.unbiased {
			variance /= float64(width - 1)
		} else {
			variance /= float64(width)
		}
		scale := 1 / math.Sqrt(variance+epsilon)
		for i, v := range x.x[lo : lo+width] {
			y := (v - mean) * scale * in[1].x[i]
			if len(in) > 2 && in[2] != nil {
				y += in[2].x[i]
			}
			out.x[lo+i] = y
		}
	}
	return []*array{out}, nil
}

// dropout draws the mask that both sides share.
func dropout(e *evaluation, n *onnx.Node, in []*array) ([]*array, error) {
	if e.eval {
		return in[:1], nil
	}
	site, ok := e.site(n)
	if !ok || e.Experiment == nil {
		return nil, errors.New("its mask is not known")
	}
	mask := sharedMask(e.Experiment.Seed, uint64(e.Step), uint32(site.Site), site.P, len(in[0].x))
	out := &array{in[0].shape, make([]float64, len(in[0].x))}
	for i, v := range in[0].x {
		if mask[i] {
			out.x[i] = v / (1 - site.P)
		}
	}
	return []*array{out}, nil
}

// gather takes rows along the first axis.
func gather(_ *evaluation, n *onnx.Node, in []*array) ([]*array, error) {
	axis, err := n.Attributes.Int("axis", 0)
	if err != nil || axis != 0 {
		return nil, errors.Join(err, errForm)
	}
	rows, width := in[0].shape[0], elements(in[0].shape[1:])
	out := &array{append(slices.Clone(in[1].shape), in[0].shape[1:]...), nil}
	for _, v := range in[1].x {
		r := int(v)
		if r < 0 {
			r += rows
		}
		out.x = append(out.x, in[0].x[r*width:][:width]...)
	}
	return []*array{out}, nil
}

func shapeOf(_ *evaluation, n *onnx.Node, in []*array) ([]*array, error) {
	start, err1 := n.Attributes.Int("start", 0)
	end, err2 := n.Attributes.Int("end", int64(len(in[0].shape)))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	out := &array{}
	for _, d := range in[0].shape[in[0].at(start):min(in[0].at(end), len(in[0].shape))] {
		out.x = append(out.x, float64(d))
	}
	out.shape = []int{len(out.x)}
	return []*array{out}, nil
}

func reshape(_ *evaluation, n *onnx.Node, in []*array) ([]*array, error) {
	zero, err := n.Attributes.Int("allowzero", 0)
	if err != nil {
		return nil, err
	}
	shape, rest, free := make([]int, len(in[1].x)), 1, -1
	for i, v := range in[1].x {
		shape[i] = int(v)
		if shape[i] == 0 && zero == 0 {
			shape[i] = in[0].shape[i]
		}
		if shape[i] < 0 {
			free = i
			continue
		}
		rest *= shape[i]
	}
	if free >= 0 {
		shape[free] = len(in[0].x) / rest
	}
	return reshaped(in[0], shape)
}

func reshaped(a *array, shape []int) ([]*array, error) {
	if elements(shape) != len(a.x) {
		return nil, fmt.Errorf("shapes %v and %v", a.shape, shape)
	}
	return []*array{{shape, a.x}}, nil
}

func squeeze(_ *evaluation, _ *onnx.Node, in []*array) ([]*array, error) {
	var shape []int
	for i, d := range in[0].shape {
		if len(in) > 1 && in[1] != nil && !slices.ContainsFunc(in[1].x, func(v float64) bool { return in[0].at(int64(v)) == i }) || d != 1 {
			shape = append(shape, d)
		}
	}
	return reshaped(in[0], shape)
}

func unsqueeze(_ *evaluation, _ *onnx.Node, in []*array) ([]*array, error) {
	if len(in) < 2 || in[1] == nil {
		return nil, errForm
	}
	rank := len(in[0].shape) + len(in[1].x)
	left := slices.Clone(in[0].shape)
	shape := make([]int, rank)
	for i := range shape {
		if slices.ContainsFunc(in[1].x, func(v float64) bool { return (int(v)+rank)%rank == i }) {
			shape[i] = 1
			continue
		}
		shape[i], left = left[0], left[1:]
	}
	return reshaped(in[0], shape)
}

func concat(_ *evaluation, n *onnx.Node, in []*array) ([]*array, error) {
	axis, err := n.Attributes.Int("axis", 0)
	if err != nil {
		return nil, err
	}
	at := in[0].at(axis)
	out := &array{shape: slices.Clone(in[0].shape)}
	out.shape[at] = 0
	for _, a := range in {
		out.shape[at] += a.shape[at]
	}
	outer, _ := in[0].around(at)
	for o := range outer {
		for _, a := range in {
			_, inner := a.around(at)
			block := a.shape[at] * inner
			out.x = append(out.x, a.x[o*block:][:block]...)
		}
	}
	return []*array{out}, nil
}

func split(_ *evaluation, n *onnx.Node, in []*array) ([]*array, error) {
	axis, err := n.Attributes.Int("axis", 0)
	if err != nil {
		return nil, err
	}
	at := in[0].at(axis)
	whole := in[0].shape[at]
	var sizes []int
	if len(in) > 1 && in[1] != nil {
		for _, v := range in[1].x {
			sizes = append(sizes, int(v))
		}
	} else {
		parts := len(n.Outputs)
		for i := range parts {
			each := (whole + parts - 1) / parts
			sizes = append(sizes, min(each, whole-i*each))
		}
	}
	outer, inner := in[0].around(at)
	var out []*array
	first := 0
	for _, size := range sizes {
		a := &array{shape: slices.Clone(in[0].shape)}
		a.shape[at] = size
		for o := range outer {
			a.x = append(a.x, in[0].x[(o*whole+first)*inner:][:size*inner]...)
		}
		out = append(out, a)
		first += size
	}
	return out, nil
}

func transpose(_ *evaluation, n *onnx.Node, in []*array) ([]*array, error) {
	axes, err := n.Attributes.Ints("perm", nil)
	if err != nil {
		return nil, err
	}
	var order []int
	for _, v := range axes {
		order = append(order, int(v))
	}
	if order == nil {
		for i := range in[0].shape {
			order = append([]int{i}, order...)
		}
	}
	return []*array{permuted(in[0], order)}, nil
}

func permuted(a *array, order []int) *array {
	strides := make([]int, len(a.shape))
	step := 1
	for i := len(a.shape) - 1; i >= 0; i-- {
		strides[i] = step
		step *= a.shape[i]
	}
	out := &array{make([]int, len(order)), make([]float64, len(a.x))}
	for i, o := range order {
		out.shape[i] = a.shape[o]
	}
	for i := range out.x {
		left, p := i, 0
		for d := len(order) - 1; d >= 0; d-- {
			p += left % out.shape[d] * strides[order[d]]
			left /= out.shape[d]
		}
		out.x[i] = a.x[p]
	}
	return out
}
