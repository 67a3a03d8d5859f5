// Command _gen writes the assembly of package kernel; `go generate ./native/kernel` runs it. It is a module of its own, so
// that its dependencies are not tandem's.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/mmcloughlin/avo/build"
)

// parts are the files of assembly.
var parts = map[string]func(){
	"kernel": func() {
		for _, v := range []vector{ymm, zmm} {
			for rows := 1; rows <= v.tileRows; rows++ {
				for vectors := 1; vectors <= 2; vectors++ {
					strip(v, rows, vectors)
					deepTile(v, rows, vectors)
				}
			}
			if v.wide() {
				for rows := 1; rows <= v.tileRows; rows++ {
					stripAdam(v, rows, false)
					stripAdam(v, rows, true)
				}
			}
			copyPanel(v)
			elements(v)
			peak(v)
		}
		transpose(false)
		transpose(true)
		copyRows()
		pause()
		writeNumbers()
	},
	"philox": func() {
		philox()
		philoxWide()
	},
	"math": func() {
		for _, v := range []vector{ymm, zmm} {
			approximations(v)
			arithmeticOperations(v)
			rows(v)
			bounded(v)
		}
		writeNumbers()
	},
	"channels": func() {
		for _, v := range []vector{ymm, zmm} {
			channels(v)
			depthwise(v)
			v.maxPool()
		}
	},
	"winograd": func() {
		for _, v := range []vector{ymm, zmm} {
			winograd(v)
		}
		writeNumbers()
		writeDoubles()
	},
}

func main() {
	part := flag.String("part", "kernel", "the file to generate")
	flag.Parse()
	generate, ok := parts[*part]
	if !ok {
		fmt.Fprintf(os.Stderr, "_gen: there is no part %q\n", *part)
		os.Exit(2)
	}
	build.ConstraintExpr("!noasm")
	generate()
	build.Generate()
}
