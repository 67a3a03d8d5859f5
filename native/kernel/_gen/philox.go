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
	TEXT("keepAVX2", NOSPLIT, "func(keep *bool, groups, rows int, step uint32, c *uint32)")
	Doc("keepAVX2 writes 32 elements of a dropout mask for each group of eight blocks, in rows of so many groups whose blocks begin step apart. It changes c.")
	Pragma("noescape")
	keep := Load(Param("keep"), GP64())
	rows := Load(Param("rows"), GP64())
	step := Load(Param("step"), GP32())
	groups := GP64()
	c := Load(Param("c"), GP64())
	broadcast := func(at int, r Op) { VPBROADCASTD(Mem{Base: c, Disp: at}, r) }
	m0, m1, bound, first := reg.Y8, reg.Y9, reg.Y10, reg.Y11
	broadcast(multipliers, m0)
	broadcast(multipliers+4, m1)
	broadcast(threshold, bound)
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	Label("row")
	broadcast(counter, first)
	VPADDD(Mem{Base: c, Disp: lanes}, first, first)
	Load(Param("groups"), groups)
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
	ADDL(step, Mem{Base: c, Disp: counter})
	DECQ(rows)
	JNZ(LabelRef("row"))
	Label("done")
	VZEROUPPER()
	RET()
}

// philoxWide is philox with each word in the lower half of 64 bits, where its product is in one piece: the multiplication does not see what
// is left of another in the upper half. Two groups are computed side by side, since one waits for its own products.
func philoxWide() {
	TEXT("keepAVX512", NOSPLIT, "func(keep *bool, groups, rows int, step uint32, c *uint32)")
	Doc("keepAVX512 writes 32 elements of a dropout mask for each group of eight blocks, in rows of so many groups whose blocks begin step apart. It changes c.")
	Pragma("noescape")
	keep := Load(Param("keep"), GP64())
	rows := Load(Param("rows"), GP64())
	apart := Load(Param("step"), GP32())
	groups := GP64()
	c := Load(Param("c"), GP64())
	word := func(at int) Mem { return Mem{Base: c, Disp: at} }
	broadcast := func(at int, r Op) { VPBROADCASTD(word(at), r) }
	const xor3 = U8(0x96) // the truth table of a ^ b ^ c
	z := zmm.register
	m0, m1, bound, first, step := z(12), z(13), z(14), z(15), z(16)
	fixed, ones := []reg.VecPhysical{z(17), z(18), z(19), z(20)}, []reg.VecPhysical{z(21), z(22), z(23), z(24)}
	broadcast(multipliers, m0)
	broadcast(multipliers+4, m1)
	broadcast(threshold, bound)
	VPXORD_BCST(word(sign), bound, bound) // back to a number without sign
	broadcast(eight, step)
	for i, one := range ones {
		broadcast(bytes+4*i, one)
	}
	const early, inRegisters = 4, 7 // keys of the first two rounds, and of the following as many as there are registers
	for i := range inRegisters {
		broadcast(roundKeys+4*(early+i), z(25+i))
	}
	key := func(i int, high, word Op) { // high ^= word ^ key i
		if i < early+inRegisters {
			VPTERNLOGD(xor3, z(25+i-early), word, high)
		} else {
			VPTERNLOGD_BCST(xor3, Mem{Base: c, Disp: roundKeys + 4*i}, word, high)
		}
	}
	upper := func(product, half Op) { VMOVSHDUP(product, half) } // shifts have one unit with the products
	// The last three words of all blocks are the same, and so are, after the first round, the first two, and after the second the fourth. With w the words and k
	// the keys, fixed[0] is w3 ^ k1 of the first round, [1] and [2] are w1 ^ k2 and the upper half of m0 w0 ^ k3 of the second, and [3] is m0 w0.
	broadcast(counter+4*3, fixed[0])
	VPXORD_BCST(word(roundKeys+4), fixed[0], fixed[0])
	broadcast(counter+4*2, z(0))
	VPMULUDQ(m1, z(0), z(1))
	VPXORD_BCST(word(roundKeys+4*2), z(1), fixed[1])
	broadcast(counter+4, z(0))
	upper(z(1), z(2))
	VPTERNLOGD_BCST(xor3, word(roundKeys), z(2), z(0))
	VPMULUDQ(m0, z(0), fixed[3])
	upper(fixed[3], fixed[2])
	VPXORD_BCST(word(roundKeys+4*3), fixed[2], fixed[2])

	// draw computes the groups whose first counters are in as many registers, each with six registers of its own from z(0) on.
	draw := func(counters ...Op) {
		type chain struct{ w, low []reg.VecPhysical }
		var chains []chain
		for i := range counters {
			chains = append(chains, chain{[]reg.VecPhysical{z(6 * i), z(6*i + 1), z(6*i + 2), z(6*i + 3)}, []reg.VecPhysical{z(6*i + 4), z(6*i + 5)}})
		}
		each := func(f func(i int, w, low []reg.VecPhysical)) {
			for i, c := range chains {
				f(i, c.w, c.low)
			}
		}
		each(func(i int, w, _ []reg.VecPhysical) { VPMULUDQ(m0, counters[i], w[3]) })
		each(func(_ int, w, _ []reg.VecPhysical) { upper(w[3], w[2]) })
		each(func(_ int, w, _ []reg.VecPhysical) { VPXORD(fixed[0], w[2], w[2]) })
		each(func(_ int, w, _ []reg.VecPhysical) { VPMULUDQ(m1, w[2], w[1]) })
		each(func(_ int, w, _ []reg.VecPhysical) { VPXORD(fixed[2], w[3], w[2]) })
		each(func(_ int, w, _ []reg.VecPhysical) { upper(w[1], w[0]) })
		each(func(_ int, w, _ []reg.VecPhysical) { VPXORD(fixed[1], w[0], w[0]) })
		for round := 2; round < 10; round++ {
			last := []Op{fixed[3], fixed[3]}
			if round > 2 {
				each(func(i int, w, _ []reg.VecPhysical) { last[i] = w[3] })
			}
			each(func(_ int, w, low []reg.VecPhysical) { VPMULUDQ(m0, w[0], low[0]) })
			each(func(_ int, w, low []reg.VecPhysical) { VPMULUDQ(m1, w[2], low[1]) })
			each(func(_ int, w, low []reg.VecPhysical) { upper(low[1], w[0]) })
			each(func(_ int, w, low []reg.VecPhysical) { upper(low[0], w[2]) })
			each(func(_ int, w, _ []reg.VecPhysical) { key(2*round, w[0], w[1]) })
			each(func(i int, w, _ []reg.VecPhysical) { key(2*round+1, w[2], last[i]) })
			for i := range chains { // the lower halves are the second and the fourth word
				c := &chains[i]
				c.w[1], c.w[3], c.low[0], c.low[1] = c.low[1], c.low[0], c.w[1], c.w[3]
			}
		}
		each(func(i int, w, low []reg.VecPhysical) {
			for j := range w {
				VPCMPUD(U8(1), bound, w[j], reg.K1)
				if j == 0 {
					VMOVDQA32_Z(ones[0], reg.K1, low[0])
				} else {
					VPORD(ones[j], low[0], reg.K1, low[0])
				}
			}
			VPMOVQD(low[0], Mem{Base: keep, Disp: 32 * i})
		})
	}
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	Label("row")
	broadcast(counter, first)
	VPMOVZXDQ(word(lanes), z(0))
	VPADDD(z(0), first, first)
	Load(Param("groups"), groups)
	SUBQ(U32(2), groups)
	JLT(LabelRef("one"))
	Label("two")
	VPADDD(step, first, z(10))
	draw(first, z(10))
	VPADDD(step, first, first)
	VPADDD(step, first, first)
	ADDQ(U32(64), keep)
	SUBQ(U32(2), groups)
	JGE(LabelRef("two"))
	Label("one")
	ADDQ(U32(2), groups)
	JEQ(LabelRef("next"))
	draw(first)
	ADDQ(U32(32), keep)
	Label("next")
	ADDL(apart, Mem{Base: c, Disp: counter})
	DECQ(rows)
	JNZ(LabelRef("row"))
	Label("done")
	VZEROUPPER()
	RET()
}
