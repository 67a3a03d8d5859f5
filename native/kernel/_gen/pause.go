package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
)

// pause generates the instruction that tells the processor of a loop that waits.
func pause() {
	TEXT("pauseAMD64", NOSPLIT, "func(loops int)")
	Doc("pauseAMD64 runs PAUSE at least once.")
	loops := Load(Param("loops"), GP64())
	Label("loop")
	PAUSE()
	DECQ(loops)
	JG(LabelRef("loop"))
	RET()
}
