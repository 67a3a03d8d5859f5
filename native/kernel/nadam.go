package kernel

import (
	"math"
	"unsafe"
)

// NAdamStep holds the numbers of one step of NAdam; package optim says what they are made of. The assembly knows the fields by their order.
type NAdamStep[T Float] struct {
	Shrink T // multiplies the parameter first: 1 - lr * weight_decay where that is decoupled, else 1
	Decay  T // is the share of the parameter added to the gradient: weight_decay where that is not decoupled, else 0
	Fresh1 T // 1 - beta1
	Beta2  T
	Fresh2 T // 1 - beta2
	Now    T // the gradient's factor in the update
	Size   T // the first moment's
	Scale  T // 1 / sqrt(1 - beta2^t)
	Eps    T
}

// NAdam updates the parameters p and the moments m and v with the gradients g:
//
//	w = p * Shrink
//	d = g + Decay * w
//	m = m + Fresh1 * (d - m)
//	v = Beta2 * v + Fresh2 * d * d
//	p = w - Now * d / (sqrt(v) * Scale + Eps) - Size * m / (sqrt(v) * Scale + Eps)
//
// The bits are the same on every path. Subnormal numbers count as zeros, as in Adam.
func NAdam[T Float](p, g, m, v []T, c *NAdamStep[T]) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(p))
		for i := 0; i < done; i += elementsPerCall {
			k.nadam(address(p, i), address(g, i), address(m, i), address(v, i), k.vectors(i, done), (*float32)(unsafe.Pointer(c)))
		}
	}
	for i := done; i < len(p); i++ {
		w := flush(flush(p[i]) * c.Shrink)
		d := flush(flush(g[i]) + flush(c.Decay*w))
		m[i] = flush(m[i])
		m[i] = flush(m[i] + flush(c.Fresh1*flush(d-m[i])))
		v[i] = flush(flush(c.Beta2*flush(v[i])) + flush(flush(c.Fresh2*d)*d))
		root := flush(flush(T(math.Sqrt(float64(v[i])))*c.Scale) + c.Eps)
		w = flush(w - flush(flush(c.Now*d)/root))
		p[i] = flush(w - flush(flush(c.Size*m[i])/root))
	}
}
