package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// reluDropout generates what ends a layer, with the operations of accumulate, relu and mask in their order.
func reluDropout(v vector) {
	r := v.register
	TEXT("reluDropout"+v.path, NOSPLIT, "func(y *float32, stride uintptr, rows, vectors int, bias *float32, keep *bool, scale float32)")
	Doc("reluDropout" + v.path + " is ReluDropout for rows of whole vectors, stride bytes apart.")
	Pragma("noescape")
	row := Load(Param("y"), GP64())
	stride := Load(Param("stride"), GP64())
	rows := Load(Param("rows"), GP64())
	keep := Load(Param("keep"), GP64())
	y, bias, vectors := GP64(), GP64(), GP64()
	v.zero(r(0))
	v.broadcast("scale", r(2))
	Label("row")
	MOVQ(row, y)
	Load(Param("bias"), bias)
	Load(Param("vectors"), vectors)
	Label("vector")
	VPMOVZXBD(Mem{Base: keep}, r(1))
	VMOVUPS(Mem{Base: y}, r(3))
	VADDPS(Mem{Base: bias}, r(3), r(3))
	VMAXPS(r(3), r(0), r(3))
	if v.wide() {
		VPTESTMD(r(1), r(1), reg.K1)
		VMULPS_Z(r(3), r(2), reg.K1, r(3))
	} else {
		VPCMPGTD(r(0), r(1), r(1))
		VMULPS(r(3), r(2), r(3))
		VANDPS(r(3), r(1), r(3))
	}
	VMOVUPS(r(3), Mem{Base: y})
	ADDQ(U32(uint32(v.bytes)), y)
	ADDQ(U32(uint32(v.bytes)), bias)
	ADDQ(U32(uint32(v.bytes/4)), keep)
	DECQ(vectors)
	JNZ(LabelRef("vector"))
	ADDQ(stride, row)
	DECQ(rows)
	JNZ(LabelRef("row"))
	VZEROUPPER()
	RET()
}
