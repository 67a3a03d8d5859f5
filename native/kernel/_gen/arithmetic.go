package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// arithmeticOperations generates the four operations on two slices, and on a slice and a number.
func arithmeticOperations(v vector) {
	two := func(name, sign string, f func(...Op)) {
		v.elementFunction(name, "is y[i] = a[i] "+sign+" b[i].", []string{"y", "a", "b"}, "", nil, func(x []reg.VecVirtual) Op {
			f(x[1], x[0], x[0])
			return x[0]
		})
	}
	number := func(name, doc string, f func(a, c Op)) {
		var c reg.VecVirtual
		v.elementFunction(name, "is y[i] = "+doc+".", []string{"y", "a"}, ", c float32", func() { c = v.parameter("c") }, func(x []reg.VecVirtual) Op {
			f(x[0], c)
			return x[0]
		})
	}
	two("add", "+", VADDPS)
	two("sub", "-", VSUBPS)
	two("mul", "*", VMULPS)
	two("div", "/", VDIVPS)
	number("addNumber", "a[i] + c", func(a, c Op) { VADDPS(c, a, a) })
	number("mulNumber", "a[i] * c", func(a, c Op) { VMULPS(c, a, a) })
	number("divNumber", "a[i] / c", func(a, c Op) { VDIVPS(c, a, a) })
	number("subFromNumber", "c - a[i]", func(a, c Op) { VSUBPS(a, c, a) })
	number("divNumberBy", "c / a[i]", func(a, c Op) { VDIVPS(a, c, a) })
}
