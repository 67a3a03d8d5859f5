package op

import (
	"fmt"

	"tandem/native/ir"
	"tandem/native/kernel"
)

// Bernoulli draws ones and zeros in the shape of its input, the probabilities of a one. Like Dropout's mask they come from package
// philox by (seed, step, site), so that every engine draws the same: pass.Import adds the attributes "tandem_site" and "tandem_p",
// the probability of a zero, from the manifest or from an input that is a constant. It is how stochastic depth is exported.
func init() {
	Register(Def{
		Name: "Bernoulli", Since: 15, MinInputs: 1, MaxInputs: 1,
		Infer: func(n *ir.Node) error {
			if !n.Attributes.Has("tandem_p") {
				return fmt.Errorf("a probability that is neither in a manifest nor a constant is %w", ErrUnsupported)
			}
			p, err := n.Attributes.Float("tandem_p", 0)
			if err != nil {
				return err
			}
			if !(p >= 0 && p <= 1) {
				return fmt.Errorf("the probability of a zero is %g, must be between 0 and 1", p)
			}
			return inferSame(n)
		},
		Float32: bindBernoulli[float32], Float64: bindBernoulli[float64],
		NoGradient: "what is drawn does not change with the probability",
		Cases: []Case{{
			Name: "a quarter", Attributes: map[string]any{"tandem_site": int64(2), "tandem_p": 0.75},
			Inputs: []CaseInput{{Shape: []int{4, 5}, NoGrad: true}},
		}},
	})
}

func bindBernoulli[T kernel.Float](c *Context[T]) (func(), error) {
	d, err := newDropping[T](c.Node, "tandem_p", "tandem_site", c.Run)
	if err != nil {
		return nil, err
	}
	y := c.Out[0].Float
	mask := make([]bool, len(y))
	return elementwise(c.Pool, len(y), func(lo, hi int) {
		s := d.run.Stream(d.site)
		kernel.Keep(mask[lo:hi], s, lo, d.p)
		kernel.Convert(y[lo:hi], mask[lo:hi], one[T])
	}), nil
}
