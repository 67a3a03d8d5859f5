package optim

import (
	"fmt"
	"slices"
	"strings"

	"tandem/native/ir"
	"tandem/native/kernel"
	"tandem/native/op"
)

// An optimizer's operator has a twin that computes the gradient as well, where that is a matrix product: each part of the gradient
// updates the parameter while it is in the first-level cache, and the gradient as a whole is never in memory. pass.Fuse makes its nodes. Inputs: the
// factors of the product, the parameter, its slots; attributes: the optimizer's and Gemm's transA, transB, alpha.

// productSuffix tells the twin's name.
const productSuffix = ".product"

func registerProduct(r Rule) {
	op.Register(op.Def{
		Name: operator(r.Kind) + productSuffix, MinInputs: 3, MaxInputs: -1,
		Infer: func(n *ir.Node) error {
			g, err := op.Product(n, op.Buffer[float32]{Shape: n.Inputs[0].Shape}, op.Buffer[float32]{Shape: n.Inputs[1].Shape})
			if err != nil {
				return err
			}
			for _, v := range n.Inputs[2:] {
				if !slices.Equal(v.Shape, []int{g.M, g.N}) {
					return fmt.Errorf("%s has shape %v, the gradient %v", v.Name, v.Shape, []int{g.M, g.N})
				}
			}
			return nil
		},
		Float32:    func(c *op.Context[float32]) (func(), error) { return bindProduct(c, r.Float32) },
		Float64:    func(c *op.Context[float64]) (func(), error) { return bindProduct(c, r.Float64) },
		Operations: op.Lookup("Gemm").Operations,
		NoGradient: "an update is not differentiated",
	})
}

// FuseProduct turns an optimizer's node into its twin that computes the gradient, which is what the node product, a Gemm of two
// operands, does now. It reports whether there is such a twin: not where the gradient is scaled.
func FuseProduct(n, product *ir.Node) bool {
	if !strings.HasPrefix(n.Op, operator("")) || strings.HasSuffix(n.Op, productSuffix) || isClipped(n) || len(n.Inputs[0].Shape) != 2 {
		return false
	}
	n.Op += productSuffix
	for _, name := range []string{"transA", "transB"} {
		if v, err := product.Attributes.Int(name, 0); err == nil {
			n.Attributes = n.Attributes.With(name, v)
		}
	}
	if v, err := product.Attributes.Float("alpha", 1); err == nil {
		n.Attributes = n.Attributes.With("alpha", v)
	}
	n.Inputs = slices.Concat(product.Inputs[:2], n.Inputs[:1], n.Inputs[2:])
	return true
}

func bindProduct[T kernel.Float](c *op.Context[T], rule func(Config) Update[T]) (func(), error) {
	cfg, err := config(c.Node.Attributes)
	if err != nil {
		return nil, err
	}
	u := rule(cfg)
	g, err := op.Product(c.Node, c.In[0], c.In[1])
	if err != nil {
		return nil, err
	}
	parameter := c.In[2].Float
	var slots [][]T
	for _, s := range c.In[3:] {
		slots = append(slots, s.Float)
	}
	if u.Product != nil {
		g.Adam = u.Product(parameter, slots)
	} else {
		g.End = op.EndRuns(g.N, func(_ int, gradient []T, first int) {
			u.Range(parameter, gradient, slots, first, first+len(gradient))
		})
	}
	run, call := c.Run, g.Prepare(c.Pool)
	return func() {
		u.Begin(run)
		call()
	}, nil
}
