package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// vector is a width of the vector registers with the instructions that differ in form.
type vector struct {
	path     string // the suffix of the functions' names
	bytes    int
	tileRows int // rows of the largest tile: 2 * tileRows accumulators, two vectors of the right factor, two broadcasts
	register func(i int) reg.VecPhysical
	zero     func(r Op)
}

var ymm = vector{
	path: "AVX2", bytes: 32, tileRows: 6,
	register: func(i int) reg.VecPhysical {
		return []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}[i]
	},
	zero: func(r Op) { VXORPS(r, r, r) },
}

var zmm = vector{
	path: "AVX512", bytes: 64, tileRows: 12,
	register: func(i int) reg.VecPhysical {
		return []reg.VecPhysical{
			reg.Z0, reg.Z1, reg.Z2, reg.Z3, reg.Z4, reg.Z5, reg.Z6, reg.Z7, reg.Z8, reg.Z9, reg.Z10, reg.Z11, reg.Z12, reg.Z13, reg.Z14, reg.Z15,
			reg.Z16, reg.Z17, reg.Z18, reg.Z19, reg.Z20, reg.Z21, reg.Z22, reg.Z23, reg.Z24, reg.Z25, reg.Z26, reg.Z27, reg.Z28, reg.Z29, reg.Z30, reg.Z31,
		}[i]
	},
	zero: func(r Op) { VPXORD(r, r, r) },
}
