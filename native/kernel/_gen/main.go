// Command _gen writes the assembly of package kernel; `go generate ./native/kernel` runs it. It is a module of its own, so
// that its dependencies are not tandem's.
package main

import "github.com/mmcloughlin/avo/build"

func main() {
	build.ConstraintExpr("!noasm")
	for _, v := range []vector{ymm, zmm} {
		for rows := 1; rows <= v.tileRows; rows++ {
			for vectors := 1; vectors <= 2; vectors++ {
				tile(v, rows, vectors)
			}
		}
		elements(v)
		peak(v)
	}
	transpose(false)
	transpose(true)
	philox()
	pause()
	build.Generate()
}
