package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// The offsets of updating's fields in package kernel.
const (
	pendingParameter = 8 * iota
	pendingMoment
	pendingSquares
	pendingGradient
	pendingRows
	pendingVectors
	cornerParameter
	cornerMoment
	cornerSquares
	cornerGradient
	updateStride
	updateStep
)

// stripAdam generates a strip whose product is a gradient, and updates with it: while a tile's multiply-adds run, those of the tile before are
// used for Adam, row by row. The multiply-adds and the divider are different units, so that the update costs little beside the product.
func stripAdam(v vector, rows int, decays bool) {
	const vectors = 2
	name := fmt.Sprintf("stripAdam%dx%d%s", rows, vectors*v.lanes(), v.path)
	if decays {
		name = fmt.Sprintf("stripAdamDecay%dx%d%s", rows, vectors*v.lanes(), v.path)
	}
	TEXT(name, NOSPLIT, "func(a *float32, depthStride uintptr, b *float32, stepB, tileB uintptr, depth, tiles int, add bool, u *uint64)")
	Doc(fmt.Sprintf("%s computes tiles of %d x %d elements of a gradient and updates with the tile before each; see stripAdamFunc.", name, rows, vectors*v.lanes()))
	Pragma("noescape")

	acc := func(r, c int) reg.VecPhysical { return v.register(4 + r*vectors + c) }
	spare := 4 + vectors*v.tileRows
	m := &mode{}
	m.enter()
	u := Load(Param("u"), GP64())
	stepB := Load(Param("stepB"), GP64())
	depthStride := Load(Param("depthStride"), GP64())
	panel := AllocLocal(8)
	left := AllocLocal(8)
	first := GP64()
	Load(Param("b"), first)
	MOVQ(first, panel)
	tiles := GP64()
	Load(Param("tiles"), tiles)
	MOVQ(tiles, left)
	stride := GP64()
	MOVQ(Mem{Base: u, Disp: updateStride}, stride)

	// What is updated meanwhile.
	p, moment, squares, gradient, pending := GP64(), GP64(), GP64(), GP64(), GP64()
	loadPending := func() {
		MOVQ(Mem{Base: u, Disp: pendingParameter}, p)
		MOVQ(Mem{Base: u, Disp: pendingMoment}, moment)
		MOVQ(Mem{Base: u, Disp: pendingSquares}, squares)
		MOVQ(Mem{Base: u, Disp: pendingGradient}, gradient)
		MOVQ(Mem{Base: u, Disp: pendingRows}, pending)
	}
	// adam is the instructions for one vector of a row: those of optimizers, with the constants in memory and three registers.
	adam := func(c int) []func() {
		const shrink, decay, fresh1, beta2, fresh2, size, scale, eps = 0, 1, 2, 3, 4, 5, 6, 7
		constant := func(i int) Mem { return Mem{Base: u, Disp: updateStep + 4*i} }
		at := func(base reg.Register) Mem { return Mem{Base: base, Disp: c * v.bytes} }
		d, x, s := v.register(spare), v.register(spare+1), v.register(spare+2)
		w := v.register(spare + 3)
		var ops []func()
		then := func(f func()) { ops = append(ops, f) }
		then(func() { VMOVUPS(at(gradient), d) })
		if decays {
			then(func() { VMOVUPS(at(p), w) })
			then(func() { VMULPS_BCST(constant(shrink), w, w) })
			then(func() { VMULPS_BCST(constant(decay), w, s) })
			then(func() { VADDPS(s, d, d) })
		}
		then(func() { VMOVUPS(at(moment), x) })
		then(func() { VSUBPS(x, d, s) })
		then(func() { VMULPS_BCST(constant(fresh1), s, s) })
		then(func() { VADDPS(s, x, x) })
		then(func() { VMOVUPS(x, at(moment)) })
		then(func() { VMULPS_BCST(constant(size), x, x) })
		then(func() { VMULPS_BCST(constant(fresh2), d, s) })
		then(func() { VMULPS(d, s, s) })
		then(func() { VMOVUPS(at(squares), d) })
		then(func() { VMULPS_BCST(constant(beta2), d, d) })
		then(func() { VADDPS(s, d, s) })
		then(func() { VMOVUPS(s, at(squares)) })
		then(func() { VSQRTPS(s, s) })
		then(func() { VMULPS_BCST(constant(scale), s, s) })
		then(func() { VADDPS_BCST(constant(eps), s, s) })
		then(func() { VDIVPS(s, x, x) })
		if !decays {
			then(func() { VMOVUPS(at(p), w) })
		}
		then(func() { VSUBPS(x, w, w) })
		then(func() { VMOVUPS(w, at(p)) })
		return ops
	}
	// nextRow moves to the next row, and fetches what the tile beside it will update.
	nextRow := func() {
		for _, x := range []reg.Register{p, moment, squares} {
			for c := range vectors {
				PREFETCHT0(Mem{Base: x, Disp: vectors*v.bytes + c*v.bytes})
			}
			ADDQ(stride, x)
		}
		ADDQ(U32(uint32(vectors*v.bytes)), gradient)
		DECQ(pending)
	}

	CMPQ(left, Imm(0))
	JNE(LabelRef("tile"))
	loadPending()
	JMP(LabelRef("late"))

	Label("tile")
	loadPending()
	a, b, depth := GP64(), GP64(), GP64()
	Load(Param("a"), a)
	MOVQ(panel, b)
	Load(Param("depth"), depth)
	for r := range rows {
		for c := range vectors {
			v.zero(acc(r, c))
		}
	}
	// multiply adds the products of one column of the left factor with a row of the right one, and weaves others in.
	multiply := func(odd bool, woven []func()) {
		row, column := Mem{Base: b}, Mem{Base: a}
		if odd {
			row.Index, row.Scale = stepB, 1
			column.Index, column.Scale = depthStride, 1
		}
		for c := range vectors {
			at := row
			at.Disp += c * v.bytes
			VMOVUPS(at, v.register(c))
		}
		done := 0
		for r := range rows {
			x := v.register(2 + r%2)
			at := column
			at.Disp += 4 * r
			VBROADCASTSS(at, x)
			for c := range vectors {
				VFMADD231PS(v.register(c), x, acc(r, c))
			}
			for ; done < len(woven)*(r+1)/rows; done++ {
				woven[done]()
			}
		}
	}
	advance := func() {
		LEAQ(Mem{Base: b, Index: stepB, Scale: 2}, b)
		LEAQ(Mem{Base: a, Index: depthStride, Scale: 2}, a)
	}
	SUBQ(Imm(2), depth)
	JL(LabelRef("rest"))
	TESTQ(pending, pending)
	JZ(LabelRef("alone"))
	Label("woven")
	multiply(false, adam(0))
	multiply(true, adam(1))
	advance()
	nextRow()
	SUBQ(Imm(2), depth)
	JL(LabelRef("rest"))
	// After some rows the divider is given time to catch up.
	TESTQ(U32(3), pending)
	JNZ(LabelRef("woven"))
	Label("alone")
	multiply(false, nil)
	multiply(true, nil)
	advance()
	SUBQ(Imm(2), depth)
	JL(LabelRef("rest"))
	TESTQ(pending, pending)
	JNZ(LabelRef("woven"))
	JMP(LabelRef("alone"))
	Label("rest")
	CMPQ(depth, I8(-2))
	JE(LabelRef("late"))
	multiply(false, nil)

	// The rows that are left, if the sums were short.
	Label("late")
	TESTQ(pending, pending)
	JZ(LabelRef("store"))
	for c := range vectors {
		if c == 1 {
			CMPQ(Mem{Base: u, Disp: pendingVectors}, Imm(1))
			JE(LabelRef("narrow"))
		}
		for _, f := range adam(c) {
			f()
		}
	}
	Label("narrow")
	nextRow()
	JMP(LabelRef("late"))

	Label("store")
	CMPQ(left, Imm(0))
	JE(LabelRef("done"))
	add, err := Param("add").Resolve()
	if err != nil {
		panic(err)
	}
	c := GP64()
	MOVQ(Mem{Base: u, Disp: cornerGradient}, c)
	CMPB(add.Addr, U8(0))
	JE(LabelRef("overwrite"))
	for r := range rows {
		for i := range vectors {
			VADDPS(Mem{Base: c, Disp: (r*vectors + i) * v.bytes}, acc(r, i), acc(r, i))
		}
	}
	Label("overwrite")
	for r := range rows {
		for i := range vectors {
			VMOVUPS(acc(r, i), Mem{Base: c, Disp: (r*vectors + i) * v.bytes})
		}
	}
	// This tile is the next to update with; its gradient goes where the last one was.
	free := GP64()
	MOVQ(Mem{Base: u, Disp: pendingGradient}, free)
	MOVQ(free, Mem{Base: u, Disp: cornerGradient})
	MOVQ(c, Mem{Base: u, Disp: pendingGradient})
	MOVQ(U32(rows), Mem{Base: u, Disp: pendingRows})
	MOVQ(U32(vectors), Mem{Base: u, Disp: pendingVectors})
	for i := range 3 {
		x := GP64()
		MOVQ(Mem{Base: u, Disp: cornerParameter + 8*i}, x)
		MOVQ(x, Mem{Base: u, Disp: pendingParameter + 8*i})
		ADDQ(U32(uint32(vectors*v.bytes)), x)
		MOVQ(x, Mem{Base: u, Disp: cornerParameter + 8*i})
	}
	next := GP64()
	Load(Param("tileB"), next)
	ADDQ(next, panel)
	DECQ(left)
	JNZ(LabelRef("tile"))
	JMP(LabelRef("leave"))
	Label("done")
	MOVQ(U32(0), Mem{Base: u, Disp: pendingRows})
	Label("leave")
	m.leave()
	VZEROUPPER()
	RET()
}
