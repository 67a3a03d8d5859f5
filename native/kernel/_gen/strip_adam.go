package main

import (
	"fmt"
	"slices"

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
// used for Adam, row by row. The multiply-adds and the divider are different units, so that the update costs little beside the product. A vector's division
// needs its root, and the divider would wait for what lies between: so the root of the next vector comes first.
func stripAdam(v vector, rows int, decays bool) {
	const vectors = 2
	name := fmt.Sprintf("stripAdam%dx%d%s", rows, vectors*v.lanes(), v.path)
	if decays {
		name = fmt.Sprintf("stripAdamDecay%dx%d%s", rows, vectors*v.lanes(), v.path)
	}
	TEXT(name, NOSPLIT, "func(a *float32, depthStride uintptr, b *float32, stepB, tileB uintptr, depth, tiles int, add bool, u *uint64)")
	Doc(fmt.Sprintf("%s computes tiles of %d x %d elements of a gradient and updates with the tile before each; see stripAdamFunc.", name, rows, vectors*v.lanes()))
	Pragma("noescape")

	element := v.register(vectors)
	acc := func(r, c int) reg.VecPhysical { return v.register(vectors + 1 + r*vectors + c) }
	spare := vectors + 1 + vectors*v.tileRows
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
	const shrink, decay, fresh1, beta2, fresh2, size, scale, eps = 0, 1, 2, 3, 4, 5, 6, 7
	constant := func(i int) Mem { return Mem{Base: u, Disp: updateStep + 4*i} }
	scaleRegister := v.register(spare + 4)
	VBROADCASTSS(constant(scale), scaleRegister)
	// adam is the instructions for vector c of those that are pending, those of optimizers, with the other constants in memory: what comes before the root, the
	// root, the division, and the parameter's change. What the tile beside it will update is fetched. Two vectors that follow each other have a register
	// each for what the divider works on, and share two.
	adam := func(c int) (before, root, division, after []func()) {
		at := func(base reg.Register) Mem {
			x := Mem{Base: base, Disp: c % vectors * v.bytes}
			if r := c / vectors; r > 0 {
				x.Index, x.Scale = stride, uint8(r)
			}
			return x
		}
		fetch := func(base reg.Register) func() {
			x := at(base)
			x.Disp += vectors * v.bytes
			return func() { PREFETCHT0(x) }
		}
		d, x, s := v.register(spare), v.register(spare+1), v.register(spare+2+c%2)
		weight := func() { // to x
			VMOVUPS(at(p), x)
			if decays {
				VMULPS_BCST(constant(shrink), x, x)
			}
		}
		before = append(before, func() { VMOVUPS(Mem{Base: gradient, Disp: c * v.bytes}, d) })
		if decays {
			before = append(before, weight, func() { VMULPS_BCST(constant(decay), x, s) }, func() { VADDPS(s, d, d) })
		}
		before = append(
			before,
			func() { VMOVUPS(at(moment), x) },
			func() { VSUBPS(x, d, s) },
			func() { VMULPS_BCST(constant(fresh1), s, s) },
			func() { VADDPS(s, x, x) },
			func() { VMOVUPS(x, at(moment)) },
			fetch(moment),
			func() { VMULPS_BCST(constant(fresh2), d, x) },
			func() { VMULPS(d, x, x) },
			func() { VMOVUPS(at(squares), d) },
			func() { VMULPS_BCST(constant(beta2), d, d) },
			func() { VADDPS(x, d, d) },
			func() { VMOVUPS(d, at(squares)) },
			fetch(squares),
		)
		root = []func(){func() { VSQRTPS(d, s) }}
		division = []func(){
			func() { VMULPS(scaleRegister, s, s) },
			func() { VADDPS_BCST(constant(eps), s, s) },
			func() { VMOVUPS(at(moment), x) },
			func() { VMULPS_BCST(constant(size), x, x) },
			func() { VDIVPS(s, x, s) },
			fetch(p),
		}
		after = []func(){weight, func() { VSUBPS(s, x, x) }, func() { VMOVUPS(x, at(p)) }}
		return before, root, division, after
	}
	// update is the instructions for so many vectors.
	update := func(n int) (all []func()) {
		var division, after, afterLast []func() // of the vector before, and of the one before that
		for c := range n {
			before, root, ownDivision, ownAfter := adam(c)
			all = slices.Concat(all, afterLast, before, root, division)
			division, afterLast, after = ownDivision, after, ownAfter
		}
		return slices.Concat(all, afterLast, division, after)
	}
	// next moves on by so many rows.
	next := func(rows int) {
		for _, x := range []reg.Register{p, moment, squares} {
			if rows > 1 {
				LEAQ(Mem{Base: x, Index: stride, Scale: uint8(rows - 1)}, x)
			}
			ADDQ(stride, x)
		}
		ADDQ(U32(uint32(rows*vectors*v.bytes)), gradient)
		SUBQ(Imm(uint64(rows)), pending)
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
			at := column
			at.Disp += 4 * r
			VBROADCASTSS(at, element)
			for c := range vectors {
				VFMADD231PS(v.register(c), element, acc(r, c))
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
	// Three rows beside eight columns keep both units busy throughout at a depth of 32.
	const together, columns = 3, 8
	Label("threeRows")
	CMPQ(depth, Imm(columns))
	JL(LabelRef("fewer"))
	CMPQ(pending, Imm(together))
	JL(LabelRef("fewer"))
	all := update(together * vectors)
	for k := range columns {
		multiply(k%2 == 1, all[len(all)*k/columns:len(all)*(k+1)/columns])
		if k%2 == 1 {
			advance()
		}
	}
	next(together)
	SUBQ(Imm(columns), depth)
	JMP(LabelRef("threeRows"))
	Label("fewer")
	SUBQ(Imm(2), depth)
	JL(LabelRef("rest"))
	TESTQ(pending, pending)
	JZ(LabelRef("alone"))
	Label("row")
	all = update(vectors)
	multiply(false, all[:len(all)/2])
	multiply(true, all[len(all)/2:])
	advance()
	next(1)
	SUBQ(Imm(2), depth)
	JL(LabelRef("rest"))
	TESTQ(pending, pending)
	JNZ(LabelRef("row"))
	Label("alone")
	multiply(false, nil)
	multiply(true, nil)
	advance()
	SUBQ(Imm(2), depth)
	JGE(LabelRef("alone"))
	Label("rest")
	CMPQ(depth, I8(-2))
	JE(LabelRef("late"))
	multiply(false, nil)

	// The rows that are left, if the sums were short.
	Label("late")
	TESTQ(pending, pending)
	JZ(LabelRef("store"))
	CMPQ(Mem{Base: u, Disp: pendingVectors}, Imm(1))
	JE(LabelRef("narrow"))
	for _, f := range update(vectors) {
		f()
	}
	next(1)
	JMP(LabelRef("late"))
	Label("narrow")
	for _, f := range update(1) {
		f()
	}
	next(1)
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
	tileB := GP64()
	Load(Param("tileB"), tileB)
	ADDQ(tileB, panel)
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
