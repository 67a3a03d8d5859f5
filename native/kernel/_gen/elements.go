package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// loop generates a function over the pointers named, which advance by a vector each turn: signature is the parameters beside
// them, before runs once, and body gets the addresses.
func (v vector) loop(name, doc string, pointers []string, signature string, before func(), body func(at []Mem)) {
	v.loopUnder(nil, name, doc, pointers, signature, before, body)
}

// loopUnder is loop in a mode of the processor, which is left again at the end.
func (v vector) loopUnder(m *mode, name, doc string, pointers []string, signature string, before func(), body func(at []Mem)) {
	f := "func("
	for _, p := range pointers {
		kind := "*float32"
		if p == "keep" {
			kind = "*bool"
		}
		f += p + " " + kind + ", "
	}
	TEXT(name+v.path, NOSPLIT, f+"vectors int"+signature+")")
	Doc(name + v.path + " is " + doc + " for whole vectors.")
	Pragma("noescape")
	var at []Mem
	for _, p := range pointers {
		at = append(at, Mem{Base: Load(Param(p), GP64())})
	}
	vectors := Load(Param("vectors"), GP64())
	m.enter()
	if before != nil {
		before()
	}
	TESTQ(vectors, vectors)
	JZ(LabelRef("done"))
	Label("loop")
	fetchAhead(at)
	body(at)
	for i, p := range pointers {
		step := v.bytes
		if p == "keep" {
			step /= 4
		}
		ADDQ(U32(uint32(step)), at[i].Base)
	}
	DECQ(vectors)
	JNZ(LabelRef("loop"))
	Label("done")
	m.leave()
	VZEROUPPER()
	RET()
}

// mode is one in which the processor takes subnormal numbers for zeros, read or written.
type mode struct{ saved, changed Mem }

func (m *mode) enter() {
	if m == nil {
		return
	}
	m.saved, m.changed = AllocLocal(4), AllocLocal(4)
	const flushToZero, denormalsAreZero = 1 << 15, 1 << 6
	STMXCSR(m.saved)
	control := GP32()
	MOVL(m.saved, control)
	ORL(U32(flushToZero|denormalsAreZero), control)
	MOVL(control, m.changed)
	LDMXCSR(m.changed)
}

func (m *mode) leave() {
	if m != nil {
		LDMXCSR(m.saved)
	}
}

// broadcast loads a float32 parameter into every lane of a register.
func (v vector) broadcast(name string, r Op) {
	p, err := Param(name).Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(p.Addr, r)
}

func elements(v vector) {
	r := v.register
	wide := v.bytes == 64
	v.loop("relu", "y[i] = max(x[i], 0), x[i] if that is NaN,", []string{"y", "x"}, "", func() { v.zero(r(0)) }, func(at []Mem) {
		VMOVUPS(at[1], r(1))
		VMAXPS(r(1), r(0), r(1)) // of NaN and of zeros the instruction returns the second source: x
		VMOVUPS(r(1), at[0])
	})
	v.loop("reluGradient", "dx[i] = dy[i] where y[i] > 0, else 0,", []string{"dx", "dy", "y"}, "", func() { v.zero(r(0)) }, func(at []Mem) {
		const greater = 0x1e // ordered, quiet
		VMOVUPS(at[2], r(1))
		if wide {
			VCMPPS(U8(greater), r(0), r(1), reg.K1)
			VMOVUPS_Z(at[1], reg.K1, r(1))
		} else {
			VCMPPS(U8(greater), r(0), r(1), r(1))
			VANDPS(at[1], r(1), r(1))
		}
		VMOVUPS(r(1), at[0])
	})
	v.loop("gate", "dx[i] = scale * dy[i] where y[i] > 0, else 0,", []string{"dx", "dy", "y"}, ", scale float32", func() {
		v.zero(r(0))
		v.broadcast("scale", r(2))
	}, func(at []Mem) {
		const greater = 0x1e // ordered, quiet
		VMOVUPS(at[2], r(1))
		if wide {
			VCMPPS(U8(greater), r(0), r(1), reg.K1)
			VMULPS_Z(at[1], r(2), reg.K1, r(1))
		} else {
			VCMPPS(U8(greater), r(0), r(1), r(1))
			VMULPS(at[1], r(2), r(3))
			VANDPS(r(3), r(1), r(1))
		}
		VMOVUPS(r(1), at[0])
	})
	v.loop("mask", "y[i] = scale * x[i] where keep[i], else 0,", []string{"y", "x", "keep"}, ", scale float32", func() {
		v.zero(r(0))
		v.broadcast("scale", r(2))
	}, func(at []Mem) {
		VPMOVZXBD(at[2], r(1))
		if wide {
			VPTESTMD(r(1), r(1), reg.K1)
			VMULPS_Z(at[1], r(2), reg.K1, r(1))
		} else {
			VPCMPGTD(r(0), r(1), r(1))
			VMULPS(at[1], r(2), r(3))
			VANDPS(r(3), r(1), r(1))
		}
		VMOVUPS(r(1), at[0])
	})
	reluDropout(v)
	v.loop("accumulate", "y[i] += x[i]", []string{"y", "x"}, "", nil, func(at []Mem) {
		VMOVUPS(at[0], r(0))
		VADDPS(at[1], r(0), r(0))
		VMOVUPS(r(0), at[0])
	})
	v.loop("addScaled", "y[i] += factor * x[i], rounded twice,", []string{"y", "x"}, ", factor float32", func() { v.broadcast("factor", r(2)) }, func(at []Mem) {
		VMULPS(at[1], r(2), r(0))
		VADDPS(at[0], r(0), r(0))
		VMOVUPS(r(0), at[0])
	})
	optimizers(v)
}
