package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// strip generates the product of rows rows of the left factor with tiles side by side, each of so many vectors of columns of the right
// one. The left factor is read element by element with two strides, and so needs no packing in either orientation.
func strip(v vector, rows, vectors int) {
	lanes := v.bytes / 4
	name := fmt.Sprintf("strip%dx%d%s", rows, vectors*lanes, v.path)
	TEXT(name, NOSPLIT, "func(a *float32, rowStride, depthStride uintptr, b *float32, stepB, tileB uintptr, c *float32, stepC uintptr, depth, tiles int, alpha float32, add bool)")
	Doc(fmt.Sprintf("%s computes tiles of %d x %d elements of C; see stripFunc.", name, rows, vectors*lanes))
	Pragma("noescape")

	acc := func(r, c int) reg.VecPhysical { return v.register(4 + r*vectors + c) }
	stepB := Load(Param("stepB"), GP64())
	rowStride := Load(Param("rowStride"), GP64())
	depthStride := Load(Param("depthStride"), GP64())
	panel := Load(Param("b"), GP64())
	corner := Load(Param("c"), GP64())
	stepC := Load(Param("stepC"), GP64())
	tiles, err := Param("tiles").Resolve()
	if err != nil {
		panic(err)
	}
	CMPQ(tiles.Addr, Imm(0))
	JE(LabelRef("done"))

	Label("tile")
	b := GP64()
	MOVQ(panel, b)
	depth := Load(Param("depth"), GP64())
	for r := range rows {
		for c := range vectors {
			v.zero(acc(r, c))
		}
	}
	// Where the sums are long enough to wait for it, C is fetched meanwhile: a row each few turns, since all at once would keep what the product itself
	// needs waiting.
	const long = 64
	fetched, wait := GP64(), GP64()
	MOVQ(corner, fetched)
	MOVQ(U64(math.MaxInt64), wait)
	CMPQ(depth, Imm(long))
	JL(LabelRef("short"))
	MOVQ(U32(1), wait)
	Label("short")
	fetch := func(name string) {
		DECQ(wait)
		JNZ(LabelRef(name + "Fetched"))
		for line := 0; line < vectors*v.bytes; line += 64 {
			PREFETCHT0(Mem{Base: fetched, Disp: line})
		}
		ADDQ(stepC, fetched)
		Load(Param("depth"), wait)
		IMUL3Q(U32(uint32(65536/(2*rows+2))), wait, wait)
		SHRQ(U8(16), wait)
		Label(name + "Fetched")
	}
	// multiply adds the products of one column of the left factor, whose elements are given, with a row of the right one.
	multiply := func(element func(r int) Mem, row Mem) {
		for c := range vectors {
			at := row
			at.Disp += c * v.bytes
			VMOVUPS(at, v.register(c))
		}
		for r := range rows {
			x := v.register(2 + r%2)
			VBROADCASTSS(element(r), x)
			for c := range vectors {
				VFMADD231PS(v.register(c), x, acc(r, c))
			}
		}
	}
	// turns does all of the depth, two at a time, so that few additions to pointers compete with the multiply-adds: element
	// tells where the left factor's elements are, next moves it by so many columns.
	turns := func(name string, element func(p, r int) Mem, next func(columns int)) {
		SUBQ(Imm(2), depth)
		JL(LabelRef(name + "Rest"))
		Label(name)
		fetch(name)
		for p := range 2 {
			row := Mem{Base: b}
			if p == 1 {
				row.Index, row.Scale = stepB, 1
			}
			multiply(func(r int) Mem { return element(p, r) }, row)
		}
		LEAQ(Mem{Base: b, Index: stepB, Scale: 2}, b)
		next(2)
		SUBQ(Imm(2), depth)
		JGE(LabelRef(name))
		Label(name + "Rest")
		CMPQ(depth, I8(-2))
		JE(LabelRef("store"))
		multiply(func(r int) Mem { return element(0, r) }, Mem{Base: b})
	}
	// One of the two strides is that of neighbours.
	const neighbour = 4
	a := Load(Param("a"), GP64())
	CMPQ(rowStride, Imm(neighbour))
	JNE(LabelRef("apart"))
	turns("beside", func(p, r int) Mem {
		m := Mem{Base: a, Disp: r * neighbour}
		if p == 1 {
			m.Index, m.Scale = depthStride, 1
		}
		return m
	}, func(int) { LEAQ(Mem{Base: a, Index: depthStride, Scale: 2}, a) })
	JMP(LabelRef("store"))
	Label("apart")
	// One pointer for each three rows, which the scaled index reaches.
	bases := []reg.Register{a}
	for r := 3; r < rows; r += 3 {
		next := GP64()
		LEAQ(Mem{Base: bases[len(bases)-1], Index: rowStride, Scale: 2}, next)
		ADDQ(rowStride, next)
		bases = append(bases, next)
	}
	turns("along", func(p, r int) Mem {
		m := Mem{Base: bases[r/3], Disp: p * neighbour}
		if r%3 > 0 {
			m.Index, m.Scale = rowStride, uint8(r%3)
		}
		return m
	}, func(columns int) {
		for _, base := range bases {
			ADDQ(Imm(uint64(columns*neighbour)), base)
		}
	})

	Label("store")
	c := GP64()
	MOVQ(corner, c)
	alpha, err := Param("alpha").Resolve()
	if err != nil {
		panic(err)
	}
	add, err := Param("add").Resolve()
	if err != nil {
		panic(err)
	}
	const one = 0x3f800000
	CMPL(alpha.Addr, U32(one))
	JE(LabelRef("scaled"))
	VBROADCASTSS(alpha.Addr, v.register(0))
	for r := range rows {
		for i := range vectors {
			// Two roundings and no FMA: the same bits as when the tile goes through a temporary one.
			VMULPS(v.register(0), acc(r, i), acc(r, i))
		}
	}
	Label("scaled")
	CMPB(add.Addr, U8(0))
	JE(LabelRef("overwrite"))
	for r := range rows {
		for i := range vectors {
			VADDPS(Mem{Base: c, Disp: i * v.bytes}, acc(r, i), acc(r, i))
			VMOVUPS(acc(r, i), Mem{Base: c, Disp: i * v.bytes})
		}
		if r+1 < rows {
			ADDQ(stepC, c)
		}
	}
	JMP(LabelRef("next"))
	Label("overwrite")
	for r := range rows {
		for i := range vectors {
			VMOVUPS(acc(r, i), Mem{Base: c, Disp: i * v.bytes})
		}
		if r+1 < rows {
			ADDQ(stepC, c)
		}
	}
	Label("next")
	tileB := Load(Param("tileB"), GP64())
	ADDQ(tileB, panel)
	ADDQ(U32(uint32(vectors*v.bytes)), corner)
	DECQ(tiles.Addr)
	JNZ(LabelRef("tile"))
	Label("done")
	VZEROUPPER()
	RET()
}
