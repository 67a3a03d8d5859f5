package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The layout of keepConstants.
const roundKeys, counter, threshold, multipliers, lanes, eight, sign, bytes = 0, 80, 96, 100, 108, 140, 144, 148

// philox generates the dropout mask, eight Philox4x32-10 blocks at a time: word i of all blocks lies in one register. The four
// words of a block become the four bytes of its lane.
func philox() {
	TEXT("keepAVX2", NOSPLIT, "func(keep *bool, groups int, c *uint32)")
	Doc("keepAVX2 writes 32 elements of a dropout mask for each group of eight blocks.")
	Pragma("noescape")
	keep := Load(Param("keep"), GP64())
	groups := Load(Param("groups"), GP64())
	c := Load(Param("c"), GP64())
	broadcast := func(at int, r Op) { VPBROADCASTD(Mem{Base: c, Disp: at}, r) }
	m0, m1, bound, first := reg.Y8, reg.Y9, reg.Y10, reg.Y11
	broadcast(multipliers, m0)
	broadcast(multipliers+4, m1)
	broadcast(threshold, bound)
	broadcast(counter, first)
	VPADDD(Mem{Base: c, Disp: lanes}, first, first)
	TESTQ(groups, groups)
	JZ(LabelRef("done"))
	Label("loop")
	words := []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3}
	VMOVDQU(first, words[0])
	for i := 1; i < 4; i++ {
		broadcast(counter+4*i, words[i])
	}
	// multiply leaves the high halves of m*x in high and the low ones in low; x is lost.
	multiply := func(x, m, high, low Op) {
		VPMULUDQ(m, x, low) // even lanes
		VPSRLQ(U8(32), x, x)
		VPMULUDQ(m, x, x) // odd lanes
		VPSRLQ(U8(32), low, high)
		VPBLENDD(U8(0xaa), x, high, high)
		VPSLLQ(U8(32), x, x)
		VPBLENDD(U8(0xaa), x, low, low)
	}
	for round := range 10 {
		high0, low0, high1, low1, key := reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y12
		multiply(words[0], m0, high0, low0)
		multiply(words[2], m1, high1, low1)
		broadcast(roundKeys+8*round, key)
		VPXOR(high1, words[1], words[0])
		VPXOR(key, words[0], words[0])
		broadcast(roundKeys+8*round+4, key)
		VPXOR(high0, words[3], words[2])
		VPXOR(key, words[2], words[2])
		VMOVDQU(low1, words[1])
		VMOVDQU(low0, words[3])
	}
	// The comparison is signed: both sides have their sign flipped, the bound before the call.
	broadcast(sign, reg.Y12)
	for i, w := range words {
		VPXOR(reg.Y12, w, w)
		VPCMPGTD(w, bound, w)
		broadcast(bytes+4*i, reg.Y13)
		VPAND(reg.Y13, w, w)
	}
	VPOR(words[1], words[0], words[0])
	VPOR(words[3], words[2], words[2])
	VPOR(words[2], words[0], words[0])
	VMOVDQU(words[0], Mem{Base: keep})
	broadcast(eight, reg.Y12)
	VPADDD(reg.Y12, first, first)
	ADDQ(U32(32), keep)
	DECQ(groups)
	JNZ(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}

// philoxWide is philox with each word in the lower half of 64 bits, where its product is in one piece: the multiplication does not see what
// is left of another in the upper half.
func philoxWide() {
	TEXT("keepAVX512", NOSPLIT, "func(keep *bool, groups int, c *uint32)")
	Doc("keepAVX512 writes 32 elements of a dropout mask for each group of eight blocks.")
	Pragma("noescape")
	keep := Load(Param("keep"), GP64())
	groups := Load(Param("groups"), GP64())
	c := Load(Param("c"), GP64())
	broadcast := func(at int, r Op) { VPBROADCASTD(Mem{Base: c, Disp: at}, r) }
	const xor3 = U8(0x96) // the truth table of a ^ b ^ c
	z := zmm.register
	m0, m1, bound, first, step := z(8), z(9), z(10), z(11), z(12)
	broadcast(multipliers, m0)
	broadcast(multipliers+4, m1)
	broadcast(threshold, bound)
	broadcast(sign, z(0))
	VPXORD(z(0), bound, bound) // back to a number without sign
	broadcast(counter, first)
	VPMOVZXDQ(Mem{Base: c, Disp: lanes}, z(0))
	VPADDD(z(0), first, first)
	broadcast(eight, step)
	for i := range 3 {
		broadcast(counter+4*(i+1), z(13+i))
	}
	for i := range 12 { // as many as there are registers
		broadcast(roundKeys+4*i, z(20+i))
	}
	for i := range 4 {
		broadcast(bytes+4*i, z(16+i))
	}
	key := func(i int, high, word Op) { // high ^= word ^ key i
		if i < 12 {
			VPTERNLOGD(xor3, z(20+i), word, high)
		} else {
			VPTERNLOGD_BCST(xor3, Mem{Base: c, Disp: roundKeys + 4*i}, word, high)
		}
	}
	TESTQ(groups, groups)
	JZ(LabelRef("done"))
	Label("loop")
	words := []reg.VecPhysical{z(0), z(1), z(2), z(3)}
	VMOVDQA32(first, words[0])
	for i := range 3 {
		VMOVDQA32(z(13+i), words[i+1])
	}
	for round := range 10 {
		low0, low1 := z(4), z(5)
		VPMULUDQ(m0, words[0], low0)
		VPMULUDQ(m1, words[2], low1)
		VPSRLQ(U8(32), low1, words[0])
		VPSRLQ(U8(32), low0, words[2])
		key(2*round, words[0], words[1])
		key(2*round+1, words[2], words[3])
		VMOVDQA32(low1, words[1])
		VMOVDQA32(low0, words[3])
	}
	for i, w := range words {
		VPCMPUD(U8(1), bound, w, reg.K1)
		if i == 0 {
			VMOVDQA32_Z(z(16), reg.K1, z(6))
		} else {
			VPORD(z(16+i), z(6), reg.K1, z(6))
		}
	}
	VPMOVQD(z(6), Mem{Base: keep})
	VPADDD(step, first, first)
	ADDQ(U32(32), keep)
	DECQ(groups)
	JNZ(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}
