package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// RotaryEmbedding turns pairs of numbers of each head by angles that depend on the token's place (Su and others, "RoFormer: Enhanced Transformer with
// Rotary Position Embedding", 2021). The tokens are shaped [batch, heads, length, width], or [batch, length, heads x width] with num_heads; cosines and
// sines [places, half] with place numbers [batch, length], or [batch, length, half] without. Pairs are element i and i + half, or neighbours
// (interleaved); what is behind rotary_embedding_dim stays. The gradient turns back. Cosines and sines are not trained.
func init() {
	fixed := func(values ...float64) []float64 { return values }
	cosines := CaseInput{Shape: []int{4, 2}, NoGrad: true, Float: fixed(1, 1, 0.54, 0.9, -0.42, 0.7, -0.99, 0.3)}
	sines := CaseInput{Shape: []int{4, 2}, NoGrad: true, Float: fixed(0, 0, 0.84, 0.4, 0.91, 0.7, 0.14, 0.95)}
	places := CaseInput{Type: ir.Int64, Shape: []int{2, 3}, NoGrad: true, Int: []int64{0, 1, 2, 3, 1, 0}}
	each := func(c CaseInput) CaseInput { // one for each token of two rows of two
		c.Shape = []int{2, 2, 2}
		return c
	}
	Register(Def{
		Name: "RotaryEmbedding", Since: 23, MinInputs: 3, MaxInputs: 4, Settings: []int{1, 2},
		Infer: func(n *ir.Node) error {
			if _, err := newRotation(n); err != nil {
				return err
			}
			setOutput(n, 0, ir.Float, n.Inputs[0].Shape...)
			return nil
		},
		Float32: bindRotaryEmbedding[float32], Float64: bindRotaryEmbedding[float64],
		Gradient: func(g *Gradient) error {
			inputs := append([]*ir.Value{g.Out[0], g.Node.Inputs[1], g.Add("Neg", nil, g.Node.Inputs[2])}, g.Node.Inputs[3:]...)
			g.Set(0, g.AddWith("RotaryEmbedding", g.Node.Attributes, inputs...))
			return nil
		},
		Cases: []Case{
			{Name: "four axes", Inputs: []CaseInput{{Shape: []int{2, 2, 3, 4}}, cosines, sines, places}},
			{Name: "three axes", Inputs: []CaseInput{{Shape: []int{2, 3, 8}}, cosines, sines, places}, Attributes: map[string]any{"num_heads": int64(2)}},
			{Name: "neighbours", Inputs: []CaseInput{{Shape: []int{2, 1, 3, 4}}, cosines, sines, places}, Attributes: map[string]any{"interleaved": int64(1)}},
			{Name: "a part", Inputs: []CaseInput{{Shape: []int{2, 2, 2, 7}}, each(cosines), each(sines)}, Attributes: map[string]any{"rotary_embedding_dim": int64(4)}},
		},
	})
}

// rotation is how a node turns.
type rotation struct {
	batch, heads, length, width, half int
	headStride, tokenStride           int
	// A pair's elements are at i * step and i * step + other.
	step, other int
}

func newRotation(n *ir.Node) (r rotation, err error) {
	if err := wantFloat(n, 0, 1, 2); err != nil {
		return r, err
	}
	shape, cosines, sines := n.Inputs[0].Shape, n.Inputs[1].Shape, n.Inputs[2].Shape
	switch len(shape) {
	case 4:
		r = rotation{batch: shape[0], heads: shape[1], length: shape[2], width: shape[3], headStride: shape[2] * shape[3], tokenStride: shape[3]}
	case 3:
		heads, err := n.Attributes.Int("num_heads", 0)
		if err != nil {
			return r, err
		}
		if heads < 1 || shape[2]%int(heads) != 0 {
			return r, fmt.Errorf("tokens of shape %v do not divide into %d heads (num_heads)", shape, heads)
		}
		r = rotation{batch: shape[0], heads: int(heads), length: shape[1], width: shape[2] / int(heads), headStride: shape[2] / int(heads), tokenStride: shape[2]}
	default:
		return r, fmt.Errorf("tokens of shape %v, want [batch, heads, length, width] or [batch, length, heads x width]", shape)
	}
	turned, err := n.Attributes.Int("rotary_embedding_dim", 0)
	if err != nil {
		return r, err
	}
	if turned == 0 {
		turned = int64(r.width)
	}
	if turned < 2 || turned%2 != 0 || int(turned) > r.width {
		return r, fmt.Errorf("%d elements of a head of %d cannot be turned in pairs", turned, r.width)
	}
	r.half = int(turned) / 2
	r.step, r.other = 1, r.half
	interleaved, err := n.Attributes.Int("interleaved", 0)
	if err != nil {
		return r, err
	}
	if interleaved != 0 {
		r.step, r.other = 2, 1
	}
	want := []int{r.batch, r.length, r.half}
	if places := n.Input(3); places != nil {
		if places.Type != ir.Int64 || !equalShapes(places.Shape, []int{r.batch, r.length}) {
			return r, fmt.Errorf("places are %v %v, must be int64 %v", places.Type, places.Shape, []int{r.batch, r.length})
		}
		if len(cosines) != 2 {
			return r, fmt.Errorf("cosines of shape %v beside places, must be [places, %d]", cosines, r.half)
		}
		want = []int{cosines[0], r.half}
		if places.Const != nil {
			for _, place := range places.Const.Float64s() {
				if place < 0 || place >= float64(cosines[0]) {
					return r, fmt.Errorf("place %g is none of the %d that have cosines", place, cosines[0])
				}
			}
		}
	}
	if !equalShapes(cosines, want) || !equalShapes(sines, want) {
		return r, fmt.Errorf("cosines %v and sines %v, must be %v", cosines, sines, want)
	}
	return r, nil
}

func bindRotaryEmbedding[T kernel.Float](c *Context[T]) (func(), error) {
	r, err := newRotation(c.Node)
	if err != nil {
		return nil, err
	}
	x, cosines, sines, y := c.In[0].Float, c.In[1].Float, c.In[2].Float, c.Out[0].Float
	var places []int64
	if len(c.In) > 3 {
		places = c.In[3].Int
	}
	turn := func(_, lo, hi int) {
		for token := lo; token < hi; token++ {
			place := token
			if places != nil {
				place = int(places[token])
			}
			cos, sin := cosines[place*r.half:(place+1)*r.half], sines[place*r.half:(place+1)*r.half]
			for head := range r.heads {
				at := token/r.length*r.heads*r.length*r.width + head*r.headStride + token%r.length*r.tokenStride
				from, to := x[at:at+r.width], y[at:at+r.width]
				for i := range r.half {
					a, b := from[i*r.step], from[i*r.step+r.other]
					to[i*r.step], to[i*r.step+r.other] = cos[i]*a-sin[i]*b, sin[i]*a+cos[i]*b
				}
				copy(to[2*r.half:], from[2*r.half:])
			}
		}
	}
	grain := max(1, 1<<12/max(1, r.heads*r.width))
	return func() { c.Pool.For(r.batch*r.length, grain, turn) }, nil
}
