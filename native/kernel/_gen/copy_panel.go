package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// copyPanel generates a copy of rows of two vectors that lie apart to a panel, where they follow each other.
func copyPanel(v vector) {
	const vectors = 2
	TEXT("copyPanel"+v.path, NOSPLIT, "func(dst, src *float32, stepSrc uintptr, rows int)")
	Doc("copyPanel" + v.path + " copies rows of two vectors, which begin stepSrc bytes apart, one behind the other.")
	Pragma("noescape")
	dst := Load(Param("dst"), GP64())
	src := Load(Param("src"), GP64())
	stepSrc := Load(Param("stepSrc"), GP64())
	rows := Load(Param("rows"), GP64())
	fetched := GP64() // eight rows ahead
	LEAQ(Mem{Base: src, Index: stepSrc, Scale: 8}, fetched)
	TESTQ(rows, rows)
	JZ(LabelRef("done"))
	Label("row")
	for line := 0; line < vectors*v.bytes; line += 64 {
		PREFETCHT0(Mem{Base: fetched, Disp: line})
	}
	for i := range vectors {
		VMOVUPS(Mem{Base: src, Disp: i * v.bytes}, v.register(i))
	}
	for i := range vectors {
		VMOVUPS(v.register(i), Mem{Base: dst, Disp: i * v.bytes})
	}
	ADDQ(stepSrc, src)
	ADDQ(stepSrc, fetched)
	ADDQ(U32(uint32(vectors*v.bytes)), dst)
	DECQ(rows)
	JNZ(LabelRef("row"))
	Label("done")
	VZEROUPPER()
	RET()
}
