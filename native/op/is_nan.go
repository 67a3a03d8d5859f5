package op

import (
	"math"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// IsNaN and IsInf tell which numbers are none, and which are infinite: of both signs, or of those that detect_negative and detect_positive say.
func init() {
	infer := func(n *ir.Node) error {
		if err := wantFloat(n, 0); err != nil {
			return err
		}
		if _, err := infiniteSign(n); err != nil {
			return err
		}
		setOutput(n, 0, ir.Bool, n.Inputs[0].Shape...)
		return nil
	}
	const none = "a truth value has no derivative"
	Register(Def{
		Name: "IsNaN", Since: 9, MinInputs: 1, MaxInputs: 1, Infer: infer,
		Float32: bindIsNaN[float32], Float64: bindIsNaN[float64], NoGradient: none,
	})
	Register(Def{
		Name: "IsInf", Since: 10, MinInputs: 1, MaxInputs: 1, Infer: infer,
		Float32: bindIsInf[float32], Float64: bindIsInf[float64], NoGradient: none,
	})
}

// infinities says which signs count.
type infinities struct{ negative, positive bool }

func infiniteSign(n *ir.Node) (s infinities, err error) {
	negative, err := n.Attributes.Int("detect_negative", 1)
	if err != nil {
		return s, err
	}
	positive, err := n.Attributes.Int("detect_positive", 1)
	return infinities{negative != 0, positive != 0}, err
}

func bindIsNaN[T kernel.Float](c *Context[T]) (func(), error) {
	x, y := c.In[0].Float, c.Out[0].Bool
	return func() { kernel.Convert(y, x, func(v T) bool { return v != v }) }, nil
}

func bindIsInf[T kernel.Float](c *Context[T]) (func(), error) {
	s, err := infiniteSign(c.Node)
	if err != nil {
		return nil, err
	}
	x, y := c.In[0].Float, c.Out[0].Bool
	return func() {
		kernel.Convert(y, x, func(v T) bool {
			return s.negative && math.IsInf(float64(v), -1) || s.positive && math.IsInf(float64(v), 1)
		})
	}, nil
}
