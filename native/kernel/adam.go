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
	Scale  T // 1 / sqrt(1 - beta2^t); a division less for each element than by the root
	Eps    T
}

// flush is x, or a zero of its sign where x is subnormal. That it is a call with a rounded result keeps the compiler from fusing
// operations, which it may for other processors.
func flush[T Float](x T) T {
	limit := T(0x1p-126)
	if unsafe.Sizeof(x) == 8 {
		limit = T(math.Float64frombits(1 << 52))
	}
	if x < limit && x > -limit {
		return x * 0
	}
	return T(x)
}

// Adam updates the parameters p and the moments m and v with the gradients g:
//
//	w = p * Shrink
//	d = g + Decay * w
//	m = m + Fresh1 * (d - m)
//	v = Beta2 * v + Fresh2 * d * d
//	p = w - Size * m / (sqrt(v) * Scale + Eps)
//
// Each operation is rounded for itself and in the same order on every path, which so give the same bits. Subnormal numbers count as
// zeros, read or written: moments that decay without a gradient (of a unit that is never active, of a word that does not occur) end up
// there, where a processor takes a hundred times as long.
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
		w := flush(flush(p[i]) * c.Shrink)
		d := flush(flush(g[i]) + flush(c.Decay*w))
		m[i] = flush(m[i])
		m[i] = flush(m[i] + flush(c.Fresh1*flush(d-m[i])))
		v[i] = flush(flush(c.Beta2*flush(v[i])) + flush(flush(c.Fresh2*d)*d))
		p[i] = flush(w - flush(flush(c.Size*m[i])/flush(flush(T(math.Sqrt(float64(v[i])))*c.Scale)+c.Eps)))
	}
}
