package kernel

import (
	"math"
	"unsafe"
)

// AdamStep holds the numbers of one step of Adam or AdamW; package optim says what they are made of. The
// assembly knows the fields by their order.
type AdamStep[T Float] struct {
	Shrink T // multiplies the parameter first: 1 - lr * weight_decay with AdamW, else 1
	Decay  T // is the share of the parameter added to the gradient: weight_decay with Adam, else 0
	Fresh1 T // 1 - beta1
	Beta2  T
	Fresh2 T // 1 - beta2
	Size   T // lr / (1 - beta1^t)
	Root   T // sqrt(1 - beta2^t)
	Eps    T
}

// Adam updates the parameters p and the moments m and v with the gradients g:
//
//	w = p * Shrink
//	d = g + Decay * w
//	m = m + Fresh1 * (d - m)
//	v = Beta2 * v + Fresh2 * d * d
//	p = w - Size * m / (sqrt(v) / Root + Eps)
//
// Each operation is rounded for itself and in the same order on every path, which so give the same bits.
func Adam[T Float](p, g, m, v []T, c *AdamStep[T]) {
	g, m, v = g[:len(p)], m[:len(p)], v[:len(p)]
	done := 0
	if k := vectorised[T](); k != nil {
		done = k.whole(len(p))
		for i := 0; i < done; i += elementsPerCall {
			k.adam(address(p, i), address(g, i), address(m, i), address(v, i), k.vectors(i, done), (*float32)(unsafe.Pointer(c)))
		}
	}
	for i := done; i < len(p); i++ {
		// The conversions keep the compiler from fusing operations, which it may for other processors.
		w := T(p[i] * c.Shrink)
		d := g[i] + T(c.Decay*w)
		m[i] += T(c.Fresh1 * (d - m[i]))
		v[i] = T(c.Beta2*v[i]) + T(T(c.Fresh2*d)*d)
		p[i] = w - T(c.Size*m[i])/(T(math.Sqrt(float64(v[i])))/c.Root+c.Eps)
	}
}
