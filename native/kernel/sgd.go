package kernel

import "unsafe"

// SGDStep holds the numbers of one step of SGD. The assembly knows the fields by their order.
type SGDStep[T Float] struct {
	Rate     T // the learning rate
	Decay    T // weight_decay, the share of the parameter added to the gradient
	Momentum T
	Fresh    T // 1 - dampening, the gradient's weight in the buffer
}

// SGD is p = p - Rate * (g + Decay * p), the same bits on every path. Subnormal numbers count as zeros, as in Adam.
func SGD[T Float](p, g []T, c *SGDStep[T]) {
	g = g[:len(p)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(p))
		for i := 0; i < done; i += elementsPerCall {
			k.sgd(address(p, i), address(g, i), k.vectors(i, done), (*float32)(unsafe.Pointer(c)))
		}
	}
	for i := done; i < len(p); i++ {
		w := flush(p[i])
		p[i] = flush(w - flush(c.Rate*flush(flush(g[i])+flush(c.Decay*w))))
	}
}

// SGDMomentum updates the parameters p and the momentum buffer b, the same bits on every path, subnormal numbers taken for zeros:
//
//	d = g + Decay * p
//	b = Momentum * b + Fresh * d, or d if first is set
//	p = p - Rate * b, or p - Rate * (d + Momentum * b) if nesterov is set
func SGDMomentum[T Float](p, g, b []T, c *SGDStep[T], first, nesterov bool) {
	g, b = g[:len(p)], b[:len(p)]
	done := 0
	if k := vectorised[T](); k != nil && !first {
		done = k.whole(len(p))
		update := k.sgdMomentum
		if nesterov {
			update = k.sgdNesterov
		}
		for i := 0; i < done; i += elementsPerCall {
			update(address(p, i), address(g, i), address(b, i), k.vectors(i, done), (*float32)(unsafe.Pointer(c)))
		}
	}
	for i := done; i < len(p); i++ {
		w := flush(p[i])
		d := flush(flush(g[i]) + flush(c.Decay*w))
		if first {
			b[i] = d
		} else {
			b[i] = flush(flush(c.Momentum*flush(b[i])) + flush(c.Fresh*d))
		}
		if nesterov {
			d = flush(d + flush(c.Momentum*b[i]))
		} else {
			d = b[i]
		}
		p[i] = flush(w - flush(c.Rate*d))
	}
}
