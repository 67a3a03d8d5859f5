package optim

import (
	"tandem/native/kernel"
	"tandem/native/op"
	"tandem/onnx"
)

// numbers and switches are the fields of a configuration that a node's attributes hold; the learning rate is not among them. RMSprop's
// alpha has another name there, since the twins that compute a product (product.go) have Gemm's.
func (c *Config) numbers() map[string]*float64 {
	return map[string]*float64{
		"beta1": &c.Betas[0], "beta2": &c.Betas[1], "smoothing": &c.Alpha, "eps": &c.Eps, "weight_decay": &c.WeightDecay,
		"momentum": &c.Momentum, "dampening": &c.Dampening, "lr_decay": &c.LRDecay, "momentum_decay": &c.MomentumDecay,
	}
}

func (c *Config) switches() map[string]*bool {
	return map[string]*bool{"nesterov": &c.Nesterov, "centered": &c.Centered, "decoupled_weight_decay": &c.DecoupledDecay}
}

// attributes stores a configuration in a node.
func attributes(c Config) onnx.Attributes {
	values := map[string]any{"kind": c.Kind}
	for name, v := range c.numbers() {
		values[name] = *v
	}
	for name, v := range c.switches() {
		values[name] = int64(0)
		if *v {
			values[name] = int64(1)
		}
	}
	return onnx.NewAttributes(values)
}

// config is the inverse of attributes.
func config(a onnx.Attributes) (c Config, err error) {
	for name, v := range c.numbers() {
		if *v, err = a.Float(name, 0); err != nil {
			return c, err
		}
	}
	for name, v := range c.switches() {
		on, err := a.Int(name, 0)
		if err != nil {
			return c, err
		}
		*v = on != 0
	}
	return c, nil
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
		body = scaled(u, parameter, gradient, slots, scale, pool)
	}
	return func() {
		u.Begin(run)
		pool.For(len(parameter), updateGrain, body)
	}, nil
}
