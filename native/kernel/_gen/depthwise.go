package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The fields of a windowTap in package kernel, in bytes.
const (
	tapImage   = 0
	tapWeights = 8
	tapBytes   = 16
)

// depthwise generates the passes of depthwise convolutions with channels last: vectors are channels, of which the last one may overlap the one before.
func depthwise(v vector) {
	v.depthwiseSums()
	v.depthwiseProducts()
}

// alongChannels generates a loop over the vectors of channels, whose distance from the first one in bytes body gets. The last one ends where the channels do.
func (v vector) alongChannels(body func(at reg.GPVirtual)) {
	at, last := GP64(), AllocLocal(8)
	Load(Param("channels"), at)
	SHLQ(U8(2), at)
	SUBQ(Imm(uint64(v.bytes)), at)
	MOVQ(at, last)
	XORQ(at, at)
	Label("vector")
	body(at)
	CMPQ(at, last)
	JE(LabelRef("done"))
	ADDQ(U32(uint32(v.bytes)), at)
	CMPQ(at, last)
	JLE(LabelRef("vector"))
	MOVQ(last, at)
	JMP(LabelRef("vector"))
	Label("done")
	VZEROUPPER()
	RET()
}

// depthwiseSums generates the convolution at pixels side by side that see the same taps: eight, four, two or one of them at a time, so that the chains of as many sums hide each other's
// latency and a vector of weights is loaded once.
func (v vector) depthwiseSums() {
	TEXT("depthwiseSums"+v.path, NOSPLIT, "func(y *float32, stepY uintptr, x *float32, stepX uintptr, weights *float32, taps *int, count int, start *float32, stepStart uintptr, channels, pixels int)")
	Doc("depthwiseSums" + v.path + " computes pixels of a depthwise convolution; see depthwisePasses.")
	Pragma("noescape")
	stepX, stepX3 := Load(Param("stepX"), GP64()), GP64()
	LEAQ(Mem{Base: stepX, Index: stepX, Scale: 2}, stepX3)
	left := AllocLocal(8)
	v.alongChannels(func(at reg.GPVirtual) {
		y, x, weights, start := GP64(), GP64(), GP64(), GP64()
		Load(Param("y"), y)
		ADDQ(at, y)
		Load(Param("x"), x)
		ADDQ(at, x)
		Load(Param("weights"), weights)
		ADDQ(at, weights)
		Load(Param("start"), start)
		TESTQ(start, start)
		JZ(LabelRef("nothing"))
		ADDQ(at, start)
		Label("nothing")
		pixels := GP64()
		Load(Param("pixels"), pixels)
		MOVQ(pixels, left)
		for _, n := range []int{8, 4, 2, 1} {
			name := map[int]string{8: "eight", 4: "four", 2: "two", 1: "one"}[n]
			Label(name)
			CMPQ(left, Imm(uint64(n)))
			JL(LabelRef("after" + name))
			for p := range n {
				v.zero(v.register(1 + p))
			}
			tap, count := GP64(), GP64()
			Load(Param("taps"), tap)
			Load(Param("count"), count)
			TESTQ(count, count)
			JZ(LabelRef(name + "Summed"))
			Label(name + "Tap")
			offset, near, far := GP64(), GP64(), GP64()
			MOVQ(Mem{Base: tap, Disp: tapImage}, offset)
			LEAQ(Mem{Base: x, Index: offset, Scale: 4}, near)
			if n > 4 {
				LEAQ(Mem{Base: near, Index: stepX, Scale: 4}, far)
			}
			MOVQ(Mem{Base: tap, Disp: tapWeights}, offset)
			VMOVUPS(Mem{Base: weights, Index: offset, Scale: 4}, v.register(0))
			for p := range n {
				m := Mem{Base: near}
				if p >= 4 {
					m.Base = far
				}
				switch p % 4 {
				case 1, 2:
					m.Index, m.Scale = stepX, uint8(p%4)
				case 3:
					m.Index, m.Scale = stepX3, 1
				}
				VFMADD231PS(m, v.register(0), v.register(1+p))
			}
			ADDQ(Imm(tapBytes), tap)
			DECQ(count)
			JNZ(LabelRef(name + "Tap"))
			Label(name + "Summed")
			TESTQ(start, start)
			JZ(LabelRef(name + "Started"))
			for p := range n {
				VADDPS(Mem{Base: start}, v.register(1+p), v.register(1+p))
				ADDQ(parameterAddress("stepStart"), start)
			}
			Label(name + "Started")
			for p := range n {
				VMOVUPS(v.register(1+p), Mem{Base: y})
				ADDQ(parameterAddress("stepY"), y)
			}
			LEAQ(Mem{Base: x, Index: stepX, Scale: uint8(n)}, x)
			SUBQ(Imm(uint64(n)), left)
			if n == 8 {
				JMP(LabelRef(name))
			}
			Label("after" + name)
		}
	})
}

// depthwiseProducts generates the sums over pixels of a gradient's products with the image, tap by tap: three, two or one of them at a time, each as the sum of two chains.
func (v vector) depthwiseProducts() {
	TEXT("depthwiseProducts"+v.path, NOSPLIT, "func(out, dy *float32, stepDY uintptr, x *float32, stepX uintptr, taps *int, count, channels, pixels int)")
	Doc("depthwiseProducts" + v.path + " computes a row's part of the gradient of a depthwise convolution's weights; see depthwisePasses.")
	Pragma("noescape")
	stepX, stepDY := Load(Param("stepX"), GP64()), Load(Param("stepDY"), GP64())
	left := AllocLocal(8)
	v.alongChannels(func(at reg.GPVirtual) {
		tap, count := GP64(), GP64()
		Load(Param("taps"), tap)
		Load(Param("count"), count)
		MOVQ(count, left)
		for _, n := range []int{3, 2, 1} {
			name := map[int]string{3: "three", 2: "two", 1: "one"}[n]
			Label(name)
			CMPQ(left, Imm(uint64(n)))
			JL(LabelRef("after" + name))
			x, dy, offset, pixels := GP64(), GP64(), GP64(), GP64()
			Load(Param("x"), x)
			ADDQ(at, x)
			Load(Param("dy"), dy)
			ADDQ(at, dy)
			Load(Param("pixels"), pixels)
			var images []reg.GPVirtual
			for i := range n {
				p := GP64()
				MOVQ(Mem{Base: tap, Disp: i*tapBytes + tapImage}, offset)
				LEAQ(Mem{Base: x, Index: offset, Scale: 4}, p)
				images = append(images, p)
			}
			even := func(i int) reg.VecPhysical { return v.register(2 + i) }
			odd := func(i int) reg.VecPhysical { return v.register(2 + n + i) }
			for i := range n {
				v.zero(even(i))
				v.zero(odd(i))
			}
			SUBQ(Imm(2), pixels)
			JL(LabelRef(name + "Rest"))
			Label(name + "Pixels")
			VMOVUPS(Mem{Base: dy}, v.register(0))
			VMOVUPS(Mem{Base: dy, Index: stepDY, Scale: 1}, v.register(1))
			LEAQ(Mem{Base: dy, Index: stepDY, Scale: 2}, dy)
			for i, p := range images {
				VFMADD231PS(Mem{Base: p}, v.register(0), even(i))
				VFMADD231PS(Mem{Base: p, Index: stepX, Scale: 1}, v.register(1), odd(i))
				LEAQ(Mem{Base: p, Index: stepX, Scale: 2}, p)
			}
			SUBQ(Imm(2), pixels)
			JGE(LabelRef(name + "Pixels"))
			Label(name + "Rest")
			CMPQ(pixels, I8(-2))
			JE(LabelRef(name + "Summed"))
			VMOVUPS(Mem{Base: dy}, v.register(0))
			for i, p := range images {
				VFMADD231PS(Mem{Base: p}, v.register(0), even(i))
			}
			Label(name + "Summed")
			out := GP64()
			Load(Param("out"), out)
			ADDQ(at, out)
			for i := range n {
				VADDPS(odd(i), even(i), even(i))
				MOVQ(Mem{Base: tap, Disp: i*tapBytes + tapWeights}, offset)
				VMOVUPS(even(i), Mem{Base: out, Index: offset, Scale: 4})
			}
			ADDQ(Imm(uint64(n*tapBytes)), tap)
			SUBQ(Imm(uint64(n)), left)
			if n == 3 {
				JMP(LabelRef(name))
			}
			Label("after" + name)
		}
	})
}
