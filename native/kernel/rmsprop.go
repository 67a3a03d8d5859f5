package kernel

import (
	"math"
	"unsafe"
)

// RMSpropStep holds the numbers of one step of RMSprop. The assembly knows the fields by their order.
type RMSpropStep[T Float] struct {
	Rate     T // the learning rate
	Decay    T // weight_decay, the share of the parameter added to the gradient
	Alpha    T // of the mean of squares
	Fresh    T // 1 - alpha
	Momentum T
	Eps      T
}

// RMSprop updates the parameters p, the mean of squares v and, unless they are nil, the mean m of the gradients g and the momentum
// buffer b:
//
//	d = g + Decay * p
//	v = Alpha * v + Fresh * d * d
//	m = m + Fresh * (d - m)
//	r = d / (sqrt(v) + Eps), or d / (sqrt(v - m*m) + Eps) with m
//	b = Momentum * b + r
//	p = p - Rate * b, or p - Rate * r without b
//
// The bits are the same on every path. Subnormal numbers count as zeros, as in Adam.
func RMSprop[T Float](p, g, v, m, b []T, c *RMSpropStep[T]) {
	g, v = g[:len(p)], v[:len(p)]
	if m != nil {
		m = m[:len(p)]
	}
	if b != nil {
		b = b[:len(p)]
	}
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(p))
		for i := 0; i < done; i += elementsPerCall {
			n, constants := k.vectors(i, done), (*float32)(unsafe.Pointer(c))
			switch {
			case m == nil && b == nil:
				k.rmsprop(address(p, i), address(g, i), address(v, i), n, constants)
			case m == nil:
				k.rmspropMomentum(address(p, i), address(g, i), address(v, i), address(b, i), n, constants)
			case b == nil:
				k.rmspropCentered(address(p, i), address(g, i), address(v, i), address(m, i), n, constants)
			default:
				k.rmspropCenteredMomentum(address(p, i), address(g, i), address(v, i), address(m, i), address(b, i), n, constants)
			}
		}
	}
	for i := done; i < len(p); i++ {
		w := flush(p[i])
		d := flush(flush(g[i]) + flush(c.Decay*w))
		v[i] = flush(flush(c.Alpha*flush(v[i])) + flush(flush(c.Fresh*d)*d))
		spread := v[i]
		if m != nil {
			m[i] = flush(flush(m[i]) + flush(c.Fresh*flush(d-m[i])))
			spread = flush(v[i] - flush(m[i]*m[i]))
		}
		r := flush(d / flush(T(math.Sqrt(float64(spread)))+c.Eps))
		if b != nil {
			b[i] = flush(flush(c.Momentum*flush(b[i])) + r)
			r = b[i]
		}
		p[i] = flush(w - flush(c.Rate*r))
	}
}
