package kernel

import (
	"math"
	"unsafe"
)

// AdagradStep holds the numbers of one step of Adagrad. The assembly knows the fields by their order.
type AdagradStep[T Float] struct {
	Rate  T // the learning rate of the step
	Decay T // weight_decay, the share of the parameter added to the gradient
	Eps   T
}

// Adagrad updates the parameters p and the sums of squares s with the gradients g:
//
//	d = g + Decay * p
//	s = s + d * d
//	p = p - Rate * d / (sqrt(s) + Eps)
//
// The bits are the same on every path. Subnormal numbers count as zeros, as in Adam.
func Adagrad[T Float](p, g, s []T, c *AdagradStep[T]) {
	g, s = g[:len(p)], s[:len(p)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(p))
		for i := 0; i < done; i += elementsPerCall {
			k.adagrad(address(p, i), address(g, i), address(s, i), k.vectors(i, done), (*float32)(unsafe.Pointer(c)))
		}
	}
	for i := done; i < len(p); i++ {
		w := flush(p[i])
		d := flush(flush(g[i]) + flush(c.Decay*w))
		s[i] = flush(flush(s[i]) + flush(d*d))
		p[i] = flush(w - flush(flush(c.Rate*d)/flush(T(math.Sqrt(float64(s[i])))+c.Eps)))
	}
}
