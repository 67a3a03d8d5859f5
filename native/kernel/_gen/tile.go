package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// tile generates the product of rows rows of the left factor with vectors vectors of columns of the right one. The left
// factor is read element by element with two strides, and so needs no packing in either orientation.
func tile(v vector, rows, vectors int) {
	lanes := v.bytes / 4
	name := fmt.Sprintf("tile%dx%d%s", rows, vectors*lanes, v.path)
	TEXT(name, NOSPLIT, "func(a *float32, rowStride, depthStride uintptr, b *float32, stepB uintptr, c *float32, stepC uintptr, depth int, alpha float32, add bool)")
	Doc(fmt.Sprintf("%s computes a tile of %d x %d elements of C; see tileFunc.", name, rows, vectors*lanes))
	Pragma("noescape")

	acc := func(r, c int) reg.VecPhysical { return v.register(4 + r*vectors + c) }
	b := Load(Param("b"), GP64())
	stepB := Load(Param("stepB"), GP64())
	rowStride := Load(Param("rowStride"), GP64())
	depthStride := Load(Param("depthStride"), GP64())
	depth := Load(Param("depth"), GP64())
	// One pointer for each three rows, which the scaled index reaches.
	bases := []reg.Register{Load(Param("a"), GP64())}
	for r := 3; r < rows; r += 3 {
		next := GP64()
		LEAQ(Mem{Base: bases[len(bases)-1], Index: rowStride, Scale: 2}, next)
		ADDQ(rowStride, next)
		bases = append(bases, next)
	}
	element := func(r int) Mem {
		m := Mem{Base: bases[r/3]}
		if r%3 > 0 {
			m.Index, m.Scale = rowStride, uint8(r%3)
		}
		return m
	}
	for r := range rows {
		for c := range vectors {
			v.zero(acc(r, c))
		}
	}
	TESTQ(depth, depth)
	JZ(LabelRef("store"))
	Label("loop")
	for c := range vectors {
		VMOVUPS(Mem{Base: b, Disp: c * v.bytes}, v.register(c))
	}
	for r := range rows {
		x := v.register(2 + r%2)
		VBROADCASTSS(element(r), x)
		for c := range vectors {
			VFMADD231PS(v.register(c), x, acc(r, c))
		}
	}
	ADDQ(stepB, b)
	for _, base := range bases {
		ADDQ(depthStride, base)
	}
	DECQ(depth)
	JNZ(LabelRef("loop"))

	Label("store")
	c := Load(Param("c"), GP64())
	stepC := Load(Param("stepC"), GP64())
	alpha, err := Param("alpha").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(alpha.Addr, v.register(0))
	add := Load(Param("add"), GP8())
	TESTB(add, add)
	JZ(LabelRef("overwrite"))
	for r := range rows {
		for i := range vectors {
			// Two roundings and no FMA: the same bits as when the tile goes through a temporary one.
			VMULPS(v.register(0), acc(r, i), acc(r, i))
			VADDPS(Mem{Base: c, Disp: i * v.bytes}, acc(r, i), acc(r, i))
			VMOVUPS(acc(r, i), Mem{Base: c, Disp: i * v.bytes})
		}
		if r+1 < rows {
			ADDQ(stepC, c)
		}
	}
	VZEROUPPER()
	RET()
	Label("overwrite")
	for r := range rows {
		for i := range vectors {
			VMULPS(v.register(0), acc(r, i), acc(r, i))
			VMOVUPS(acc(r, i), Mem{Base: c, Disp: i * v.bytes})
		}
		if r+1 < rows {
			ADDQ(stepC, c)
		}
	}
	VZEROUPPER()
	RET()
}
