package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// constants loads consecutive float32 values behind the pointer parameter "c" into every lane of registers.
func (v vector) constants(rs ...reg.VecPhysical) {
	c := Load(Param("c"), GP64())
	for i, r := range rs {
		VBROADCASTSS(Mem{Base: c, Disp: 4 * i}, r)
	}
}

// optimizers generates the updates with the generic kernels' operations in their order and no FMA, so that their bits are the same.
func optimizers(v vector) {
	r := v.register
	shrink, decay, fresh1, beta2, fresh2, size, scale, eps := r(8), r(9), r(10), r(11), r(12), r(13), r(14), r(15)
	v.loopUnder(&mode{}, "adam", "Adam", []string{"p", "gradient", "m", "v"}, ", c *float32", func() {
		v.constants(shrink, decay, fresh1, beta2, fresh2, size, scale, eps)
	}, func(at []Mem) {
		w, d, m, s, x := r(0), r(1), r(2), r(3), r(4)
		VMULPS(at[0], shrink, w)
		VMULPS(w, decay, d)
		VADDPS(at[1], d, d)
		VMOVUPS(at[2], m)
		VSUBPS(m, d, x)
		VMULPS(x, fresh1, x)
		VADDPS(x, m, m)
		VMOVUPS(m, at[2])
		VMULPS(d, fresh2, x)
		VMULPS(d, x, x)
		VMULPS(at[3], beta2, s)
		VADDPS(x, s, s)
		VMOVUPS(s, at[3])
		VSQRTPS(s, s)
		VMULPS(scale, s, s)
		VADDPS(eps, s, s)
		VMULPS(m, size, m)
		VDIVPS(s, m, m)
		VSUBPS(m, w, w)
		VMOVUPS(w, at[0])
	})
	rate, sgdDecay, momentum, fresh := r(8), r(9), r(10), r(11)
	v.loopUnder(&mode{}, "sgd", "SGD without momentum", []string{"p", "gradient"}, ", c *float32", func() { v.constants(rate, sgdDecay) }, func(at []Mem) {
		w, d := r(0), r(1)
		VMOVUPS(at[0], w)
		VMULPS(w, sgdDecay, d)
		VADDPS(at[1], d, d)
		VMULPS(d, rate, d)
		VSUBPS(d, w, w)
		VMOVUPS(w, at[0])
	})
	for _, nesterov := range []bool{false, true} {
		name, doc := "sgdMomentum", "SGD with momentum"
		if nesterov {
			name, doc = "sgdNesterov", "SGD with momentum in Nesterov's form"
		}
		v.loopUnder(&mode{}, name, doc, []string{"p", "gradient", "b"}, ", c *float32", func() { v.constants(rate, sgdDecay, momentum, fresh) }, func(at []Mem) {
			w, d, b, x := r(0), r(1), r(2), r(3)
			VMOVUPS(at[0], w)
			VMULPS(w, sgdDecay, d)
			VADDPS(at[1], d, d)
			VMULPS(d, fresh, x)
			VMULPS(at[2], momentum, b)
			VADDPS(x, b, b)
			VMOVUPS(b, at[2])
			if nesterov {
				VMULPS(b, momentum, b)
				VADDPS(d, b, b)
			}
			VMULPS(b, rate, b)
			VSUBPS(b, w, w)
			VMOVUPS(w, at[0])
		})
	}
	adaptive(v)
	lion(v)
}

// adaptive generates the other updates that divide by a root of squares.
func adaptive(v vector) {
	r := v.register
	// gradient returns the gradient with the share of the parameter w.
	gradient := func(from Mem, w, decay, d reg.VecPhysical) {
		VMULPS(w, decay, d)
		VADDPS(from, d, d)
	}
	for _, centered := range []bool{false, true} {
		for _, momentum := range []bool{false, true} {
			name, doc, pointers := "rmsprop", "RMSprop", []string{"p", "gradient", "v"}
			if centered {
				name, doc, pointers = name+"Centered", doc+", centered,", append(pointers, "m")
			}
			if momentum {
				name, doc, pointers = name+"Momentum", doc+" with momentum", append(pointers, "b")
			}
			rate, decay, alpha, fresh, inertia, eps := r(8), r(9), r(10), r(11), r(12), r(13)
			v.loopUnder(&mode{}, name, doc, pointers, ", c *float32", func() { v.constants(rate, decay, alpha, fresh, inertia, eps) }, func(at []Mem) {
				w, d, s, m, x := r(0), r(1), r(2), r(3), r(4)
				VMOVUPS(at[0], w)
				gradient(at[1], w, decay, d)
				VMULPS(d, fresh, x)
				VMULPS(d, x, x)
				VMULPS(at[2], alpha, s)
				VADDPS(x, s, s)
				VMOVUPS(s, at[2])
				if centered {
					VMOVUPS(at[3], m)
					VSUBPS(m, d, x)
					VMULPS(x, fresh, x)
					VADDPS(x, m, m)
					VMOVUPS(m, at[3])
					VMULPS(m, m, m)
					VSUBPS(m, s, s)
				}
				VSQRTPS(s, s)
				VADDPS(eps, s, s)
				VDIVPS(s, d, d)
				if momentum {
					b := at[len(at)-1]
					VMULPS(b, inertia, x)
					VADDPS(x, d, d)
					VMOVUPS(d, b)
				}
				VMULPS(d, rate, d)
				VSUBPS(d, w, w)
				VMOVUPS(w, at[0])
			})
		}
	}
	rate, adagradDecay, adagradEps := r(8), r(9), r(10)
	v.loopUnder(&mode{}, "adagrad", "Adagrad", []string{"p", "gradient", "s"}, ", c *float32", func() { v.constants(rate, adagradDecay, adagradEps) }, func(at []Mem) {
		w, d, s, x := r(0), r(1), r(2), r(3)
		VMOVUPS(at[0], w)
		gradient(at[1], w, adagradDecay, d)
		VMULPS(d, d, x)
		VADDPS(at[2], x, s)
		VMOVUPS(s, at[2])
		VSQRTPS(s, s)
		VADDPS(adagradEps, s, s)
		VMULPS(d, rate, d)
		VDIVPS(s, d, d)
		VSUBPS(d, w, w)
		VMOVUPS(w, at[0])
	})
	shrink, decay, fresh1, beta2, fresh2, now, size, scale, eps := r(7), r(8), r(9), r(10), r(11), r(12), r(13), r(14), r(15)
	v.loopUnder(&mode{}, "nadam", "NAdam", []string{"p", "gradient", "m", "v"}, ", c *float32", func() {
		v.constants(shrink, decay, fresh1, beta2, fresh2, now, size, scale, eps)
	}, func(at []Mem) {
		w, d, m, s, x := r(0), r(1), r(2), r(3), r(4)
		VMULPS(at[0], shrink, w)
		gradient(at[1], w, decay, d)
		VMOVUPS(at[2], m)
		VSUBPS(m, d, x)
		VMULPS(x, fresh1, x)
		VADDPS(x, m, m)
		VMOVUPS(m, at[2])
		VMULPS(d, fresh2, x)
		VMULPS(d, x, x)
		VMULPS(at[3], beta2, s)
		VADDPS(x, s, s)
		VMOVUPS(s, at[3])
		VSQRTPS(s, s)
		VMULPS(scale, s, s)
		VADDPS(eps, s, s)
		VMULPS(d, now, d)
		VDIVPS(s, d, d)
		VSUBPS(d, w, w)
		VMULPS(m, size, m)
		VDIVPS(s, m, m)
		VSUBPS(m, w, w)
		VMOVUPS(w, at[0])
	})
}

// lion generates Lion, which keeps subnormal numbers.
func lion(v vector) {
	r := v.register
	shrink, rate, beta1, fresh1, beta2, fresh2 := r(8), r(9), r(10), r(11), r(12), r(13)
	plus, minus, zero := r(14), r(15), r(7)
	v.loop("lion", "Lion", []string{"p", "gradient", "m"}, ", c *float32", func() {
		v.constants(shrink, rate, beta1, fresh1, beta2, fresh2)
		v.set(1, plus)
		v.set(-1, minus)
		v.zero(zero)
	}, func(at []Mem) {
		w, g, m, d, x := r(0), r(1), r(2), r(3), r(4)
		VMOVUPS(at[1], g)
		VMOVUPS(at[2], m)
		VMULPS(m, beta1, d)
		VMULPS(g, fresh1, x)
		VADDPS(x, d, d)
		// Zeros and NaN stay; what is greater or less than zero becomes 1 or -1.
		const greater = 0x1e // ordered, quiet
		for _, sign := range []struct {
			comparison uint8
			one        reg.VecPhysical
		}{{greater, plus}, {less, minus}} {
			if v.wide() {
				VCMPPS(U8(sign.comparison), zero, d, reg.K1)
				VBLENDMPS(sign.one, d, reg.K1, d)
			} else {
				VCMPPS(U8(sign.comparison), zero, d, x)
				VBLENDVPS(x, sign.one, d, d)
			}
		}
		VMULPS(at[0], shrink, w)
		VMULPS(d, rate, d)
		VSUBPS(d, w, w)
		VMOVUPS(w, at[0])
		VMULPS(m, beta2, m)
		VMULPS(g, fresh2, g)
		VADDPS(g, m, m)
		VMOVUPS(m, at[2])
	})
}
