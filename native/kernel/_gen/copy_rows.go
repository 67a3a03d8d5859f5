package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// copyRows generates a copy of rows that lie apart and are fetched ahead, which a processor does not do by itself from page to page.
func copyRows() {
	TEXT("copyRowsAVX2", NOSPLIT, "func(dst *float32, stepDst uintptr, src *float32, stepSrc uintptr, vectors int, last uintptr, rows int)")
	Doc("copyRowsAVX2 copies rows of so many vectors of eight elements, and of the eight that begin last bytes behind a row's beginning.", "Steps are in bytes, from row to row.")
	Pragma("noescape")
	dst := Load(Param("dst"), GP64())
	stepDst := Load(Param("stepDst"), GP64())
	src := Load(Param("src"), GP64())
	stepSrc := Load(Param("stepSrc"), GP64())
	vectors := Load(Param("vectors"), GP64())
	last := Load(Param("last"), GP64())
	rows := Load(Param("rows"), GP64())
	ahead := GP64() // eight rows
	MOVQ(stepSrc, ahead)
	SHLQ(U8(3), ahead)
	SHLQ(U8(5), vectors) // now in bytes
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	Label("row")
	fetched := GP64()
	LEAQ(Mem{Base: src, Index: ahead, Scale: 1}, fetched)
	at := GP64()
	XORQ(at, at)
	JMP(LabelRef("test"))
	Label("vector")
	PREFETCHT0(Mem{Base: fetched, Index: at, Scale: 1})
	VMOVUPS(Mem{Base: src, Index: at, Scale: 1}, reg.Y0)
	VMOVUPS(reg.Y0, Mem{Base: dst, Index: at, Scale: 1})
	ADDQ(Imm(32), at)
	Label("test")
	CMPQ(at, vectors)
	JL(LabelRef("vector"))
	VMOVUPS(Mem{Base: src, Index: last, Scale: 1}, reg.Y0)
	VMOVUPS(reg.Y0, Mem{Base: dst, Index: last, Scale: 1})
	ADDQ(stepSrc, src)
	ADDQ(stepDst, dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	Label("done")
	VZEROUPPER()
	RET()
}
