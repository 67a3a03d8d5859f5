package kernel

import "unsafe"

// LionStep holds the numbers of one step of Lion. The assembly knows the fields by their order.
type LionStep[T Float] struct {
	Shrink T // multiplies the parameter first: 1 - lr * weight_decay
	Rate   T // the learning rate
	Beta1  T
	Fresh1 T // 1 - beta1
	Beta2  T
	Fresh2 T // 1 - beta2
}

// Lion updates the parameters p and the moments m with the gradients g:
//
//	p = p * Shrink - Rate * sign(Beta1 * m + Fresh1 * g)
//	m = Beta2 * m + Fresh2 * g
//
// A sign has no small error: each product and the sum are rounded for themselves, in the order above, so that another program that
// does the same gets the same signs, and every path the same bits. For the same reason subnormal numbers are kept.
func Lion[T Float](p, g, m []T, c *LionStep[T]) {
	g, m = g[:len(p)], m[:len(p)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(p))
		for i := 0; i < done; i += elementsPerCall {
			k.lion(address(p, i), address(g, i), address(m, i), k.vectors(i, done), (*float32)(unsafe.Pointer(c)))
		}
	}
	for i := done; i < len(p); i++ {
		// The conversions keep the compiler from fusing a product with the sum, which it may for other processors.
		direction := T(c.Beta1*m[i]) + T(c.Fresh1*g[i])
		switch {
		case direction > 0:
			direction = 1
		case direction < 0:
			direction = -1
		}
		p[i] = T(p[i]*c.Shrink) - T(c.Rate*direction)
		m[i] = T(c.Beta2*m[i]) + T(c.Fresh2*g[i])
	}
}
