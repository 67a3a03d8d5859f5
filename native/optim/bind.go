package optim

import (
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/onnx"
)

// attributes stores a configuration in a node.
func attributes(c Config) onnx.Attributes {
	nesterov := int64(0)
	if c.Nesterov {
		nesterov = 1
	}
	return onnx.NewAttributes(map[string]any{
		"kind": c.Kind, "beta1": c.Betas[0], "beta2": c.Betas[1], "eps": c.Eps, "weight_decay": c.WeightDecay,
		"momentum": c.Momentum, "dampening": c.Dampening, "nesterov": nesterov,
	})
}

// config is the inverse of attributes; the learning rate is not among them.
func config(a onnx.Attributes) (c Config, err error) {
	number := func(name string) float64 {
		v, e := a.Float(name, 0)
		if e != nil && err == nil {
			err = e
		}
		return v
	}
	c.Betas = [2]float64{number("beta1"), number("beta2")}
	c.Eps, c.WeightDecay, c.Momentum, c.Dampening = number("eps"), number("weight_decay"), number("momentum"), number("dampening")
	nesterov, e := a.Int("nesterov", 0)
	if e != nil {
		return c, e
	}
	c.Nesterov = nesterov != 0
	return c, err
}

// updateGrain is the number of elements below which another thread costs more than it saves.
const updateGrain = 8 << 10

func bind[T kernel.Float](c *op.Context[T], rule func(Config) Update[T]) (func(), error) {
	cfg, err := config(c.Node.Attributes)
	if err != nil {
		return nil, err
	}
	u := rule(cfg)
	parameter, gradient := c.In[0].Float, c.In[1].Float
	inputs := c.In[2:]
	var scale []T
	if isClipped(c.Node) {
		scale = inputs[len(inputs)-1].Float
		inputs = inputs[:len(inputs)-1]
	}
	var slots [][]T
	for _, s := range inputs {
		slots = append(slots, s.Float)
	}
	run, pool := c.Run, c.Pool
	body := func(_, lo, hi int) { u.Range(parameter, gradient[lo:hi], slots, lo, hi) }
	if scale != nil {
		body = scaled(u, parameter, gradient, slots, scale, pool.Threads())
	}
	return func() {
		u.Begin(run)
		pool.For(len(parameter), updateGrain, body)
	}, nil
}
