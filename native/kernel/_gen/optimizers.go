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
}
