package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// bounded generates the functions that hold their operand between two numbers, and their gradients.
func bounded(v vector) {
	var least, most, zero, one, three, six reg.VecVirtual
	bounds := func() {
		least, most = v.new(), v.new()
		v.broadcast("least", least)
		v.broadcast("most", most)
	}
	v.loop("clip", "y[i] = min(max(x[i], least), most), x[i] if that is NaN,", []string{"y", "x"}, ", least, most float32", bounds, func(at []Mem) {
		x := v.new()
		VMOVUPS(at[1], x)
		// Of NaN and of equal numbers the instructions return the second source: x.
		VMAXPS(x, least, x)
		VMINPS(x, most, x)
		VMOVUPS(x, at[0])
	})
	v.loop("clipGradient", "dx[i] = dy[i] where least < x[i] < most, else 0,", []string{"dx", "dy", "x"}, ", least, most float32", bounds, func(at []Mem) {
		x := v.new()
		VMOVUPS(at[2], x)
		if v.wide() {
			above, inside := K(), K()
			VCMPPS(U8(greater), least, x, above)
			VCMPPS(U8(less), most, x, inside)
			KANDW(above, inside, inside)
			VMOVUPS_Z(at[1], inside, x)
		} else {
			inside := v.new()
			VCMPPS(U8(less), most, x, inside)
			VCMPPS(U8(greater), least, x, x)
			VANDPS(inside, x, x)
			VANDPS(at[1], x, x)
		}
		VMOVUPS(x, at[0])
	})
	v.loop("hardSwish", "y[i] = x[i] * min(max(x[i] + 3, 0), 6) / 6", []string{"y", "x"}, "", func() {
		zero, three, six = v.new(), v.number(3), v.number(6)
		v.zero(zero)
	}, func(at []Mem) {
		x, gate := v.new(), v.new()
		VMOVUPS(at[1], x)
		VADDPS(three, x, gate)
		VMAXPS(gate, zero, gate)
		VMINPS(gate, six, gate)
		VMULPS(gate, x, x)
		v.mulNumber(1.0/6, x, x)
		VMOVUPS(x, at[0])
	})
	v.loop("hardSwishGradient", "dx[i] = dy[i] * (x[i] / 3 + 1/2), 0 from -3 down and dy[i] from 3 up,", []string{"dx", "dy", "x"}, "", func() {
		one, zero = v.number(1), v.new()
		v.zero(zero)
	}, func(at []Mem) {
		x, d := v.new(), v.new()
		VMOVUPS(at[2], x)
		v.mulNumber(1.0/3, x, d)
		v.addNumber(0.5, d, d)
		v.choose(less, x, 3, d, one, d)
		VMULPS(at[1], d, d)
		v.choose(notLessEqual, x, -3, d, zero, d)
		VMOVUPS(d, at[0])
	})
}
