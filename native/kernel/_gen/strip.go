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
	a := Load(Param("a"), GP64())
	multiplyAdds{v, rows, vectors, acc}.generate(a, rowStride, depthStride, b, stepB, depth, fetch, "store")

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
