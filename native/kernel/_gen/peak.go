package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// peak generates a loop of multiply-adds that depend on nothing but themselves twelve turns ago: what the processor can do at most.
func peak(v vector) {
	const chains = 12
	TEXT("peak"+v.path, NOSPLIT, "func(loops int)")
	Doc("peak" + v.path + " runs 12 independent chains of a vector multiply-add each, a link of every chain for each of the loops.")
	loops := Load(Param("loops"), GP64())
	for i := range chains + 2 {
		v.zero(v.register(i))
	}
	TESTQ(loops, loops)
	JZ(LabelRef("done"))
	Label("loop")
	for i := range chains {
		VFMADD231PS(v.register(chains), v.register(chains+1), v.register(i))
	}
	DECQ(loops)
	JNZ(LabelRef("loop"))
	Label("done")
	VZEROUPPER()
	RET()
}
