package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// transpose generates the transposition of a strip of eight rows, eight columns at a time: two rounds of eight shuffles. With add
// it adds to what it would overwrite.
func transpose(add bool) {
	name, doc := "transpose8AVX2", "writes"
	if add {
		name, doc = "transposeAdd8AVX2", "adds"
	}
	TEXT(name, NOSPLIT, "func(dst *float32, stepDst uintptr, src *float32, stepSrc uintptr, blocks int)")
	Doc(name+" "+doc+" element (r, c) of src, eight rows of 8*blocks elements, to row c, column r of dst. Steps are in bytes, from",
		"row to row.")
	Pragma("noescape")
	dst := Load(Param("dst"), GP64())
	stepDst := Load(Param("stepDst"), GP64())
	src := Load(Param("src"), GP64())
	stepSrc := Load(Param("stepSrc"), GP64())
	blocks := Load(Param("blocks"), GP64())
	x := []reg.VecPhysical{reg.X0, reg.X1, reg.X2, reg.X3, reg.X4, reg.X5, reg.X6, reg.X7}
	y := []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7}
	t := []reg.VecPhysical{reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}
	src4 := GP64()
	LEAQ(Mem{Base: src, Index: stepSrc, Scale: 4}, src4)
	step3, dst3 := GP64(), GP64()
	LEAQ(Mem{Base: stepSrc, Index: stepSrc, Scale: 2}, step3)
	LEAQ(Mem{Base: stepDst, Index: stepDst, Scale: 2}, dst3)
	TESTQ(blocks, blocks)
	JZ(LabelRef("done"))
	row := func(base reg.Register, step, step3 reg.Register, r int) Mem {
		switch r % 4 {
		case 1:
			return Mem{Base: base, Index: step, Scale: 1}
		case 2:
			return Mem{Base: base, Index: step, Scale: 2}
		case 3:
			return Mem{Base: base, Index: step3, Scale: 1}
		}
		return Mem{Base: base}
	}
	Label("loop")
	// What the rows hold some turns on: a processor does not fetch that many rows ahead by itself.
	for r := range 4 {
		for _, base := range []reg.Register{src, src4} {
			ahead := row(base, stepSrc, step3, r)
			ahead.Disp = 256
			PREFETCHT0(ahead)
		}
	}
	// Register r takes columns 0 ... 3 of rows r and r+4, register r+4 columns 4 ... 7: halves that are inserted from memory need no
	// shuffle across the register's middle, of which a processor does one a cycle only.
	for r := range 4 {
		top, bottom := row(src, stepSrc, step3, r), row(src4, stepSrc, step3, r)
		VMOVUPS(top, x[r])
		VINSERTF128(U8(1), bottom, y[r], y[r])
		top.Disp, bottom.Disp = 16, 16
		VMOVUPS(top, x[r+4])
		VINSERTF128(U8(1), bottom, y[r+4], y[r+4])
	}
	for i := 0; i < 8; i += 2 {
		VUNPCKLPS(y[i+1], y[i], t[i])
		VUNPCKHPS(y[i+1], y[i], t[i+1])
	}
	for i := 0; i < 8; i += 4 {
		VSHUFPS(U8(0x44), t[i+2], t[i], y[i])
		VSHUFPS(U8(0xee), t[i+2], t[i], y[i+1])
		VSHUFPS(U8(0x44), t[i+3], t[i+1], y[i+2])
		VSHUFPS(U8(0xee), t[i+3], t[i+1], y[i+3])
	}
	for half := range 2 {
		for r := range 4 {
			if add {
				VADDPS(row(dst, stepDst, dst3, r), y[4*half+r], y[4*half+r])
			}
			VMOVUPS(y[4*half+r], row(dst, stepDst, dst3, r))
		}
		LEAQ(Mem{Base: dst, Index: stepDst, Scale: 4}, dst)
	}
	ADDQ(U32(32), src)
	ADDQ(U32(32), src4)
	DECQ(blocks)
	JNZ(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}
