package pass

import (
	"fmt"
	"math"
	"slices"

	"tandem/native/ir"
	"tandem/native/op"
	"tandem/onnx/tensor"
)

// expandsAttention reports whether an Attention has something that the operator's own kernels do not compute: keys and values of a past, those that
// are present as outputs, the scores as an output, softcap, a window, a number of keys that are no padding, or a mask that is trained.
func expandsAttention(n *ir.Node) (bool, error) {
	for i := 4; i < len(n.Inputs); i++ {
		if n.Inputs[i] != nil {
			return true, nil
		}
	}
	for i := 1; i < len(n.Outputs); i++ {
		if n.Outputs[i] != nil {
			return true, nil
		}
	}
	if mask := n.Input(3); mask != nil && trained(mask, map[*ir.Value]bool{}) {
		return true, nil
	}
	softcap, err := n.Attributes.Float("softcap", 0)
	if err != nil || softcap != 0 {
		return true, err
	}
	for _, side := range []string{"left_window_size", "right_window_size"} {
		if size, err := n.Attributes.Int(side, -1); err != nil || size != -1 {
			return true, err
		}
	}
	return false, nil
}

// trained reports whether a parameter leads to a value.
func trained(v *ir.Value, seen map[*ir.Value]bool) bool {
	if v == nil || seen[v] || v.Type != ir.Float {
		return false
	}
	seen[v] = true
	if v.Role == ir.Parameter {
		return !v.Frozen
	}
	return v.Producer != nil && slices.ContainsFunc(v.Producer.Inputs, func(in *ir.Value) bool { return trained(in, seen) })
}

// expansion puts nodes in the place of one.
type expansion struct {
	graph *ir.Graph
	node  *ir.Node
	err   error
}

func (e *expansion) add(operator string, attributes map[string]any, inputs ...*ir.Value) *ir.Value {
	if e.err == nil {
		var v *ir.Value
		if v, e.err = op.Append(e.graph, operator, attributes, e.node.Origin, e.node.Origin.Phase, inputs...); e.err == nil {
			return v
		}
	}
	return &ir.Value{Name: "invalid", Type: ir.Float}
}

func (e *expansion) constant(t *tensor.Tensor, err error, kind ir.Type) *ir.Value {
	if err != nil {
		e.err = err
		return &ir.Value{Name: "invalid", Type: kind}
	}
	return &ir.Value{Name: e.graph.UniqueName(e.node.Origin.Node + ".constant"), Type: kind, Shape: t.Shape(), Role: ir.Constant, Const: t}
}

func (e *expansion) number(x float64) *ir.Value {
	t, err := tensor.Of([]float64{x})
	return e.constant(t, err, ir.Float)
}

func (e *expansion) whole(values []int64, shape ...int) *ir.Value {
	t, err := tensor.Of(values, shape...)
	return e.constant(t, err, ir.Int64)
}

func (e *expansion) reshape(x *ir.Value, shape ...int) *ir.Value {
	sizes := make([]int64, len(shape))
	for i, n := range shape {
		sizes[i] = int64(n)
	}
	return e.add("Reshape", nil, x, e.whole(sizes, len(sizes)))
}

func (e *expansion) transpose(x *ir.Value, order ...int64) *ir.Value {
	return e.add("Transpose", map[string]any{"perm": order}, x)
}

// expandAttention computes an Attention by other operators, as its specification's function body does, and returns its outputs.
func expandAttention(g *ir.Graph, n *ir.Node) ([4]*ir.Value, error) {
	e := &expansion{graph: g, node: n}
	out, err := e.attention()
	if err == nil {
		err = e.err
	}
	if err != nil {
		return out, &op.NodeError{Node: n, Err: err}
	}
	return out, nil
}

func (e *expansion) attention() (out [4]*ir.Value, err error) {
	n := e.node
	given := func(name string, otherwise int64) int64 {
		v, problem := n.Attributes.Int(name, otherwise)
		if problem != nil {
			err = problem
		}
		return v
	}
	queryHeads, keyHeads := int(given("q_num_heads", 0)), int(given("kv_num_heads", 0))
	mode, precision := given("qk_matmul_output_mode", 0), given("softmax_precision", 1)
	scale, problem := n.Attributes.Float("scale", 0)
	if err = firstOf(err, problem); err != nil {
		return out, err
	}
	softcap, err := n.Attributes.Float("softcap", 0)
	if err != nil {
		return out, err
	}
	if precision != 1 && precision != 11 {
		return out, fmt.Errorf("softmax_precision = %d is %w: it may be 1 (float32) or 11 (float64)", precision, op.ErrUnsupported)
	}
	if len(n.Inputs) > 7 || len(n.Outputs) > 4 || n.Input(0) == nil || n.Input(1) == nil || n.Input(2) == nil {
		return out, fmt.Errorf("%d inputs and %d outputs; queries, keys and values are needed, and seven and four are the most", len(n.Inputs), len(n.Outputs))
	}
	rank := len(n.Inputs[0].Shape)
	for i := range 3 {
		if v := n.Inputs[i]; v.Type != ir.Float || len(v.Shape) != rank || rank != 3 && rank != 4 {
			return out, fmt.Errorf("input %d is %v %v beside queries of %d axes; all must be floating-point numbers of three or four", i, v.Type, v.Shape, rank)
		}
	}
	if rank == 4 {
		queryHeads, keyHeads = n.Inputs[0].Shape[1], n.Inputs[1].Shape[1]
	}
	if queryHeads < 1 || keyHeads < 1 || queryHeads%keyHeads != 0 {
		return out, fmt.Errorf("%d heads of queries do not divide among %d of keys (q_num_heads, kv_num_heads)", queryHeads, keyHeads)
	}
	split := func(x *ir.Value, heads int) *ir.Value {
		if rank == 4 {
			return x
		}
		if x.Shape[2]%heads != 0 {
			e.err = fmt.Errorf("shape %v does not divide into %d heads", x.Shape, heads)
			return &ir.Value{Name: "invalid", Type: ir.Float, Shape: []int{1, 1, 1, 1}}
		}
		return e.transpose(e.reshape(x, x.Shape[0], x.Shape[1], heads, x.Shape[2]/heads), 0, 2, 1, 3)
	}
	query, key, value := split(n.Inputs[0], queryHeads), split(n.Inputs[1], keyHeads), split(n.Inputs[2], keyHeads)
	if e.err != nil {
		return out, e.err
	}
	q, k, v := query.Shape, key.Shape, value.Shape
	switch {
	case k[0] != q[0] || v[0] != q[0] || v[1] != k[1] || v[2] != k[2] || k[3] != q[3]:
		return out, fmt.Errorf("queries %v, keys %v and values %v do not fit each other", q, k, v)
	case q[3] == 0 || k[2] == 0:
		return out, fmt.Errorf("no keys, or keys of width 0, are %w", op.ErrUnsupported)
	}
	before := 0
	switch pastKey, pastValue := n.Input(4), n.Input(5); {
	case (pastKey == nil) != (pastValue == nil):
		return out, fmt.Errorf("past_key and past_value are given together or not at all")
	case pastKey != nil:
		p, r := pastKey.Shape, pastValue.Shape
		if len(p) != 4 || len(r) != 4 || p[0] != k[0] || r[0] != k[0] || p[1] != k[1] || r[1] != k[1] || p[2] != r[2] || p[3] != k[3] || r[3] != v[3] {
			return out, fmt.Errorf("past_key %v and past_value %v do not go before keys %v and values %v", p, r, k, v)
		}
		before = pastKey.Shape[2]
		key = e.add("Concat", map[string]any{"axis": int64(2)}, pastKey, key)
		value = e.add("Concat", map[string]any{"axis": int64(2)}, pastValue, value)
	}
	if e.err != nil {
		return out, e.err
	}
	out[1], out[2] = key, value
	if group := queryHeads / keyHeads; group > 1 {
		key, value = e.repeat(key, group), e.repeat(value, group)
	}
	if e.err != nil {
		return out, e.err
	}
	rows, columns, width := query.Shape[2], key.Shape[2], query.Shape[3]
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(width))
	}
	scores := e.add("Mul", nil, e.add("MatMul", nil, query, e.transpose(key, 0, 1, 3, 2)), e.number(scale))
	shown := [4]*ir.Value{scores, scores, scores}
	if softcap != 0 {
		limit := e.number(softcap)
		scores = e.add("Mul", nil, e.add("Tanh", nil, e.add("Div", nil, scores, limit)), limit)
		shown[1], shown[2] = scores, scores
	}
	bias, err := e.bias(rows, columns, before)
	if err = firstOf(err, e.err); err != nil {
		return out, err
	}
	var softmax *ir.Value
	if bias == nil {
		softmax = e.add("Softmax", map[string]any{"axis": int64(-1)}, scores)
	} else {
		scores = e.add("Add", nil, scores, bias)
		shown[2] = scores
		// A row that sees nothing weighs all values with 0. Its scores are replaced too, or its gradient would be no number.
		zero := e.number(0)
		blocked := e.add("Equal", nil, e.add("ReduceMax", map[string]any{"keepdims": int64(1)}, bias, e.whole([]int64{-1}, 1)), e.number(math.Inf(-1)))
		softmax = e.add("Where", nil, blocked, zero, e.add("Softmax", map[string]any{"axis": int64(-1)}, e.add("Where", nil, blocked, zero, scores)))
	}
	shown[3] = softmax
	if mode < 0 || mode > 3 {
		return out, fmt.Errorf("qk_matmul_output_mode = %d, must be 0 ... 3", mode)
	}
	out[3] = shown[mode]
	result := e.add("MatMul", nil, softmax, value)
	if rank == 3 && e.err == nil {
		result = e.reshape(e.transpose(result, 0, 2, 1, 3), result.Shape[0], rows, queryHeads*result.Shape[3])
	}
	out[0] = result
	return out, nil
}

// repeat gives each head of keys or values to a group of heads of queries.
func (e *expansion) repeat(x *ir.Value, group int) *ir.Value {
	batch, heads, length, width := x.Shape[0], x.Shape[1], x.Shape[2], x.Shape[3]
	shape := []int64{int64(batch), int64(heads), int64(group), int64(length), int64(width)}
	wide := e.add("Expand", nil, e.reshape(x, batch, heads, 1, length, width), e.whole(shape, 5))
	return e.reshape(wide, batch, heads*group, length, width)
}

// bias is what is added to the scores: the mask, minus infinity for keys that a query does not see, nil for nothing.
func (e *expansion) bias(rows, columns, before int) (*ir.Value, error) {
	n := e.node
	causal, err := n.Attributes.Int("is_causal", 0)
	if err != nil {
		return nil, err
	}
	left, err := n.Attributes.Int("left_window_size", -1)
	if err != nil {
		return nil, err
	}
	right, err := n.Attributes.Int("right_window_size", -1)
	if err != nil {
		return nil, err
	}
	var seen *ir.Value
	and := func(v *ir.Value) {
		if seen != nil {
			v = e.add("And", nil, seen, v)
		}
		seen = v
	}
	if lengths := n.Input(6); lengths != nil {
		if n.Input(4) != nil {
			return nil, fmt.Errorf("nonpad_kv_seqlen beside past_key")
		}
		if lengths.Type != ir.Int64 || len(lengths.Shape) != 1 || lengths.Shape[0] != n.Inputs[0].Shape[0] {
			return nil, fmt.Errorf("nonpad_kv_seqlen is %v %v, must be int64 [%d]", lengths.Type, lengths.Shape, n.Inputs[0].Shape[0])
		}
		count := func(n int) []int64 {
			out := make([]int64, n)
			for i := range out {
				out[i] = int64(i)
			}
			return out
		}
		keys := e.whole(count(columns), 1, 1, 1, columns)
		lengths = e.reshape(lengths, n.Inputs[0].Shape[0], 1, 1, 1)
		and(e.add("Less", nil, keys, lengths))
		place := e.add("Add", nil, e.whole(count(rows), 1, 1, rows, 1), e.add("Sub", nil, lengths, e.whole([]int64{int64(rows)}, 1)))
		if causal != 0 {
			and(e.add("LessOrEqual", nil, keys, place))
		}
		if left >= 0 {
			and(e.add("GreaterOrEqual", nil, keys, e.add("Sub", nil, place, e.whole([]int64{left}, 1))))
		}
		if right >= 0 {
			and(e.add("LessOrEqual", nil, keys, e.add("Add", nil, place, e.whole([]int64{right}, 1))))
		}
	} else if causal != 0 || left >= 0 || right >= 0 {
		table := make([]bool, rows*columns)
		for i := range table {
			ahead := int64(i%columns - i/columns - before)
			table[i] = !(causal != 0 && ahead > 0 || left >= 0 && -ahead > left || right >= 0 && ahead > right)
		}
		t, err := tensor.Of(table, rows, columns)
		and(e.constant(t, err, ir.Bool))
	}
	mask := n.Input(3)
	if mask != nil {
		if mask, err = e.longer(mask, columns); err != nil {
			return nil, err
		}
		if mask.Type == ir.Bool {
			and(mask)
			mask = nil
		}
	}
	if seen == nil {
		return mask, nil
	}
	if mask == nil {
		mask = e.number(0)
	}
	return e.add("Where", nil, seen, mask, e.number(math.Inf(-1))), nil
}

// longer hides the last keys, which a mask that is too short says nothing of.
func (e *expansion) longer(mask *ir.Value, columns int) (*ir.Value, error) {
	if mask.Type != ir.Bool && mask.Type != ir.Float || len(mask.Shape) == 0 {
		return nil, fmt.Errorf("a mask of %v %v is %w", mask.Type, mask.Shape, op.ErrUnsupported)
	}
	last := len(mask.Shape) - 1
	missing := columns - mask.Shape[last]
	if missing <= 0 {
		return mask, nil
	}
	shape := append([]int{}, mask.Shape...)
	shape[last] = missing
	size := 1
	for _, n := range shape {
		size *= n
	}
	var hidden *ir.Value
	if mask.Type == ir.Bool {
		t, err := tensor.Of(make([]bool, size), shape...)
		hidden = e.constant(t, err, ir.Bool)
	} else {
		values := make([]float64, size)
		for i := range values {
			values[i] = math.Inf(-1)
		}
		t, err := tensor.Of(values, shape...)
		hidden = e.constant(t, err, ir.Float)
	}
	return e.add("Concat", map[string]any{"axis": int64(last)}, mask, hidden), nil
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
