package kernel

import "unsafe"

// SGDStep holds the numbers of one step of SGD. The assembly knows the fields by their order.
type SGDStep[T Float] struct {
	Rate     T // the learning rate
	Decay    T // weight_decay, the share of the parameter added to the gradient
	Momentum T
	Fresh    T // 1 - dampening, the gradient's weight in the buffer
}

// SGD is p = p - Rate * (g + Decay * p), the same bits on every path.
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
		p[i] -= T(c.Rate * (g[i] + T(c.Decay*p[i])))
	}
}

// SGDMomentum updates the parameters p and the momentum buffer b, the same bits on every path:
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
		d := g[i] + T(c.Decay*p[i])
		if first {
			b[i] = d
		} else {
			b[i] = T(c.Momentum*b[i]) + T(c.Fresh*d)
		}
		if nesterov {
			d += T(c.Momentum * b[i])
		} else {
			d = b[i]
		}
		p[i] -= T(c.Rate * d)
	}
}
